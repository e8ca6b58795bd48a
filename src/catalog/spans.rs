//! Consolidated snapshots: objects of the vault that stand for a range of others.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
};

use crate::domain::{Expected, Extent, RepoId, Result, Seq};

use super::Catalog;
use super::error::{During, unreadable};
use super::tables::{ref_change, repository, span};
use super::values::{column, count, now, sha256};

/// A consolidated snapshot that the vault holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSpan {
    /// What it stands for.
    pub extent: Extent,
    /// SHA-256 of its sealed object.
    pub sha256: [u8; 32],
    /// Length of its sealed object.
    pub stored_bytes: u64,
    /// Bytes of its pack.
    pub pack_bytes: u64,
    /// Git objects in its pack.
    pub objects: u64,
    /// Recovery points that it tells.
    pub points: u32,
}

impl Catalog {
    /// The repository's consolidated snapshots, by where they begin; also those that others stand for now.
    pub async fn spans(&self, repo: &RepoId) -> Result<Vec<StoredSpan>> {
        let rows = span::Entity::find()
            .filter(span::Column::RepoId.eq(repo.as_str()))
            .order_by_asc(span::Column::FromSeq)
            .order_by_asc(span::Column::ToSeq)
            .order_by_asc(span::Column::Rewriting)
            .all(&self.read)
            .await;
        rows.during("listing the consolidated snapshots")?.into_iter().map(StoredSpan::try_from).collect()
    }

    /// The objects that count of those that the catalog knows, in the order of their numbers.
    pub async fn expected(&self, repo: &RepoId) -> Result<Vec<Expected>> {
        // Snapshots first: one that is consolidated and dropped between the two is known by its range then.
        let singles = self.sealed(repo).await?.into_iter().map(|(seq, sha256)| (Extent::single(seq), sha256));
        let spans = self.spans(repo).await?.into_iter().map(|span| (span.extent, span.sha256));
        let known = singles.chain(spans).map(|(extent, sha256)| Expected { extent, sha256 }).collect();
        Ok(Extent::cover(known, |object| object.extent).0)
    }

    /// Writes a consolidated snapshot down that the vault holds. To say it twice changes nothing.
    pub async fn put_span(&self, repo: &RepoId, span: &StoredSpan) -> Result<()> {
        put(&self.write, repo, span).await
    }
}

/// [`Catalog::put_span`] within a transaction.
pub(super) async fn put(db: &impl ConnectionTrait, repo: &RepoId, span: &StoredSpan) -> Result<()> {
    const DOING: &str = "recording a consolidated snapshot";
    let StoredSpan { extent, sha256, stored_bytes, pack_bytes, objects, points } = span;
    let row = span::ActiveModel {
        repo_id: Set(repo.to_string()),
        from_seq: Set(column(extent.from.get())),
        to_seq: Set(column(extent.to.get())),
        rewriting: Set(i32::try_from(extent.rewriting).unwrap_or(i32::MAX)),
        sealed: Set(sha256.to_vec()),
        stored_bytes: Set(column(*stored_bytes)),
        pack_bytes: Set(column(*pack_bytes)),
        objects: Set(column(*objects)),
        points: Set(i32::try_from(*points).unwrap_or(i32::MAX)),
        created_at: Set(now()),
    };
    let key = [span::Column::RepoId, span::Column::FromSeq, span::Column::ToSeq, span::Column::Rewriting];
    let insert = span::Entity::insert(row).on_conflict(OnConflict::columns(key).do_nothing().to_owned());
    db.execute(&insert.into_query()).await.during(DOING)?;
    count_from(db, repo, column(extent.to.get())).await.during(DOING)
}

/// It tells every reference, so the next single one need not for a long while.
async fn count_from(db: &impl ConnectionTrait, repo: &RepoId, to: i64) -> Result<(), DbErr> {
    use repository::Column;

    let records = || Expr::col(Column::LastSeq).sub(to);
    let changes = ref_change::Entity::find()
        .select_only()
        .column_as(ref_change::Column::Seq.count(), "changes")
        .filter(ref_change::Column::RepoId.eq(repo.as_str()))
        .filter(ref_change::Column::Seq.gt(to))
        .into_query();
    repository::Entity::update_many()
        .col_expr(Column::RecordsSinceCheckpoint, records())
        .col_expr(Column::ChangesSinceCheckpoint, Expr::SubQuery(None, Box::new(changes.into())))
        .filter(Column::Id.eq(repo.as_str()))
        .filter(records().gte(0).and(records().lt(Expr::col(Column::RecordsSinceCheckpoint))))
        .exec(db)
        .await
        .map(drop)
}

impl TryFrom<span::Model> for StoredSpan {
    type Error = crate::domain::Error;

    fn try_from(row: span::Model) -> Result<Self> {
        let seq = |number| Seq::new(count(number)).ok_or_else(|| unreadable("a snapshot's number", number));
        let narrow = |number: i32| u32::try_from(number).map_err(|_| unreadable("a consolidated snapshot", number));
        Ok(Self {
            extent: Extent { from: seq(row.from_seq)?, to: seq(row.to_seq)?, rewriting: narrow(row.rewriting)? },
            sha256: sha256(&row.sealed)?,
            stored_bytes: count(row.stored_bytes),
            pack_bytes: count(row.pack_bytes),
            objects: count(row.objects),
            points: narrow(row.points)?,
        })
    }
}
