//! Marks the recovery points of a repository that no rule keeps. What is marked goes later, by others; until then it can be
//! restored, and stays if a rule keeps it again.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::{Groups, policies};
use crate::catalog::{Hold, NewNotice, RETENTION_PAUSED, Repository};
use crate::domain::policy::{Order, Policy, RecoveryPoint, Verdict, Why};
use crate::domain::{ConnectionId, RepoId, Result, Seq, Snapshot};
use crate::services::Services;

/// People are told of a look that marks at least so many.
const MANY: u64 = 100;

/// What is to become of a repository's recovery points.
pub struct Judged {
    /// The policy that applies.
    pub policy: Policy,
    /// Why it does.
    pub why: Why,
    /// Why nothing goes, whatever the rules say; `None`: the rules decide.
    pub spared: Option<String>,
    /// All, the oldest first.
    pub points: Vec<(Snapshot, Verdict)>,
}

impl Judged {
    /// Those that no rule keeps.
    pub fn dropped(&self) -> BTreeSet<Seq> {
        let dropped = self.points.iter().filter(|(_, verdict)| self.spared.is_none() && !verdict.kept());
        dropped.map(|(point, _)| point.seq).collect()
    }
}

/// Marks what no rule keeps, and unmarks what is kept again.
pub async fn retain(services: &Services, repo: &RepoId) -> Result<()> {
    let (catalog, now) = (&services.catalog, Utc::now());
    let mut repository = catalog.repository(repo).await?;
    let mut judged = judge(services, &repository, now).await?;
    if repository.policy.as_ref() != Some(&judged.policy.name) {
        // It came under another policy a moment ago; what the one before keeps for a while is noted first.
        policies::assign(services).await?;
        repository = catalog.repository(repo).await?;
        judged = judge(services, &repository, now).await?;
    }
    let dropped = judged.dropped();
    let leaving = judged.points.iter().filter(|(point, _)| point.leaving_at.is_some()).map(|(point, _)| point.seq);
    let kept_again: Vec<Seq> = leaving.filter(|seq| !dropped.contains(seq)).collect();
    catalog.unmark_leaving(repo, &kept_again).await?;
    let dropped: Vec<Seq> = dropped.into_iter().collect();
    let marked = catalog.mark_leaving(repo, &dropped, now).await?;
    if marked >= MANY {
        let text = format!(
            "{marked} recovery points of {} are kept by no rule of the policy {} any more; they go after {}.",
            repository.full_name,
            judged.policy.name,
            humantime_serde::re::humantime::format_duration(services.settings.prune.grace)
        );
        let (connection, repo) = (Some(repository.connection_id), Some(repo.clone()));
        catalog.notify(NewNotice { kind: "retention.marked", connection, repo, text, ..NewNotice::default() }).await?;
    }
    Ok(())
}

/// What is to become of a repository's recovery points at a moment. Changes nothing.
pub async fn judge(services: &Services, repository: &Repository, now: DateTime<Utc>) -> Result<Judged> {
    let snapshots = services.catalog.snapshots(&repository.id).await?;
    Rules::load(services).await?.judge(repository, snapshots, now)
}

/// What decides about recovery points, read once for however many repositories.
pub struct Rules {
    order: Order,
    /// Of connections that are not removed.
    groups: HashMap<ConnectionId, Groups>,
    /// The oldest that stands on each.
    holds: HashMap<RepoId, Hold>,
    paused: bool,
}

impl Rules {
    /// As they are now.
    pub async fn load(services: &Services) -> Result<Self> {
        let catalog = &services.catalog;
        let holds = catalog.holds(None).await?.into_iter().rev().map(|hold| (hold.repo.clone(), hold));
        Ok(Self {
            order: policies::order(services).await?,
            groups: policies::groups(services).await?,
            holds: holds.collect(),
            paused: catalog.fact::<serde_json::Value>(RETENTION_PAUSED).await?.is_some(),
        })
    }

    /// What is to become of these snapshots of a repository.
    pub fn judge(&self, repository: &Repository, snapshots: Vec<Snapshot>, now: DateTime<Utc>) -> Result<Judged> {
        let choice = self.order.choose(&policies::facts_of(&self.groups, repository));
        let policy = choice.policy.clone();
        let points: Vec<RecoveryPoint> = snapshots
            .iter()
            .map(|snapshot| RecoveryPoint {
                seq: snapshot.seq,
                time: snapshot.time,
                complete: snapshot.complete,
                labels: snapshot.labels.clone(),
            })
            .collect();
        let mut verdicts = policy.retention.judge(&points, now, policy.timezone.0);
        for former in &repository.former_rules {
            former.spare(&points, now, &mut verdicts);
        }
        let points = snapshots.into_iter().zip(verdicts).collect();
        Ok(Judged { policy, why: choice.why, spared: self.spared(repository), points })
    }

    /// Why nothing of a repository goes. What the forge or a person took away from us is not ours to thin out.
    fn spared(&self, repository: &Repository) -> Option<String> {
        if let Some(hold) = self.holds.get(&repository.id) {
            return Some(format!("a hold by {}: {}", hold.actor, hold.reason));
        }
        let why = match repository {
            _ if self.paused => "retention is paused; `refward forget --resume` lets it go on",
            repository if !self.groups.contains_key(&repository.connection_id) => "its connection was removed",
            repository if repository.gone => "it is no longer on the forge",
            repository if repository.left_out => "the connection's globs leave it out",
            repository if !repository.selected => "it is not backed up",
            repository => repository.availability.closed()?,
        };
        Some(why.to_owned())
    }
}
