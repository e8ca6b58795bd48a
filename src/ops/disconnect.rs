//! Taking a connection away: what that means is said first, and whatever fails on the forge, nothing that opens it stays here.

use std::time::Duration;

use serde::Serialize;

use super::connect::named;
use super::inventory;
use crate::catalog::{Connection, InstallationState, NewNotice, Source, StoredApp, StoredInstallation};
use crate::domain::{Error, Kind, Result};
use crate::forge::{AppKey, Page};
use crate::jobs::remove_hooks;
use crate::services::Services;

/// How long taking hooks away may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What taking a connection away means.
#[derive(Clone, Debug, Serialize)]
pub struct Farewell {
    /// The connection.
    pub name: String,
    /// Its owner on the forge.
    pub owner: String,
    /// Apps that are uninstalled from the owner's account.
    pub uninstall: Vec<String>,
    /// Of those, the ones that no other account uses: their keys and secrets are deleted.
    pub forget: Vec<String>,
    /// Hooks that we have set up there and that are taken away.
    pub hooks: usize,
    /// Credentials that are deleted.
    pub credentials: Vec<String>,
    /// Webhook secrets that are deleted.
    pub webhook_secrets: usize,
    /// Connections whose restores go here by default, no longer then.
    pub peer_of: Vec<String>,
    /// Repositories whose backups stay.
    pub repositories: usize,
    /// How many snapshots that is.
    pub snapshots: u64,
    /// Their size in the vault.
    pub bytes: u64,
    /// What only a person can do on the forge.
    pub by_hand: Vec<Chore>,
}

/// Something that is left to do on the forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chore {
    /// What.
    pub what: String,
    /// Where.
    pub page: Option<String>,
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Disconnected {
    /// The connection that is gone.
    pub removed: String,
    /// Apps that were uninstalled.
    pub uninstalled: Vec<String>,
    /// Apps that could not be, and why.
    pub not_uninstalled: Vec<String>,
    /// Hooks that were taken away.
    pub unhooked: usize,
    /// What is left to do on the forge.
    pub by_hand: Vec<Chore>,
    /// What it meant.
    #[serde(skip)]
    pub farewell: Farewell,
}

/// Says what [`remove`] would do; changes nothing.
pub async fn plan(services: &Services, name: &str) -> Result<Farewell> {
    let connection = named(services, name).await?;
    let apps = inventory::apps(services, &connection).await?;
    farewell(services, &connection, &apps).await
}

/// Uninstalls the connection's Apps where that is possible and deletes all that opens it. Its backups stay.
pub async fn remove(services: &Services, name: &str) -> Result<Disconnected> {
    let connection = named(services, name).await?;
    let apps = inventory::apps(services, &connection).await?;
    let farewell = farewell(services, &connection, &apps).await?;
    let mut by_hand = farewell.by_hand.clone();
    let mut keys = Vec::new();
    for (_, app) in &apps {
        keys.push(services.app_key(app).await);
    }
    // While there is still something that opens the connection. A forge that does not answer is not waited for.
    let unhooked = match unhook(services, &connection).await {
        Ok(unhooked) => unhooked,
        Err(error) => {
            tracing::warn!("hooks of {} stay: {}", connection.name, error.for_log());
            let page = page(services, &connection, Page::Hooks(&connection.owner));
            by_hand.insert(0, Chore { what: format!("delete the hooks that lead here ({error})"), page });
            0
        }
    };
    // Before anything else waits for the network: what opens the connection goes now, whatever happens then.
    services.catalog.remove_connection(connection.id).await?;
    let (mut uninstalled, mut not_uninstalled) = (Vec::new(), Vec::new());
    for ((installation, app), key) in apps.iter().zip(keys) {
        let name = &app.facts.name;
        match uninstall(services, installation, app, key).await {
            Ok(()) => uninstalled.push(name.clone()),
            Err(error) => {
                tracing::warn!("{name} stays installed: {}", error.for_log());
                not_uninstalled.push(format!("{name}: {error}"));
                let page = page(services, &connection, Page::Installations(&connection.owner));
                by_hand.insert(0, Chore { what: format!("uninstall {name} from {}", connection.owner), page });
            }
        }
    }
    let text = format!("{} was disconnected, with all that opened it deleted. Its backups stay.", connection.name);
    services.catalog.notify(NewNotice { kind: "connection.removed", text, ..NewNotice::default() }).await?;
    for (_, app) in &apps {
        if farewell.forget.contains(&app.facts.name) {
            services.catalog.remove_app(app.id).await?;
        }
    }
    Ok(Disconnected { removed: connection.name, uninstalled, not_uninstalled, unhooked, by_hand, farewell })
}

/// The error that stands for Apps that are still installed.
pub fn incomplete(disconnected: &Disconnected) -> Option<Error> {
    let failed = &disconnected.not_uninstalled;
    let text = format!("Apps that are still installed on the forge: {}", failed.len());
    let error = Error::new(Kind::Partial, text).hint("uninstall them there, as said above");
    (!failed.is_empty()).then_some(error)
}

async fn unhook(services: &Services, connection: &Connection) -> Result<usize> {
    let removing = tokio::time::timeout(PATIENCE, remove_hooks(services, connection));
    removing.await.unwrap_or_else(|_| Err(Error::busy("the forge does not answer in time")))
}

async fn uninstall(
    services: &Services,
    installation: &StoredInstallation,
    app: &StoredApp,
    key: Result<AppKey>,
) -> Result<()> {
    let forge = services.forge(&app.facts.forge)?;
    let apps = forge.apps().ok_or_else(|| Error::bug("an App of a forge that has none"))?;
    apps.uninstall(&key?, &installation.forge_id).await?;
    let gone = StoredInstallation { state: InstallationState::Gone, ..installation.clone() };
    services.catalog.put_installation(&gone).await
}

async fn farewell(
    services: &Services,
    connection: &Connection,
    apps: &[(StoredInstallation, StoredApp)],
) -> Result<Farewell> {
    let catalog = &services.catalog;
    let forget = only_here(services, connection, apps).await?;
    let credentials = catalog.credentials(Some(connection.id)).await?;
    let webhook_secrets = catalog.webhook_secrets_since(connection.id).await?.len();
    let counts = inventory::repositories(services, connection).await?;
    let (snapshots, bytes) = catalog.holdings(connection.id).await?;
    let others = catalog.connections().await?.into_iter();
    let peer_of = others.filter(|other| other.peer == Some(connection.id)).map(|other| other.name);

    let mut by_hand = Vec::new();
    let hooks = catalog.hooks(Some(connection.id)).await?.len();
    let by_us = services.forge(&connection.forge)?.hooks().is_some();
    if webhook_secrets > 0 && !by_us {
        let page = page(services, connection, Page::Hooks(&connection.owner));
        by_hand.push(Chore { what: "delete the webhook that was set up by hand".to_owned(), page });
    }
    for token in credentials.iter().filter(|credential| matches!(credential.source, Source::Token(_))) {
        let login = token.inspection.as_ref().and_then(|inspection| inspection["login"].as_str());
        let whose = login.map(|login| format!(" of {login}")).unwrap_or_default();
        let page = page(services, connection, Page::Tokens);
        by_hand.push(Chore { what: format!("revoke the token `{}`{whose}", token.label), page });
    }
    for (_, app) in apps.iter().filter(|(_, app)| forget.contains(&app.facts.name)) {
        by_hand.push(Chore { what: format!("delete the App {}", app.facts.name), page: settings_page(services, app) });
    }
    Ok(Farewell {
        name: connection.name.clone(),
        owner: connection.owner.clone(),
        uninstall: apps.iter().map(|(_, app)| app.facts.name.clone()).collect(),
        forget,
        hooks,
        credentials: credentials.into_iter().map(|credential| credential.label).collect(),
        webhook_secrets,
        peer_of: peer_of.collect(),
        repositories: counts.selected + counts.unselected + counts.left_out + counts.gone,
        snapshots,
        bytes,
        by_hand,
    })
}

/// The Apps that no other account uses, or waits for.
async fn only_here(
    services: &Services,
    connection: &Connection,
    apps: &[(StoredInstallation, StoredApp)],
) -> Result<Vec<String>> {
    let installations = services.catalog.installations(None).await?;
    let requests = services.catalog.installation_requests().await?;
    let elsewhere = |app: &StoredApp| {
        let used = installations.iter().any(|other| {
            let live = other.state != InstallationState::Gone;
            other.app == app.id && live && other.connection != Some(connection.id)
        });
        used || requests.iter().any(|request| request.app == app.id)
    };
    Ok(apps.iter().filter(|(_, app)| !elsewhere(app)).map(|(_, app)| app.facts.name.clone()).collect())
}

fn page(services: &Services, connection: &Connection, page: Page<'_>) -> Option<String> {
    let found = services.forge(&connection.forge).and_then(|forge| forge.page(&connection.address()?, page));
    found.ok().map(String::from)
}

fn settings_page(services: &Services, app: &StoredApp) -> Option<String> {
    let apps = services.forge(&app.facts.forge).ok()?.apps()?;
    let url = app.facts.url.parse().ok()?;
    apps.settings_page(&url, &app.facts.owner, &app.facts.slug).ok().map(String::from)
}
