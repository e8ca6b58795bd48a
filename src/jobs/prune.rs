//! Deletes what is condemned and past its grace.

use crate::domain::Result;
use crate::services::Services;

/// Deletes what is condemned and past its grace.
#[expect(clippy::unused_async, reason = "to be built")]
pub async fn prune(_services: &Services) -> Result<()> {
    Ok(())
}
