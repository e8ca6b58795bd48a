//! Opening the database: pools, durability, migrations.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use migrations::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tokio::sync::watch;

use crate::config;
use crate::domain::{Error, Result};

use super::error::During;

/// How long SQLite waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for a connection; a webhook's sender gives up after 10 s.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);

/// Pages in SQLite's log before whoever writes has to fold it into the database. Under load [`fold_log`] has done most of
/// that by then; everybody else writes too little to notice.
const CHECKPOINT_PAGES: &str = "16000";

/// Bytes of SQLite's log that are read in about a millisecond when the database is opened.
pub(super) const SHORT_LOG: u64 = 1 << 20;

/// Deliveries that are worth a look at the log: some three pages each.
const FOLD_AFTER: u64 = 500;

/// Any number that nobody else locks in this database: "refward" on a telephone.
const MIGRATION_LOCK: i64 = 733_9273;

/// Where to read and where to write.
///
/// SQLite has one writer at a time. A pool of one makes this process's writers queue in order of arrival, where several
/// connections would poll for the file's lock and starve one another.
pub(super) struct Pools {
    pub read: DatabaseConnection,
    pub write: DatabaseConnection,
    /// SQLite's log.
    pub log: Option<Arc<Path>>,
}

/// Folds SQLite's log into the database beside whoever writes, as `deliveries` counts up, until nobody counts any more.
/// Otherwise every batch of deliveries that crosses the limit, and all that gathers behind it, would wait for that.
///
/// The log starts anew only when a writer finds it folded to its last page; under load that is at [`CHECKPOINT_PAGES`].
/// <https://www.sqlite.org/wal.html#performance_considerations>
pub(super) async fn fold_log(db: DatabaseConnection, mut deliveries: watch::Receiver<u64>) {
    if db.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    let mut folded = 0;
    while let Ok(count) = deliveries.wait_for(|count| count - folded >= FOLD_AFTER).await.map(|count| *count) {
        folded = count;
        // Another process may be at it, or the database away: the writers see to it then.
        if let Err(error) = db.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await {
            tracing::debug!("cannot fold the database's log: {error}");
        }
    }
}

pub(super) async fn open(settings: &config::Database) -> Result<Pools> {
    let pools = match settings.url.strip_prefix("sqlite://") {
        Some(path) => sqlite(Path::new(path), settings.max_connections).await?,
        None => postgres(settings).await?,
    };
    migrate(&pools.write).await?;
    Ok(pools)
}

async fn sqlite(path: &Path, readers: u32) -> Result<Pools> {
    const OPENING: &str = "opening the database";
    create_private(path)?;
    let options = |connections: u32| {
        let file = path.to_owned();
        let mut options = ConnectOptions::new("sqlite://refward.db");
        options
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .sqlx_logging(false)
            .map_sqlx_sqlite_pool_opts(without_upkeep)
            .map_sqlx_sqlite_opts(move |sqlite| {
                sqlite
                    .filename(&file)
                    .journal_mode(SqliteJournalMode::Wal)
                    // "Stored" is said to the sender after the commit: it must survive a power cut.
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY_TIMEOUT)
                    .foreign_keys(true)
                    // What undoes a statement that fails halfway would be a file otherwise, made for every batch.
                    .pragma("temp_store", "memory")
                    .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            });
        options
    };
    // SQLite does not wait for the lock that the switch to WAL takes, when two make the database at once.
    let patience = ConstantBuilder::default().with_delay(Duration::from_millis(50)).with_max_times(40);
    let connect = |connections| async move { (|| Database::connect(options(connections))).retry(patience).await };
    let (write, read) = tokio::try_join!(connect(1), connect(readers)).during(OPENING)?;
    // Beside the file itself, not beside a link to it.
    let mut log = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    log.push("-wal");
    Ok(Pools { read, write, log: Some(PathBuf::from(log).into()) })
}

/// The file holds webhook bodies of private repositories: only its owner may read it. SQLite gives its log the same mode.
fn create_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map(drop).map_err(|error| {
        Error::misconfigured(format!("cannot write the database file {}", path.display()))
            .hint("check `database.url`; its folder must exist and belong to the user who runs refward")
            .detail(error)
    })
}

async fn postgres(settings: &config::Database) -> Result<Pools> {
    let mut options = ConnectOptions::new(&settings.url);
    options
        .max_connections(settings.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .set_application_name("refward")
        .sqlx_logging(false)
        .map_sqlx_postgres_pool_opts(without_upkeep);
    let pool = Database::connect(options).await.during("connecting to the database")?;
    Ok(Pools { read: pool.clone(), write: pool, log: None })
}

/// No connection is closed for its age. The task that would see to it counts the idle connections without a lock, now and
/// then one too few, and then it never ends: sqlx 0.9.0, `spawn_maintenance_tasks`.
fn without_upkeep<DB: sqlx::Database>(options: PoolOptions<DB>) -> PoolOptions<DB> {
    options.idle_timeout(None).max_lifetime(None)
}

/// A transaction that takes SQLite's write lock at once: one that reads first and writes later could not wait for it.
pub(super) async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    db.begin_with_options(options).await
}

async fn migrate(db: &DatabaseConnection) -> Result<()> {
    const MIGRATING: &str = "preparing the database";
    let pending = Migrator::get_pending_migrations_read_only(db).await.map_err(|error| match error {
        DbErr::Custom(detail) => Error::misconfigured("the database was written by a newer version of refward")
            .hint("update this program, or point `database.url` elsewhere")
            .detail(detail),
        error => Err::<(), _>(error).during(MIGRATING).expect_err("it was just made an error"),
    })?;
    if pending.is_empty() {
        return Ok(());
    }
    // Processes that start together take turns; who comes second finds nothing to do.
    let tx = begin(db).await.during(MIGRATING)?;
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await.during(MIGRATING)?;
    }
    Migrator::up(&tx, None).await.during(MIGRATING)?;
    tx.commit().await.during(MIGRATING)
}
