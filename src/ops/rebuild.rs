//! The catalog from the vault alone.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::catalog::{Commit, RestoredRepository};
use crate::domain::{Error, RefState, RepoId, Result};
use crate::jobs::row;
use crate::services::Services;
use crate::vault::{Record, Sealed, Vault, replay};

/// Records read at a time.
const AT_A_TIME: usize = 16;

/// What was found again.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Repositories.
    pub repositories: usize,
    /// Snapshots.
    pub snapshots: usize,
}

/// Reads every record in the vault and writes the rows that follow from it, repository by repository, each in one
/// transaction. Connections and credentials are not in the vault: connect again, and known repositories are recognised.
pub async fn rebuild(services: &Services, mut each: impl FnMut(&str, usize)) -> Result<Report> {
    let mut report = Report::default();
    for repo in services.vault.repositories().await? {
        let records = records(&services.vault, &repo).await?;
        let Some(newest) = records.last() else { continue };
        let known_as = RestoredRepository {
            forge: newest.forge.clone(),
            host: newest.host.clone(),
            forge_id: newest.forge_id.clone(),
            full_name: newest.full_name.clone(),
        };
        let last = services.vault.hash(&repo, &newest.extent()).await?;
        let commits = commits(&records, last)?;
        each(&known_as.full_name, commits.len());
        report.repositories += 1;
        report.snapshots += commits.len();
        services.catalog.rebuild(&known_as, &repo, commits).await?;
    }
    Ok(report)
}

async fn records(vault: &Vault, repo: &RepoId) -> Result<Vec<Record>> {
    let stored = vault.cover(repo).await?.live;
    stream::iter(stored)
        .map(|stored| async move { vault.record(repo, &stored.extent).await })
        .buffered(AT_A_TIME)
        .try_collect()
        .await
}

/// Each record tells the fingerprint of the one before it, so only the last object has to be read whole.
fn commits(records: &[Record], last: Sealed) -> Result<Vec<Commit>> {
    let mut state: Option<RefState> = None;
    let mut commits = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let gap = || {
            Error::damaged(format!("the chain of {} breaks at snapshot {}", record.full_name, record.seq))
                .hint("run `refward verify` to see what is missing")
        };
        let follows = index as u64 + 1 == record.seq.get();
        state = replay(state, record).filter(|_| follows);
        let refs_total = state.as_ref().ok_or_else(gap)?.refs.len() as u64;
        let sealed = match records.get(index + 1) {
            Some(next) => next.parent.ok_or_else(gap)?.sealed,
            None => last,
        };
        commits.push(row(record, sealed, refs_total));
    }
    Ok(commits)
}
