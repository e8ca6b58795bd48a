//! Replacing a connection's secrets without losing a delivery or a backup.

use secrecy::SecretString;

use super::backup::retry_failing;
use super::connect::{check_secret, keep_inspection, main_credential, named};
use crate::catalog::{Priority, Source, job_kind};
use crate::domain::{Error, Result};
use crate::forge::{Access, Inspection};
use crate::services::Services;

/// Puts a new token in the place of the main credential's, which is deleted. A token that the forge refuses changes
/// nothing.
pub async fn replace_token(services: &Services, name: &str, token: SecretString) -> Result<Inspection> {
    let connection = named(services, name).await?;
    let main = main_credential(services, connection.id).await?;
    if !matches!(main.source, Source::Token(_)) {
        return Err(Error::bad_request(format!("{name} is connected through an App, which needs no token"))
            .hint(format!("a token beside it: `refward credentials add {name} --token-file FILE`")));
    }
    let access = Access::with_token(connection.address()?, &connection.owner, token.clone());
    let inspection = services.forge(&connection.forge)?.inspect(&access).await?;
    services.catalog.replace_token(main.id, services.credentials.seal(&token)?).await?;
    keep_inspection(services, connection.id, &main, &inspection).await?;
    services.catalog.enqueue(job_kind::DISCOVER, &connection.id.to_string(), Priority::Manual).await?;
    retry_failing(services, connection.id).await?;
    Ok(inspection)
}

/// Accepts deliveries signed with `secret` as well. Change it on the forge then, and retire the old ones.
pub async fn add_webhook_secret(services: &Services, name: &str, secret: &SecretString) -> Result<()> {
    check_secret(secret)?;
    let connection = named(services, name).await?;
    let sealed = services.credentials.seal(secret)?;
    services.catalog.put_webhook_secret(connection.id, sealed).await
}

/// Accepts only the newest secret from now on. Says how many were deleted.
pub async fn retire_webhook_secrets(services: &Services, name: &str) -> Result<u64> {
    let connection = named(services, name).await?;
    services.catalog.retire_webhook_secrets(connection.id).await
}
