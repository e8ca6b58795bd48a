//! Alarms: what stands is told once, and once more when it is over.
//!
//! Some alarms are about something that happened (a force-push): each is a notice of its own. Others are about something
//! that is so (an App is suspended): those have a row here as long as it is so, by their subject.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, TryInsertResult};

use crate::domain::{ConnectionId, RepoId, Result, Severity};

use super::error::During;
use super::notices::{NewNotice, Subscriber, tell};
use super::repositories::repo_id;
use super::tables::{alarm, hold, notice, repository, snapshot};
use super::values::{now, time};
use super::{Catalog, insert_all};

/// What holds that we place say of who placed them, and of why they exist.
const OURS: &str = "refward";
const BY_ALARM: &str = "alarm";

/// Something to be alarmed about.
#[derive(Clone, Debug)]
pub struct NewAlarm {
    /// What is told; its subject says which alarm it is.
    pub notice: NewNotice,
    /// Nothing of these goes until somebody lifts the hold, or it is over.
    pub hold: Vec<RepoId>,
    /// What the hold says. One repository has one hold of ours for each reason.
    pub reason: String,
}

/// An alarm that stands.
#[derive(Clone, Debug, PartialEq)]
pub struct StandingAlarm {
    /// `repo:ID:lag`, `app:2:acme`, `vault:space`.
    pub subject: String,
    /// The notice's kind.
    pub kind: String,
    /// Since when.
    pub raised_at: DateTime<Utc>,
    /// The notice that told of it, unless that was forgotten.
    pub text: Option<String>,
    /// The notice's command.
    pub command: Option<String>,
}

impl Catalog {
    /// Raises an alarm, unless it stands already.
    pub async fn raise(&self, alarm: NewAlarm) -> Result<()> {
        const DOING: &str = "raising an alarm";
        let tx = self.begin(DOING).await?;
        raise(&tx, &self.subscribers, alarm).await?;
        tx.commit().await.during(DOING)
    }

    /// Says that an alarm is over, and lifts the holds that it placed. Whoever was told of it is told. `false`: it did not
    /// stand, and nothing was said.
    pub async fn end_alarm(&self, over: NewNotice) -> Result<bool> {
        const DOING: &str = "ending an alarm";
        let subject = over.subject.clone().unwrap_or_default();
        let standing = alarm::Entity::find_by_id(&subject).one(&self.read).await.during(DOING)?;
        if standing.is_none() {
            return Ok(false);
        }
        let tx = self.begin(DOING).await?;
        let ended = resolve(&tx, &self.subscribers, over).await?;
        tx.commit().await.during(DOING)?;
        Ok(ended)
    }

    /// Makes the alarms of one kind be exactly these: raises what is new and ends what is over, all or nothing.
    pub async fn settle(&self, kind: &'static str, now: Vec<NewAlarm>) -> Result<()> {
        const DOING: &str = "following the alarms";
        let standing: Vec<StandingAlarm> =
            self.alarms().await?.into_iter().filter(|alarm| alarm.kind == kind).collect();
        let subjects: HashSet<&str> = now.iter().filter_map(|alarm| alarm.notice.subject.as_deref()).collect();
        let known: HashSet<&str> = standing.iter().map(|alarm| alarm.subject.as_str()).collect();
        let past: Vec<_> = standing.iter().filter(|alarm| !subjects.contains(alarm.subject.as_str())).collect();
        let new: Vec<_> = (now.iter())
            .filter(|alarm| alarm.notice.subject.as_deref().is_some_and(|subject| !known.contains(subject)))
            .collect();
        if past.is_empty() && new.is_empty() {
            return Ok(());
        }
        let tx = self.begin(DOING).await?;
        for alarm in past {
            let text = format!("Over: {}", alarm.text.as_ref().unwrap_or(&alarm.subject));
            let told = NewNotice { kind: RESOLVED, text, subject: Some(alarm.subject.clone()), ..NewNotice::default() };
            resolve(&tx, &self.subscribers, told).await?;
        }
        for alarm in new {
            raise(&tx, &self.subscribers, alarm.clone()).await?;
        }
        tx.commit().await.during(DOING)
    }

    /// Every alarm that stands, the oldest first.
    pub async fn alarms(&self) -> Result<Vec<StandingAlarm>> {
        const DOING: &str = "reading the alarms";
        let rows = alarm::Entity::find().order_by_asc(alarm::Column::RaisedAt).all(&self.read).await.during(DOING)?;
        let told = Query::select().column(alarm::Column::NoticeId).from(alarm::Entity).take();
        let notices = notice::Entity::find().filter(notice::Column::Id.in_subquery(told)).all(&self.read).await;
        let mut notices: HashMap<i64, notice::Model> =
            notices.during(DOING)?.into_iter().map(|notice| (notice.id, notice)).collect();
        let standing = rows.into_iter().map(|row| {
            let (text, command) = match notices.remove(&row.notice_id) {
                Some(notice) => (Some(notice.text), notice.command),
                None => (None, None),
            };
            let (subject, kind, raised_at) = (row.subject, row.kind, time(row.raised_at));
            StandingAlarm { subject, kind, raised_at, text, command }
        });
        Ok(standing.collect())
    }

    /// The repositories of a connection that have a snapshot.
    pub async fn backed_up_through(&self, connection: ConnectionId) -> Result<Vec<RepoId>> {
        let ids: Vec<String> = repository::Entity::find()
            .select_only()
            .column(repository::Column::Id)
            .filter(repository::Column::ConnectionId.eq(connection.0))
            .filter(repository::Column::LastSeq.gt(0))
            .into_tuple()
            .all(&self.read)
            .await
            .during("listing the repositories of a connection")?;
        ids.iter().map(|id| repo_id(id)).collect()
    }

    /// When the oldest recovery point of each of these was taken.
    pub async fn oldest_points(&self, of: &[RepoId]) -> Result<HashMap<RepoId, DateTime<Utc>>> {
        let mut oldest = HashMap::with_capacity(of.len());
        for chunk in of.chunks(1000) {
            let rows: Vec<(String, i64)> = snapshot::Entity::find()
                .select_only()
                .column(snapshot::Column::RepoId)
                .column_as(snapshot::Column::Time.min(), "oldest")
                .filter(snapshot::Column::RepoId.is_in(chunk.iter().map(RepoId::as_str)))
                .group_by(snapshot::Column::RepoId)
                .into_tuple()
                .all(&self.read)
                .await
                .during("looking for the oldest recovery points")?;
            for (repo, at) in rows {
                oldest.insert(repo_id(&repo)?, time(at));
            }
        }
        Ok(oldest)
    }

    /// How many repositories failed last with an error that names `what`, e.g. the store's address; and one of the errors.
    pub async fn failing_with(&self, what: &str) -> Result<Option<(usize, String)>> {
        let errors: Vec<Option<String>> = repository::Entity::find()
            .select_only()
            .column(repository::Column::LastError)
            .filter(repository::Column::Selected.eq(true))
            .filter(repository::Column::LastError.contains(what))
            .order_by_desc(repository::Column::LastErrorAt)
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for backups that failed")?;
        let count = errors.len();
        Ok(errors.into_iter().flatten().next().map(|error| (count, error)))
    }
}

/// The kind of the notices that say that something is over.
pub const RESOLVED: &str = "resolved";

async fn raise(db: &impl ConnectionTrait, subscribers: &[Subscriber], new: NewAlarm) -> Result<()> {
    const DOING: &str = "raising an alarm";
    let subject = new.notice.subject.clone().unwrap_or_default();
    let row = alarm::ActiveModel {
        subject: Set(subject.clone()),
        kind: Set(new.notice.kind.to_owned()),
        raised_at: Set(now()),
        notice_id: Set(0),
    };
    let insert = alarm::Entity::insert(row).on_conflict_do_nothing();
    if !matches!(insert.exec_without_returning(db).await.during(DOING)?, TryInsertResult::Inserted(1..)) {
        return Ok(());
    }
    let notice = announce(db, subscribers, new).await?;
    alarm::Entity::update_many()
        .col_expr(alarm::Column::NoticeId, notice.into())
        .filter(alarm::Column::Subject.eq(subject))
        .exec(db)
        .await
        .during(DOING)?;
    Ok(())
}

/// Tells an alarm and places its holds; for what happened, which neither stands nor ends.
pub(super) async fn announce(db: &impl ConnectionTrait, subscribers: &[Subscriber], new: NewAlarm) -> Result<i64> {
    place_holds(db, &new.hold, &new.reason).await?;
    let severity = new.notice.severity;
    tell(db, subscribers, new.notice, severity).await
}

async fn resolve(db: &impl ConnectionTrait, subscribers: &[Subscriber], over: NewNotice) -> Result<bool> {
    const DOING: &str = "ending an alarm";
    let subject = over.subject.clone().unwrap_or_default();
    let ended = alarm::Entity::delete_many().filter(alarm::Column::Subject.eq(subject)).exec_with_returning(db).await;
    let Some(ended) = ended.during(DOING)?.into_iter().next() else { return Ok(false) };
    let (mut over, mut loudness) = (over, Severity::Alarm);
    if let Some(told) = notice::Entity::find_by_id(ended.notice_id).one(db).await.during(DOING)? {
        lift_holds(db, &told.text).await?;
        loudness = Severity::from_word(&told.severity).unwrap_or(loudness);
        over.connection = told.connection_id.map(ConnectionId);
        over.repo = told.repo_id.as_deref().map(repo_id).transpose()?;
    }
    // Whoever heard of the alarm hears that it is over.
    tell(db, subscribers, over, loudness).await?;
    Ok(true)
}

async fn place_holds(db: &impl ConnectionTrait, repos: &[RepoId], reason: &str) -> Result<()> {
    const DOING: &str = "holding repositories";
    if repos.is_empty() {
        return Ok(());
    }
    let held: Vec<String> = hold::Entity::find()
        .select_only()
        .column(hold::Column::RepoId)
        .filter(standing(reason))
        .into_tuple()
        .all(db)
        .await
        .during(DOING)?;
    let held: HashSet<&str> = held.iter().map(String::as_str).collect();
    let free: Vec<&RepoId> = repos.iter().filter(|repo| !held.contains(repo.as_str())).collect();
    let rows = free.into_iter().map(|repo| hold::ActiveModel {
        repo_id: Set(repo.to_string()),
        kind: Set(BY_ALARM.to_owned()),
        reason: Set(reason.to_owned()),
        actor: Set(OURS.to_owned()),
        created_at: Set(now()),
        ..Default::default()
    });
    insert_all(db, rows.collect::<Vec<_>>(), 8).await.during(DOING)
}

async fn lift_holds(db: &impl ConnectionTrait, reason: &str) -> Result<()> {
    let lifted = hold::Entity::update_many()
        .col_expr(hold::Column::LiftedAt, now().into())
        .col_expr(hold::Column::LiftedBy, OURS.into())
        .filter(standing(reason))
        .exec(db);
    lifted.await.map(drop).during("lifting holds")
}

fn standing(reason: &str) -> sea_orm::Condition {
    sea_orm::Condition::all()
        .add(hold::Column::Kind.eq(BY_ALARM))
        .add(hold::Column::Actor.eq(OURS))
        .add(hold::Column::Reason.eq(reason))
        .add(hold::Column::LiftedAt.is_null())
}
