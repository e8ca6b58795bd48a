//! A backup because somebody asks for one.

use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use crate::catalog::{Priority, Repository, job_kind};
use crate::domain::{ConnectionId, RepoAddress, Result, Seq, Snapshot};
use crate::jobs::{self, Job, Outcome};
use crate::services::Services;

/// What came of one repository.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Backup {
    /// A snapshot was written.
    Snapshot(Box<Snapshot>),
    /// The forge is as the last snapshot says.
    Unchanged {
        /// Always true.
        unchanged: bool,
        /// That snapshot.
        seq: Option<Seq>,
    },
}

/// The repositories that an address, or `None` for all, stands for.
pub async fn select(services: &Services, address: Option<&RepoAddress>) -> Result<Vec<Repository>> {
    if let Some(address) = address {
        return Ok(vec![services.catalog.resolve(address).await?]);
    }
    let all = services.catalog.repositories().await?;
    Ok(all.into_iter().filter(Repository::is_wanted).collect())
}

/// Leaves the work to the running service.
pub async fn enqueue(services: &Services, repositories: &[Repository]) -> Result<()> {
    let subjects: Vec<String> = repositories.iter().map(|repository| repository.id.to_string()).collect();
    services.catalog.enqueue_all(job_kind::SYNC_REPO, &subjects, Priority::Manual).await
}

/// Does the work for all of them here and now, a few at a time; `each` is called as each is done.
pub async fn run_all<'a>(
    services: &Services,
    repositories: &'a [Repository],
    each: impl Fn(),
) -> Result<Vec<(&'a Repository, Result<Backup>)>> {
    let runs =
        stream::iter(repositories).map(|repository| async move { (repository, run_one(services, repository).await) });
    jobs::sharing(services, runs.buffered(services.settings.workers.count).inspect(|_| each()).collect()).await
}

/// A connection has a new credential: whatever failed for want of one is tried again now, not when its next attempt is due.
pub(super) async fn retry_failing(services: &Services, connection: ConnectionId) -> Result<()> {
    let mut failing = select(services, None).await?;
    failing.retain(|repository| repository.connection_id == connection && repository.last_error.is_some());
    enqueue(services, &failing).await
}

/// Does the work here and now, beside whatever service is running.
pub async fn run(services: &Services, repository: &Repository) -> Result<Backup> {
    jobs::sharing(services, Box::pin(run_one(services, repository))).await?
}

async fn run_one(services: &Services, repository: &Repository) -> Result<Backup> {
    let before = services.catalog.last_seq(&repository.id).await?;
    match jobs::run_now(services, &Job::SyncRepo(repository.id.clone())).await? {
        Outcome::Written(snapshot) => Ok(Backup::Snapshot(snapshot)),
        // Another worker may have done it while we waited for our turn.
        Outcome::Unchanged(seq) if seq > before => {
            let snapshots = services.catalog.snapshots(&repository.id).await?;
            let newest = snapshots.into_iter().next_back();
            Ok(newest.map_or(Backup::Unchanged { unchanged: true, seq }, |newest| Backup::Snapshot(Box::new(newest))))
        }
        Outcome::Unchanged(seq) => Ok(Backup::Unchanged { unchanged: true, seq }),
    }
}
