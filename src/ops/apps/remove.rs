//! Taking an App away again.

use serde::Serialize;

use super::{AppRow, InstallationState, list, named, of_forge};
use crate::domain::{Error, Result};
use crate::services::Services;

/// What removing an App does, or did.
#[derive(Debug, Serialize)]
pub struct Removal {
    /// The App.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// The accounts that it is uninstalled from.
    pub uninstalled: Vec<String>,
    /// The accounts that it could not be uninstalled from, each with the reason.
    pub left: Vec<(String, String)>,
    /// The connections that lose a credential.
    pub connections: Vec<String>,
    /// Where its owner deletes the registration, which only they can.
    pub settings_url: String,
}

/// What [`remove`] would do.
pub async fn plan_removal(services: &Services, slug: &str) -> Result<Removal> {
    let app = named(services, slug).await?;
    let row = list(services).await?.into_iter().find(|row| row.id == app.id);
    let AppRow { slug, name, installations, settings_url, .. } = row.ok_or_else(|| Error::bug("an App vanished"))?;
    let there = || installations.iter().filter(|known| known.state != InstallationState::Gone);
    Ok(Removal {
        uninstalled: there().map(|known| known.account.clone()).collect(),
        connections: there().filter_map(|known| known.connection.clone()).collect(),
        left: Vec::new(),
        slug,
        name,
        settings_url,
    })
}

/// Uninstalls the App wherever the forge lets us, and deletes its keys, secrets and credentials either way. Backups stay.
pub async fn remove(services: &Services, slug: &str) -> Result<Removal> {
    let mut removal = plan_removal(services, slug).await?;
    let app = named(services, slug).await?;
    let forge = of_forge(services, &app.facts.forge)?;
    let key = services.app_key(&app).await;
    removal.uninstalled.clear();
    for known in services.catalog.installations(Some(app.id)).await? {
        if known.state == InstallationState::Gone {
            continue;
        }
        let gone = match &key {
            Ok(key) => forge.uninstall(key, &known.forge_id).await,
            Err(error) => Err(error.share()),
        };
        match gone {
            Ok(()) => removal.uninstalled.push(known.account),
            Err(error) => removal.left.push((known.account, error.to_string())),
        }
    }
    services.catalog.remove_app(app.id).await?;
    Ok(removal)
}
