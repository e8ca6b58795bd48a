//! How every repository stands, in a fixed number of queries.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect};

use crate::domain::{ConnectionId, RepoId, Result, Seq};

use super::Catalog;
use super::error::During;
use super::queue::{Job, JobState, job_kind};
use super::tables::{job, repository, snapshot};

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
    /// The newest snapshot.
    pub last_seq: Option<Seq>,
    /// When that was taken.
    pub last_snapshot_at: Option<DateTime<Utc>>,
    /// Whether it lacks nothing.
    pub complete: Option<bool>,
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
}

impl Catalog {
    /// How the repositories stand, by name.
    pub async fn status(&self) -> Result<Vec<StatusRow>> {
        let connected: HashSet<ConnectionId> = self.connections().await?.into_iter().map(|one| one.id).collect();
        let waiting = self.oldest_pending().await?;
        let incomplete = self.incomplete().await?;
        let jobs = self.backup_jobs().await?;
        let rows = self.repositories().await?.into_iter().map(|repository| {
            let jobs = jobs.get(repository.id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let ready = jobs.iter().find(|job| job.state == JobState::Ready);
            StatusRow {
                connection: connected.contains(&repository.connection_id).then_some(repository.connection),
                complete: repository.last_seq.map(|_| !incomplete.contains(repository.id.as_str())),
                oldest_pending: waiting.get(&repository.id).copied(),
                running: jobs.iter().any(|job| job.state == JobState::Running),
                queued: ready.is_some(),
                next_attempt: ready.map(|job| job.run_at),
                id: repository.id,
                full_name: repository.full_name,
                selected: repository.selected,
                gone: repository.gone,
                last_seq: repository.last_seq,
                last_snapshot_at: repository.last_snapshot_at,
                last_error: repository.last_error,
            }
        });
        Ok(rows.collect())
    }

    /// The repositories whose newest snapshot lacks something.
    async fn incomplete(&self) -> Result<HashSet<String>> {
        let newest = Query::select()
            .column((repository::Entity, repository::Column::LastSeq))
            .from(repository::Entity)
            .and_where(repository::Column::Id.into_expr().equals(snapshot::Column::RepoId.as_column_ref()))
            .take();
        let ids: Vec<String> = snapshot::Entity::find()
            .select_only()
            .column(snapshot::Column::RepoId)
            .filter(snapshot::Column::Complete.eq(false))
            .filter(snapshot::Column::Seq.in_subquery(newest))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for incomplete snapshots")?;
        Ok(ids.into_iter().collect())
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
