//! Changing an App's secrets without losing a delivery.

use secrecy::SecretString;

use super::{named, of_forge};
use crate::catalog::AppSecret;
use crate::domain::{Error, Result};
use crate::forge::AppKey;
use crate::ops::setup::random;
use crate::services::Services;

/// Makes a new webhook secret, accepts it, and then has the forge sign with it. The one before stays accepted: deliveries
/// may be under way.
pub async fn rotate_secret(services: &Services, slug: &str) -> Result<()> {
    let app = named(services, slug).await?;
    let key = services.app_key(&app).await?;
    let secret = random();
    services.catalog.put_app_secret(app.id, AppSecret::Webhook, services.credentials.seal(&secret)?).await?;
    let told = of_forge(services, &app.facts.forge)?.set_hook(&key, None, Some(&secret)).await;
    told.map_err(|error| match error.next_step() {
        Some(_) => error,
        None => error.hint("nothing is lost: both secrets are accepted; run it again"),
    })
}

/// Accepts only the newest webhook secret from now on; says how many were deleted. What was signed with another and is still
/// under way is fetched from the forge's log.
pub async fn retire_secrets(services: &Services, slug: &str) -> Result<u64> {
    let app = named(services, slug).await?;
    let newest = services.catalog.app_secrets(AppSecret::Webhook, Some(app.id)).await?.into_iter().next();
    let (_, newest) = newest.ok_or_else(|| Error::bad_request(format!("{slug} has no webhook secret")))?;
    let (key, secret) = (services.app_key(&app).await?, services.credentials.open(&newest)?);
    // A change that was cut off may not have reached the forge.
    of_forge(services, &app.facts.forge)?.set_hook(&key, None, Some(&secret)).await?;
    services.catalog.retire_app_secrets(app.id, AppSecret::Webhook).await
}

/// Puts another private key in the place of the App's. One that the forge does not know as this App's changes nothing.
/// Returns where the old one can be deleted.
pub async fn rotate_key(services: &Services, slug: &str, key: SecretString) -> Result<String> {
    let app = named(services, slug).await?;
    let forge = of_forge(services, &app.facts.forge)?;
    let new = AppKey { key, ..services.app_key(&app).await? };
    let identity = forge.whoami(&new).await?;
    if identity.forge_id != app.facts.forge_id {
        return Err(Error::bad_request(format!("this is a key of {}", identity.name)));
    }
    services.catalog.put_app_secret(app.id, AppSecret::Key, services.credentials.seal(&new.key)?).await?;
    services.catalog.retire_app_secrets(app.id, AppSecret::Key).await?;
    Ok(forge.settings_page(&new.url, &identity.owner, &identity.slug)?.into())
}
