//! Looks for what people must be told and no event tells of.

use crate::domain::Result;
use crate::services::Services;

/// Looks for what people must be told and no event tells of.
#[expect(clippy::unused_async, reason = "to be built")]
pub async fn watch(_services: &Services) -> Result<()> {
    Ok(())
}
