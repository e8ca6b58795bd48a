//! How every repository stands, in a fixed number of queries.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::domain::Result;

use super::Catalog;
use super::error::During;
use super::queue::{Job, SYNC_REPO};
use super::repositories::{Repository, RepositoryFilter};
use super::tables::job;

/// How a repository stands.
#[derive(Clone, Debug, PartialEq)]
pub struct RepositoryStatus {
    /// The repository.
    pub repository: Repository,
    /// When the oldest event came that no snapshot answers yet; `None`: the backup is up to date as far as we know.
    pub waiting_since: Option<DateTime<Utc>>,
    /// Its backup jobs: at most one that runs, one that is ready and one that failed.
    pub jobs: Vec<Job>,
}

impl Catalog {
    /// How the repositories stand, by name.
    pub async fn status(&self, filter: RepositoryFilter) -> Result<Vec<RepositoryStatus>> {
        let repositories = self.repositories(filter).await?;
        let waiting = self.oldest_pending().await?;
        let rows = job::Entity::find().filter(job::Column::Kind.eq(SYNC_REPO)).all(&self.read).await;
        let mut jobs: HashMap<String, Vec<Job>> = HashMap::new();
        for job in rows.during("listing the jobs")?.into_iter().map(Job::from) {
            jobs.entry(job.subject.clone()).or_default().push(job);
        }
        let status = repositories.into_iter().map(|repository| RepositoryStatus {
            waiting_since: waiting.get(&repository.id).copied(),
            jobs: jobs.remove(repository.id.as_str()).unwrap_or_default(),
            repository,
        });
        Ok(status.collect())
    }
}
