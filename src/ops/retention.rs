//! What retention lets go, what people call recovery points, and letting a paused retention go on.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::policy::{Kept, explain_points};
use crate::catalog::{RETENTION_PAUSED, Repository};
use crate::domain::{Error, Point, RepoAddress, Result, Seq};
use crate::jobs::{self, Rules};
use crate::services::Services;

/// What is to become of a repository's recovery points.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Forgetting {
    pub repository: String,
    pub policy: String,
    /// Why nothing goes, whatever the rules say; `null`: the rules decide.
    pub spared: Option<String>,
    pub kept: usize,
    /// Kept by no rule, and not marked yet.
    pub would_leave: Vec<Seq>,
    /// Marked: they go, unless something keeps them again until then.
    pub leaving: Vec<Seq>,
    /// When the first of them may go.
    pub first_goes_at: Option<DateTime<Utc>>,
    /// Why each is kept, the oldest first.
    pub points: Vec<Kept>,
}

/// What would be marked, what is, and why each other one is kept. Changes nothing.
pub async fn plan(services: &Services, repo: Option<&RepoAddress>) -> Result<Vec<Forgetting>> {
    let rules = Rules::load(services).await?;
    let mut plans = Vec::new();
    for repository in repositories(services, repo).await? {
        plans.push(look(services, &rules, repository).await?);
    }
    Ok(plans)
}

/// Marks what no rule keeps, at once instead of with the next daily look.
pub async fn forget(services: &Services, repo: Option<&RepoAddress>) -> Result<Vec<Forgetting>> {
    for repository in repositories(services, repo).await? {
        jobs::retain(services, &repository.id).await?;
    }
    plan(services, repo).await
}

/// Retention goes on where it was paused; says whether it was.
pub async fn resume(services: &Services) -> Result<bool> {
    let paused = services.catalog.fact::<serde_json::Value>(RETENTION_PAUSED).await?.is_some();
    services.catalog.remove_fact(RETENTION_PAUSED).await?;
    if paused {
        jobs::policies::judge_all(services).await?;
    }
    Ok(paused)
}

/// Adds labels to a recovery point, or takes them away; gives what it is called then.
pub async fn tag(
    services: &Services,
    address: &RepoAddress,
    point: Seq,
    labels: &[String],
    remove: bool,
) -> Result<Vec<String>> {
    let repository = services.catalog.resolve(address).await?;
    let (seq, _) = services.catalog.refs_at(&repository.id, Some(Point::Seq(point))).await?;
    let snapshots = services.catalog.snapshots(&repository.id).await?;
    let mut all = snapshots.into_iter().find(|known| known.seq == seq).map(|known| known.labels).unwrap_or_default();
    for label in labels {
        check_label(label)?;
        all.retain(|known| known != label);
        if !remove {
            all.push(label.clone());
        }
    }
    services.catalog.put_labels(&repository.id, seq, &all).await?;
    jobs::retain(services, &repository.id).await?;
    Ok(all)
}

/// Labels stand in tables and in policies.
fn check_label(label: &str) -> Result<()> {
    let fine = |c: char| !c.is_control() && !matches!(c, ',' | '*');
    if label.trim().is_empty() || label.len() > 64 || !label.chars().all(fine) {
        return Err(Error::bad_request(format!(
            "`{}` cannot be a label: use up to 64 letters and signs, but neither `,` nor `*`",
            label.escape_debug()
        )));
    }
    Ok(())
}

async fn repositories(services: &Services, repo: Option<&RepoAddress>) -> Result<Vec<Repository>> {
    if let Some(address) = repo {
        return Ok(vec![services.catalog.resolve(address).await?]);
    }
    let all = services.catalog.repositories().await?.into_iter();
    Ok(all.filter(|repository| repository.last_seq.is_some()).collect())
}

async fn look(services: &Services, rules: &Rules, repository: Repository) -> Result<Forgetting> {
    let now = Utc::now();
    let snapshots = services.catalog.snapshots(&repository.id).await?;
    let judged = rules.judge(&repository, snapshots, now)?;
    let points = explain_points(services, &judged, now);
    let (leaving, would_leave): (Vec<&Kept>, Vec<&Kept>) =
        points.iter().filter(|point| point.goes_at.is_some()).partition(|point| point.leaving_at.is_some());
    let seqs = |points: &[&Kept]| points.iter().map(|point| point.seq).collect::<Vec<_>>();
    Ok(Forgetting {
        repository: repository.full_name,
        policy: judged.policy.name,
        spared: judged.spared,
        kept: points.len() - leaving.len() - would_leave.len(),
        would_leave: seqs(&would_leave),
        first_goes_at: leaving.iter().filter_map(|point| point.goes_at).min(),
        leaving: seqs(&leaving),
        points,
    })
}
