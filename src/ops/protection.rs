//! What the vault's store protects from, tried when the service starts and kept for `refward status`.

use std::path::Path;

use crate::domain::Result;
use crate::services::Services;
use crate::vault::Protection;

/// Tries it and keeps what was found.
pub async fn examine(services: &Services) -> Result<Protection> {
    let database = services.settings.database.url.strip_prefix("sqlite://").map(Path::new);
    let protection = services.vault.protection(database).await?;
    for sentence in protection.sentences() {
        tracing::info!(vault = services.vault.url(), "{sentence}");
    }
    services.catalog.put_fact(Protection::FACT, &protection).await?;
    Ok(protection)
}
