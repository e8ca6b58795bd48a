//! Replacing a connection's secrets without losing a delivery or a backup.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::backup::retry_failing;
use super::connect::{check_secret, keep_inspection, main_credential, named};
use crate::catalog::{Connection, Priority, Source, StoredCredential, job_kind};
use crate::domain::{Error, Result};
use crate::forge::{Access, CredentialKind, Inspection, Proof, Refresh};
use crate::services::{Services, Unkept};

/// Puts a new token in the place of the main credential's, which is deleted. A token that the forge refuses changes
/// nothing.
pub async fn replace_token(services: &Services, name: &str, token: SecretString) -> Result<Inspection> {
    let connection = named(services, name).await?;
    let main = main_credential(services, connection.id).await?;
    if !matches!(main.source, Source::Token(_)) {
        return Err(Error::bad_request(format!("{name} is not connected with a token"))
            .hint(format!("a token beside what it has: `refward credentials add {name} --token-file FILE`")));
    }
    let access = Access::with_token(connection.address()?, &connection.owner, token.clone());
    let inspection = services.forge(&connection.forge)?.inspect(&access).await?;
    services.catalog.replace_token(main.id, services.credentials.seal(&token)?).await?;
    go_on(services, &connection, &main, &inspection).await?;
    Ok(inspection)
}

/// Puts another secret or certificate in the place of what proves the client that the main credential is, which is deleted.
/// One that its authority refuses changes nothing.
pub async fn replace_proof(services: &Services, name: &str, proof: Proof) -> Result<Inspection> {
    let connection = named(services, name).await?;
    let main = main_credential(services, connection.id).await?;
    let mut access = services.access_with(&connection, &main).await?;
    match access.credentials.first_mut().map(|credential| &mut credential.kind) {
        Some(CredentialKind::Client { proof: old, .. } | CredentialKind::Delegated { proof: old, .. }) => {
            *old = proof.clone();
        }
        _ => {
            return Err(Error::bad_request(format!("{name} is not connected with a client of its own"))
                .hint(format!("what it is connected with: `refward credentials list {name}`")));
        }
    }
    let inspection = services.forge(&connection.forge)?.inspect(&access).await?;
    services.reseal(main.id, Some(&proof), None).await?;
    go_on(services, &connection, &main, &inspection).await?;
    Ok(inspection)
}

/// Somebody has signed in again, for a connection that acts for them. A sign-in that opens nothing changes nothing.
pub(super) async fn replace_sign_in(services: &Services, name: &str, refresh: Arc<Unkept>) -> Result<Inspection> {
    let connection = named(services, name).await?;
    let main = main_credential(services, connection.id).await?;
    let mut access = services.access_with(&connection, &main).await?;
    match access.credentials.first_mut().map(|credential| &mut credential.kind) {
        Some(CredentialKind::Delegated { refresh: old, .. }) => *old = Arc::clone(&refresh) as Arc<dyn Refresh>,
        _ => return Err(Error::bad_request(format!("nobody has signed in for {name}, so nobody has to do it again"))),
    }
    let inspection = services.forge(&connection.forge)?.inspect(&access).await?;
    services.reseal(main.id, None, Some(&refresh.newest())).await?;
    go_on(services, &connection, &main, &inspection).await?;
    Ok(inspection)
}

/// What failed for want of a credential may go on at once.
async fn go_on(
    services: &Services,
    connection: &Connection,
    main: &StoredCredential,
    inspection: &Inspection,
) -> Result<()> {
    keep_inspection(services, connection.id, main, inspection).await?;
    services.catalog.enqueue(job_kind::DISCOVER, &connection.id.to_string(), Priority::Manual).await?;
    retry_failing(services, connection.id).await
}

/// Whoever may look at hooks of ours on the forge sees a header that is derived from the secret, and could guess at leisure.
const LONG_ENOUGH: usize = 24;

/// Accepts deliveries signed with `secret` as well. Change it on the forge then, and retire the old ones.
pub async fn add_webhook_secret(services: &Services, name: &str, secret: &SecretString) -> Result<()> {
    check_secret(secret)?;
    let connection = named(services, name).await?;
    let derived_from = services.forge(&connection.forge)?.hooks().is_some();
    if derived_from && secret.expose_secret().len() < LONG_ENOUGH {
        return Err(Error::bad_request(format!("the secret of hooks has to have {LONG_ENOUGH} characters or more"))
            .hint("make one that nobody has thought of: openssl rand -hex 32"));
    }
    let sealed = services.credentials.seal(secret)?;
    services.catalog.put_webhook_secret(connection.id, sealed).await?;
    keep_hooks_soon(services, &connection).await
}

/// Accepts only the newest secret from now on. Says how many were deleted.
pub async fn retire_webhook_secrets(services: &Services, name: &str) -> Result<u64> {
    let connection = named(services, name).await?;
    let retired = services.catalog.retire_webhook_secrets(connection.id).await?;
    keep_hooks_soon(services, &connection).await?;
    Ok(retired)
}

/// Hooks of our own get the newest secret: until then they come with one that may be refused.
async fn keep_hooks_soon(services: &Services, connection: &Connection) -> Result<()> {
    if services.forge(&connection.forge)?.hooks().is_none() {
        return Ok(());
    }
    services.catalog.enqueue(job_kind::KEEP_HOOKS, &connection.id.to_string(), Priority::Manual).await
}
