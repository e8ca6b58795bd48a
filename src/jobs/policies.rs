//! What policies mean for repositories: which applies to which, when each runs next, and changes whose time has come.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use humantime_serde::re::humantime;
use serde::{Deserialize, Serialize};

use super::{Groups, Job};
use crate::catalog::{AppliedPolicy, NewNotice, PolicyChange, Priority, Repository, job_kind};
use crate::domain::policy::{FormerRules, Order, Policy, RepositoryFacts, Why, weakens};
use crate::domain::{By, ConnectionId, RepoId, Result, Severity};
use crate::services::Services;

/// Scheduled backups that one look enqueues at most; the rest follow at the next.
const BATCH: u64 = 2_000;

/// Repositories that a notice names; of more it tells how many.
const NAMED: usize = 3;

/// All repositories are judged anew this often, whether or not anything happened.
const JUDGE_AGAIN: TimeDelta = TimeDelta::days(1);

/// All policies, ready to be asked.
pub async fn order(services: &Services) -> Result<Order> {
    Order::new(services.catalog.policies().await?)
}

/// Every repository that we know, as selections look at it.
pub async fn facts(services: &Services) -> Result<Vec<(Repository, RepositoryFacts)>> {
    let groups = groups(services).await?;
    let repositories = services.catalog.repositories().await?.into_iter();
    let with_facts = |repository| {
        let facts = facts_of(&groups, &repository);
        (repository, facts)
    };
    Ok(repositories.map(with_facts).collect())
}

/// One repository, as selections look at it.
pub async fn facts_for(services: &Services, repository: &Repository) -> Result<RepositoryFacts> {
    Ok(facts_of(&groups(services).await?, repository))
}

/// The policy that applies to a repository, and why.
pub async fn policy_of(services: &Services, repository: &Repository) -> Result<(Policy, Why)> {
    let order = order(services).await?;
    let choice = order.choose(&facts_for(services, repository).await?);
    Ok((choice.policy.clone(), choice.why))
}

/// The labels of the credentials that a repository's policy allows; none: all that are switched on.
pub async fn credentials_for(services: &Services, repository: &Repository) -> Result<Vec<String>> {
    // On the way of every backup: most installations have no such policy.
    if services.catalog.policies().await?.iter().all(|policy| policy.credentials.is_empty()) {
        return Ok(Vec::new());
    }
    Ok(policy_of(services, repository).await?.0.credentials)
}

/// Looks up which policy applies to each repository, and keeps what it says where others look. To be called after any
/// change of policies, connections or repositories; where nothing has changed nothing is written. Where no policy was
/// changed and a repository is protected less all the same, what it kept so far stays for `policies.grace`.
pub async fn assign(services: &Services) -> Result<()> {
    look_up(services, services.settings.policies.grace).await
}

async fn look_up(services: &Services, grace: Duration) -> Result<()> {
    let (order, now) = (order(services).await?, Utc::now());
    let applied = services.catalog.applied_policies().await?;
    let (mut differing, mut moved, mut drift) = (Vec::new(), Vec::new(), Drift::new(now, grace));
    for (repository, facts) in facts(services).await? {
        let policy = order.choose(&facts).policy;
        let before = applied.get(&repository.id);
        let next = next_run(policy, &repository.id, before.and_then(|before| before.next_run_at), now);
        let wanted = AppliedPolicy {
            policy: Some(policy.name.clone()),
            on_push: policy.trigger.on_push,
            coalesce_ms: i64::try_from(policy.trigger.coalesce.duration().as_millis()).unwrap_or(i64::MAX),
            pool: Some(policy.pool.clone()).filter(|pool| pool != "default"),
            next_run_at: next,
        };
        if before != Some(&wanted) {
            if before.is_some_and(|before| before.policy.is_some() && before.policy != wanted.policy) {
                moved.push(Job::Retain(repository.id.clone()).subject());
                drift.note(&order, before.and_then(|before| before.policy.as_deref()), policy, &repository);
            }
            differing.push((repository.id, wanted));
        }
    }
    // First, so that whoever is killed in between finds the same again.
    services.catalog.put_former_rules(&drift.former).await?;
    drift.tell(services).await?;
    if !differing.is_empty() {
        services.catalog.put_applied_policies(&differing).await?;
    }
    services.catalog.enqueue_all(job_kind::RETAIN, &moved, Priority::Sweep).await
}

/// Repositories that a policy protects less than the one before, by the names of both: also when no policy was changed, but
/// a group, a visibility, an owner.
struct Drift {
    now: DateTime<Utc>,
    /// How long what they kept so far stays.
    grace: Duration,
    told: BTreeMap<(String, String), (Vec<String>, Vec<String>)>,
    former: Vec<(RepoId, Vec<FormerRules>)>,
}

impl Drift {
    fn new(now: DateTime<Utc>, grace: Duration) -> Self {
        Self { now, grace, told: BTreeMap::new(), former: Vec::new() }
    }

    fn note(&mut self, order: &Order, before: Option<&str>, after: &Policy, repository: &Repository) {
        let Some(before) = order.policies().find(|policy| Some(policy.name.as_str()) == before) else { return };
        let less = weakens(before, after);
        if less.is_empty() {
            return;
        }
        if !self.grace.is_zero() {
            self.former.push((repository.id.clone(), self.former_rules(before, repository)));
        }
        if repository.selected && !repository.gone {
            let both = (before.name.clone(), after.name.clone());
            self.told.entry(both).or_insert((Vec::new(), less)).0.push(repository.full_name.clone());
        }
    }

    fn former_rules(&self, before: &Policy, repository: &Repository) -> Vec<FormerRules> {
        let stands = |rules: &&FormerRules| rules.until > self.now && rules.policy != before.name;
        let mut rules: Vec<FormerRules> = repository.former_rules.iter().filter(stands).cloned().collect();
        let until = TimeDelta::from_std(self.grace).ok().and_then(|grace| self.now.checked_add_signed(grace));
        rules.push(FormerRules {
            policy: before.name.clone(),
            retention: before.retention.clone(),
            timezone: before.timezone,
            until: until.unwrap_or(DateTime::<Utc>::MAX_UTC),
        });
        rules
    }

    async fn tell(self, services: &Services) -> Result<()> {
        let stays = |before: &str| match self.grace {
            Duration::ZERO => String::new(),
            grace => format!(" What {before} kept stays for {}.", humantime::format_duration(grace)),
        };
        for ((before, after), (repositories, less)) in self.told {
            let more = repositories.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named = repositories.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            let less = less.join("; ");
            let text = format!(
                "{named}{more}: now under the policy {after} instead of {before}, which protects less: {less}.{}",
                stays(&before)
            );
            let severity = Severity::Warning;
            services.catalog.notify(NewNotice { kind: "policy.moved", severity, text, ..NewNotice::default() }).await?;
        }
        Ok(())
    }
}

/// By a policy's schedule. What is due and was not started yet stays due.
fn next_run(policy: &Policy, id: &RepoId, planned: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let schedule = policy.trigger.schedule.as_ref()?;
    match planned {
        Some(planned) if planned <= now => Some(planned),
        _ => schedule.next_run(now, anchor(id), policy.timezone.0),
    }
}

/// Spreads what runs `every 6h` over these six hours, every repository always at its own moment.
fn anchor(id: &RepoId) -> DateTime<Utc> {
    let digits = u32::from_str_radix(&id.as_str()[..8], 16).unwrap_or_default();
    DateTime::UNIX_EPOCH + TimeDelta::seconds(digits.into())
}

/// Enqueues the backups that schedules ask for now, and moves the schedules on. A run that was missed, because nothing ran
/// here, is made up for once.
pub async fn enqueue_scheduled(services: &Services) -> Result<()> {
    let now = Utc::now();
    let due = services.catalog.scheduled_runs(now, BATCH).await?;
    if due.is_empty() {
        return Ok(());
    }
    let subjects: Vec<String> = due.iter().map(|(id, _)| Job::SyncRepo(id.clone()).subject()).collect();
    services.catalog.enqueue_all(job_kind::SYNC_REPO, &subjects, Priority::Sweep).await?;
    let order = order(services).await?;
    let facts: HashMap<RepoId, RepositoryFacts> =
        facts(services).await?.into_iter().map(|(repository, facts)| (repository.id, facts)).collect();
    for (id, was) in due {
        let policy = facts.get(&id).map(|facts| order.choose(facts).policy);
        let next = policy.and_then(|policy| next_run(policy, &id, None, now));
        services.catalog.put_next_run(&id, was, next).await?;
    }
    Ok(())
}

/// When all repositories were last judged.
#[derive(Serialize, Deserialize)]
struct JudgedAt {
    at: DateTime<Utc>,
}

/// Once a day, enqueues a look at what every repository keeps.
pub async fn enqueue_retention(services: &Services) -> Result<()> {
    const FACT: &str = "retention_judged";
    let (catalog, now) = (&services.catalog, Utc::now());
    let last: Option<JudgedAt> = catalog.fact(FACT).await?;
    // A clock that was set back must not put it off.
    if last.is_some_and(|last| (now - JUDGE_AGAIN..=now).contains(&last.at)) {
        return Ok(());
    }
    judge_all(services).await?;
    catalog.put_fact(FACT, &JudgedAt { at: now }).await
}

/// Lets the changes of policies act whose time has come and which are approved where that is asked for.
pub async fn settle(services: &Services) -> Result<()> {
    let now = Utc::now();
    let waiting = services.catalog.waiting_changes().await?;
    let due: Vec<_> =
        waiting.into_iter().filter(|change| change.effective_at <= now && !needs_approval(services, change)).collect();
    if due.is_empty() {
        return Ok(());
    }
    // What moved without them is told apart from what they move.
    assign(services).await?;
    for change in due {
        match services.catalog.apply_change(&change).await {
            Ok(true) => tell(services, "policy.applied", format!("{} acts now.", describe(&change))).await?,
            Ok(false) => {}
            Err(error) if error.kind().is_transient() => return Err(error),
            Err(error) => {
                services.catalog.decide_change(change.id, &By::refward(), true).await?;
                tell(services, "policy.refused", format!("{} does not act: {error}.", describe(&change))).await?;
            }
        }
    }
    // Those have waited for their grace already.
    look_up(services, Duration::ZERO).await?;
    judge_all(services).await
}

/// A second person is asked for, and has not approved it.
pub fn needs_approval(services: &Services, change: &PolicyChange) -> bool {
    asks_for_approval(services, &change.actor) && change.decided_by.is_none()
}

/// What protects less, asked for by this person, needs a second one. Whoever is at the command line could change the setting
/// and the database as well; whoever is in a chat could not.
pub fn asks_for_approval(services: &Services, who: &str) -> bool {
    services.settings.policies.approval || !who.starts_with("cli:")
}

/// Enqueues a look at what every repository keeps.
pub async fn judge_all(services: &Services) -> Result<()> {
    let all = services.catalog.repositories_to_judge().await?;
    let subjects: Vec<String> = all.into_iter().map(|id| Job::Retain(id).subject()).collect();
    services.catalog.enqueue_all(job_kind::RETAIN, &subjects, Priority::Sweep).await
}

fn describe(change: &PolicyChange) -> String {
    let what = match (change.edit.kind(), change.edit.policy()) {
        (_, "*") => "a new order of the policies".to_owned(),
        ("delete", name) => format!("the deletion of the policy {name}"),
        ("create", name) => format!("the new policy {name}"),
        (_, name) => format!("the change of the policy {name}"),
    };
    format!("Change {}, {what}, asked for by {},", change.id, change.actor)
}

async fn tell(services: &Services, kind: &'static str, text: String) -> Result<()> {
    services.catalog.notify(NewNotice { kind, text, ..NewNotice::default() }).await
}

/// The groups of connections that are not removed.
pub(super) async fn groups(services: &Services) -> Result<HashMap<ConnectionId, Groups>> {
    let connections = services.catalog.connections().await?.into_iter();
    connections.map(|connection| Ok((connection.id, Groups::new(&connection.settings)?))).collect()
}

pub(super) fn facts_of(groups: &HashMap<ConnectionId, Groups>, repository: &Repository) -> RepositoryFacts {
    let groups = groups.get(&repository.connection_id).map(|groups| groups.of(&repository.full_name));
    RepositoryFacts {
        id: repository.id.clone(),
        connection: repository.connection.clone(),
        full_name: repository.full_name.clone(),
        groups: groups.unwrap_or_default(),
        archived: repository.archived,
        private: repository.private,
    }
}
