//! How every repository stands, how long pushes take to become snapshots, and how surveys go.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::health::{Health, Proof, judge};
use super::holds::{self, HoldRow};
use super::hooks::{self, HookSummary};
use super::policy::{self, Waiting};
use crate::catalog::{Catalog, Connection, RETENTION_PAUSED, Standing, StatusRow};
use crate::domain::{Availability, Result, Seq, Skipped};
use crate::jobs;
use crate::vault::Protection;

/// What people call lately.
const DAY: TimeDelta = TimeDelta::days(1);

/// How much later than planned what keeps a repository up to date may be before nobody calls it green.
const PATIENCE: TimeDelta = TimeDelta::hours(1);

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
    /// Nothing is wrong; it waits until the forge allows more requests.
    Throttled,
    /// The newest snapshot lacks something.
    Partial,
    /// Selected, and no snapshot yet.
    Waiting,
    /// No longer on the forge; the backups stay.
    Gone,
    /// Somebody has disabled it on the forge; the backups stay.
    Disabled,
    /// In the forge's recycle bin; the backups stay.
    Recycled,
    /// Not backed up, by choice.
    Off,
    /// Its connection was removed; the backups stay.
    Disconnected,
}

impl State {
    /// Nothing new is to be expected of it, for a reason that is no trouble of ours.
    pub fn is_at_rest(self) -> bool {
        matches!(self, Self::Off | Self::Gone | Self::Disabled | Self::Recycled | Self::Disconnected)
    }
}

/// One repository.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RepoStatus {
    pub repository: String,
    pub connection: Option<String>,
    pub state: State,
    pub health: Health,
    /// Why it is not green.
    pub health_reason: Option<&'static str>,
    pub proof: Proof,
    pub last_snapshot: Option<LastSnapshot>,
    /// Age of the oldest change that is known but not yet in a snapshot; `null`: there is none.
    pub lag_ms: Option<i64>,
    /// From the webhook to the newest snapshot; `null`: no webhook asked for that.
    pub last_lag_ms: Option<u64>,
    /// `running`, `queued` or `idle`.
    pub queue: &'static str,
    pub next_attempt: Option<DateTime<Utc>>,
    /// Until when, and why, if it is throttled.
    pub throttled: Option<String>,
    pub last_error: Option<String>,
}

/// The newest snapshot.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LastSnapshot {
    pub seq: Seq,
    pub time: DateTime<Utc>,
    pub complete: bool,
    /// What is missing, and what would complete it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Skipped>,
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Status {
    /// All repositories, by name.
    pub repositories: Vec<RepoStatus>,
    /// From webhooks to snapshots, in the last 24 hours.
    pub push_to_snapshot: Lags,
    /// How the connections' repositories are looked at, whether or not webhooks come.
    pub surveys: Vec<SurveyStatus>,
    /// The hooks that we have set up ourselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookSummary>,
    /// The vault itself.
    pub vault: VaultStatus,
    /// Changes of policies that act later, unless they are taken back.
    pub policy_changes: Vec<Waiting>,
    /// Repositories of which nothing goes.
    pub holds: Vec<HoldRow>,
    /// Why no recovery point is let go anywhere; `null`: rules decide.
    pub retention_paused: Option<String>,
}

/// The fact [`RETENTION_PAUSED`].
#[derive(Deserialize)]
struct Paused {
    why: String,
}

/// How the vault is looked after.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct VaultStatus {
    /// Objects that were read to their last byte and were right.
    pub objects_read: u64,
    pub bytes_read: u64,
    /// No object of those was last read before that.
    pub oldest_reading: Option<DateTime<Utc>>,
    /// What its store protects from, as found when the service started; `null`: not yet tried.
    pub protection: Option<Protection>,
}

/// How long snapshots took from the webhooks that asked for them.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Lags {
    pub snapshots: usize,
    pub p50_ms: Option<u64>,
    pub p99_ms: Option<u64>,
}

/// How a connection's surveys go.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SurveyStatus {
    pub connection: String,
    pub last: Option<DateTime<Utc>>,
    /// That the last one took.
    pub requests: Option<u64>,
    pub next: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
}

/// How everything stands.
pub async fn status(catalog: &Catalog) -> Result<Status> {
    let now = Utc::now();
    let rows = catalog.status().await?;
    let lags = catalog.lags(now - DAY).await?;
    let connections = catalog.connections().await?;
    let unseen: HashMap<String, &str> =
        connections.iter().filter_map(|one| Some((one.name.clone(), unseen(one, now)?))).collect();
    let surveys = connections.into_iter().map(|connection| SurveyStatus {
        connection: connection.name,
        last: connection.discovered_at,
        requests: connection.survey.map(|survey| survey.requests),
        next: connection.survey.map(|survey| survey.next_at),
        last_error: connection.last_error,
    });
    let (windows, standings) = (jobs::Windows::read(catalog).await?, catalog.standings().await?);
    let repositories = rows.into_iter().map(|row| {
        let standing = standings.get(&row.id).copied().unwrap_or_default();
        let window = windows.of(&row.id);
        let unseen = row.connection.as_ref().and_then(|name| unseen.get(name).copied());
        describe(row, &standing, window, unseen, now)
    });
    let read = catalog.read_so_far().await?;
    Ok(Status {
        repositories: repositories.collect(),
        vault: VaultStatus {
            objects_read: read.objects,
            bytes_read: read.bytes,
            oldest_reading: read.oldest,
            protection: catalog.fact(Protection::FACT).await?,
        },
        policy_changes: policy::waiting(catalog).await?,
        holds: holds::list(catalog).await?,
        retention_paused: catalog.fact::<Paused>(RETENTION_PAUSED).await?.map(|paused| paused.why),
        push_to_snapshot: measure(lags.iter().filter(|lag| lag.time >= now - DAY).map(|lag| lag.lag)),
        surveys: surveys.collect(),
        hooks: hooks::summary(catalog).await?,
    })
}

fn measure(lags: impl Iterator<Item = Duration>) -> Lags {
    let mut lags: Vec<u64> = lags.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)).collect();
    lags.sort_unstable();
    // The smallest that so many per cent do not exceed.
    let quantile = |percent: usize| lags.get((lags.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Lags { snapshots: lags.len(), p50_ms: quantile(50), p99_ms: quantile(99) }
}

/// Why we may not know of what was pushed, if so.
fn unseen(connection: &Connection, now: DateTime<Utc>) -> Option<&'static str> {
    if connection.last_error.is_some() {
        return Some("its connection cannot be looked at");
    }
    let late = connection.survey.is_some_and(|survey| survey.next_at < now - PATIENCE);
    late.then_some("its connection was not looked at lately")
}

fn describe(
    row: StatusRow,
    standing: &Standing,
    window: Option<Duration>,
    unseen: Option<&'static str>,
    now: DateTime<Utc>,
) -> RepoStatus {
    let waits = row.waits_for.as_deref().filter(|_| row.next_attempt.is_some_and(|at| at > now));
    let throttled = waits.and_then(jobs::throttled).map(str::to_owned);
    let state = match &row {
        row if row.connection.is_none() => State::Disconnected,
        row if row.gone => State::Gone,
        row if !row.selected => State::Off,
        row if row.availability == Availability::Disabled => State::Disabled,
        row if row.availability == Availability::Recycled => State::Recycled,
        _ if throttled.is_some() => State::Throttled,
        row if row.last_error.is_some() => State::Failing,
        row if row.last_seq.is_none() => State::Waiting,
        row if row.oldest_pending.is_some() => State::Behind,
        row if row.complete == Some(false) => State::Partial,
        _ => State::Ok,
    };
    let complete = row.complete.unwrap_or(false);
    let proof = Proof::of(standing, window, now);
    let waits = !row.running && row.queued && row.next_attempt.is_some_and(|at| at < now - PATIENCE);
    let doubt = waits.then_some("a backup waits, and no worker takes it").or(unseen);
    let (health, health_reason) = judge(state, complete, doubt, &proof);
    let missing = row.missing;
    let last_snapshot = row.last_seq.zip(row.last_snapshot_at);
    let last_snapshot = last_snapshot.map(|(seq, time)| LastSnapshot { seq, time, complete, missing });
    RepoStatus {
        repository: row.full_name,
        connection: row.connection,
        state,
        health,
        health_reason,
        proof,
        last_snapshot,
        lag_ms: row.oldest_pending.map(|since| (now - since).num_milliseconds().max(0)),
        last_lag_ms: row.lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
        queue: match (row.running, row.queued) {
            (true, _) => "running",
            (_, true) => "queued",
            _ => "idle",
        },
        next_attempt: row.next_attempt,
        throttled,
        last_error: row.last_error,
    }
}
