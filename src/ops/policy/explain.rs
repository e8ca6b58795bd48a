//! Why a repository is backed up as it is, and why each of its recovery points is kept.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::domain::policy::Verdict;
use crate::domain::{RepoAddress, Result, Seq, Snapshot};
use crate::jobs::{self, Judged};
use crate::services::Services;

/// How a repository is protected, and why.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Explained {
    pub repository: String,
    pub policy: String,
    pub why: String,
    /// Others that select it as well, the next one first.
    pub also: Vec<String>,
    pub trigger: String,
    pub retention: String,
    pub drill: String,
    pub timezone: String,
    /// By schedule; `null`: there is none.
    pub next_run: Option<DateTime<Utc>>,
    /// Why nothing goes, whatever the rules say; `null`: the rules decide.
    pub spared: Option<String>,
    /// The oldest first.
    pub points: Vec<Kept>,
}

/// What is to become of a recovery point.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Kept {
    pub seq: Seq,
    pub time: DateTime<Utc>,
    pub complete: bool,
    pub labels: Vec<String>,
    /// Why it is kept; empty: no rule keeps it.
    pub reasons: Vec<String>,
    /// Until when rules keep it at least, if others are taken by then; `null`: no date is set, or no rule keeps it.
    pub until: Option<DateTime<Utc>>,
    /// Since when it is marked to go.
    pub leaving_at: Option<DateTime<Utc>>,
    /// When it may go, if nothing keeps it until then.
    pub goes_at: Option<DateTime<Utc>>,
}

/// Which policy applies, when it runs next, and what it keeps why and until when.
pub async fn explain(services: &Services, address: &RepoAddress) -> Result<Explained> {
    let (repository, now) = (services.catalog.resolve(address).await?, Utc::now());
    let judged = jobs::judge(services, &repository, now).await?;
    let applied = services.catalog.applied_policies().await?;
    let planned = applied.get(&repository.id).and_then(|applied| applied.next_run_at);
    Ok(Explained {
        repository: repository.full_name,
        policy: judged.policy.name.clone(),
        why: judged.why.to_string(),
        also: judged.why.also.clone(),
        trigger: judged.policy.trigger.to_string(),
        retention: judged.policy.retention.to_string(),
        drill: judged.policy.drill.to_string(),
        timezone: judged.policy.timezone.to_string(),
        next_run: planned.filter(|_| judged.policy.trigger.schedule.is_some() && repository.selected),
        spared: judged.spared.clone(),
        points: explain_points(services, &judged, now),
    })
}

/// What is to become of judged recovery points.
pub fn explain_points(services: &Services, judged: &Judged, now: DateTime<Utc>) -> Vec<Kept> {
    let grace = TimeDelta::from_std(services.settings.prune.grace).unwrap_or(TimeDelta::MAX);
    let spared = judged.spared.is_some();
    let kept = |(point, verdict): &(Snapshot, Verdict)| {
        let goes = !spared && !verdict.kept();
        Kept {
            seq: point.seq,
            time: point.time,
            complete: point.complete,
            labels: point.labels.clone(),
            reasons: verdict.reasons.iter().map(ToString::to_string).collect(),
            until: verdict.until,
            leaving_at: point.leaving_at,
            goes_at: goes.then(|| point.leaving_at.unwrap_or(now).checked_add_signed(grace)).flatten(),
        }
    };
    judged.points.iter().map(kept).collect()
}
