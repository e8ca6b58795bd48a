//! Holds: as long as one stands, nothing of the repository goes.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::{By, RepoId, Result};

use super::Catalog;
use super::audit::{self, NewRecord, Verdict};
use super::error::During;
use super::repositories::repo_id;
use super::tables::hold::{self, Column};
use super::tables::repository;
use super::values::{now, time};

/// Whose hold it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// A person's.
    Legal,
    /// Ours, because of an alarm.
    Alarm,
}

/// A hold on a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its number.
    pub id: i64,
    /// Of which repository.
    pub repo: RepoId,
    /// Whose.
    pub kind: HoldKind,
    /// Why.
    pub reason: String,
    /// Who placed it.
    pub actor: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was lifted; `None`: it stands.
    pub lifted_at: Option<DateTime<Utc>>,
    /// By whom.
    pub lifted_by: Option<String>,
}

impl Catalog {
    /// From now on nothing of the repository goes. What was leaving stays.
    pub async fn place_hold(&self, repo: &RepoId, kind: HoldKind, reason: &str, by: &By) -> Result<i64> {
        const DOING: &str = "placing a hold";
        let row = hold::ActiveModel {
            repo_id: Set(repo.to_string()),
            kind: Set(if kind == HoldKind::Legal { "legal" } else { "alarm" }.to_owned()),
            reason: Set(reason.to_owned()),
            actor: Set(by.who.clone()),
            created_at: Set(now()),
            ..Default::default()
        };
        let tx = self.begin(DOING).await?;
        // Writes the row, and so locks it, although nothing changes: who is just dropping points is done before, or sees it.
        repository::Entity::update_many()
            .col_expr(repository::Column::Generation, Expr::col(repository::Column::Generation))
            .filter(repository::Column::Id.eq(repo.as_str()))
            .exec(&tx)
            .await
            .during(DOING)?;
        let id = row.insert(&tx).await.during(DOING)?.id;
        let placed = NewRecord::new(by, "hold.place", Verdict::Done).about(name_of(&tx, repo).await?);
        audit::record(&tx, placed.detail(json!({ "hold": id, "reason": reason }))).await?;
        tx.commit().await.during(DOING)?;
        Ok(id)
    }

    /// The holds that stand, on one repository or on all, the oldest first.
    pub async fn holds(&self, on: Option<&RepoId>) -> Result<Vec<Hold>> {
        let mut standing = hold::Entity::find().filter(Column::LiftedAt.is_null());
        if let Some(repo) = on {
            standing = standing.filter(Column::RepoId.eq(repo.as_str()));
        }
        let rows = standing.order_by_asc(Column::Id).all(&self.read).await.during("reading the holds")?;
        rows.into_iter().map(hold).collect()
    }

    /// The repositories with a hold that stands.
    pub async fn held(&self) -> Result<HashSet<RepoId>> {
        let ids: Vec<String> = hold::Entity::find()
            .select_only()
            .column(Column::RepoId)
            .distinct()
            .filter(Column::LiftedAt.is_null())
            .into_tuple()
            .all(&self.read)
            .await
            .during("reading the holds")?;
        ids.iter().map(|id| repo_id(id)).collect()
    }

    /// Lifts all holds of a repository; says how many stood.
    pub async fn lift_holds(&self, repo: &RepoId, by: &By) -> Result<u64> {
        const DOING: &str = "lifting a hold";
        let tx = self.begin(DOING).await?;
        let lifted = hold::Entity::update_many()
            .col_expr(Column::LiftedAt, now().into())
            .col_expr(Column::LiftedBy, by.who.as_str().into())
            .filter(Column::RepoId.eq(repo.as_str()))
            .filter(Column::LiftedAt.is_null())
            .exec(&tx)
            .await;
        let lifted = lifted.during(DOING)?.rows_affected;
        if lifted > 0 {
            let told = NewRecord::new(by, "hold.lift", Verdict::Done).about(name_of(&tx, repo).await?);
            audit::record(&tx, told.detail(json!({ "holds": lifted }))).await?;
        }
        tx.commit().await.during(DOING)?;
        Ok(lifted)
    }
}

/// What the repository is called now, for the record.
async fn name_of(tx: &DatabaseTransaction, repo: &RepoId) -> Result<String> {
    let row = repository::Entity::find_by_id(repo.as_str()).one(tx).await.during("looking up a repository")?;
    Ok(row.map_or_else(|| repo.to_string(), |row| row.full_name))
}

fn hold(row: hold::Model) -> Result<Hold> {
    Ok(Hold {
        id: row.id,
        repo: repo_id(&row.repo_id)?,
        kind: if row.kind == "legal" { HoldKind::Legal } else { HoldKind::Alarm },
        reason: row.reason,
        actor: row.actor,
        created_at: time(row.created_at),
        lifted_at: row.lifted_at.map(time),
        lifted_by: row.lifted_by,
    })
}
