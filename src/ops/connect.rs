//! Connecting an owner on a forge.

use std::collections::HashMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use super::backup::retry_failing;
use super::setup::random;
use crate::catalog::{
    Connection, ConnectionSettings, NewConnection, NewCredential, Priority, StoredCredential, job_kind,
};
use crate::domain::{ConnectionId, Error, Kind, Result};
use crate::forge::quota::Urgency;
use crate::forge::{Access, Inspection};
use crate::jobs::{self, Discovered, Filter};
use crate::services::{Given, Services};

/// What is needed to connect.
pub struct Connect {
    /// The forge's slug.
    pub forge: String,
    /// What the user calls the connection.
    pub name: String,
    /// The forge's web address.
    pub url: Url,
    /// Organization or user. `None`: whom the address names.
    pub owner: Option<String>,
    /// What opens it.
    pub given: Given,
    /// What the forge signs its webhooks with. `None`: we make one, for hooks that we set up ourselves.
    pub webhook_secret: Option<SecretString>,
    /// Which repositories.
    pub settings: ConnectionSettings,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Connected {
    /// The connection's name.
    pub name: String,
    /// Host, identity and what the credential lacks.
    pub inspection: Inspection,
    /// What was found.
    pub repositories: Discovered,
    /// Where the forge must send its webhooks, below this service's public address.
    pub webhook_path: String,
    /// Who sees to it that it does.
    pub webhooks: Webhooks,
}

/// Who sees to it that a forge sends webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Webhooks {
    /// Somebody sets one up there.
    ByHand,
    /// We set them up ourselves.
    Ours,
    /// We would, if we knew where the forge reaches us.
    NoAddress,
}

/// Checks the credential, stores the connection, reads its repositories and enqueues a first snapshot of each. If any check
/// fails, nothing is stored.
pub async fn connect(services: &Services, request: Connect) -> Result<Connected> {
    check_name("connection", &request.name)?;
    let webhook_secret = request.webhook_secret.clone().unwrap_or_else(random);
    check_secret(&webhook_secret)?;
    Filter::new(&request.settings)?;
    let forge = services.forge(&request.forge)?;
    let url = forge.settle_url(&request.url)?;
    let given = request.given.settled(forge)?;
    let owner = request.owner.clone().or_else(|| forge.owner_in(&url));
    let owner = owner.ok_or_else(|| Error::bad_request("nothing says whose repositories to back up"))?;
    refuse_second(services, &request.forge, &request.name, &url, &owner).await?;
    let access = Access::with(url.clone(), &owner, given.kind());
    let inspection = forge.inspect(&access).await?;
    forge.survey(&access).await?;

    let new = NewConnection {
        forge: request.forge.clone(),
        name: request.name.clone(),
        url: url.to_string(),
        owner,
        settings: request.settings,
        credential: NewCredential {
            label: given.label().to_owned(),
            source: services.source(&given)?,
            main: true,
            enabled: true,
        },
        webhook_secret: Some(services.credentials.seal(&webhook_secret)?),
    };
    let id = services.catalog.add_connection(new).await?;
    keep_inspection(services, id, &main_credential(services, id).await?, &inspection).await?;
    let repositories = jobs::discover(services, id, Urgency::Person).await?;
    retry_failing(services, id).await?;
    let webhooks = match forge.hooks() {
        None => Webhooks::ByHand,
        Some(_) if services.settings.server.public_url().is_err() => Webhooks::NoAddress,
        Some(_) => Webhooks::Ours,
    };
    if webhooks == Webhooks::Ours {
        services.catalog.enqueue(job_kind::KEEP_HOOKS, &id.to_string(), Priority::Manual).await?;
    }
    let webhook_path = format!("/hooks/{}", request.forge);
    Ok(Connected { name: request.name, inspection, repositories, webhook_path, webhooks })
}

/// What a connection's credential may do now.
pub async fn test(services: &Services, name: &str) -> Result<Inspection> {
    let connection = named(services, name).await?;
    let main = main_credential(services, connection.id).await?;
    let access = services.access_with(&connection, &main).await?;
    let inspection = services.forge(&connection.forge)?.inspect(&access).await?;
    keep_inspection(services, connection.id, &main, &inspection).await?;
    Ok(inspection)
}

/// The error that stands for what a credential may not do.
pub fn lacking(inspection: &Inspection) -> Option<Error> {
    let count = inspection.missing.len();
    let text =
        format!("the credential lacks {}", if count == 1 { "one thing".to_owned() } else { format!("{count} things") });
    (count > 0).then(|| Error::new(Kind::Partial, text).hint("each is named above"))
}

/// The credential that a connection does everything with if it can.
pub(super) async fn main_credential(services: &Services, id: ConnectionId) -> Result<StoredCredential> {
    let main = services.catalog.credentials(Some(id)).await?.into_iter().find(|credential| credential.main);
    main.ok_or_else(|| {
        Error::misconfigured("the connection has no main credential").hint("see `refward credentials --help`")
    })
}

/// The main credential's inspection is the connection's.
pub(super) async fn keep_inspection(
    services: &Services,
    id: ConnectionId,
    credential: &StoredCredential,
    inspection: &Inspection,
) -> Result<()> {
    services.catalog.set_credential_inspection(credential.id, inspection).await?;
    if credential.main {
        services.catalog.set_inspection(id, inspection).await?;
    }
    Ok(())
}

/// A connection as listings show it; nothing secret.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ConnectionRow {
    pub name: String,
    pub forge: String,
    pub url: String,
    pub owner: String,
    #[serde(flatten)]
    pub settings: ConnectionSettings,
    pub inspection: Option<Inspection>,
    pub peer: Option<String>,
    pub last_error: Option<String>,
}

/// All connections.
pub async fn list(services: &Services) -> Result<Vec<ConnectionRow>> {
    let connections = services.catalog.connections().await?;
    let names: HashMap<ConnectionId, String> =
        connections.iter().map(|connection| (connection.id, connection.name.clone())).collect();
    let rows = connections.into_iter().map(|connection| ConnectionRow {
        peer: connection.peer.and_then(|peer| names.get(&peer).cloned()),
        inspection: connection.inspection.and_then(|json| serde_json::from_value(json).ok()),
        name: connection.name,
        forge: connection.forge,
        url: connection.url,
        owner: connection.owner,
        settings: connection.settings,
        last_error: connection.last_error,
    });
    Ok(rows.collect())
}

/// An owner is connected once, and a name is one connection's.
pub(super) async fn refuse_second(services: &Services, forge: &str, name: &str, url: &Url, owner: &str) -> Result<()> {
    for other in services.catalog.connections().await? {
        if other.name.eq_ignore_ascii_case(name) {
            return Err(Error::bad_request(format!("there is a connection called {} already", other.name))
                .hint(format!("choose another --name, or remove it: refward connections remove {}", other.name)));
        }
        let same_host = other.forge == forge && other.url == url.as_str();
        if same_host && other.owner.eq_ignore_ascii_case(owner) {
            return Err(Error::bad_request(format!(
                "{} on {url} is connected already, as {}",
                other.owner, other.name
            )));
        }
    }
    Ok(())
}

/// The connection with this name.
pub(super) async fn named(services: &Services, name: &str) -> Result<Connection> {
    let connection = services.catalog.connection(name).await?;
    connection.ok_or_else(|| {
        Error::not_found(format!("there is no connection called `{name}`")).hint("see `refward connections list`")
    })
}

/// The name stands before a colon in repository addresses and in paths.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
        return Err(Error::bad_request(format!(
            "`{name}` cannot name a {what}: use up to 64 letters, digits, `-`, `_` and `.`"
        )));
    }
    Ok(())
}

pub(super) fn check_secret(secret: &SecretString) -> Result<()> {
    if secret.expose_secret().is_empty() {
        return Err(Error::bad_request("the webhook secret is empty: anybody could send deliveries"));
    }
    Ok(())
}
