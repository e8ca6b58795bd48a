//! The catalog: what makes Refward quick, in SQLite or PostgreSQL.
//!
//! Everything about snapshots can be rebuilt from the vault; connections, secrets, deliveries and queued jobs live only
//! here. Several processes use one catalog at the same time: every change is one transaction, and what two could do at
//! once is guarded by a condition in the statement itself. Fails with `Busy` while the database is locked, full or
//! away.

mod alarms;
mod applied;
mod apps;
mod arriving;
mod audit;
mod body;
mod chat_messages;
mod compaction;
mod connect;
mod connections;
mod credentials;
mod deliveries;
mod error;
mod facts;
mod grants;
mod history;
mod holds;
mod hooks;
mod installations;
mod interactions;
mod links;
mod notices;
mod outbox;
mod policies;
mod proofs;
mod queue;
mod quotas;
mod rebuild;
mod repositories;
mod restores;
mod retention;
mod setup;
mod snapshots;
mod spans;
mod status;
mod tables;
mod upsert;
mod values;

use std::path::Path;
use std::sync::Arc;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, QueryTrait,
};
use tokio::sync::watch;

use crate::config;
use crate::domain::Result;

use error::During;

pub use alarms::{NewAlarm, RESOLVED, StandingAlarm};
pub use applied::AppliedPolicy;
pub use apps::{AppFacts, AppSecret, Permissions, StoredApp};
pub use arriving::Arriving;
pub use audit::{BEGINNING, Fault, NewRecord, Recorded, Verdict, chained};
pub use body::PackedBody;
pub use chat_messages::ChatMessage;
pub use compaction::{Condemned, Drop, Retold};
pub use connections::{Connection, ConnectionSettings, Listing, NewConnection, Survey};
pub use credentials::{NewCredential, OauthKind, Source, StoredCredential};
pub use deliveries::{CONSUMED, EventCount, NewDelivery, NewEvent, PendingEvent, StoredDelivery, Subscription};
pub use facts::RETENTION_PAUSED;
pub use grants::StoredGrant;
pub use history::JournalEntry;
pub use holds::{Hold, HoldKind};
pub use hooks::{HookCare, StoredHook};
pub use installations::{InstallationState, StoredInstallation, StoredRequest};
pub use interactions::StoredInteraction;
pub use links::IdentityLink;
pub use notices::{NewNotice, StoredNotice, Subscriber};
pub use outbox::{Backlog, Posted, Posting};
pub use policies::{ChangeState, PolicyChange, PolicyEdit};
pub use proofs::{ReadSoFar, Reading, Standing, StoredProof};
pub use queue::{CHAT_POOL, DEFAULT_POOL, Job, JobState, Lease, NewJob, Priority, job_kind};
pub use quotas::StoredQuota;
pub use rebuild::RestoredRepository;
pub use repositories::{Repository, only_one};
pub use restores::{NewRestore, RestoreState, RestoreStep, StoredRestore, restore_subject};
pub use setup::SetupKind;
pub use snapshots::{Commit, Intent, LastSnapshot, SyncState};
pub use spans::StoredSpan;
pub use status::{Lag, StatusRow};
pub use upsert::{Known, Seen, Upserted};

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    read: DatabaseConnection,
    write: DatabaseConnection,
    /// SQLite's log.
    log: Option<Arc<Path>>,
    /// Rung after jobs were added by this process, so that its workers need not wait for their next look.
    bell: Arc<watch::Sender<()>>,
    /// Deliveries that this process has stored.
    stored: Arc<watch::Sender<u64>>,
    /// Deliveries that wait to be stored by this process.
    arriving: Arc<watch::Sender<usize>>,
    /// Who is told of notices, besides whoever asks.
    subscribers: Arc<[Subscriber]>,
}

impl Catalog {
    /// Opens the database, creates it where SQLite's file does not exist yet, and brings its schema up to date.
    pub async fn connect(settings: &config::Database) -> Result<Self> {
        let connect::Pools { read, write, log } = Box::pin(connect::open(settings)).await?;
        let stored = Arc::new(watch::Sender::new(0));
        tokio::spawn(connect::fold_log(read.clone(), stored.subscribe()));
        let (bell, arriving) = (Arc::new(watch::Sender::new(())), Arc::new(watch::Sender::new(0)));
        Ok(Self { read, write, log, bell, stored, arriving, subscribers: Arc::default() })
    }

    /// Puts notices into the outbox for these, too.
    #[must_use]
    pub fn telling(self, subscribers: Vec<Subscriber>) -> Self {
        Self { subscribers: subscribers.into(), ..self }
    }

    /// [`Self::connect`], unless that would make a new database.
    pub async fn connect_existing(settings: &config::Database) -> Result<Option<Self>> {
        match settings.url.strip_prefix("sqlite://") {
            Some(file) if !Path::new(file).exists() => Ok(None),
            _ => Self::connect(settings).await.map(Some),
        }
    }

    /// The database answers.
    pub async fn check(&self) -> Result<()> {
        self.read.ping().await.during("asking the database for a sign of life")
    }

    /// Whether whoever opens the database next would notice that it was left open: it reads all of SQLite's log first.
    pub fn is_worth_closing(&self) -> bool {
        let length = self.log.as_deref().and_then(|log| std::fs::metadata(log).ok()).map_or(0, |log| log.len());
        length > connect::SHORT_LOG
    }

    /// Finishes what is under way and closes all connections. Whoever is the last of all processes to do so folds SQLite's
    /// log into the database.
    pub async fn close(&self) -> Result<()> {
        self.write.close_by_ref().await.during("closing the database")?;
        self.read.close_by_ref().await.during("closing the database")
    }

    async fn begin(&self, doing: &str) -> Result<DatabaseTransaction> {
        connect::begin(&self.write).await.during(doing)
    }
}

/// Bound values per statement; PostgreSQL takes 65 535, SQLite 32 766.
const MAX_VALUES: usize = 30_000;

/// Inserts rows of one table with that many columns, as many per statement as fit.
async fn insert_all<A: ActiveModelTrait>(
    db: &impl ConnectionTrait,
    rows: impl IntoIterator<Item = A>,
    columns: usize,
) -> Result<(), DbErr> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk: Vec<A> = rows.by_ref().take(MAX_VALUES / columns).collect();
        db.execute(&A::Entity::insert_many(chunk).into_query()).await?;
    }
    Ok(())
}
