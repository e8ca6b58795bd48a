//! Webhook deliveries and the events that they report.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, ExprTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, RelationTrait, Set,
};

use crate::domain::{Actor, Change, ConnectionId, DeliveryId, Event, ObjectId, RefName, RepoId, Result};

use super::error::{During, unreadable};
use super::repositories::{ACTIVE, repo_id};
use super::tables::{delivery, event, repository};
use super::values::{bytes, count, object_id_or_none, time};
use super::{Catalog, NewJob, PackedBody, insert_all, queue};

/// Kinds of events that a job follows. Others are kept for the jobs to come and never count as waiting.
pub const CONSUMED: &[&str] = &["push", "refs"];

/// A delivery to be stored.
pub struct NewDelivery {
    /// The forge's slug.
    pub forge: String,
    /// The forge's id; the second with the same is a repeat.
    pub id: DeliveryId,
    /// The forge's name for the event.
    pub event: String,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// As it came.
    pub body: PackedBody,
    /// Whose secret signed it.
    pub connection: Option<ConnectionId>,
    /// What it says.
    pub events: Vec<NewEvent>,
    /// What is to be done about it.
    pub jobs: Vec<NewJob>,
}

/// An event and the repository that it is about, where we know it.
pub struct NewEvent {
    /// `None` for events of an account, and of repositories that are not ours.
    pub repo: Option<RepoId>,
    /// What the forge reported.
    pub event: Event,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredDelivery {
    /// It is stored and its jobs are queued.
    New,
    /// It was stored before.
    Repeated,
}

/// What the catalog knows about a repository that an event names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The connection that lists it.
    pub connection: ConnectionId,
    /// It is backed up.
    pub selected: bool,
    /// A change is a reason to back it up, says its policy.
    pub on_push: bool,
    /// How long to wait for more changes.
    pub coalesce: Duration,
    /// The forge has it, as far as we know.
    pub active: bool,
    /// `OWNER/NAME` as we know it.
    pub full_name: String,
}

/// An event that no job has answered yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingEvent {
    /// Its number.
    pub id: i64,
    /// The delivery that reported it.
    pub delivery: DeliveryId,
    /// The reference that moved, if it says so.
    pub name: Option<RefName>,
    /// Before.
    pub old: Option<ObjectId>,
    /// After.
    pub new: Option<ObjectId>,
    /// The forge says that it was forced.
    pub forced: bool,
    /// Who did it.
    pub actor: Option<Actor>,
    /// When we heard of it.
    pub received_at: DateTime<Utc>,
}

/// How many events of one kind there are.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct EventCount {
    /// As [`Change::kind`] puts it.
    pub kind: String,
    /// All that are stored.
    pub total: i64,
    /// Those that no job has answered.
    pub unhandled: i64,
}

impl Catalog {
    /// Stores deliveries with their events and jobs in one transaction, and says of each what became of it.
    pub async fn store(&self, deliveries: &[NewDelivery]) -> Result<Vec<StoredDelivery>> {
        const DOING: &str = "storing deliveries";
        let tx = self.begin(DOING).await?;
        let mut new = insert_deliveries(&tx, deliveries).await?;
        let mut rows = Vec::new();
        let mut jobs = Vec::new();
        let mut outcomes = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            // Taken out, so that a repeat within the same batch is one.
            let Some(id) = new.remove(&(delivery.forge.clone(), delivery.id.as_str().to_owned())) else {
                outcomes.push(StoredDelivery::Repeated);
                continue;
            };
            let received_at = delivery.received_at.timestamp_millis();
            rows.extend(delivery.events.iter().map(|event| event_row(id, received_at, event)));
            jobs.extend_from_slice(&delivery.jobs);
            outcomes.push(StoredDelivery::New);
        }
        insert_all(&tx, rows, 12).await.during(DOING)?;
        let any_jobs = !jobs.is_empty();
        queue::enqueue(&tx, jobs).await?;
        tx.commit().await.during(DOING)?;
        self.stored.send_modify(|count| *count += deliveries.len() as u64);
        if any_jobs {
            self.ring();
        }
        Ok(outcomes)
    }

    /// Which of these deliveries are stored.
    pub async fn stored(&self, forge: &str, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>> {
        let mut stored = HashSet::new();
        for chunk in ids.chunks(1000) {
            let known: Vec<String> = delivery::Entity::find()
                .select_only()
                .column(delivery::Column::DeliveryId)
                .filter(delivery::Column::Forge.eq(forge))
                .filter(delivery::Column::DeliveryId.is_in(chunk.iter().map(DeliveryId::as_str)))
                .into_tuple()
                .all(&self.read)
                .await
                .during("looking up deliveries")?;
            stored.extend(chunk.iter().filter(|id| known.iter().any(|known| known == id.as_str())).cloned());
        }
        Ok(stored)
    }

    /// Which of these repositories we know.
    pub async fn subscriptions(&self, ids: &HashSet<RepoId>) -> Result<HashMap<RepoId, Subscription>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(String, i64, bool, bool, i64, String, String)> = repository::Entity::find()
            .select_only()
            .columns([repository::Column::Id, repository::Column::ConnectionId, repository::Column::Selected])
            .columns([repository::Column::OnPush, repository::Column::CoalesceMs])
            .columns([repository::Column::State, repository::Column::FullName])
            .filter(repository::Column::Id.is_in(ids.iter().map(RepoId::as_str)))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking up repositories")?;
        let known = rows.into_iter().map(|(id, connection, selected, on_push, coalesce, state, full_name)| {
            let subscription = Subscription {
                connection: ConnectionId(connection),
                selected,
                on_push,
                coalesce: Duration::from_millis(count(coalesce)),
                active: state == ACTIVE,
                full_name,
            };
            Ok((repo_id(&id)?, subscription))
        });
        known.collect()
    }

    /// The events of a repository that wait for a job, oldest first.
    pub async fn pending_events(&self, repo: &RepoId) -> Result<Vec<PendingEvent>> {
        let rows = event::Entity::find()
            .join(JoinType::InnerJoin, event::Relation::Delivery.def())
            .column_as(delivery::Column::DeliveryId, "delivery_id")
            .filter(event::Column::RepoId.eq(repo.as_str()))
            .filter(event::Column::HandledAt.is_null())
            .filter(event::Column::Kind.is_in(CONSUMED.iter().copied()))
            .order_by_asc(event::Column::ReceivedAt)
            .order_by_asc(event::Column::Id)
            .into_model::<PendingRow>()
            .all(&self.read)
            .await;
        rows.during("reading the events that wait")?.into_iter().map(PendingEvent::try_from).collect()
    }

    /// The events of a repository that these deliveries reported and that wait for a job.
    pub async fn events_of(&self, deliveries: &[DeliveryId], repo: &RepoId) -> Result<Vec<PendingEvent>> {
        let mut events = self.pending_events(repo).await?;
        events.retain(|event| deliveries.contains(&event.delivery));
        Ok(events)
    }

    /// How many events of each kind there are.
    pub async fn event_counts(&self) -> Result<Vec<EventCount>> {
        let unhandled = Expr::cust("CASE WHEN handled_at IS NULL THEN 1 ELSE 0 END");
        event::Entity::find()
            .select_only()
            .column(event::Column::Kind)
            .column_as(event::Column::Id.count(), "total")
            .column_as(unhandled.sum(), "unhandled")
            .group_by(event::Column::Kind)
            .order_by_asc(event::Column::Kind)
            .into_model()
            .all(&self.read)
            .await
            .during("counting events")
    }

    /// Per repository, when the oldest event came that still waits.
    pub async fn oldest_pending(&self) -> Result<HashMap<RepoId, DateTime<Utc>>> {
        let rows: Vec<(String, i64)> = event::Entity::find()
            .select_only()
            .column(event::Column::RepoId)
            .column_as(event::Column::ReceivedAt.min(), "oldest")
            .filter(event::Column::RepoId.in_subquery(followed()))
            .filter(event::Column::HandledAt.is_null())
            .filter(event::Column::Kind.is_in(CONSUMED.iter().copied()))
            .group_by(event::Column::RepoId)
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for events that wait")?;
        rows.into_iter().map(|(id, oldest)| Ok((repo_id(&id)?, time(oldest)))).collect()
    }

    /// Drops the bodies of deliveries that came before `before` and of which nothing waits; says how many. The rows
    /// stay, so that a repeat is still recognized.
    pub async fn forget_bodies(&self, before: DateTime<Utc>) -> Result<u64> {
        let mut dropped = 0;
        loop {
            // In bites, so that deliveries that come in do not wait for the lot.
            let old = delivery::Entity::update_many()
                .col_expr(delivery::Column::Body, Option::<Vec<u8>>::None.into())
                .filter(delivery::Column::Id.in_subquery(done_before(before)))
                .exec(&self.write)
                .await
                .during("dropping bodies of old deliveries")?
                .rows_affected;
            dropped += old;
            if old < BITE {
                return Ok(dropped);
            }
        }
    }

    /// Forgets deliveries that came before `before` and whose bodies are gone already, with their events; says how many. One
    /// that comes again after that counts as new.
    pub async fn forget_deliveries(&self, before: DateTime<Utc>) -> Result<u64> {
        const DOING: &str = "forgetting old deliveries";
        let mut forgotten = 0;
        loop {
            let tx = self.begin(DOING).await?;
            let old: Vec<i64> = delivery::Entity::find()
                .select_only()
                .column(delivery::Column::Id)
                .filter(delivery::Column::Body.is_null())
                .filter(delivery::Column::ReceivedAt.lt(before.timestamp_millis()))
                .limit(BITE)
                .into_tuple()
                .all(&tx)
                .await
                .during(DOING)?;
            let events = event::Entity::delete_many().filter(event::Column::DeliveryRow.is_in(old.iter().copied()));
            events.exec(&tx).await.during(DOING)?;
            let deliveries = delivery::Entity::delete_many().filter(delivery::Column::Id.is_in(old.iter().copied()));
            deliveries.exec(&tx).await.during(DOING)?;
            tx.commit().await.during(DOING)?;
            forgotten += old.len() as u64;
            if (old.len() as u64) < BITE {
                return Ok(forgotten);
            }
        }
    }
}

const BITE: u64 = 500;

fn done_before(before: DateTime<Utc>) -> SelectStatement {
    let waiting = Query::select()
        .column(event::Column::DeliveryRow)
        .from(event::Entity)
        .and_where(event::Column::RepoId.in_subquery(followed()))
        .and_where(event::Column::HandledAt.is_null())
        .and_where(event::Column::Kind.is_in(CONSUMED.iter().copied()))
        .take();
    Query::select()
        .column(delivery::Column::Id)
        .from(delivery::Entity)
        .and_where(delivery::Column::Body.is_not_null())
        .and_where(delivery::Column::ReceivedAt.lt(before.timestamp_millis()))
        .and_where(delivery::Column::Id.not_in_subquery(waiting))
        .limit(BITE)
        .take()
}

/// Repositories whose events a job answers.
fn followed() -> SelectStatement {
    Query::select()
        .column(repository::Column::Id)
        .from(repository::Entity)
        .and_where(repository::Column::Selected.eq(true))
        .and_where(repository::Column::State.eq(ACTIVE))
        .take()
}

/// The rows that were new, by forge and delivery id.
async fn insert_deliveries(
    tx: &DatabaseTransaction,
    deliveries: &[NewDelivery],
) -> Result<HashMap<(String, String), i64>> {
    use delivery::Column;
    const DOING: &str = "storing deliveries";

    let mut insert = Query::insert();
    insert.into_table(delivery::Entity).columns([
        Column::Forge,
        Column::DeliveryId,
        Column::Event,
        Column::ReceivedAt,
        Column::Body,
        Column::ConnectionId,
    ]);
    for delivery in deliveries {
        insert.values_panic([
            delivery.forge.as_str().into(),
            delivery.id.as_str().into(),
            delivery.event.as_str().into(),
            delivery.received_at.timestamp_millis().into(),
            delivery.body.0.to_vec().into(),
            delivery.connection.map(|connection| connection.0).into(),
        ]);
    }
    insert
        .on_conflict(OnConflict::columns([Column::Forge, Column::DeliveryId]).do_nothing().to_owned())
        .returning(Query::returning().columns([Column::Forge, Column::DeliveryId, Column::Id]));
    let rows = tx.query_all(&insert).await.during(DOING)?;
    rows.iter()
        .map(|row| {
            let (forge, delivery, id) = row.try_get_many_by_index()?;
            Ok(((forge, delivery), id))
        })
        .collect::<Result<_, sea_orm::DbErr>>()
        .during(DOING)
}

fn event_row(delivery: i64, received_at: i64, new: &NewEvent) -> event::ActiveModel {
    let NewEvent { repo, event: Event { repository: _, actor, at, change } } = new;
    let row = event::ActiveModel {
        delivery_row: Set(delivery),
        repo_id: Set(repo.as_ref().map(RepoId::to_string)),
        kind: Set(change.kind().to_owned()),
        subject: Set(subject(change)),
        r#ref: Set(None),
        old: Set(None),
        new: Set(None),
        forced: Set(false),
        actor: Set(actor.as_ref().map(|actor| actor.0.clone())),
        at: Set(at.map(|at| at.timestamp_millis())),
        received_at: Set(received_at),
        handled_at: Set(None),
        ..Default::default()
    };
    match change {
        Change::Push { name, old, new, forced } => event::ActiveModel {
            r#ref: Set(Some(name.to_string())),
            old: Set(old.as_ref().map(bytes)),
            new: Set(new.as_ref().map(bytes)),
            forced: Set(*forced),
            ..row
        },
        _ => row,
    }
}

fn subject(change: &Change) -> Option<String> {
    match change {
        Change::Push { .. } | Change::Refs | Change::Wiki => None,
        Change::Repository(action) | Change::Access(action) => Some(action.clone()),
        Change::Issue(number)
        | Change::PullRequest(number)
        | Change::WorkItem(number)
        | Change::Build(number)
        | Change::Discussion(number)
        | Change::Release(number) => Some(number.to_string()),
        Change::Settings(what) | Change::Account(what) => Some((*what).to_owned()),
    }
}

/// An event and its delivery's id; never the body.
#[derive(FromQueryResult)]
struct PendingRow {
    id: i64,
    delivery_id: String,
    r#ref: Option<String>,
    old: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
    forced: bool,
    actor: Option<String>,
    received_at: i64,
}

impl TryFrom<PendingRow> for PendingEvent {
    type Error = crate::domain::Error;

    fn try_from(row: PendingRow) -> Result<Self> {
        let name = row.r#ref.as_deref().map(str::parse).transpose();
        Ok(Self {
            id: row.id,
            delivery: DeliveryId::parse(&row.delivery_id).map_err(|error| unreadable("a delivery id", error))?,
            name: name.map_err(|error| unreadable("a reference name", error))?,
            old: object_id_or_none(row.old.as_deref())?,
            new: object_id_or_none(row.new.as_deref())?,
            forced: row.forced,
            actor: row.actor.map(Actor),
            received_at: time(row.received_at),
        })
    }
}
