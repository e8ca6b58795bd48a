//! Filling the catalog again from what the vault holds.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, QueryFilter, Set};

use crate::domain::{Error, RepoId, Result};

use super::Catalog;
use super::error::During;
use super::repositories::GONE;
use super::snapshots::{self, Commit};
use super::spans::{self, StoredSpan};
use super::tables::{connection, current_ref, intent, ref_change, repository, snapshot, span};
use super::values::{column, now};

/// A repository as a record in the vault names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredRepository {
    /// The forge's slug.
    pub forge: String,
    /// The forge's web host.
    pub host: String,
    /// The forge's own id.
    pub forge_id: String,
    /// `OWNER/NAME` when the record was written.
    pub full_name: String,
}

impl Catalog {
    /// Replaces everything about the repository's snapshots by what the vault holds, all or nothing. `snapshots` come in
    /// the order of their numbers, which may have gaps. A repository that is not known is added as gone: a connection that
    /// lists it makes it active again.
    pub async fn rebuild(
        &self,
        known_as: &RestoredRepository,
        repo: &RepoId,
        snapshots: Vec<Commit>,
        spans: &[StoredSpan],
    ) -> Result<()> {
        const DOING: &str = "rebuilding a repository's history";
        let tx = self.begin(DOING).await?;
        let known = repository::Entity::find_by_id(repo.as_str()).one(&tx).await.during(DOING)?;
        if known.is_none() {
            add(&tx, repo, known_as).await?;
        }
        forget(&tx, repo).await.during(DOING)?;
        for commit in snapshots {
            let seq = commit.snapshot.seq;
            let later = Expr::col(repository::Column::LastSeq).lt(column(seq.get()));
            if commit.repo != *repo || !snapshots::write(&tx, commit, later).await? {
                return Err(Error::bug(format!("{DOING}: snapshot {seq} is out of order")));
            }
        }
        for span in spans {
            spans::put(&tx, repo, span).await?;
        }
        tx.commit().await.during(DOING)
    }
}

async fn forget(tx: &DatabaseTransaction, repo: &RepoId) -> Result<(), DbErr> {
    let id = repo.as_str();
    snapshot::Entity::delete_many().filter(snapshot::Column::RepoId.eq(id)).exec(tx).await?;
    span::Entity::delete_many().filter(span::Column::RepoId.eq(id)).exec(tx).await?;
    intent::Entity::delete_many().filter(intent::Column::RepoId.eq(id)).exec(tx).await?;
    ref_change::Entity::delete_many().filter(ref_change::Column::RepoId.eq(id)).exec(tx).await?;
    current_ref::Entity::delete_many().filter(current_ref::Column::RepoId.eq(id)).exec(tx).await?;
    let row = repository::ActiveModel {
        id: Set(id.to_owned()),
        object_format: Set(None),
        head: Set(None),
        last_seq: Set(0),
        last_sealed: Set(None),
        last_stored_bytes: Set(0),
        refs_fingerprint: Set(None),
        refs_total: Set(0),
        records_since_checkpoint: Set(0),
        changes_since_checkpoint: Set(0),
        last_snapshot_at: Set(None),
        ..Default::default()
    };
    row.update(tx).await.map(drop)
}

async fn add(tx: &DatabaseTransaction, id: &RepoId, known_as: &RestoredRepository) -> Result<()> {
    const DOING: &str = "adding a repository from the vault";
    let connection = lost_connection(tx, known_as).await?;
    let row = repository::ActiveModel {
        id: Set(id.to_string()),
        connection_id: Set(connection),
        forge: Set(known_as.forge.clone()),
        host: Set(known_as.host.clone()),
        forge_id: Set(known_as.forge_id.clone()),
        full_name: Set(known_as.full_name.clone()),
        private: Set(true),
        archived: Set(false),
        selected: Set(true),
        state: Set(GONE.to_owned()),
        gone_at: Set(Some(now())),
        ..Default::default()
    };
    repository::Entity::insert(row).exec_without_returning(tx).await.map(drop).during(DOING)
}

/// The vault does not know connections. What comes from it alone belongs to one that counts as removed.
async fn lost_connection(tx: &DatabaseTransaction, known_as: &RestoredRepository) -> Result<i64> {
    const DOING: &str = "adding a repository from the vault";
    let found = connection::Entity::find()
        .filter(connection::Column::Name.eq(&known_as.host))
        .filter(connection::Column::Forge.eq(&known_as.forge))
        .filter(connection::Column::RemovedAt.is_not_null())
        .one(tx)
        .await
        .during(DOING)?;
    if let Some(found) = found {
        return Ok(found.id);
    }
    let row = connection::ActiveModel {
        forge: Set(known_as.forge.clone()),
        name: Set(known_as.host.clone()),
        url: Set(format!("https://{}", known_as.host)),
        owner: Set(String::new()),
        settings: Set(serde_json::json!({ "auto_add": false })),
        created_at: Set(now()),
        removed_at: Set(Some(now())),
        ..Default::default()
    };
    Ok(row.insert(tx).await.during(DOING)?.id)
}
