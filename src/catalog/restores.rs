//! Restores that people ask for: how far each has come, and that of two who decide at the same moment one does.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Error, Person, RepoId, Result};

use super::Catalog;
use super::audit::{self, NewRecord};
use super::error::{During, unreadable};
use super::queue::{self, NewJob, Priority, job_kind};
use super::repositories::repo_id;
use super::tables::restore::{self, Column};
use super::values::{now, time};

/// How far a restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreState {
    /// It waits for the one who asked to confirm it.
    Planned,
    /// It waits for a second person.
    Confirmed,
    /// It waits for a worker.
    Approved,
    /// A worker carries it out.
    Running,
    /// It was carried out.
    Done,
    /// It was not carried out, or only in part.
    Failed,
    /// A reference had moved since the plan.
    Stale,
    /// A second person did not agree.
    Rejected,
    /// The one who asked wants it no more.
    Cancelled,
    /// Nobody went on with it in time.
    Expired,
}

use RestoreState::{Approved, Cancelled, Confirmed, Done, Expired, Failed, Planned, Rejected, Running, Stale};

/// From one state to the next.
#[derive(Clone, Debug)]
pub enum RestoreStep {
    /// The requester confirmed; a second person has so long.
    Confirm {
        /// The end of that.
        until: DateTime<Utc>,
    },
    /// The requester confirmed, and nobody else has to. A worker has so long to begin.
    Begin {
        /// The end of that.
        until: DateTime<Utc>,
    },
    /// A second person agreed. A worker has so long to begin.
    Approve {
        /// Who.
        by: Person,
        /// Where it was asked, and what they are there.
        origin: Value,
        /// The end of that.
        until: DateTime<Utc>,
    },
    /// A second person did not agree.
    Reject {
        /// Who.
        by: Person,
    },
    /// The requester wants it no more.
    Cancel,
    /// Its time is over.
    Expire,
    /// A worker is about to write. `progress`: what whoever goes on after it must know.
    Run {
        /// JSON.
        progress: Value,
    },
    /// It was carried out.
    Finish {
        /// What was done, JSON.
        receipt: Value,
    },
    /// The requester got what fetches their download, or another one.
    HandOut {
        /// Until when it does.
        until: DateTime<Utc>,
    },
    /// It was not carried out, or only in part.
    Fail {
        /// Why.
        error: String,
        /// What was done, JSON.
        receipt: Option<Value>,
    },
    /// A reference has moved since the plan.
    Outdate {
        /// Which, in words.
        error: String,
        /// What was done before that was seen, JSON.
        receipt: Option<Value>,
        /// The new plan; `None`: nothing is left to do.
        replacement: Option<Box<NewRestore>>,
    },
}

/// A restore to be kept.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns' words")]
pub struct NewRestore {
    pub repo: RepoId,
    pub requested_by: Person,
    pub origin: Value,
    pub wish: Value,
    pub plan: Value,
    pub plan_hash: String,
    pub needs_approval: bool,
    pub expires_at: DateTime<Utc>,
}

/// A restore as it stands.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns' words")]
pub struct StoredRestore {
    pub id: i64,
    pub repo: RepoId,
    pub requested_by: Person,
    pub origin: Value,
    pub wish: Value,
    pub plan: Value,
    pub plan_hash: String,
    pub needs_approval: bool,
    pub state: RestoreState,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub confirmed_at: Option<DateTime<Utc>>,
    pub decided_by: Option<Person>,
    pub decided_at: Option<DateTime<Utc>>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub progress: Option<Value>,
    pub receipt: Option<Value>,
    pub error: Option<String>,
    pub replaced_by: Option<i64>,
}

impl RestoreState {
    /// All of them.
    pub const ALL: [Self; 10] =
        [Planned, Confirmed, Approved, Running, Done, Failed, Stale, Rejected, Cancelled, Expired];

    /// Those that something can still come of.
    const OPEN: [Self; 4] = [Planned, Confirmed, Approved, Running];

    /// As the database and JSON have it.
    pub fn word(self) -> &'static str {
        match self {
            Planned => "planned",
            Confirmed => "confirmed",
            Approved => "approved",
            Running => "running",
            Done => "done",
            Failed => "failed",
            Stale => "stale",
            Rejected => "rejected",
            Cancelled => "cancelled",
            Expired => "expired",
        }
    }

    /// Nothing can come of it any more.
    pub fn is_final(self) -> bool {
        !Self::OPEN.contains(&self)
    }
}

impl RestoreStep {
    /// Where it leads.
    fn to(&self) -> RestoreState {
        match self {
            Self::Confirm { .. } => Confirmed,
            Self::Begin { .. } | Self::Approve { .. } => Approved,
            Self::Reject { .. } => Rejected,
            Self::Cancel => Cancelled,
            Self::Expire => Expired,
            Self::Run { .. } => Running,
            Self::Finish { .. } | Self::HandOut { .. } => Done,
            Self::Fail { .. } => Failed,
            Self::Outdate { .. } => Stale,
        }
    }

    /// Where it can be taken from.
    fn from(&self) -> &'static [RestoreState] {
        match self {
            Self::Confirm { .. } | Self::Begin { .. } => &[Planned],
            Self::Approve { .. } | Self::Reject { .. } => &[Confirmed],
            Self::Cancel | Self::Expire => &[Planned, Confirmed, Approved],
            Self::Run { .. } | Self::Finish { .. } | Self::Fail { .. } => &[Approved, Running],
            Self::HandOut { .. } => &[Planned, Done],
            Self::Outdate { .. } => &RestoreState::OPEN,
        }
    }

    /// Whether the restore's time must not be over, must be, or does not matter.
    fn in_time(&self) -> Option<bool> {
        match self {
            Self::Expire => Some(false),
            // One that was begun is brought to its end, however late.
            Self::Run { .. } | Self::Finish { .. } | Self::Fail { .. } | Self::Outdate { .. } => None,
            _ => Some(true),
        }
    }

    fn columns(&self, at: i64) -> Vec<(Column, Expr)> {
        let until = |until: &DateTime<Utc>| (Column::ExpiresAt, until.timestamp_millis().into());
        let ended = |receipt: &Option<Value>, error: &str| {
            vec![
                (Column::FinishedAt, at.into()),
                (Column::Receipt, Expr::value(receipt.clone())),
                (Column::Error, error.into()),
            ]
        };
        match self {
            Self::Confirm { until: end } | Self::Begin { until: end } => {
                vec![(Column::ConfirmedAt, at.into()), until(end)]
            }
            Self::HandOut { until: end } => {
                vec![(Column::ConfirmedAt, at.into()), (Column::FinishedAt, at.into()), until(end)]
            }
            Self::Approve { by, origin, until: end } => vec![
                (Column::DecidedBy, by.to_string().into()),
                (Column::DecidedAt, at.into()),
                (Column::Origin, Expr::value(origin.clone())),
                until(end),
            ],
            Self::Reject { by } => vec![
                (Column::DecidedBy, by.to_string().into()),
                (Column::DecidedAt, at.into()),
                (Column::FinishedAt, at.into()),
            ],
            Self::Cancel | Self::Expire => vec![(Column::FinishedAt, at.into())],
            Self::Run { progress } => {
                vec![
                    (Column::StartedAt, Func::coalesce([Column::StartedAt.into_expr(), at.into()]).into()),
                    (Column::Progress, Expr::value(progress.clone())),
                ]
            }
            Self::Finish { receipt } => {
                vec![(Column::FinishedAt, at.into()), (Column::Receipt, Expr::value(receipt.clone()))]
            }
            Self::Fail { error, receipt } | Self::Outdate { error, receipt, .. } => ended(receipt, error),
        }
    }
}

/// What a message that shows a restore is about.
pub fn restore_subject(id: i64) -> String {
    format!("restore:{id}")
}

impl Catalog {
    /// Keeps a restore that was planned, and that it was: the record's subject is filled in.
    pub async fn add_restore(&self, new: NewRestore, told: NewRecord) -> Result<i64> {
        const DOING: &str = "keeping a plan";
        let tx = self.begin(DOING).await?;
        let id = add(&tx, new, DOING).await?;
        audit::record(&tx, NewRecord { subject: Some(subject(id)), ..told }).await?;
        tx.commit().await.during(DOING)?;
        Ok(id)
    }

    /// Takes a restore from one state to the next, with the jobs that this asks for and the record of it; the record's
    /// subject is filled in. `false`: it was not in a state from which this step leads on, or its time was over.
    pub async fn step_restore(
        &self,
        id: i64,
        repo: &RepoId,
        step: RestoreStep,
        told: Option<NewRecord>,
    ) -> Result<bool> {
        const DOING: &str = "going on with a restore";
        let at = now();
        let tx = self.begin(DOING).await?;
        let mut update = restore::Entity::update_many()
            .col_expr(Column::State, step.to().word().into())
            .filter(Column::Id.eq(id))
            .filter(Column::State.is_in(step.from().iter().map(|state| state.word())));
        for (column, value) in step.columns(at) {
            update = update.col_expr(column, value);
        }
        update = match step.in_time() {
            Some(true) => update.filter(Column::ExpiresAt.gt(at)),
            Some(false) => update.filter(Column::ExpiresAt.lte(at)),
            None => update,
        };
        let Some(taken) = update.exec_with_returning(&tx).await.during(DOING)?.into_iter().next() else {
            return Ok(false);
        };
        let mut jobs = Vec::from_iter(show(&taken));
        match step {
            RestoreStep::Begin { .. } | RestoreStep::Approve { .. } => jobs.push(look_at(repo, Duration::ZERO)),
            RestoreStep::Confirm { until } => jobs.push(look_at(repo, from_now(until))),
            RestoreStep::Outdate { replacement: Some(new), .. } => {
                let new = add(&tx, *new, DOING).await?;
                let replaced = restore::Entity::update_many().col_expr(Column::ReplacedBy, new.into());
                replaced.filter(Column::Id.eq(id)).exec(&tx).await.during(DOING)?;
            }
            _ => {}
        }
        queue::enqueue(&tx, jobs).await?;
        if let Some(told) = told {
            audit::record(&tx, NewRecord { subject: Some(subject(id)), ..told }).await?;
        }
        tx.commit().await.during(DOING)?;
        self.ring();
        Ok(true)
    }

    /// How far a running restore is.
    pub async fn restore_progress(&self, id: i64, progress: Value) -> Result<()> {
        const DOING: &str = "keeping how far a restore is";
        let tx = self.begin(DOING).await?;
        let running = restore::Entity::update_many()
            .col_expr(Column::Progress, Expr::value(progress))
            .filter(Column::Id.eq(id))
            .filter(Column::State.eq(Running.word()))
            .exec_with_returning(&tx)
            .await
            .during(DOING)?;
        queue::enqueue(&tx, running.iter().filter_map(show).collect()).await?;
        tx.commit().await.during(DOING)?;
        self.ring();
        Ok(())
    }

    /// Looks after a repository's restores again at this moment: something will be over then.
    pub async fn look_at_restores(&self, repo: &RepoId, at: DateTime<Utc>) -> Result<()> {
        const DOING: &str = "queueing jobs";
        let tx = self.begin(DOING).await?;
        queue::enqueue(&tx, vec![look_at(repo, from_now(at))]).await?;
        tx.commit().await.during(DOING)
    }

    /// A restore by its number.
    pub async fn restore(&self, id: i64) -> Result<StoredRestore> {
        let row = restore::Entity::find_by_id(id).one(&self.read).await.during("reading a restore")?;
        let row = row.ok_or_else(|| {
            Error::not_found(format!("there is no restore {id}")).hint("`refward restores list` shows them")
        })?;
        row.try_into()
    }

    /// The newest restores, of one repository or of all, the newest first.
    pub async fn restores(&self, repo: Option<&RepoId>, limit: u64) -> Result<Vec<StoredRestore>> {
        let mut rows = restore::Entity::find().order_by_desc(Column::Id).limit(limit);
        if let Some(repo) = repo {
            rows = rows.filter(Column::RepoId.eq(repo.as_str()));
        }
        let rows = rows.all(&self.read).await.during("listing the restores")?;
        rows.into_iter().map(StoredRestore::try_from).collect()
    }

    /// The restores of a repository of which something can still come, the oldest first.
    pub async fn open_restores(&self, repo: &RepoId) -> Result<Vec<StoredRestore>> {
        let rows = restore::Entity::find()
            .filter(Column::RepoId.eq(repo.as_str()))
            .filter(Column::State.is_in(RestoreState::OPEN.map(RestoreState::word)))
            .order_by_asc(Column::Id)
            .all(&self.read)
            .await;
        rows.during("listing the restores")?.into_iter().map(StoredRestore::try_from).collect()
    }
}

async fn add(tx: &DatabaseTransaction, new: NewRestore, doing: &str) -> Result<i64> {
    let (repo, expires_at) = (new.repo.clone(), new.expires_at);
    let row = restore::ActiveModel {
        repo_id: Set(new.repo.to_string()),
        requested_by: Set(new.requested_by.to_string()),
        origin: Set(new.origin),
        wish: Set(new.wish),
        plan: Set(new.plan),
        plan_hash: Set(new.plan_hash),
        needs_approval: Set(new.needs_approval),
        state: Set(Planned.word().to_owned()),
        created_at: Set(now()),
        expires_at: Set(expires_at.timestamp_millis()),
        ..Default::default()
    };
    let id = row.insert(tx).await.during(doing)?.id;
    queue::enqueue(tx, vec![look_at(&repo, from_now(expires_at))]).await?;
    Ok(id)
}

/// As the record calls it.
fn subject(id: i64) -> String {
    format!("restore {id}")
}

/// `None`: it was asked for in no channel, so that nothing stands anywhere.
fn show(row: &restore::Model) -> Option<NewJob> {
    let (kind, subject) = (job_kind::SHOW, restore_subject(row.id));
    let job = NewJob { kind, subject, priority: Priority::Manual, delay: Duration::ZERO };
    row.origin["channel"].is_string().then_some(job)
}

fn look_at(repo: &RepoId, delay: Duration) -> NewJob {
    NewJob { kind: job_kind::RESTORE, subject: repo.to_string(), priority: Priority::Manual, delay }
}

fn from_now(at: DateTime<Utc>) -> Duration {
    (at - Utc::now()).to_std().unwrap_or_default()
}

impl TryFrom<restore::Model> for StoredRestore {
    type Error = Error;

    fn try_from(row: restore::Model) -> Result<Self> {
        let state = RestoreState::ALL.into_iter().find(|state| state.word() == row.state);
        let person = |text: &str| text.parse().map_err(|error| unreadable("a person", error));
        Ok(Self {
            id: row.id,
            repo: repo_id(&row.repo_id)?,
            requested_by: person(&row.requested_by)?,
            origin: row.origin,
            wish: row.wish,
            plan: row.plan,
            plan_hash: row.plan_hash,
            needs_approval: row.needs_approval,
            state: state.ok_or_else(|| unreadable("how far a restore has come", &row.state))?,
            created_at: time(row.created_at),
            expires_at: time(row.expires_at),
            confirmed_at: row.confirmed_at.map(time),
            decided_by: row.decided_by.as_deref().map(person).transpose()?,
            decided_at: row.decided_at.map(time),
            started_at: row.started_at.map(time),
            finished_at: row.finished_at.map(time),
            progress: row.progress,
            receipt: row.receipt,
            error: row.error,
            replaced_by: row.replaced_by,
        })
    }
}
