//! Our Apps as listings show them; nothing secret.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{InstallationState, Role, of_forge};
use crate::catalog::{AppSecret, Connection, StoredApp, StoredInstallation, StoredRequest};
use crate::domain::{AppId, Error, Result};
use crate::services::Services;

/// An App.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct AppRow {
    pub id: AppId,
    /// What commands call it.
    pub slug: String,
    pub name: String,
    pub forge: String,
    pub url: String,
    pub owner: String,
    /// `backup` or `restore`.
    pub role: String,
    /// 1 is the main one.
    pub number: i32,
    pub app_id: String,
    pub installations: Vec<InstallationRow>,
    /// Who waits for an owner's approval.
    pub requests: Vec<RequestRow>,
    /// Webhook secrets that are accepted; more than one while they are changed.
    pub webhook_secrets: usize,
    /// Where an owner installs it.
    pub install_url: String,
    /// Where its owner sets it up.
    pub settings_url: String,
    pub checked_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
}

/// An App on an account.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct InstallationRow {
    pub account: String,
    /// The forge's id.
    pub installation: String,
    pub state: InstallationState,
    /// `all` or `selected` repositories.
    pub selection: String,
    /// What it is connected as.
    pub connection: Option<String>,
    /// Who asked the owner for it.
    pub requested_by: Option<String>,
    /// Why it is not used.
    pub refused: Option<String>,
    /// What the account has not granted of what the App's role needs.
    pub missing: Vec<String>,
    pub seen_at: DateTime<Utc>,
}

/// Somebody has asked for an App.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RequestRow {
    pub account: String,
    pub requester: String,
    pub requested_at: DateTime<Utc>,
}

/// All Apps, main ones first.
pub async fn list(services: &Services) -> Result<Vec<AppRow>> {
    let catalog = &services.catalog;
    let connections = catalog.connections().await?;
    let installations = catalog.installations(None).await?;
    let requests = catalog.installation_requests().await?;
    let secrets = catalog.app_secrets(AppSecret::Webhook, None).await?;
    let apps = catalog.apps().await?;
    let row = |app: StoredApp| {
        let forge = of_forge(services, &app.facts.forge)?;
        let url =
            app.facts.url.parse().map_err(|error| Error::bug("the stored address of an App is none").detail(error))?;
        let role = Role::from_word(&app.facts.role)?;
        Ok(AppRow {
            id: app.id,
            install_url: forge.install_page(&url, &app.facts.slug, None)?.into(),
            settings_url: forge.settings_page(&url, &app.facts.owner, &app.facts.slug)?.into(),
            installations: (installations.iter().filter(|known| known.app == app.id))
                .map(|known| installation(known, &connections, forge.missing_permissions(role, &known.permissions)))
                .collect(),
            requests: requests.iter().filter(|known| known.app == app.id).map(request).collect(),
            webhook_secrets: secrets.iter().filter(|(of, _)| *of == app.id).count(),
            slug: app.facts.slug,
            name: app.facts.name,
            forge: app.facts.forge,
            url: app.facts.url,
            owner: app.facts.owner,
            role: app.facts.role,
            number: app.facts.number,
            app_id: app.facts.forge_id,
            checked_at: app.checked_at,
            last_error: app.last_error,
        })
    };
    apps.into_iter().map(row).collect()
}

fn installation(known: &StoredInstallation, connections: &[Connection], missing: Vec<String>) -> InstallationRow {
    let connection = connections.iter().find(|connection| known.connection == Some(connection.id));
    InstallationRow {
        account: known.account.clone(),
        installation: known.forge_id.clone(),
        state: known.state,
        selection: known.selection.clone(),
        connection: connection.map(|connection| connection.name.clone()),
        requested_by: known.requested_by.clone(),
        refused: known.refused.clone(),
        missing,
        seen_at: known.seen_at,
    }
}

fn request(known: &StoredRequest) -> RequestRow {
    let StoredRequest { account, requester, requested_at, .. } = known.clone();
    RequestRow { account, requester, requested_at }
}
