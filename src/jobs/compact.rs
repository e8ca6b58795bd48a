//! Joins the objects of a repository in the vault into fewer.

use crate::domain::{RepoId, Result};
use crate::services::Services;

/// Joins the objects of a repository in the vault into fewer.
#[expect(clippy::unused_async, reason = "to be built")]
pub async fn compact(_services: &Services, _repo: &RepoId) -> Result<()> {
    Ok(())
}
