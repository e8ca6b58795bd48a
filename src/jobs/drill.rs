//! Restores a repository in scratch and compares every reference.

use crate::domain::{RepoId, Result};
use crate::services::Services;

/// Restores a repository in scratch and compares every reference.
#[expect(clippy::unused_async, reason = "to be built")]
pub async fn drill(_services: &Services, _repo: &RepoId) -> Result<()> {
    Ok(())
}
