//! Who somebody in a chat is on a forge, and what that lets them do there now.
//!
//! A person links themselves: the forge asks them, on a page of its own, whether this is they. What they may do is asked of
//! the forge each time, with our credentials; where it cannot be found out, nothing is allowed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::apps;
use super::setup::random;
use crate::catalog::{Connection, IdentityLink, Repository, SetupKind, Source, StoredApp};
use crate::domain::{By, Error, Kind, Person, Result};
use crate::forge::quota::Urgency;
use crate::forge::{Forge, ForgeUser, OauthClient, People, Place, Polled, Rights, Role};
use crate::services::Services;

/// However long a forge would wait.
const LONGEST: Duration = Duration::from_hours(1);

/// A forge's host on which we have connections.
pub struct Host {
    /// The forge's slug.
    pub forge: String,
    /// The host's web address.
    pub url: Url,
    /// As links and commands have it: with the port where it is not the default one.
    pub name: String,
    /// What people sign in with; or why they cannot.
    pub client: Result<Client>,
}

/// A client of ours that people can sign in with.
pub struct Client {
    sign_in: OauthClient,
    /// The App that it belongs to, where forges have such.
    app: Option<StoredApp>,
}

/// A sign-in that was begun.
pub struct Begun {
    /// Where they are going to be known.
    pub host: String,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub page: Url,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// What [`poll`] asks with. It lets nobody in.
    pub attempt: String,
    /// The first question is worth it after this long.
    pub interval: Duration,
}

/// What came of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// Nothing yet.
    Waiting {
        /// Ask again after this long.
        interval: Duration,
    },
    /// They are linked.
    Done {
        /// To this name on the forge.
        login: String,
        /// Until then.
        expires_at: DateTime<Utc>,
    },
    /// They said no.
    Denied,
    /// It took too long.
    Expired,
}

/// A sign-in under way, as it is kept.
#[derive(Serialize, Deserialize)]
struct Attempt {
    person: Person,
    who: String,
    whence: String,
    forge: String,
    url: Url,
    host: String,
    client: OauthClient,
    /// What the forge is asked with, sealed.
    device_code: Vec<u8>,
    began: DateTime<Utc>,
    /// The forge wants no question before.
    not_before: DateTime<Utc>,
    interval: Duration,
}

/// The hosts of our connections, by name.
pub async fn hosts(services: &Services) -> Result<Vec<Host>> {
    let apps = services.catalog.apps().await?;
    let mut hosts: Vec<Host> = Vec::new();
    for connection in services.catalog.connections().await? {
        let (url, name) = (connection.address()?, connection.host()?);
        let known = hosts.iter_mut().find(|known| known.forge == connection.forge && known.name == name);
        if known.as_ref().is_some_and(|known| known.client.is_ok()) {
            continue;
        }
        let forge = services.forge(&connection.forge)?;
        let client = match app_of(forge, &url, &apps).or(client_of(services, &connection).await?) {
            Some(client) => Ok(client),
            None => Err(nobody_signs_in(forge, &url, &name)),
        };
        match known {
            Some(known) => known.client = client,
            None => hosts.push(Host { forge: connection.forge, url, name, client }),
        }
    }
    hosts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(hosts)
}

/// Begins to link a person. `host`: where, if people can link themselves on several.
pub async fn begin(services: &Services, person: &Person, by: &By, host: Option<&str>) -> Result<Begun> {
    let host = choose(hosts(services).await?, host)?;
    let Client { sign_in: client, app } = host.client?;
    let code = people(services, &host.forge)?.begin(&client).await;
    let code = code.map_err(|error| at_its_settings(services, &host.url, app.as_ref(), error))?;
    let (attempt, now) = (random(), Utc::now());
    let lasts = TimeDelta::from_std(code.expires_in.min(LONGEST)).unwrap_or_default();
    let draft = Attempt {
        person: person.clone(),
        who: by.who.clone(),
        whence: by.whence.clone(),
        forge: host.forge,
        url: host.url,
        host: host.name.clone(),
        client,
        device_code: services.credentials.seal(&code.device_code)?,
        began: now,
        not_before: now + code.interval,
        interval: code.interval,
    };
    let attempt = attempt.expose_secret().to_owned();
    services.catalog.put_setup(SetupKind::Link, &hash(&attempt), json(&draft)?, lasts).await?;
    Ok(Begun {
        host: host.name,
        user_code: code.user_code,
        page: code.page,
        expires_at: now + lasts,
        attempt,
        interval: code.interval,
    })
}

/// Whether they have signed in by now, and keeps who they are if so. May be asked at any time: the forge is asked no sooner
/// than it wants to be.
pub async fn poll(services: &Services, attempt: &str) -> Result<Linked> {
    let (catalog, key) = (&services.catalog, hash(attempt));
    let Some(draft) = catalog.setup(SetupKind::Link, &key).await? else { return Ok(Linked::Expired) };
    let mut attempt: Attempt = serde_json::from_value(draft)
        .map_err(|error| Error::bug("a sign-in was kept as something else").detail(error))?;
    // Negative once the time has come.
    if let Ok(interval) = (attempt.not_before - Utc::now()).to_std() {
        return Ok(Linked::Waiting { interval });
    }
    let people = people(services, &attempt.forge)?;
    let code = services.credentials.open(&attempt.device_code)?;
    let linked = match people.poll(&attempt.client, &code).await? {
        Polled::Waiting { interval } => {
            attempt.interval = interval.unwrap_or(attempt.interval);
            attempt.not_before = Utc::now() + attempt.interval;
            catalog.set_setup_draft(SetupKind::Link, &key, json(&attempt)?).await?;
            return Ok(Linked::Waiting { interval: attempt.interval });
        }
        Polled::Done(user) => link(services, &attempt, user).await?,
        Polled::Denied => Linked::Denied,
        // The forge tells once who it was, and we may have been stopped after that was written.
        Polled::Expired => match catalog.link_of(&attempt.person, &attempt.host).await? {
            Some(link) if link.created_at >= attempt.began => done(link),
            _ => Linked::Expired,
        },
    };
    catalog.take_setup(SetupKind::Link, &key).await?;
    Ok(linked)
}

/// What a person may do in a repository now. Fails where that is not known: with [`Kind::NotAllowed`] and what to do, or with
/// a transient kind while the forge cannot be asked. Either way they may not.
pub async fn rights(services: &Services, person: &Person, repository: &Repository) -> Result<Rights> {
    let Some(link) = services.catalog.link_of(person, &repository.host).await? else {
        return Err(Error::not_allowed(format!("it is not known who you are on {}", repository.host))
            .hint("tell it, and try again: `/refward link`"));
    };
    let user = ForgeUser { id: link.forge_user, login: link.login };
    let asked = async {
        let connection = services.connection(repository.connection_id).await?;
        if link.forge != repository.forge || connection.forge != repository.forge {
            return Err(Error::misconfigured("its connection is to another forge"));
        }
        let access = services.access(&connection, Urgency::Person).await?;
        let place = Place { forge_id: &repository.forge_id, full_name: &repository.full_name };
        people(services, &repository.forge)?.rights(&access, place, &user).await
    };
    asked.await.map_err(|error| {
        let next = error.next_step().map(str::to_owned);
        let next = next.unwrap_or_else(|| "what cannot be checked is refused; try again later".to_owned());
        let kind = if error.kind().is_transient() { error.kind() } else { Kind::NotAllowed };
        let name = &repository.full_name;
        Error::new(kind, format!("what {} may do in {name} cannot be checked: {error}", user.login))
            .detail(error.for_log())
            .hint(next)
    })
}

async fn link(services: &Services, attempt: &Attempt, user: ForgeUser) -> Result<Linked> {
    let now = Utc::now();
    let lasts = TimeDelta::from_std(services.settings.people.link_lasts).unwrap_or(TimeDelta::MAX);
    let link = IdentityLink {
        person: attempt.person.clone(),
        forge: attempt.forge.clone(),
        host: attempt.host.clone(),
        forge_user: user.id,
        login: user.login,
        created_at: now,
        expires_at: now.checked_add_signed(lasts).unwrap_or(DateTime::<Utc>::MAX_UTC),
    };
    let by = By { who: attempt.who.clone(), whence: attempt.whence.clone() };
    services.catalog.put_link(&link, &by).await?;
    Ok(done(link))
}

fn done(link: IdentityLink) -> Linked {
    Linked::Done { login: link.login, expires_at: link.expires_at }
}

fn choose(hosts: Vec<Host>, wanted: Option<&str>) -> Result<Host> {
    let all: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let all = all.join(", ");
    if hosts.is_empty() {
        return Err(Error::misconfigured("no forge is connected yet").hint("`refward connect --help`"));
    }
    if let Some(wanted) = wanted {
        let found = hosts.into_iter().find(|host| host.name.eq_ignore_ascii_case(wanted));
        return found.ok_or_else(|| Error::not_found(format!("`{wanted}` is none of our forges: {all}")));
    }
    // One that works, or the reason why the only one does not.
    let (mut works, broken): (Vec<Host>, Vec<Host>) = hosts.into_iter().partition(|host| host.client.is_ok());
    match works.len() {
        1 => Ok(works.remove(0)),
        0 => broken.into_iter().next().ok_or_else(|| Error::bug("neither hosts that work nor others")),
        _ => Err(Error::bad_request(format!("on which forge? {all}")).hint("`/refward link HOST`")),
    }
}

/// A host's own App: a backup App, as those are always there; it learns no more than who they are.
fn app_of(forge: &dyn Forge, url: &Url, apps: &[StoredApp]) -> Option<Client> {
    let ours = apps.iter().filter(|app| app.facts.forge == forge.slug() && same(&app.facts.url, url));
    let mut ours = ours.filter(|app| !app.facts.client_id.is_empty());
    let found = ours.find(|app| app.facts.role == Role::Backup.word());
    found.map(|app| Client {
        // The host is its own authority.
        sign_in: OauthClient { authority: url.clone(), tenant: String::new(), client_id: app.facts.client_id.clone() },
        app: Some(app.clone()),
    })
}

/// The client that a connection's credentials are of: people sign in with it without its secret.
async fn client_of(services: &Services, connection: &Connection) -> Result<Option<Client>> {
    let credentials = services.catalog.credentials(Some(connection.id)).await?.into_iter();
    let client = credentials.filter(|credential| credential.enabled).find_map(|credential| match credential.source {
        Source::Oauth { client, .. } => serde_json::from_value(client).ok(),
        Source::Token(_) | Source::Installation { .. } => None,
    });
    Ok(client.map(|sign_in| Client { sign_in, app: None }))
}

fn nobody_signs_in(forge: &dyn Forge, url: &Url, name: &str) -> Error {
    let silent = || Error::misconfigured(format!("{name} does not tell who people are"));
    forge.people().map_or_else(silent, |people| people.no_client(url))
}

fn same(stored: &str, url: &Url) -> bool {
    Url::parse(stored).is_ok_and(|stored| stored == *url)
}

/// What is wrong with the App is put right on a page of the forge.
fn at_its_settings(services: &Services, url: &Url, app: Option<&StoredApp>, error: Error) -> Error {
    let Some(app) = app else { return error };
    let forge = apps::of_forge(services, &app.facts.forge);
    let page = forge.and_then(|forge| forge.settings_page(url, &app.facts.owner, &app.facts.slug));
    let hint = match (error.kind(), error.next_step(), page) {
        (Kind::Misconfigured, Some(hint), Ok(page)) => format!("{hint}: {page}"),
        _ => return error,
    };
    error.hint(hint)
}

fn people<'a>(services: &'a Services, forge: &str) -> Result<&'a dyn People> {
    let people = services.forge(forge)?.people();
    people.ok_or_else(|| Error::misconfigured(format!("`{forge}` does not tell who people are")))
}

fn hash(attempt: &str) -> Vec<u8> {
    Sha256::digest(attempt).to_vec()
}

fn json(attempt: &Attempt) -> Result<serde_json::Value> {
    serde_json::to_value(attempt).map_err(|error| Error::bug("a sign-in becomes no JSON").detail(error))
}
