//! The outbox: which notice still has to reach which receiver.
//!
//! What is handed over together is marked before it is sent, so that whoever tries again after a crash sends the very same
//! message under the same name, whatever has come since.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::domain::Result;

use super::error::During;
use super::notices::{StoredNotice, Subscriber};
use super::tables::notice;
use super::tables::outbox::{self, Column};
use super::values::{now, time};
use super::{Catalog, insert_all};

pub(super) const WAITING: &str = "waiting";
const SENT: &str = "sent";
const GIVEN_UP: &str = "given_up";

/// Notices that are read for one message at most; there is always a next one.
const AT_ONCE: u64 = 10_000;

/// However much happens to one thing on one day.
const TOLD_BEFORE: u64 = 200;

/// A notice on its way to a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Posted {
    /// Its number in the outbox.
    pub id: i64,
    /// It was in a message that may have arrived.
    pub tried: bool,
    /// What it says.
    pub notice: StoredNotice,
}

/// How a notice fared with one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Posting {
    /// Which receiver.
    pub receiver: String,
    /// `waiting`, `sent`, `given_up`.
    pub state: String,
    /// Why it did not go the last time.
    pub last_error: Option<String>,
}

impl Catalog {
    /// The receivers that something waits for.
    pub async fn receivers_waiting(&self) -> Result<Vec<String>> {
        let rows = outbox::Entity::find()
            .select_only()
            .column(Column::Receiver)
            .distinct()
            .filter(Column::State.eq(WAITING))
            .into_tuple()
            .all(&self.read);
        rows.await.during("looking for notices that wait")
    }

    /// What waits for a receiver, in the order in which it happened.
    pub async fn posted(&self, receiver: &str) -> Result<Vec<Posted>> {
        const DOING: &str = "reading the notices that wait";
        let rows = outbox::Entity::find()
            .filter(Column::Receiver.eq(receiver))
            .filter(Column::State.eq(WAITING))
            .order_by_asc(Column::Id)
            .limit(AT_ONCE)
            .all(&self.read)
            .await
            .during(DOING)?;
        let ids: Vec<i64> = rows.iter().map(|row| row.notice_id).collect();
        let mut notices = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(1000) {
            let found = notice::Entity::find().filter(notice::Column::Id.is_in(chunk.iter().copied())).all(&self.read);
            notices.extend(found.await.during(DOING)?.into_iter().map(|notice| (notice.id, notice)));
        }
        let known = rows.into_iter().filter_map(|row| Some((notices.remove(&row.notice_id)?, row)));
        known
            .map(|(notice, row)| Ok(Posted { id: row.id, tried: row.attempts > 0, notice: notice.try_into()? }))
            .collect()
    }

    /// What a receiver was told about the same thing before this, oldest first; of more than [`TOLD_BEFORE`] the last.
    pub async fn told_before(&self, receiver: &str, this: &StoredNotice) -> Result<Vec<StoredNotice>> {
        let Some(subject) = &this.subject else { return Ok(Vec::new()) };
        let sent = Query::select()
            .column(Column::NoticeId)
            .from(outbox::Entity)
            .and_where(Column::Receiver.eq(receiver))
            .and_where(Column::State.eq(SENT))
            .take();
        let rows = notice::Entity::find()
            .filter(notice::Column::Subject.eq(subject))
            .filter(notice::Column::Id.ne(this.id))
            .filter(notice::Column::Id.in_subquery(sent))
            .order_by_desc(notice::Column::Id)
            .limit(TOLD_BEFORE)
            .all(&self.read);
        let rows = rows.await.during("reading what was told before")?;
        rows.into_iter().rev().map(StoredNotice::try_from).collect()
    }

    /// These are not for their receiver to hear, after all.
    pub async fn withdraw(&self, ids: &[i64]) -> Result<()> {
        for chunk in ids.chunks(1000) {
            let rows = outbox::Entity::delete_many().filter(Column::Id.is_in(chunk.iter().copied()));
            rows.exec(&self.write).await.during("withdrawing notices")?;
        }
        Ok(())
    }

    /// These are about to be sent, together.
    pub async fn posting(&self, ids: &[i64]) -> Result<()> {
        self.mark(ids, &[(Column::Attempts, Expr::col(Column::Attempts).add(1))]).await
    }

    /// The receiver has them.
    pub async fn arrived(&self, ids: &[i64]) -> Result<()> {
        let sent_at = [(Column::SentAt, now().into()), (Column::LastError, Option::<String>::None.into())];
        self.mark(ids, &[&[(Column::State, SENT.into())], &sent_at[..]].concat()).await
    }

    /// The receiver does not have them, or did not say that it does.
    pub async fn bounced(&self, ids: &[i64], error: &str) -> Result<()> {
        self.mark(ids, &[(Column::LastError, error.into())]).await
    }

    /// When messages went to a receiver since then; what went together counts once.
    pub async fn messages_since(&self, receiver: &str, since: DateTime<Utc>) -> Result<usize> {
        let moments: Vec<Option<i64>> = outbox::Entity::find()
            .select_only()
            .column(Column::SentAt)
            .distinct()
            .filter(Column::Receiver.eq(receiver))
            .filter(Column::SentAt.gte(since.timestamp_millis()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("counting messages")?;
        Ok(moments.len())
    }

    /// Tries no longer to hand over what has waited since `before`; says how many notices that are.
    pub async fn give_up(&self, receiver: &str, before: DateTime<Utc>) -> Result<u64> {
        let given_up = outbox::Entity::update_many()
            .col_expr(Column::State, GIVEN_UP.into())
            .filter(Column::Receiver.eq(receiver))
            .filter(Column::State.eq(WAITING))
            .filter(Column::NextAt.lt(before.timestamp_millis()))
            .exec(&self.write);
        Ok(given_up.await.during("giving up on notices")?.rows_affected)
    }

    /// How notices fared, by their numbers.
    pub async fn postings(&self, notices: &[i64]) -> Result<HashMap<i64, Vec<Posting>>> {
        let mut found: HashMap<i64, Vec<Posting>> = HashMap::new();
        for chunk in notices.chunks(1000) {
            let rows = outbox::Entity::find()
                .filter(Column::NoticeId.is_in(chunk.iter().copied()))
                .order_by_asc(Column::Id)
                .all(&self.read);
            for row in rows.await.during("reading what became of notices")? {
                let posting = Posting { receiver: row.receiver, state: row.state, last_error: row.last_error };
                found.entry(row.notice_id).or_default().push(posting);
            }
        }
        Ok(found)
    }

    /// How many notices wait for each receiver, since when, and why the oldest did not go.
    pub async fn backlog(&self) -> Result<Vec<Backlog>> {
        const DOING: &str = "counting the notices that wait";
        let mut backlog = Vec::new();
        for receiver in self.receivers_waiting().await? {
            let waiting = outbox::Entity::find()
                .filter(Column::Receiver.eq(&receiver))
                .filter(Column::State.eq(WAITING))
                .order_by_asc(Column::Id);
            let count = sea_orm::PaginatorTrait::count(waiting.clone(), &self.read).await.during(DOING)?;
            if let Some(oldest) = waiting.one(&self.read).await.during(DOING)? {
                let (since, last_error) = (time(oldest.next_at), oldest.last_error);
                backlog.push(Backlog { receiver, count, since, last_error });
            }
        }
        Ok(backlog)
    }

    async fn mark(&self, ids: &[i64], columns: &[(Column, Expr)]) -> Result<()> {
        const DOING: &str = "keeping what became of notices";
        let tx = self.begin(DOING).await?;
        for chunk in ids.chunks(1000) {
            let update = outbox::Entity::update_many().filter(Column::Id.is_in(chunk.iter().copied()));
            let set = |update: sea_orm::UpdateMany<_>, (column, value): &(Column, Expr)| {
                update.col_expr(*column, value.clone())
            };
            columns.iter().fold(update, set).exec(&tx).await.during(DOING)?;
        }
        tx.commit().await.during(DOING)
    }
}

/// What has not reached a receiver yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Backlog {
    /// Which receiver.
    pub receiver: String,
    /// How many notices.
    pub count: u64,
    /// When the oldest of them was given.
    pub since: DateTime<Utc>,
    /// Why it did not go; `None`: it was not tried yet.
    pub last_error: Option<String>,
}

/// Puts a notice into the outbox for each of these.
pub(super) async fn post(db: &impl ConnectionTrait, notice: i64, to: Vec<&Subscriber>) -> Result<(), DbErr> {
    let rows = to.into_iter().map(|subscriber| outbox::ActiveModel {
        notice_id: Set(notice),
        receiver: Set(subscriber.receiver.clone()),
        state: Set(WAITING.to_owned()),
        attempts: Set(0),
        next_at: Set(now()),
        ..Default::default()
    });
    insert_all(db, rows.collect::<Vec<_>>(), 8).await
}
