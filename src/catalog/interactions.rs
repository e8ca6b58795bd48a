//! What was asked from chats: stored before it is answered, once however often it is sent.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait};
use serde_json::Value;

use crate::domain::{Error, Result};

use super::Catalog;
use super::error::During;
use super::queue::{self, NewJob, Priority, job_kind};
use super::tables::interaction::{self, Column};
use super::values::{now, time};

/// Something that was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredInteraction {
    /// `discord:` and the platform's id.
    pub id: String,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// Who, where and what.
    pub asked: Value,
    /// With what the first answer is replaced, sealed. `None`: it was.
    pub reply_to: Option<Vec<u8>>,
}

impl Catalog {
    /// Keeps something that was asked, and the job that answers it. `false`: it was asked before, under this very id.
    pub async fn put_interaction(&self, id: &str, asked: Value, reply_to: Option<Vec<u8>>) -> Result<bool> {
        const DOING: &str = "keeping what was asked";
        let tx = self.begin(DOING).await?;
        let row = interaction::ActiveModel {
            id: Set(id.to_owned()),
            received_at: Set(now()),
            asked: Set(asked),
            reply_to: Set(reply_to),
            answered_at: Set(None),
        };
        let once = OnConflict::column(Column::Id).do_nothing().to_owned();
        let insert = interaction::Entity::insert(row).on_conflict(once);
        let added = tx.execute(&insert.into_query()).await.during(DOING)?.rows_affected() == 1;
        if added {
            let delay = std::time::Duration::ZERO;
            let job = NewJob { kind: job_kind::ANSWER, subject: id.to_owned(), priority: Priority::Manual, delay };
            queue::enqueue(&tx, vec![job]).await?;
        }
        tx.commit().await.during(DOING)?;
        if added {
            self.ring();
        }
        Ok(added)
    }

    /// What was asked under this id.
    pub async fn interaction(&self, id: &str) -> Result<StoredInteraction> {
        let row = interaction::Entity::find_by_id(id).one(&self.read).await.during("reading what was asked")?;
        let row = row.ok_or_else(|| Error::not_found(format!("nothing was asked under the id {id}")))?;
        Ok(StoredInteraction {
            id: row.id,
            received_at: time(row.received_at),
            asked: row.asked,
            reply_to: row.reply_to,
        })
    }

    /// Keeps what came of it so far with what was asked.
    pub async fn keep_interaction(&self, id: &str, asked: Value) -> Result<()> {
        interaction::Entity::update_many()
            .col_expr(Column::Asked, Expr::value(asked))
            .filter(Column::Id.eq(id))
            .exec(&self.write)
            .await
            .map(drop)
            .during("keeping what came of what was asked")
    }

    /// It was answered: what opens the answer is forgotten.
    pub async fn answered(&self, id: &str) -> Result<()> {
        interaction::Entity::update_many()
            .col_expr(Column::AnsweredAt, now().into())
            .col_expr(Column::ReplyTo, Expr::value(Option::<Vec<u8>>::None))
            .filter(Column::Id.eq(id))
            .exec(&self.write)
            .await
            .map(drop)
            .during("keeping that it was answered")
    }

    /// Forgets what was asked before then; what is replayed so late is refused for its age.
    pub async fn forget_interactions(&self, before: DateTime<Utc>) -> Result<u64> {
        let old = interaction::Entity::delete_many().filter(Column::ReceivedAt.lt(before.timestamp_millis()));
        Ok(old.exec(&self.write).await.during("forgetting what was asked")?.rows_affected)
    }
}
