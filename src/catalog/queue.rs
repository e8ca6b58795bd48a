//! The durable job queue.
//!
//! A job is a kind and a subject. At most one per kind and subject is ready and at most one is running (unique indexes
//! see to it), so ten wishes while one runs are one more run. A worker holds a job by a lease that it renews; when it
//! falls silent the job is given to another, and the fence counts up: whatever the first one still says is refused.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    Statement, Value,
};
use tokio::sync::watch;

use crate::domain::Result;

use super::Catalog;
use super::error::{During, is_duplicate};
use super::tables::job::{self, Column};
use super::values::{now, time};

/// The kinds of jobs that other modules agree on.
pub mod job_kind {
    /// Brings the vault up to the forge for one repository; the subject is its id.
    pub const SYNC_REPO: &str = "sync_repo";
    /// Reads a connection's list of repositories again; the subject is its number.
    pub const DISCOVER: &str = "discover";
    /// Looks where an App is installed; the subject is its number.
    pub const FOLLOW_APP: &str = "follow_app";
    /// Fetches what an App's webhook could not deliver; the subject is its number.
    pub const CATCH_UP: &str = "catch_up";
    /// Sets up what hooks a connection should have on the forge, and looks after them; the subject is its number.
    pub const KEEP_HOOKS: &str = "keep_hooks";
    /// Marks the recovery points of a repository that no rule keeps; the subject is its id.
    pub const RETAIN: &str = "retain";
    /// Joins the objects of a repository into fewer; the subject is its id.
    pub const COMPACT: &str = "compact";
    /// Deletes what is condemned and past its grace; the subject is [`ALL_OF_IT`].
    pub const PRUNE: &str = "prune";
    /// Restores a repository in scratch and compares; the subject is its id.
    pub const DRILL: &str = "drill";
    /// Reads a share of the vault to see that it can be read; the subject is [`ALL_OF_IT`].
    pub const READ_SHARE: &str = "read_share";
    /// Looks for what people must be told; the subject is [`ALL_OF_IT`].
    pub const WATCH: &str = "watch";
    /// Hands waiting notices to a receiver; the subject is its name.
    pub const DELIVER: &str = "deliver";
    /// Answers what was asked from a chat; the subject is the interaction's id.
    pub const ANSWER: &str = "answer";
    /// Brings a message of ours in a chat up to date; the subject is what it is about.
    pub const SHOW: &str = "show";
    /// Tells a chat's channels what went well; the subject is the chat.
    pub const DIGEST: &str = "digest";
    /// Reads all objects of a repository for somebody who asked; the subject is its id.
    pub const VERIFY: &str = "verify";
    /// Carries out the restores of a repository that were approved; the subject is its id.
    pub const RESTORE: &str = "restore";

    /// What somebody in a chat waits for: these run in [`CHAT_POOL`](super::CHAT_POOL), so that no backup is in their way.
    pub const OF_CHAT: &[&str] = &[ANSWER, SHOW];

    /// The subject of jobs that are about the installation as a whole.
    pub const ALL_OF_IT: &str = "all";

    /// All of them.
    pub const ALL: &[&str] = &[
        SYNC_REPO, DISCOVER, FOLLOW_APP, CATCH_UP, KEEP_HOOKS, RETAIN, COMPACT, PRUNE, DRILL, READ_SHARE, WATCH,
        DELIVER, ANSWER, SHOW, DIGEST, VERIFY, RESTORE,
    ];
}

/// Of workers that no setting puts into another one.
pub const DEFAULT_POOL: &str = "default";

/// Of the workers that answer people; every process that takes what they ask has some.
pub const CHAT_POOL: &str = "chat";

const READY: &str = "ready";
const RUNNING: &str = "running";

/// What goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody waits for it. Does not wait for a retry's time either.
    Manual = 0,
    /// A forge told us.
    Event = 1,
    /// Looking whether anything was missed.
    Sweep = 2,
}

impl Priority {
    fn of(column: i32) -> Self {
        match column {
            0 => Self::Manual,
            1 => Self::Event,
            _ => Self::Sweep,
        }
    }
}

/// Work to be queued.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewJob {
    /// What to do.
    pub kind: &'static str,
    /// To what.
    pub subject: String,
    /// What goes first.
    pub priority: Priority,
    /// Not before this has passed: what is asked for meanwhile is done with it.
    pub delay: Duration,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for a worker, or for its time.
    Ready,
    /// A worker holds it.
    Running,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What to do.
    pub kind: String,
    /// To what.
    pub subject: String,
    /// Where it is.
    pub state: JobState,
    /// How often it was started since it last succeeded.
    pub attempts: u32,
    /// Not before.
    pub run_at: DateTime<Utc>,
    /// Who runs it.
    pub holder: Option<String>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was first asked for.
    pub created_at: DateTime<Utc>,
}

/// A worker's hold on a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What to do.
    pub kind: String,
    /// To what.
    pub subject: String,
    /// How often it was started since it last succeeded, this time included.
    pub attempts: u32,
    /// Why it was asked for, the most urgent reason if there are several.
    pub priority: Priority,
    job: i64,
    holder: String,
    fence: i64,
}

impl Catalog {
    /// Queues one job; see [`Self::enqueue_all`].
    pub async fn enqueue(&self, kind: &'static str, subject: &str, priority: Priority) -> Result<()> {
        self.enqueue_all(kind, &[subject.to_owned()], priority).await
    }

    /// Queues a job for each subject. One that is ready already is not queued again.
    pub async fn enqueue_all(&self, kind: &'static str, subjects: &[String], priority: Priority) -> Result<()> {
        const DOING: &str = "queueing jobs";
        if subjects.is_empty() {
            return Ok(());
        }
        let jobs =
            subjects.iter().map(|subject| NewJob { kind, subject: subject.clone(), priority, delay: Duration::ZERO });
        let jobs = jobs.collect();
        let tx = self.begin(DOING).await?;
        enqueue(&tx, jobs).await?;
        tx.commit().await.during(DOING)?;
        self.ring();
        Ok(())
    }

    /// Changes whenever this process queues jobs; other processes' jobs have to be looked for.
    pub fn new_jobs(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    pub(super) fn ring(&self) {
        self.bell.send_replace(());
    }

    /// Takes the next job that is due, for `lease`, of those that these pools of workers may run. A repository's policy says
    /// which pool its jobs belong to; what somebody in a chat waits for belongs to [`CHAT_POOL`], everything else to
    /// [`DEFAULT_POOL`].
    pub async fn claim(&self, holder: &str, lease: Duration, pools: &[String]) -> Result<Option<Lease>> {
        let places: Vec<String> = (0..pools.len()).map(|number| format!("${}", number + 4)).collect();
        let only = format!(
            "AND CASE WHEN kind IN ('{}') THEN '{CHAT_POOL}'
                 ELSE COALESCE((SELECT pool FROM repository WHERE repository.id = job.subject), '{DEFAULT_POOL}') END IN ({})",
            job_kind::OF_CHAT.join("', '"),
            places.join(", ")
        );
        claim(&self.write, &only, pools.iter().map(Into::into).collect(), holder, lease).await
    }

    /// Asks for a job for somebody who waits, and takes it at once unless another has it: one transaction, because each costs
    /// a sync of the disk.
    pub async fn enqueue_and_claim(
        &self,
        kind: &'static str,
        subject: &str,
        holder: &str,
        lease: Duration,
    ) -> Result<Option<Lease>> {
        const DOING: &str = "claiming a job";
        let (priority, delay) = (Priority::Manual, Duration::ZERO);
        let tx = self.begin(DOING).await?;
        enqueue(&tx, vec![NewJob { kind, subject: subject.to_owned(), priority, delay }]).await?;
        let this = vec![kind.into(), subject.into()];
        let claimed = claim(&tx, "AND kind = $4 AND subject = $5", this, holder, lease).await?;
        tx.commit().await.during(DOING)?;
        if claimed.is_none() {
            self.ring();
        }
        Ok(claimed)
    }

    /// Keeps the job for another `length` from now. Like all that follow: `false` when the job was given to another worker
    /// meanwhile, and nothing was done. A lease
    /// that has run out cannot be renewed.
    pub async fn renew(&self, lease: &Lease, length: Duration) -> Result<bool> {
        renew(&self.write, lease, length).await
    }

    /// The job is done.
    pub async fn finish(&self, lease: &Lease) -> Result<bool> {
        finish(&self.write, lease).await
    }

    /// The attempt failed; try again at `run_at`. Merged into a younger wish for the same, if there is one.
    pub async fn retry(&self, lease: &Lease, run_at: DateTime<Utc>, error: &str) -> Result<bool> {
        self.give_back(lease, run_at.timestamp_millis(), Some(error)).await
    }

    /// The attempt was broken off by us; somebody should go on at once.
    pub async fn release(&self, lease: &Lease) -> Result<bool> {
        self.give_back(lease, now(), None).await
    }

    async fn give_back(&self, lease: &Lease, run_at: i64, error: Option<&str>) -> Result<bool> {
        const DOING: &str = "giving a job back";
        let tx = self.begin(DOING).await?;
        let held = job::Entity::delete_many().filter(held_by(lease)).exec_with_returning(&tx).await.during(DOING)?;
        let Some(held) = held.into_iter().next() else {
            return Ok(false);
        };
        let back = job::Model {
            state: READY.to_owned(),
            run_at,
            // An attempt that we broke off ourselves does not count.
            attempts: held.attempts - i32::from(error.is_none()),
            last_error: error.map(str::to_owned).or(held.last_error),
            holder: None,
            lease_until: None,
            ..held
        };
        put_back(&tx, back).await.during(DOING)?;
        tx.commit().await.during(DOING)?;
        Ok(true)
    }

    /// The job of that kind and subject; the one that runs, if another waits behind it.
    pub async fn job(&self, kind: &str, subject: &str) -> Result<Option<Job>> {
        let row = job::Entity::find()
            .filter(Column::Kind.eq(kind))
            .filter(Column::Subject.eq(subject))
            .order_by_desc(Column::State)
            .one(&self.read)
            .await
            .during("looking up a job")?;
        Ok(row.map(Job::from))
    }

    /// Every job there is, in the order in which they would run.
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        let rows = job::Entity::find()
            .order_by_asc(Column::Priority)
            .order_by_asc(Column::RunAt)
            .order_by_asc(Column::Id)
            .all(&self.read)
            .await
            .during("listing the jobs")?;
        Ok(rows.into_iter().map(Job::from).collect())
    }
}

/// Takes a job that meets `only`, a condition over `wanted`, which are bound from $4 on.
async fn claim(
    db: &impl ConnectionTrait,
    only: &str,
    wanted: Vec<Value>,
    holder: &str,
    lease: Duration,
) -> Result<Option<Lease>> {
    let database = db.get_database_backend();
    let lock = if database == DbBackend::Postgres { "FOR UPDATE SKIP LOCKED" } else { "" };
    // One statement, so that it is atomic on both databases. An abandoned job goes first: until it has run, no other
    // with its subject can.
    let sql = format!(
        "UPDATE job SET state = 'running', holder = $1, lease_until = $2, attempts = attempts + 1, fence = fence + 1
         WHERE id = COALESCE(
             (SELECT id FROM job WHERE state = 'running' AND lease_until <= $3 {only}
              ORDER BY lease_until LIMIT 1 {lock}),
             (SELECT id FROM job WHERE state = 'ready' AND run_at <= $3 {only}
                  AND NOT EXISTS (SELECT 1 FROM job AS other WHERE other.state = 'running'
                                  AND other.kind = job.kind AND other.subject = job.subject)
              ORDER BY priority, run_at, id LIMIT 1 {lock}))
         RETURNING *"
    );
    let now = now();
    let values = [holder.into(), until(now, lease).into(), now.into()].into_iter().chain(wanted);
    match db.query_one_raw(Statement::from_sql_and_values(database, sql, values)).await {
        Ok(row) => row.map(|row| job::Model::from_query_result(&row, "").map(Lease::from)).transpose(),
        // PostgreSQL only: the subject began to run between our look and our write.
        Err(error) if is_duplicate(&error) => Ok(None),
        Err(error) => Err(error),
    }
    .during("claiming a job")
}

/// The job is done, within the caller's transaction.
pub(super) async fn finish(db: &impl ConnectionTrait, lease: &Lease) -> Result<bool> {
    let finished = job::Entity::delete_many().filter(held_by(lease)).exec(db).await;
    Ok(finished.during("finishing a job")?.rows_affected == 1)
}

/// Calls jobs off that nobody has begun, within the caller's transaction.
pub(super) async fn call_off(db: &impl ConnectionTrait, kind: &str, subjects: &[&str]) -> Result<()> {
    for chunk in subjects.chunks(1000) {
        let these = Column::Subject.is_in(chunk.iter().copied());
        let waiting = job::Entity::delete_many().filter(Column::Kind.eq(kind)).filter(Column::State.eq(READY));
        waiting.filter(these).exec(db).await.during("calling jobs off")?;
    }
    Ok(())
}

/// Keeps a job for another `length` within the caller's transaction.
pub(super) async fn renew(db: &impl ConnectionTrait, lease: &Lease, length: Duration) -> Result<bool> {
    let now = now();
    let renewed = job::Entity::update_many()
        .col_expr(Column::LeaseUntil, until(now, length).into())
        .filter(held_by(lease))
        .filter(Column::LeaseUntil.gt(now))
        .exec(db)
        .await
        .during("renewing the lease of a job")?;
    Ok(renewed.rows_affected == 1)
}

/// Queues jobs within the caller's transaction.
pub(super) async fn enqueue(db: &impl ConnectionTrait, mut jobs: Vec<NewJob>) -> Result<()> {
    // The most urgent wish for each stays. The order keeps two transactions from waiting for each other.
    jobs.sort_unstable();
    jobs.dedup_by(|later, first| (later.kind, &later.subject) == (first.kind, &first.subject));
    let now = now();
    for chunk in jobs.chunks(1000) {
        let rows = chunk
            .iter()
            .map(|job| (job.kind.to_owned(), job.subject.clone(), job.priority as i32, until(now, job.delay), 0, None));
        insert_ready(db, rows).await.during("queueing jobs")?;
    }
    Ok(())
}

async fn put_back(db: &impl ConnectionTrait, back: job::Model) -> Result<(), DbErr> {
    let job::Model { kind, subject, priority, run_at, attempts, last_error, .. } = back;
    insert_ready(db, [(kind, subject, priority, run_at, attempts, last_error)]).await
}

type ReadyRow = (String, String, i32, i64, i32, Option<String>);

async fn insert_ready(db: &impl ConnectionTrait, rows: impl IntoIterator<Item = ReadyRow>) -> Result<(), DbErr> {
    let mut insert = Query::insert();
    insert.into_table(job::Entity).columns([
        Column::Kind,
        Column::Subject,
        Column::State,
        Column::Priority,
        Column::RunAt,
        Column::Attempts,
        Column::LastError,
        Column::CreatedAt,
    ]);
    let created_at = now();
    for (kind, subject, priority, run_at, attempts, last_error) in rows {
        insert.values_panic([
            kind.into(),
            subject.into(),
            READY.into(),
            priority.into(),
            run_at.into(),
            attempts.into(),
            last_error.into(),
            created_at.into(),
        ]);
    }
    insert.on_conflict(merge_into_ready());
    db.execute(&insert).await.map(drop)
}

/// Two wishes for the same become one, with the more urgent priority. A retry keeps its time, because being asked again
/// is no reason to hammer on a forge that is down, unless somebody waits for it; otherwise the earlier time counts.
///
/// The row is written, and so locked, even if nothing changes: on PostgreSQL a worker must not claim it before the
/// events that came with the wish are visible.
fn merge_into_ready() -> OnConflict {
    const RUN_AT: &str = "CASE
        WHEN excluded.attempts > 0 AND (job.attempts > 0 OR job.priority > 0) THEN excluded.run_at
        WHEN job.attempts > 0 AND excluded.priority > 0 THEN job.run_at
        WHEN excluded.run_at < job.run_at THEN excluded.run_at ELSE job.run_at END";
    const PRIORITY: &str = "CASE WHEN excluded.priority < job.priority THEN excluded.priority ELSE job.priority END";
    const ATTEMPTS: &str = "CASE WHEN excluded.attempts > job.attempts THEN excluded.attempts ELSE job.attempts END";
    OnConflict::columns([Column::Kind, Column::Subject])
        // A literal: as a bound value SQLite does not recognize the index's condition.
        .target_and_where(Expr::cust("state = 'ready'"))
        .value(Column::RunAt, Expr::cust(RUN_AT))
        .value(Column::Priority, Expr::cust(PRIORITY))
        .value(Column::Attempts, Expr::cust(ATTEMPTS))
        .value(Column::LastError, Expr::cust("COALESCE(excluded.last_error, job.last_error)"))
        .to_owned()
}

fn held_by(lease: &Lease) -> Condition {
    Condition::all()
        .add(Column::Id.eq(lease.job))
        .add(Column::State.eq(RUNNING))
        .add(Column::Holder.eq(&lease.holder))
        .add(Column::Fence.eq(lease.fence))
}

fn until(now: i64, lease: Duration) -> i64 {
    now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
}

impl From<job::Model> for Lease {
    fn from(row: job::Model) -> Self {
        Self {
            kind: row.kind,
            subject: row.subject,
            attempts: attempts(row.attempts),
            priority: Priority::of(row.priority),
            job: row.id,
            holder: row.holder.unwrap_or_default(),
            fence: row.fence,
        }
    }
}

fn attempts(column: i32) -> u32 {
    u32::try_from(column).unwrap_or(0)
}

impl From<job::Model> for Job {
    fn from(row: job::Model) -> Self {
        Self {
            kind: row.kind,
            subject: row.subject,
            state: match row.state.as_str() {
                RUNNING => JobState::Running,
                _ => JobState::Ready,
            },
            attempts: attempts(row.attempts),
            run_at: time(row.run_at),
            holder: row.holder,
            last_error: row.last_error,
            created_at: time(row.created_at),
        }
    }
}
