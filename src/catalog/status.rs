//! How every repository stands, in a fixed number of queries.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Query, SelectStatement};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use crate::domain::{Availability, ConnectionId, RepoId, Result, Seq, Skipped};

use super::Catalog;
use super::error::During;
use super::history::missing;
use super::queue::{Job, JobState, job_kind};
use super::repositories::repo_id;
use super::tables::{job, repository, snapshot};
use super::values::{count, time};

/// How a repository stands.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct StatusRow {
    /// Its name in the vault.
    pub id: RepoId,
    /// `OWNER/NAME`.
    pub full_name: String,
    /// The name of its connection; `None` when that was removed.
    pub connection: Option<String>,
    /// It is backed up.
    pub selected: bool,
    /// The forge has it no longer.
    pub gone: bool,
    /// Whether it can be read there.
    pub availability: Availability,
    /// The newest snapshot.
    pub last_seq: Option<Seq>,
    /// When that was taken.
    pub last_snapshot_at: Option<DateTime<Utc>>,
    /// Whether it lacks nothing.
    pub complete: Option<bool>,
    /// What it lacks, and what would complete it.
    pub missing: Vec<Skipped>,
    /// When the oldest event came that no snapshot answers yet.
    pub oldest_pending: Option<DateTime<Utc>>,
    /// A backup runs.
    pub running: bool,
    /// A backup waits for a worker, or for its time.
    pub queued: bool,
    /// When the waiting backup may start.
    pub next_attempt: Option<DateTime<Utc>>,
    /// Why the last attempt failed; `None` after one that did not.
    pub last_error: Option<String>,
    /// Why the waiting backup did not go on the last time, which need not be a failure.
    pub waits_for: Option<String>,
    /// How long the newest snapshot took from the event that asked for it; `None`: none did.
    pub lag: Option<Duration>,
}

/// How long a snapshot took from the event that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Of which repository.
    pub repo: String,
    /// Its number.
    pub seq: Seq,
    /// When it was taken.
    pub time: DateTime<Utc>,
    /// From the oldest event that it answers until it was stored.
    pub lag: Duration,
}

impl Catalog {
    /// How the repositories stand, by name.
    pub async fn status(&self) -> Result<Vec<StatusRow>> {
        let connected: HashSet<ConnectionId> = self.connections().await?.into_iter().map(|one| one.id).collect();
        let waiting = self.oldest_pending().await?;
        let mut incomplete = self.incomplete().await?;
        let jobs = self.backup_jobs().await?;
        let lags = self.lags(Utc::now()).await?;
        let lags: HashMap<String, Duration> = lags.into_iter().map(|lag| (lag.repo, lag.lag)).collect();
        let rows = self.repositories().await?.into_iter().map(|repository| {
            let jobs = jobs.get(repository.id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let ready = jobs.iter().find(|job| job.state == JobState::Ready);
            StatusRow {
                connection: connected.contains(&repository.connection_id).then_some(repository.connection),
                complete: repository.last_seq.map(|_| !incomplete.contains_key(repository.id.as_str())),
                missing: incomplete.remove(repository.id.as_str()).unwrap_or_default(),
                oldest_pending: waiting.get(&repository.id).copied(),
                running: jobs.iter().any(|job| job.state == JobState::Running),
                queued: ready.is_some(),
                next_attempt: ready.map(|job| job.run_at),
                waits_for: ready.and_then(|job| job.last_error.clone()),
                lag: lags.get(repository.id.as_str()).copied(),
                id: repository.id,
                full_name: repository.full_name,
                selected: repository.selected,
                gone: repository.gone,
                availability: repository.availability,
                last_seq: repository.last_seq,
                last_snapshot_at: repository.last_snapshot_at,
                last_error: repository.last_error,
            }
        });
        Ok(rows.collect())
    }

    /// How long snapshots took that an event asked for: all since then, and the newest of each repository. In the order in
    /// which they were taken.
    pub async fn lags(&self, since: DateTime<Utc>) -> Result<Vec<Lag>> {
        let wanted =
            snapshot::Column::Time.gte(since.timestamp_millis()).or(snapshot::Column::Seq.in_subquery(newest()));
        let rows: Vec<(String, i64, i64, i64)> = snapshot::Entity::find()
            .select_only()
            .columns([snapshot::Column::RepoId, snapshot::Column::Seq, snapshot::Column::Time, snapshot::Column::LagMs])
            .filter(snapshot::Column::LagMs.is_not_null())
            .filter(wanted)
            .order_by_asc(snapshot::Column::Time)
            .into_tuple()
            .all(&self.read)
            .await
            .during("reading how long snapshots took")?;
        let lags = rows.into_iter().filter_map(|(repo, seq, at, lag)| {
            Some(Lag { repo, seq: Seq::new(count(seq))?, time: time(at), lag: Duration::from_millis(count(lag)) })
        });
        Ok(lags.collect())
    }

    /// What was stored since then: how many snapshots of each repository, and their bytes.
    pub async fn stored_since(&self, since: DateTime<Utc>) -> Result<HashMap<RepoId, (u64, u64)>> {
        let rows: Vec<(String, i64, i64)> = snapshot::Entity::find()
            .select_only()
            .column(snapshot::Column::RepoId)
            .column_as(snapshot::Column::Seq.count(), "snapshots")
            .column_as(snapshot::Column::StoredBytes.sum().cast_as("bigint"), "bytes")
            .filter(snapshot::Column::Time.gte(since.timestamp_millis()))
            .group_by(snapshot::Column::RepoId)
            .into_tuple()
            .all(&self.read)
            .await
            .during("counting what was stored")?;
        rows.into_iter()
            .map(|(repo, snapshots, bytes)| Ok((repo_id(&repo)?, (count(snapshots), count(bytes)))))
            .collect()
    }

    /// The repositories whose newest snapshot lacks something, and what.
    pub async fn incomplete(&self) -> Result<HashMap<String, Vec<Skipped>>> {
        let rows: Vec<(String, Option<Value>)> = snapshot::Entity::find()
            .select_only()
            .columns([snapshot::Column::RepoId, snapshot::Column::Skipped])
            .filter(snapshot::Column::Complete.eq(false))
            .filter(snapshot::Column::Seq.in_subquery(newest()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for incomplete snapshots")?;
        rows.into_iter().map(|(id, skipped)| Ok((id, missing(skipped)?))).collect()
    }

    async fn backup_jobs(&self) -> Result<HashMap<String, Vec<Job>>> {
        let rows = job::Entity::find().filter(job::Column::Kind.eq(job_kind::SYNC_REPO)).all(&self.read).await;
        let mut jobs: HashMap<String, Vec<Job>> = HashMap::new();
        for job in rows.during("listing the jobs")?.into_iter().map(Job::from) {
            jobs.entry(job.subject.clone()).or_default().push(job);
        }
        Ok(jobs)
    }
}

/// The number of a repository's newest snapshot, for a query over snapshots.
fn newest() -> SelectStatement {
    Query::select()
        .column((repository::Entity, repository::Column::LastSeq))
        .from(repository::Entity)
        .and_where(repository::Column::Id.into_expr().equals(snapshot::Column::RepoId.as_column_ref()))
        .take()
}
