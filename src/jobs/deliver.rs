//! Hands the notices that wait for a receiver to it.

use crate::domain::Result;
use crate::services::Services;

/// Hands the notices that wait for a receiver to it.
#[expect(clippy::unused_async, reason = "to be built")]
pub async fn deliver(_services: &Services, _receiver: &str) -> Result<()> {
    Ok(())
}
