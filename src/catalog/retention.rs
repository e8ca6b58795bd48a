//! Which recovery points are leaving, and what people call them.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::domain::{Error, RepoId, Result, Seq};

use super::Catalog;
use super::error::During;
use super::repositories::{ACTIVE, connected, repo_id};
use super::tables::{hold, repository, snapshot};
use super::values::column;

impl Catalog {
    /// Marks recovery points as leaving since then; those that are marked stay as they are. Says how many are new. While a
    /// hold stands, none is marked.
    pub async fn mark_leaving(&self, repo: &RepoId, seqs: &[Seq], since: DateTime<Utc>) -> Result<u64> {
        let held = Query::select()
            .column(hold::Column::RepoId)
            .from(hold::Entity)
            .and_where(hold::Column::LiftedAt.is_null())
            .take();
        let mut marked = 0;
        for seqs in seqs.chunks(1000) {
            let done = snapshot::Entity::update_many()
                .col_expr(snapshot::Column::LeavingAt, since.timestamp_millis().into())
                .filter(snapshot::Column::RepoId.eq(repo.as_str()))
                .filter(snapshot::Column::Seq.is_in(seqs.iter().map(|seq| column(seq.get()))))
                .filter(snapshot::Column::LeavingAt.is_null())
                .filter(snapshot::Column::RepoId.not_in_subquery(held.clone()))
                .exec(&self.write)
                .await;
            marked += done.during("marking recovery points")?.rows_affected;
        }
        Ok(marked)
    }

    /// Recovery points that were leaving stay; says how many.
    pub async fn unmark_leaving(&self, repo: &RepoId, seqs: &[Seq]) -> Result<u64> {
        let mut unmarked = 0;
        for seqs in seqs.chunks(1000) {
            let done = snapshot::Entity::update_many()
                .col_expr(snapshot::Column::LeavingAt, Option::<i64>::None.into())
                .filter(snapshot::Column::RepoId.eq(repo.as_str()))
                .filter(snapshot::Column::Seq.is_in(seqs.iter().map(|seq| column(seq.get()))))
                .filter(snapshot::Column::LeavingAt.is_not_null())
                .exec(&self.write)
                .await;
            unmarked += done.during("unmarking recovery points")?.rows_affected;
        }
        Ok(unmarked)
    }

    /// Calls a recovery point this, in the place of what it was called.
    pub async fn put_labels(&self, repo: &RepoId, seq: Seq, labels: &[String]) -> Result<()> {
        let labels = (!labels.is_empty()).then(|| serde_json::Value::from(labels.to_vec()));
        let done = snapshot::Entity::update_many()
            .col_expr(snapshot::Column::Labels, labels.into())
            .filter(snapshot::Column::RepoId.eq(repo.as_str()))
            .filter(snapshot::Column::Seq.eq(column(seq.get())))
            .exec(&self.write)
            .await;
        match done.during("labelling a recovery point")?.rows_affected {
            0 => Err(Error::not_found(format!("there is no snapshot {seq}"))
                .hint("`refward snapshots` shows those that there are")),
            _ => Ok(()),
        }
    }

    /// Repositories that are backed up and have more than one recovery point.
    pub async fn repositories_to_judge(&self) -> Result<Vec<RepoId>> {
        let ids: Vec<String> = repository::Entity::find()
            .select_only()
            .column(repository::Column::Id)
            .filter(repository::Column::Selected.eq(true))
            .filter(repository::Column::State.eq(ACTIVE))
            .filter(repository::Column::LastSeq.gt(1))
            .filter(repository::Column::ConnectionId.in_subquery(connected()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for repositories to judge")?;
        ids.iter().map(|id| repo_id(id)).collect()
    }
}
