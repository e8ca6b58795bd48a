//! Marks the recovery points of a repository that no rule keeps.

use crate::domain::{RepoId, Result};
use crate::services::Services;

/// Marks the recovery points of a repository that no rule keeps.
#[expect(clippy::unused_async, reason = "to be built")]
pub async fn retain(_services: &Services, _repo: &RepoId) -> Result<()> {
    Ok(())
}
