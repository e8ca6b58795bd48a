//! Replacing a connection's secrets without losing a delivery or a backup.

use secrecy::SecretString;

use super::backup::retry_failing;
use super::connect::{check_secret, named};
use crate::catalog::{Priority, SecretKind, job_kind};
use crate::domain::Result;
use crate::forge::{Access, Inspection};
use crate::services::Services;

/// Puts a new credential in the place of the old one, which is deleted. A credential that the forge refuses changes
/// nothing.
pub async fn replace_token(services: &Services, name: &str, token: SecretString) -> Result<Inspection> {
    let connection = named(services, name).await?;
    let access = Access { token, ..services.access(&connection).await? };
    let inspection = services.forge(&connection.forge)?.inspect(&access).await?;
    let sealed = services.credentials.seal(&access.token)?;
    services.catalog.put_secret(connection.id, SecretKind::Token, sealed).await?;
    services.catalog.retire_secrets(connection.id, SecretKind::Token).await?;
    services.catalog.set_inspection(connection.id, &inspection).await?;
    services.catalog.enqueue(job_kind::DISCOVER, &connection.id.to_string(), Priority::Manual).await?;
    retry_failing(services, connection.id).await?;
    Ok(inspection)
}

/// Accepts deliveries signed with `secret` as well. Change it on the forge then, and retire the old ones.
pub async fn add_webhook_secret(services: &Services, name: &str, secret: &SecretString) -> Result<()> {
    check_secret(secret)?;
    let connection = named(services, name).await?;
    let sealed = services.credentials.seal(secret)?;
    services.catalog.put_secret(connection.id, SecretKind::Webhook, sealed).await
}

/// Accepts only the newest secret from now on. Says how many were deleted.
pub async fn retire_webhook_secrets(services: &Services, name: &str) -> Result<u64> {
    let connection = named(services, name).await?;
    services.catalog.retire_secrets(connection.id, SecretKind::Webhook).await
}
