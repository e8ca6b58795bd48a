//! Reads a share of the vault to see that it can be read.

use crate::domain::Result;
use crate::services::Services;

/// Reads a share of the vault to see that it can be read.
#[expect(clippy::unused_async, reason = "to be built")]
pub async fn read_share(_services: &Services) -> Result<()> {
    Ok(())
}
