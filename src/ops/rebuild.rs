//! The catalog from the vault alone.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::catalog::{Commit, NewRecord, RETENTION_PAUSED, RestoredRepository, StoredSpan, Verdict};
use crate::domain::{By, Error, RepoId, Result};
use crate::jobs::{record_end, row};
use crate::services::Services;
use crate::vault::{Held, Vault, tell};

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
/// Nor are policies, holds and labels: retention rests until somebody has looked at them. Nor is the record of who did what:
/// it says that it begins anew.
pub async fn rebuild(services: &Services, by: &By, mut each: impl FnMut(&str, usize)) -> Result<Report> {
    let why =
        serde_json::json!({ "why": "the catalog was rebuilt, and the vault knows no policies, holds and labels" });
    services.catalog.put_fact(RETENTION_PAUSED, &why).await?;
    let lost = match services.vault.record_end().await? {
        Some((object, end)) if !record_end::holds(&services.catalog, &object, &end).await? => Some(object),
        _ => None,
    };
    let begins = NewRecord::new(by, record_end::REBUILT, Verdict::Done);
    services.catalog.record(begins.detail(serde_json::json!({ "lost": lost }))).await?;
    let mut report = Report::default();
    for repo in services.vault.repositories().await? {
        let objects = objects(&services.vault, &repo).await?;
        let Some(Held { record: newest, .. }) = objects.last() else { continue };
        let known_as = RestoredRepository {
            forge: newest.forge.clone(),
            host: newest.host.clone(),
            forge_id: newest.forge_id.clone(),
            full_name: newest.full_name.clone(),
        };
        let commits = commits(&objects)?;
        each(&known_as.full_name, commits.len());
        report.repositories += 1;
        report.snapshots += commits.len();
        services.catalog.rebuild(&known_as, &repo, commits, &spans(&objects)).await?;
    }
    Ok(report)
}

/// The records of all live objects. Each tells the fingerprint of the one before it, so only the last has to be read
/// whole, and those that nobody names because they came later: the consolidated ones.
async fn objects(vault: &Vault, repo: &RepoId) -> Result<Vec<Held>> {
    let live = vault.cover(repo).await?.live;
    let last = live.last().map(|stored| stored.extent);
    let read = stream::iter(live).map(|stored| async move {
        let extent = stored.extent;
        let record = vault.record(repo, &extent).await?;
        let named = extent.is_single() && Some(extent) != last;
        let sealed = if named { None } else { Some(vault.hash(repo, &extent).await?) };
        Ok::<_, Error>((record, sealed))
    });
    let mut read: Vec<_> = read.buffered(AT_A_TIME).try_collect().await?;
    let mut objects = Vec::with_capacity(read.len());
    let mut named = None;
    while let Some((record, sealed)) = read.pop() {
        let sealed = sealed.or(named).ok_or_else(|| breaks(&record.full_name))?;
        named = record.before().map(|parent| parent.sealed);
        objects.push(Held { record, sealed });
    }
    objects.reverse();
    Ok(objects)
}

fn commits(objects: &[Held]) -> Result<Vec<Commit>> {
    let (Some(first), Some(last)) = (objects.first(), objects.last()) else { return Ok(Vec::new()) };
    // The newest recovery point is never dropped: if it was, what came after it is missing.
    if first.record.before().is_some() || last.record.seq != last.record.extent().to {
        return Err(breaks(&last.record.full_name));
    }
    let mut commits = Vec::new();
    tell(objects, &BTreeSet::new(), None, |Held { record, sealed }, state| {
        commits.push(row(&record, sealed, state.refs.len() as u64));
    })?;
    Ok(commits)
}

fn spans(objects: &[Held]) -> Vec<StoredSpan> {
    let span = |Held { record, sealed }: &Held| {
        let points = record.span.as_ref()?.points.len() + 1;
        Some(StoredSpan {
            extent: record.extent(),
            sha256: sealed.sha256,
            stored_bytes: sealed.bytes,
            pack_bytes: record.pack.as_ref().map_or(0, |pack| pack.bytes),
            objects: record.pack.as_ref().map_or(0, |pack| pack.objects),
            points: u32::try_from(points).unwrap_or(u32::MAX),
        })
    };
    objects.iter().filter_map(span).collect()
}

fn breaks(full_name: &str) -> Error {
    Error::damaged(format!("the chain of {full_name} is not whole")).hint("run `refward verify` to see what is missing")
}
