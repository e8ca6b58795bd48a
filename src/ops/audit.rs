//! The record of who did what: reading it, proving that it is whole, and keeping it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::catalog::{Catalog, Fault, NewRecord, Recorded, Verdict};
use crate::domain::{Error, Kind, Result};
use crate::jobs::record_end;
use crate::services::Services;

/// A row of the record.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Row {
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
    /// SHA-256 of the hash before, as bytes, and `entry`; hex.
    pub hash: String,
}

/// What the record came to when all of it was looked at.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// How many are right, from the first on.
    pub rows: u64,
    /// The first that is not.
    pub fault: Option<Fault>,
    /// How far the vault has it signed; `null`: not at all yet.
    pub signed: Option<Signed>,
    /// Why what the vault has signed proves nothing.
    pub forged: Option<String>,
}

/// The newest end of the record in the vault.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Signed {
    pub object: String,
    pub at: DateTime<Utc>,
    pub seq: i64,
    /// `holds`: the record goes through it. `lost`: the record says itself that it began anew after that. `differs`: rows
    /// before it were changed, or are gone.
    pub standing: Standing,
}

/// How the record stands to what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "told where it stands")]
pub enum Standing {
    Holds,
    Lost,
    Differs,
}

/// The newest rows, not before `since`, the oldest first.
pub async fn list(catalog: &Catalog, since: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<Row>> {
    Ok(catalog.recorded(since, limit).await?.into_iter().map(Row::from).collect())
}

/// Looks at every row, and compares with what the vault has signed.
pub async fn verify(services: &Services) -> Result<Checked> {
    let (mut rows, mut lost) = (0, Vec::new());
    let look = |row: &Recorded| {
        rows += 1;
        if row.action == record_end::REBUILT {
            lost.extend(row.detail["lost"].as_str().map(str::to_owned));
        }
    };
    let fault = services.catalog.walk_record(look).await?;
    let (end, forged) = match services.vault.record_end().await {
        Ok(end) => (end, None),
        Err(error) if error.kind() == Kind::Damaged => (None, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let signed = match end {
        None => None,
        Some((object, end)) => {
            let hash = services.catalog.recorded_hash(end.last_seq).await?.map(hex::encode);
            let standing = match hash {
                Some(hash) if hash == end.last_hash => Standing::Holds,
                _ if lost.contains(&object) => Standing::Lost,
                _ => Standing::Differs,
            };
            Some(Signed { object, at: end.audited_at, seq: end.last_seq, standing })
        }
    };
    Ok(Checked { rows, fault, signed, forged })
}

/// The error that stands for a record that is not whole.
pub fn broken(checked: &Checked) -> Option<Error> {
    let differs = checked.signed.as_ref().is_some_and(|signed| signed.standing == Standing::Differs);
    (checked.fault.is_some() || differs || checked.forged.is_some()).then(|| {
        Error::damaged("the record of who did what is not whole")
            .hint("somebody has changed the database; compare it with a copy of its own from before")
    })
}

/// Does something, and records that it was done, or tried. What makes no sense as it was asked is nothing to record.
pub async fn recorded<T>(catalog: &Catalog, what: NewRecord, doing: impl Future<Output = Result<T>>) -> Result<T> {
    let done = doing.await;
    let verdict = match done.as_ref().map_err(Error::kind) {
        Ok(_) => Verdict::Done,
        Err(Kind::NotAllowed) => Verdict::Refused,
        Err(Kind::BadRequest | Kind::NotFound) => return done,
        Err(_) => Verdict::Failed,
    };
    let mut what = NewRecord { verdict, ..what };
    if let (Err(error), Value::Null) = (&done, &what.detail) {
        what.detail = json!({ "error": error.to_string() });
    }
    catalog.record(what).await?;
    done
}

impl From<Recorded> for Row {
    fn from(row: Recorded) -> Self {
        Self {
            seq: row.seq,
            at: row.at,
            actor: row.actor,
            origin: row.origin,
            action: row.action,
            subject: row.subject,
            verdict: row.verdict,
            plan: row.plan,
            detail: row.detail,
            entry: row.entry,
            hash: hex::encode(row.hash),
        }
    }
}
