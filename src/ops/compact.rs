//! Joining snapshots into fewer objects because somebody asks for it. The service does it by itself.

use serde::Serialize;

use crate::catalog::Repository;
use crate::domain::Result;
use crate::jobs::{self, Job};
use crate::services::Services;

/// What came of one repository.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Compacted {
    pub repository: String,
    /// What a restore of the newest recovery point reads from the vault.
    pub before: Objects,
    pub after: Objects,
}

/// Objects that count; those that they stand for wait to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Objects {
    pub objects: usize,
    pub bytes: u64,
}

/// Joins a repository's snapshots as far as `[compact]` says that they should be.
pub async fn compact(services: &Services, repository: &Repository) -> Result<Compacted> {
    let before = objects(services, repository).await?;
    jobs::run_now(services, &Job::Compact(repository.id.clone())).await?;
    let after = objects(services, repository).await?;
    Ok(Compacted { repository: repository.full_name.clone(), before, after })
}

async fn objects(services: &Services, repository: &Repository) -> Result<Objects> {
    let live = services.vault.cover(&repository.id).await?.live;
    Ok(Objects { objects: live.len(), bytes: live.iter().map(|stored| stored.bytes).sum() })
}
