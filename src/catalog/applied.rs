//! What policies mean for each repository, where webhooks, workers and the scheduler look it up.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::domain::policy::FormerRules;
use crate::domain::{Availability, RepoId, Result};

use super::Catalog;
use super::error::During;
use super::policies::document;
use super::repositories::{ACTIVE, connected, repo_id};
use super::tables::repository;
use super::values::time;

/// What a repository's policy says, where others look it up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppliedPolicy {
    /// Its name.
    pub policy: Option<String>,
    /// A change is a reason to back it up.
    pub on_push: bool,
    /// How long to wait for more changes, in milliseconds.
    pub coalesce_ms: i64,
    /// The workers that may do it; `None`: the default ones.
    pub pool: Option<String>,
    /// When it is backed up the next time, whether or not something was pushed.
    pub next_run_at: Option<DateTime<Utc>>,
}

impl Catalog {
    /// What was last looked up of each repository's policy.
    pub async fn applied_policies(&self) -> Result<HashMap<RepoId, AppliedPolicy>> {
        type Row = (String, Option<String>, bool, i64, Option<String>, Option<i64>);
        let rows: Vec<Row> = repository::Entity::find()
            .select_only()
            .columns([repository::Column::Id, repository::Column::Policy, repository::Column::OnPush])
            .columns([repository::Column::CoalesceMs, repository::Column::Pool, repository::Column::NextRunAt])
            .into_tuple()
            .all(&self.read)
            .await
            .during("reading which policies apply")?;
        let applied = rows.into_iter().map(|(id, policy, on_push, coalesce_ms, pool, next)| {
            Ok((repo_id(&id)?, AppliedPolicy { policy, on_push, coalesce_ms, pool, next_run_at: next.map(time) }))
        });
        applied.collect()
    }

    /// Keeps what repositories' policies say.
    pub async fn put_applied_policies(&self, applied: &[(RepoId, AppliedPolicy)]) -> Result<()> {
        const DOING: &str = "keeping which policies apply";
        let mut alike: HashMap<&AppliedPolicy, Vec<&str>> = HashMap::new();
        for (id, applied) in applied {
            alike.entry(applied).or_default().push(id.as_str());
        }
        let tx = self.begin(DOING).await?;
        for (applied, ids) in alike {
            for ids in ids.chunks(1000) {
                let values = repository::ActiveModel {
                    policy: Set(applied.policy.clone()),
                    on_push: Set(applied.on_push),
                    coalesce_ms: Set(applied.coalesce_ms),
                    pool: Set(applied.pool.clone()),
                    next_run_at: Set(applied.next_run_at.map(|at| at.timestamp_millis())),
                    ..Default::default()
                };
                let these = repository::Column::Id.is_in(ids.iter().copied());
                repository::Entity::update_many().set(values).filter(these).exec(&tx).await.during(DOING)?;
            }
        }
        tx.commit().await.during(DOING)
    }

    /// Keeps which rules besides those of its policy keep recovery points of a repository.
    pub async fn put_former_rules(&self, rules: &[(RepoId, Vec<FormerRules>)]) -> Result<()> {
        const DOING: &str = "keeping former rules";
        if rules.is_empty() {
            return Ok(());
        }
        let tx = self.begin(DOING).await?;
        for (id, rules) in rules {
            repository::Entity::update_many()
                .col_expr(repository::Column::FormerRules, document(rules)?.into())
                .filter(repository::Column::Id.eq(id.as_str()))
                .exec(&tx)
                .await
                .during(DOING)?;
        }
        tx.commit().await.during(DOING)
    }

    /// Repositories that are backed up and whose schedule says now, and since when it does.
    pub async fn scheduled_runs(&self, at: DateTime<Utc>, limit: u64) -> Result<Vec<(RepoId, DateTime<Utc>)>> {
        let rows: Vec<(String, i64)> = repository::Entity::find()
            .select_only()
            .columns([repository::Column::Id, repository::Column::NextRunAt])
            .filter(repository::Column::NextRunAt.lte(at.timestamp_millis()))
            .filter(repository::Column::Selected.eq(true))
            .filter(repository::Column::State.eq(ACTIVE))
            .filter(repository::Column::Availability.eq(Availability::Open.word()))
            .filter(repository::Column::ConnectionId.in_subquery(connected()))
            .order_by_asc(repository::Column::NextRunAt)
            .limit(limit)
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for scheduled backups")?;
        rows.into_iter().map(|(id, at)| Ok((repo_id(&id)?, time(at)))).collect()
    }

    /// Sets when the repository is backed up after the run that was due at `was`.
    pub async fn put_next_run(&self, id: &RepoId, was: DateTime<Utc>, next: Option<DateTime<Utc>>) -> Result<()> {
        repository::Entity::update_many()
            .col_expr(repository::Column::NextRunAt, next.map(|at| at.timestamp_millis()).into())
            .filter(repository::Column::Id.eq(id.as_str()))
            .filter(repository::Column::NextRunAt.eq(was.timestamp_millis()))
            .exec(&self.write)
            .await
            .map(drop)
            .during("moving a schedule on")
    }
}
