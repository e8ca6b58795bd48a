//! What is stored about a connection, and what is not. Nothing in here is secret.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connect::named;
use crate::catalog::{
    AppSecret, Connection, ConnectionSettings, InstallationState, Source, StoredApp, StoredCredential,
    StoredInstallation,
};
use crate::domain::Result;
use crate::forge::Inspection;
use crate::services::Services;

/// Everything that is stored about a connection.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Inventory {
    pub name: String,
    pub forge: String,
    pub url: String,
    pub owner: String,
    /// What runs there, as of the last look: `GitHub Enterprise Server 3.19.0`.
    pub host: Option<String>,
    pub connected_at: DateTime<Utc>,
    pub apps: Vec<InstalledApp>,
    pub credentials: Vec<CredentialRow>,
    /// Since when there is each of the secrets that sign webhooks, newest first; Apps have their own.
    pub webhook_secrets_since: Vec<DateTime<Utc>>,
    pub last_delivery_at: Option<DateTime<Utc>>,
    pub settings: ConnectionSettings,
    pub listing: ListingRow,
    pub peer: Option<String>,
    pub repositories: Repositories,
    pub snapshots: u64,
    /// In the vault.
    pub bytes: u64,
    pub not_stored: Vec<String>,
}

/// An App of ours on the connection's account.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct InstalledApp {
    pub name: String,
    pub role: String,
    pub number: i32,
    pub registered_at: DateTime<Utc>,
    pub installation: String,
    pub state: InstallationState,
    /// `all` or `selected`.
    pub selection: String,
    pub permissions: BTreeMap<String, String>,
    pub requested_by: Option<String>,
    pub refused: Option<String>,
    pub seen_at: DateTime<Utc>,
    pub private_keys: usize,
    pub webhook_secrets: usize,
    pub client_secrets: usize,
}

/// A credential of the pool.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct CredentialRow {
    pub label: String,
    pub kind: String,
    /// A login, or an App's name.
    pub whose: Option<String>,
    pub main: bool,
    pub enabled: bool,
    pub since: DateTime<Utc>,
    /// RFC 3339, where the forge says.
    pub expires: Option<String>,
}

/// How the owner's repositories are listed.
#[derive(Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ListingRow {
    pub last_at: Option<DateTime<Utc>>,
    pub next_at: Option<DateTime<Utc>>,
    pub requests: Option<u64>,
    pub took_ms: Option<u64>,
    pub last_error: Option<String>,
}

/// How many repositories of a connection stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repositories {
    /// Backed up.
    pub selected: usize,
    /// Not backed up, by choice.
    pub unselected: usize,
    /// Not backed up, by the connection's globs.
    pub left_out: usize,
    /// No longer on the forge.
    pub gone: usize,
}

/// What is stored about a connection.
pub async fn show(services: &Services, name: &str) -> Result<Inventory> {
    let connection = named(services, name).await?;
    let catalog = &services.catalog;
    let inspection = connection.inspection.clone().and_then(|json| serde_json::from_value::<Inspection>(json).ok());
    let apps = apps(services, &connection).await?;
    let credentials = catalog.credentials(Some(connection.id)).await?;
    let credentials = credentials.into_iter().map(|stored| row(stored, &apps)).collect();
    let peer = match connection.peer {
        Some(peer) => catalog.connection_by_id(peer).await?.map(|peer| peer.name),
        None => None,
    };
    let mut installed = Vec::new();
    for (installation, app) in apps {
        installed.push(describe(services, installation, app).await?);
    }
    let (snapshots, bytes) = catalog.holdings(connection.id).await?;
    Ok(Inventory {
        host: inspection.map(|inspection| inspection.host),
        connected_at: connection.created_at,
        not_stored: not_stored(services, !installed.is_empty()),
        apps: installed,
        credentials,
        webhook_secrets_since: catalog.webhook_secrets_since(connection.id).await?,
        last_delivery_at: catalog.last_delivery(connection.id).await?,
        listing: listing(&connection),
        peer,
        repositories: repositories(services, &connection).await?,
        snapshots,
        bytes,
        name: connection.name,
        forge: connection.forge,
        url: connection.url,
        owner: connection.owner,
        settings: connection.settings,
    })
}

/// Our Apps on the connection's account; uninstalled ones aside.
pub(super) async fn apps(services: &Services, connection: &Connection) -> Result<Vec<(StoredInstallation, StoredApp)>> {
    let mut found = Vec::new();
    for installation in services.catalog.installations(None).await? {
        let mine = installation.connection == Some(connection.id);
        if mine && installation.state != InstallationState::Gone {
            let app = services.app(installation.app).await?;
            found.push((installation, app));
        }
    }
    Ok(found)
}

/// How many of a connection's repositories stand how.
pub(super) async fn repositories(services: &Services, connection: &Connection) -> Result<Repositories> {
    let mut counts = Repositories::default();
    for repository in services.catalog.repositories().await? {
        if repository.connection_id == connection.id {
            let count = match repository {
                _ if repository.gone => &mut counts.gone,
                _ if repository.left_out => &mut counts.left_out,
                _ if repository.selected => &mut counts.selected,
                _ => &mut counts.unselected,
            };
            *count += 1;
        }
    }
    Ok(counts)
}

async fn describe(services: &Services, installation: StoredInstallation, app: StoredApp) -> Result<InstalledApp> {
    let count = async |kind| services.catalog.app_secrets(kind, Some(app.id)).await.map(|secrets| secrets.len());
    Ok(InstalledApp {
        private_keys: count(AppSecret::Key).await?,
        webhook_secrets: count(AppSecret::Webhook).await?,
        client_secrets: count(AppSecret::Client).await?,
        name: app.facts.name,
        role: app.facts.role,
        number: app.facts.number,
        registered_at: app.created_at,
        installation: installation.forge_id,
        state: installation.state,
        selection: installation.selection,
        permissions: installation.permissions,
        requested_by: installation.requested_by,
        refused: installation.refused,
        seen_at: installation.seen_at,
    })
}

fn row(stored: StoredCredential, apps: &[(StoredInstallation, StoredApp)]) -> CredentialRow {
    let inspection = stored.inspection.and_then(|json| serde_json::from_value::<Inspection>(json).ok());
    let app = |id| apps.iter().find(|(_, app)| app.id == id).map(|(_, app)| app.facts.name.clone());
    let (kind, whose) = match stored.source {
        Source::Token(_) => ("token", inspection.as_ref().and_then(|inspection| inspection.login.clone())),
        Source::Installation { app: id, .. } => ("App installation", app(id)),
        Source::Oauth { kind, .. } => {
            (kind.word(), inspection.as_ref().and_then(|inspection| inspection.login.clone()))
        }
    };
    CredentialRow {
        label: stored.label,
        kind: inspection.as_ref().map_or_else(|| kind.to_owned(), |inspection| inspection.credential.clone()),
        whose,
        main: stored.main,
        enabled: stored.enabled,
        since: stored.created_at,
        expires: inspection.and_then(|inspection| inspection.expires),
    }
}

fn listing(connection: &Connection) -> ListingRow {
    let took = |survey: &crate::catalog::Survey| u64::try_from(survey.took.as_millis()).unwrap_or(u64::MAX);
    ListingRow {
        last_at: connection.discovered_at,
        next_at: connection.survey.as_ref().map(|survey| survey.next_at),
        requests: connection.survey.as_ref().map(|survey| survey.requests),
        took_ms: connection.survey.as_ref().map(took),
        last_error: connection.last_error.clone(),
    }
}

fn not_stored(services: &Services, through_apps: bool) -> Vec<String> {
    let keep = humantime_serde::re::humantime::format_duration(services.settings.deliveries.keep);
    let mut sentences = vec![
        "passwords and sign-in sessions of the forge: never asked for".to_owned(),
        "tokens, keys and secrets in clear: the database holds them encrypted with `keys.credentials` alone".to_owned(),
        format!(
            "issues, pull requests and people, beyond what webhooks say of them, which is kept as long as `deliveries.keep` says: {keep}"
        ),
    ];
    if through_apps {
        sentences.insert(
            1,
            "installation tokens: made when they are needed, for one purpose, and in memory only, an hour at most"
                .to_owned(),
        );
    }
    sentences
}
