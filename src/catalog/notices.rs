//! What people should be told: an outbox that chat, mail and the command line read.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::domain::{ConnectionId, RepoId, Result};

use super::Catalog;
use super::error::During;
use super::repositories::repo_id;
use super::tables::notice::{self, Column};
use super::values::{now, time};

/// Something that people should be told.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredNotice {
    /// Its number; later ones have higher ones.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// A stable word: `repository.renamed`, `app.suspended`.
    pub kind: String,
    /// About which connection.
    pub connection: Option<ConnectionId>,
    /// About which repository.
    pub repo: Option<RepoId>,
    /// For people.
    pub text: String,
}

/// A notice to be given.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the same words as in StoredNotice")]
pub struct NewNotice {
    pub kind: &'static str,
    pub connection: Option<ConnectionId>,
    pub repo: Option<RepoId>,
    pub text: String,
}

impl Catalog {
    /// Tells people something; the log hears of it at once.
    pub async fn notify(&self, new: NewNotice) -> Result<()> {
        tracing::info!(notice = new.kind, "{}", new.text);
        let row = notice::ActiveModel {
            at: Set(now()),
            kind: Set(new.kind.to_owned()),
            connection_id: Set(new.connection.map(|id| id.0)),
            repo_id: Set(new.repo.map(|id| id.to_string())),
            text: Set(new.text),
            ..Default::default()
        };
        row.insert(&self.write).await.map(drop).during("keeping a notice")
    }

    /// The newest notices, newest first.
    pub async fn notices(&self, limit: u64) -> Result<Vec<StoredNotice>> {
        let rows = notice::Entity::find().order_by_desc(Column::Id).limit(limit).all(&self.read).await;
        let rows = rows.during("reading the notices")?;
        rows.into_iter()
            .map(|row| {
                Ok(StoredNotice {
                    id: row.id,
                    at: time(row.at),
                    kind: row.kind,
                    connection: row.connection_id.map(ConnectionId),
                    repo: row.repo_id.as_deref().map(repo_id).transpose()?,
                    text: row.text,
                })
            })
            .collect()
    }

    /// Forgets notices that were given before `before`.
    pub async fn forget_notices(&self, before: DateTime<Utc>) -> Result<u64> {
        let old = notice::Entity::delete_many().filter(Column::At.lt(before.timestamp_millis()));
        Ok(old.exec(&self.write).await.during("forgetting old notices")?.rows_affected)
    }
}
