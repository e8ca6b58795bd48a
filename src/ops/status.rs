//! How every repository stands.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::catalog::{Catalog, StatusRow};
use crate::domain::{Result, Seq};

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every change that we know of is in a snapshot.
    Ok,
    /// A change is known that no snapshot holds yet.
    Behind,
    /// The last attempt failed.
    Failing,
    /// The newest snapshot lacks something.
    Partial,
    /// Selected, and no snapshot yet.
    Waiting,
    /// No longer on the forge; the backups stay.
    Gone,
    /// Not backed up, by choice.
    Off,
    /// Its connection was removed; the backups stay.
    Disconnected,
}

/// One repository.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RepoStatus {
    pub repository: String,
    pub connection: Option<String>,
    pub state: State,
    pub last_snapshot: Option<LastSnapshot>,
    /// Age of the oldest change that is known but not yet in a snapshot; `null`: there is none.
    pub lag_ms: Option<i64>,
    /// `running`, `queued` or `idle`.
    pub queue: &'static str,
    pub next_attempt: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
}

/// The newest snapshot.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LastSnapshot {
    pub seq: Seq,
    pub time: DateTime<Utc>,
    pub complete: bool,
}

/// All repositories.
pub async fn status(catalog: &Catalog) -> Result<Vec<RepoStatus>> {
    let now = Utc::now();
    let rows = catalog.status().await?;
    Ok(rows.into_iter().map(|row| describe(row, now)).collect())
}

fn describe(row: StatusRow, now: DateTime<Utc>) -> RepoStatus {
    let state = match &row {
        row if row.connection.is_none() => State::Disconnected,
        row if row.gone => State::Gone,
        row if !row.selected => State::Off,
        row if row.last_error.is_some() => State::Failing,
        row if row.last_seq.is_none() => State::Waiting,
        row if row.oldest_pending.is_some() => State::Behind,
        row if row.complete == Some(false) => State::Partial,
        _ => State::Ok,
    };
    let complete = row.complete.unwrap_or(false);
    let last_snapshot = row.last_seq.zip(row.last_snapshot_at).map(|(seq, time)| LastSnapshot { seq, time, complete });
    RepoStatus {
        repository: row.full_name,
        connection: row.connection,
        state,
        last_snapshot,
        lag_ms: row.oldest_pending.map(|since| (now - since).num_milliseconds().max(0)),
        queue: match (row.running, row.queued) {
            (true, _) => "running",
            (_, true) => "queued",
            _ => "idle",
        },
        next_attempt: row.next_attempt,
        last_error: row.last_error,
    }
}
