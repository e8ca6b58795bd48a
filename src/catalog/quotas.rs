//! What each process has last seen of a forge's limits, so that all of them together keep within them.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use crate::domain::Result;

use super::Catalog;
use super::error::During;
use super::tables::quota::{self, Column};
use super::values::{column, count, time};

use chrono::{DateTime, Utc};

/// How one budget stood at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredQuota {
    /// The forge's host.
    pub host: String,
    /// Who shares the budget.
    pub who: String,
    /// What it is spent on.
    pub resource: String,
    /// Requests in an hour; `None`: not limited.
    pub limit: Option<u64>,
    /// Left of them.
    pub remaining: Option<u64>,
    /// When the hour ends.
    pub reset_at: Option<DateTime<Utc>>,
    /// Nothing at all before this moment.
    pub paused_until: Option<DateTime<Utc>>,
    /// Why so.
    pub why: Option<String>,
    /// When this was seen.
    pub observed_at: DateTime<Utc>,
}

impl Catalog {
    /// What any process saw since `since`.
    pub async fn quotas(&self, since: Option<DateTime<Utc>>) -> Result<Vec<StoredQuota>> {
        let mut query = quota::Entity::find();
        if let Some(since) = since {
            query = query.filter(Column::ObservedAt.gt(since.timestamp_millis()));
        }
        let rows = query.all(&self.read).await.during("reading what is left of the limits")?;
        Ok(rows.into_iter().map(StoredQuota::from).collect())
    }

    /// Keeps what this process saw; an older observation never replaces a newer one.
    pub async fn put_quotas(&self, seen: &[StoredQuota]) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let rows = seen.iter().map(|quota| quota::ActiveModel {
            host: Set(quota.host.clone()),
            who: Set(quota.who.clone()),
            resource: Set(quota.resource.clone()),
            limit: Set(quota.limit.map(column)),
            remaining: Set(quota.remaining.map(column)),
            reset_at: Set(quota.reset_at.map(|at| at.timestamp_millis())),
            paused_until: Set(quota.paused_until.map(|at| at.timestamp_millis())),
            why: Set(quota.why.clone()),
            observed_at: Set(quota.observed_at.timestamp_millis()),
        });
        let newer = OnConflict::columns([Column::Host, Column::Who, Column::Resource])
            .update_columns([
                Column::Limit,
                Column::Remaining,
                Column::ResetAt,
                Column::PausedUntil,
                Column::Why,
                Column::ObservedAt,
            ])
            .action_and_where(sea_orm::sea_query::Expr::cust("excluded.observed_at >= quota.observed_at"))
            .to_owned();
        let put = quota::Entity::insert_many(rows).on_conflict(newer).exec_without_returning(&self.write);
        put.await.map(drop).during("keeping what is left of the limits")
    }
}

impl From<quota::Model> for StoredQuota {
    fn from(row: quota::Model) -> Self {
        Self {
            host: row.host,
            who: row.who,
            resource: row.resource,
            limit: row.limit.map(count),
            remaining: row.remaining.map(count),
            reset_at: row.reset_at.map(time),
            paused_until: row.paused_until.map(time),
            why: row.why,
            observed_at: time(row.observed_at),
        }
    }
}
