//! Two connections that belong together, mostly a server of one's own and an organization in the cloud: what is backed
//! up from one is restored to the other. And a look at both ends.

use serde::Serialize;

use super::connect::{keep_inspection, named};
use super::inventory;
use super::restore::nothing_writes;
use crate::catalog::{Connection, InstallationState, Repository, StoredCredential};
use crate::domain::{Error, Kind, Result};
use crate::forge::Role;
use crate::services::Services;

/// Two connections, by name.
#[derive(Debug, Serialize)]
pub struct Pair {
    /// What is backed up from this one …
    pub name: String,
    /// … is restored to that one, unless told otherwise. `None`: nowhere in particular.
    pub peer: Option<String>,
    /// Where it went before.
    pub before: Option<String>,
}

/// Makes `peer` the place that `name`'s repositories are restored to by default.
pub async fn pair(services: &Services, name: &str, peer: &str) -> Result<Pair> {
    let (connection, peer) = (named(services, name).await?, named(services, peer).await?);
    if connection.id == peer.id {
        return Err(Error::bad_request("a connection cannot be its own peer"));
    }
    let before = peer_of(services, &connection).await?.map(|before| before.name);
    services.catalog.set_peer(connection.id, Some(peer.id)).await?;
    Ok(Pair { name: connection.name, peer: Some(peer.name), before })
}

/// Undoes [`pair`]; both connections stay.
pub async fn unpair(services: &Services, name: &str) -> Result<Pair> {
    let connection = named(services, name).await?;
    let before = the_peer_of(services, &connection).await?;
    services.catalog.set_peer(connection.id, None).await?;
    Ok(Pair { name: connection.name, peer: None, before: Some(before.name) })
}

/// The name of a connection's peer.
pub async fn peer(services: &Services, name: &str) -> Result<String> {
    let connection = named(services, name).await?;
    Ok(the_peer_of(services, &connection).await?.name)
}

/// The connection that a repository is restored to by default.
pub(super) async fn peer_for(services: &Services, repository: &Repository) -> Result<Connection> {
    the_peer_of(services, &services.connection(repository.connection_id).await?).await
}

async fn the_peer_of(services: &Services, connection: &Connection) -> Result<Connection> {
    let peer = peer_of(services, connection).await?;
    peer.ok_or_else(|| {
        Error::bad_request(format!("the connection {} has no peer", connection.name))
            .hint(format!("name one: refward connections pair {} PEER", connection.name))
    })
}

async fn peer_of(services: &Services, connection: &Connection) -> Result<Option<Connection>> {
    match connection.peer {
        Some(peer) => services.catalog.connection_by_id(peer).await,
        None => Ok(None),
    }
}

/// A connection and its peer, looked at from here.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The connection.
    pub name: String,
    /// Its peer.
    pub peer: Option<String>,
    /// `HOST:PORT` of the proxy in the settings.
    pub proxy: Option<String>,
    /// One after the other, the peer's last.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Check {
    /// At which connection.
    pub connection: String,
    /// `web and git`, `API`, `credential token`, …
    pub what: String,
    /// How it stands.
    pub state: State,
    /// What was seen, or what is wrong.
    pub told: String,
    /// What to do about it, one thing each.
    pub next_steps: Vec<String>,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Somebody has to do something.
    Failed,
    /// It does not show from here.
    Unknown,
}

/// Looks at a connection, and at its peer if it has one: addresses, credentials, Apps, webhooks, and whether the peer can be
/// restored to.
pub async fn check(services: &Services, name: &str) -> Result<Checked> {
    let connection = named(services, name).await?;
    let peer = peer_of(services, &connection).await?;
    let mut checks = Checks { services, connection: &connection, found: Vec::new() };
    checks.look().await?;
    let mut all = checks.found;
    if let Some(peer) = &peer {
        let mut checks = Checks { services, connection: peer, found: Vec::new() };
        checks.look().await?;
        checks.restores().await?;
        all.append(&mut checks.found);
    }
    let proxy = services.settings.http.proxy.parse::<url::Url>().ok();
    let proxy = proxy
        .and_then(|proxy| Some(format!("{}:{}", proxy.host_str()?, proxy.port_or_known_default().unwrap_or_default())));
    Ok(Checked { name: connection.name, peer: peer.map(|peer| peer.name), proxy, checks: all })
}

/// The error that stands for failed checks.
pub fn failed(checked: &Checked) -> Option<Error> {
    let count = checked.checks.iter().filter(|check| check.state == State::Failed).count();
    let text = format!("{count} of {} checks failed", checked.checks.len());
    (count > 0).then(|| Error::new(Kind::Partial, text).hint("each says what to do"))
}

struct Checks<'a> {
    services: &'a Services,
    connection: &'a Connection,
    found: Vec<Check>,
}

impl Checks<'_> {
    async fn look(&mut self) -> Result<()> {
        let connection = self.connection;
        for reached in self.services.forge(&connection.forge)?.reach(&connection.address()?).await? {
            let outcome = reached.outcome.map(|()| format!("{} answers", reached.address));
            self.note(reached.what, outcome);
        }
        for credential in self.services.catalog.credentials(Some(connection.id)).await? {
            self.credential(&credential).await?;
        }
        self.apps().await?;
        if let Some(error) = &connection.last_error {
            self.add("listing", State::Failed, format!("the last one failed: {error}"), None);
        }
        self.webhooks().await
    }

    async fn credential(&mut self, credential: &StoredCredential) -> Result<()> {
        let what = format!("credential {}", credential.label);
        let inspected = async {
            let access = self.services.access_with(self.connection, credential).await?;
            self.services.forge(&self.connection.forge)?.inspect(&access).await
        };
        let inspection = match inspected.await {
            Ok(inspection) => inspection,
            Err(error) => {
                self.note(&what, Err(error));
                return Ok(());
            }
        };
        keep_inspection(self.services, self.connection.id, credential, &inspection).await?;
        let mut told = format!("{}, {}", inspection.host, inspection.credential);
        if let Some(login) = &inspection.login {
            told += &format!(" of {login}");
        }
        if let Some(expires) = &inspection.expires {
            told += &format!(", expires {expires}");
        }
        if !credential.enabled {
            told += "; switched off";
        }
        let missing: Vec<String> = inspection.missing.iter().map(|missing| format!("missing: {missing}")).collect();
        let state = if missing.is_empty() { State::Ok } else { State::Failed };
        self.add_all(&what, state, told, missing);
        Ok(())
    }

    async fn apps(&mut self) -> Result<()> {
        for (installation, app) in inventory::apps(self.services, self.connection).await? {
            let (what, account) = (format!("App {}", app.facts.name), &installation.account);
            let trouble = match (&installation.refused, &app.last_error) {
                (Some(why), _) => Some((why.clone(), None)),
                (None, _) if installation.state == InstallationState::Suspended => Some((
                    format!("suspended on {account}"),
                    Some("whoever suspended it can lift that: the account's settings, installed Apps".to_owned()),
                )),
                (None, Some(error)) => Some((format!("the last look at its installations failed: {error}"), None)),
                (None, None) => None,
            };
            let (state, told, hint) = match trouble {
                Some((why, hint)) => (State::Failed, why, hint),
                None => (State::Ok, format!("installed on {account}, {} repositories", installation.selection), None),
            };
            self.add(&what, state, told, hint);
        }
        Ok(())
    }

    async fn webhooks(&mut self) -> Result<()> {
        match self.services.catalog.last_delivery(self.connection.id).await? {
            Some(at) => {
                let told = format!("the last one came at {} UTC", at.format("%Y-%m-%d %H:%M:%S"));
                self.add("webhooks", State::Ok, told, None);
            }
            None => self.add(
                "webhooks",
                State::Unknown,
                "none has come yet".to_owned(),
                Some("push something; if none comes, see where the forge's log of deliveries says it went".to_owned()),
            ),
        }
        Ok(())
    }

    /// Of a peer: what would write there.
    async fn restores(&mut self) -> Result<()> {
        let access = self.services.access_to_push(self.connection).await?;
        let Some(first) = access.credentials.first() else {
            self.note("restores", Err(nothing_writes(self.connection)));
            return Ok(());
        };
        let restore_app =
            |app: &crate::catalog::StoredApp| app.facts.role == Role::Restore.word() && app.facts.name == first.label;
        let mut apps = inventory::apps(self.services, self.connection).await?.into_iter();
        let Some((installation, app)) = apps.find(|(_, app)| restore_app(app)) else {
            let told = format!("with the credential {}", first.label);
            let hint = "whether it may write shows when a restore is planned: refward restore REPO --to-peer --plan";
            self.add("restores", State::Unknown, told, Some(hint.to_owned()));
            return Ok(());
        };
        let forge = self.services.forge(&self.connection.forge)?;
        let missing = forge
            .apps()
            .map(|apps| apps.missing_permissions(Role::Restore, &installation.permissions))
            .unwrap_or_default();
        if missing.is_empty() {
            self.add("restores", State::Ok, format!("with the App {}", app.facts.name), None);
        } else {
            let told = format!("the App {} lacks what was asked for: {}", app.facts.name, missing.join(", "));
            let hint = "an owner can accept that in the account's settings, installed Apps";
            self.add("restores", State::Failed, told, Some(hint.to_owned()));
        }
        Ok(())
    }

    fn note(&mut self, what: &str, outcome: Result<String>) {
        match outcome {
            Ok(told) => self.add(what, State::Ok, told, None),
            Err(error) => {
                let hint = error.next_step().map(str::to_owned);
                self.add(what, State::Failed, error.to_string(), hint);
            }
        }
    }

    fn add(&mut self, what: &str, state: State, told: String, next_step: Option<String>) {
        self.add_all(what, state, told, next_step.into_iter().collect());
    }

    fn add_all(&mut self, what: &str, state: State, told: String, next_steps: Vec<String>) {
        let connection = self.connection.name.clone();
        self.found.push(Check { connection, what: what.to_owned(), state, told, next_steps });
    }
}
