//! The record of who asked what and what became of it. Each row holds the hash of the one before, so that a row that was
//! changed, taken out or put in shows.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, QueryOrder, Set,
};
use sea_orm::{ColumnTrait, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::{By, Error, Result};

use super::Catalog;
use super::error::{During, unreadable};
use super::tables::audit::{self, Column};
use super::values::{sha256, time};

/// What the first row's hash goes on from.
pub const BEGINNING: [u8; 32] = [0; 32];

/// Any number that nobody else locks in this database: rows are written one after the other, whoever writes them.
const AUDIT_LOCK: i64 = 733_9274;

/// Rows that a walk reads at a time.
const PAGE: u64 = 1_000;

const READING: &str = "reading the record";

/// What became of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was asked for, and is to be decided or done.
    Asked,
    /// They may not, or it makes no sense.
    Refused,
    /// Somebody entitled agreed.
    Approved,
    /// It was done.
    Done,
    /// It was tried.
    Failed,
}

/// Something to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    /// Who: a [`Person`](crate::domain::Person), `cli:NAME`, `refward`.
    pub actor: String,
    /// Where it was asked: `cli`, `discord:GUILD/CHANNEL`.
    pub origin: String,
    /// What, a stable word: `restore.plan`, `restore.approve`, `policy.set`, `grant.add`, `link`.
    pub action: &'static str,
    /// About what: a repository, a policy, `restore 12`.
    pub subject: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// Which plan, hex.
    pub plan: Option<String>,
    /// Whatever else belongs to it. No secrets.
    pub detail: Value,
}

impl NewRecord {
    /// Who asked for what, and what became of it.
    pub fn new(by: &By, action: &'static str, verdict: Verdict) -> Self {
        let (actor, origin) = (by.who.clone(), by.whence.clone());
        Self { actor, origin, action, subject: None, verdict, plan: None, detail: Value::Null }
    }

    /// About this.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    /// Under the plan with this hash.
    #[must_use]
    pub fn plan(self, hash: impl Into<String>) -> Self {
        Self { plan: Some(hash.into()), ..self }
    }

    /// Whatever else belongs to it. No secrets.
    #[must_use]
    pub fn detail(self, detail: Value) -> Self {
        Self { detail, ..self }
    }
}

/// What is hashed, in this order, as JSON without spaces.
#[derive(Serialize, Deserialize)]
struct Entry {
    seq: i64,
    at: DateTime<Utc>,
    actor: String,
    origin: String,
    action: String,
    subject: Option<String>,
    verdict: Verdict,
    plan: Option<String>,
    detail: Value,
}

/// A row of the record.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the same words as in NewRecord")]
pub struct Recorded {
    /// 1, 2, 3, … without a gap.
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub origin: String,
    pub action: String,
    pub subject: Option<String>,
    pub verdict: Verdict,
    pub plan: Option<String>,
    pub detail: Value,
    /// The very text that was hashed.
    pub entry: String,
    /// SHA-256 of the hash before and `entry`.
    pub hash: [u8; 32],
}

/// The first row that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its number.
    pub seq: i64,
    /// What is wrong: `is missing`.
    pub what: &'static str,
}

impl Catalog {
    /// Records something that changes nothing else in the catalog.
    pub async fn record(&self, new: NewRecord) -> Result<()> {
        const DOING: &str = "keeping the record";
        let tx = self.begin(DOING).await?;
        record(&tx, new).await?;
        tx.commit().await.during(DOING)
    }

    /// The newest rows, not before `since`, the oldest first.
    pub async fn recorded(&self, since: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<Recorded>> {
        let mut rows = audit::Entity::find().order_by_desc(Column::Seq).limit(limit);
        if let Some(since) = since {
            rows = rows.filter(Column::At.gte(since.timestamp_millis()));
        }
        let rows = rows.all(&self.read).await.during(READING)?;
        rows.into_iter().rev().map(Recorded::try_from).collect()
    }

    /// The number and hash of the newest row. `None`: nothing was recorded yet.
    pub async fn last_recorded(&self) -> Result<Option<(i64, [u8; 32])>> {
        let row = audit::Entity::find().order_by_desc(Column::Seq).one(&self.read).await.during(READING)?;
        row.map(|row| Ok((row.seq, sha256(&row.hash)?))).transpose()
    }

    /// The hash of a row. `None`: there is none of that number.
    pub async fn recorded_hash(&self, seq: i64) -> Result<Option<[u8; 32]>> {
        let row = audit::Entity::find_by_id(seq).one(&self.read).await.during(READING)?;
        row.map(|row| sha256(&row.hash)).transpose()
    }

    /// Walks the whole record from its first row and shows each that is right. Stops at the first that is not, and says what
    /// is wrong with it.
    pub async fn walk_record(&self, mut each: impl FnMut(&Recorded)) -> Result<Option<Fault>> {
        let (mut seq, mut before) = (0, BEGINNING);
        loop {
            let page = audit::Entity::find().filter(Column::Seq.gt(seq)).order_by_asc(Column::Seq).limit(PAGE);
            let page = page.all(&self.read).await.during(READING)?;
            let last = u64::try_from(page.len()).is_ok_and(|rows| rows < PAGE);
            for row in page {
                match follows(row, seq + 1, &before) {
                    Ok(row) => {
                        each(&row);
                        (seq, before) = (row.seq, row.hash);
                    }
                    Err(what) => return Ok(Some(Fault { seq: seq + 1, what })),
                }
            }
            if last {
                return Ok(None);
            }
        }
    }
}

/// The row, if it is number `seq` and what was written after the row with the hash `before`.
fn follows(row: audit::Model, seq: i64, before: &[u8; 32]) -> Result<Recorded, &'static str> {
    if row.seq != seq {
        return Err("is missing");
    }
    let (at, hashed) = (row.at, chained(before, &row.entry));
    let Ok(entry) = serde_json::from_str::<Entry>(&row.entry) else { return Err("cannot be read") };
    if entry.seq != seq {
        return Err("is one that was written under another number");
    }
    match Recorded::try_from(row) {
        Ok(row) if row.hash == hashed && row.at.timestamp_millis() == at => Ok(row),
        _ => Err("is not what was written, or does not follow from the one before it"),
    }
}

/// Until the transaction ends nobody else writes to the record. SQLite has one writer at a time anyway.
pub(super) async fn turn(tx: &DatabaseTransaction) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let lock = format!("SELECT pg_advisory_xact_lock({AUDIT_LOCK})");
        tx.execute_unprepared(&lock).await.during("keeping the record")?;
    }
    Ok(())
}

/// Records something together with what it tells of. The last statement of its transaction: whoever holds the turn and
/// then waits for a row waits for ever for somebody who has the row and waits for the turn.
pub(super) async fn record(tx: &DatabaseTransaction, new: NewRecord) -> Result<()> {
    const DOING: &str = "keeping the record";
    turn(tx).await?;
    let last = audit::Entity::find().order_by_desc(Column::Seq).one(tx).await.during(DOING)?;
    let (seq, before) = match &last {
        Some(row) => (row.seq + 1, sha256(&row.hash)?),
        None => (1, BEGINNING),
    };
    let NewRecord { actor, origin, action, subject, verdict, plan, detail } = new;
    // To the millisecond, as the column has it.
    let at = time(Utc::now().timestamp_millis());
    tracing::info!(step = "recorded", seq, actor, action, subject, ?verdict, "audit");
    let entry = Entry { seq, at, actor, origin, action: action.to_owned(), subject, verdict, plan, detail };
    let entry = serde_json::to_string(&entry).map_err(|error| Error::bug("cannot write the record").detail(error))?;
    let hash = chained(&before, &entry).to_vec();
    let row = audit::ActiveModel { seq: Set(seq), entry: Set(entry), hash: Set(hash), at: Set(at.timestamp_millis()) };
    row.insert(tx).await.map(drop).during(DOING)
}

/// The hash of a row that follows one with the hash `before`.
pub fn chained(before: &[u8; 32], entry: &str) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(entry.as_bytes()).finalize().into()
}

impl TryFrom<audit::Model> for Recorded {
    type Error = Error;

    fn try_from(row: audit::Model) -> Result<Self> {
        let read: Entry = serde_json::from_str(&row.entry).map_err(|error| unreadable("a row of the record", error))?;
        Ok(Self {
            seq: row.seq,
            at: read.at,
            actor: read.actor,
            origin: read.origin,
            action: read.action,
            subject: read.subject,
            verdict: read.verdict,
            plan: read.plan,
            detail: read.detail,
            entry: row.entry,
            hash: sha256(&row.hash)?,
        })
    }
}
