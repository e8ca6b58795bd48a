//! Policies: looking at them, changing them, and why which one applies.
//!
//! A change that protects anything less waits for `policies.grace`, so that a mistake or a stolen login does not cost what
//! was kept; all others act at once.

mod change;
mod document;
mod explain;
mod names;
mod outlook;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use crate::catalog::{Catalog, ChangeState, NewRecord, PolicyChange, PolicyEdit, Verdict};
use crate::domain::policy::{DEFAULT_NAME, Order, Policy};
use crate::domain::{By, Error, Result};
use crate::jobs::policies;
use crate::services::Services;

pub use super::adjust::Changed;
pub use change::{Asked, Submitted, assign, create, delete, reorder, set};
pub use document::{export, import, import_plan};
pub use explain::{Explained, Kept, explain, explain_points};
pub use outlook::Move;
pub use policies::settle;

use document::differences;
use names::Names;

/// A policy as listings show it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct PolicyRow {
    pub name: String,
    pub description: String,
    /// How many repositories it applies to.
    pub repositories: usize,
    pub trigger: String,
    pub retention: String,
    pub drill: String,
    /// The number of its change that waits.
    pub waiting: Option<i64>,
}

/// A change that acts later, unless it is taken back.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Waiting {
    pub change: i64,
    pub policy: String,
    /// `create`, `set`, `delete` or `order`.
    pub kind: &'static str,
    pub actor: String,
    pub asked_at: DateTime<Utc>,
    /// At the earliest.
    pub effective_at: DateTime<Utc>,
    pub approved_by: Option<String>,
    /// What would be protected less, in words.
    pub weakens: Vec<String>,
}

/// A change of policies, whatever became of it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Past {
    pub change: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub policy: String,
    pub kind: &'static str,
    pub state: ChangeState,
    pub effective_at: DateTime<Utc>,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    pub weakens: Vec<String>,
    pub differences: Vec<Changed>,
    /// The whole policy, where there was one.
    pub before: Option<Policy>,
    /// The whole policy, where there is one then.
    pub after: Option<Policy>,
}

/// All policies in the order in which they are asked; the default one is the last.
pub async fn list(services: &Services) -> Result<Vec<PolicyRow>> {
    let order = policies::order(services).await?;
    let mut applies: HashMap<String, usize> = HashMap::new();
    for (_, facts) in policies::facts(services).await? {
        *applies.entry(order.choose(&facts).policy.name.clone()).or_default() += 1;
    }
    let waiting: HashMap<String, i64> = services
        .catalog
        .waiting_changes()
        .await?
        .into_iter()
        .map(|change| (change.edit.policy().to_lowercase(), change.id))
        .collect();
    let rows = order.policies().map(|policy| PolicyRow {
        name: policy.name.clone(),
        description: policy.description.clone(),
        repositories: applies.get(&policy.name).copied().unwrap_or_default(),
        trigger: policy.trigger.to_string(),
        retention: policy.retention.to_string(),
        drill: policy.drill.to_string(),
        waiting: waiting.get(&policy.name.to_lowercase()).copied(),
    });
    Ok(rows.collect())
}

/// One policy, with the names that its repositories have now.
pub async fn show(services: &Services, name: &str) -> Result<Policy> {
    let policy = named(services, name).await?;
    Ok(Names::load(services).await?.to_names(policy))
}

/// What waits, the oldest first.
pub async fn waiting(catalog: &Catalog) -> Result<Vec<Waiting>> {
    let waiting = catalog.waiting_changes().await?.into_iter().map(|change| Waiting {
        change: change.id,
        policy: change.edit.policy().to_owned(),
        kind: change.edit.kind(),
        actor: change.actor,
        asked_at: change.at,
        effective_at: change.effective_at,
        approved_by: change.decided_by,
        weakens: change.weakens,
    });
    Ok(waiting.collect())
}

/// Every change of a policy, or of all, the newest first.
pub async fn history(services: &Services, name: Option<&str>) -> Result<Vec<Past>> {
    let names = Names::load(services).await?;
    let changes = services.catalog.policy_changes(name).await?;
    if let (Some(name), true) = (name, changes.is_empty()) {
        // Says so where there is none of that name.
        named(services, name).await?;
    }
    Ok(changes.into_iter().map(|change| past(change, &names)).collect())
}

fn past(change: PolicyChange, names: &Names) -> Past {
    let (policy, kind) = (change.edit.policy().to_owned(), change.edit.kind());
    let differences = differences(&change.edit, names);
    let shown = |policy: Box<Policy>| Some(names.to_names(*policy));
    let (before, after) = match change.edit {
        PolicyEdit::Create(after) => (None, shown(after)),
        PolicyEdit::Set { before, after } => (shown(before), shown(after)),
        PolicyEdit::Delete(before) => (shown(before), None),
        PolicyEdit::Order { .. } => (None, None),
    };
    Past {
        change: change.id,
        at: change.at,
        actor: change.actor,
        policy,
        kind,
        state: change.state,
        effective_at: change.effective_at,
        decided_by: change.decided_by,
        decided_at: change.decided_at,
        weakens: change.weakens,
        differences,
        before,
        after,
    }
}

/// A second person agrees to a change that waits. It acts as soon as its time has come.
pub async fn approve(services: &Services, id: i64, by: &By) -> Result<Waiting> {
    let change = waiting_change(services, id).await?;
    if services.catalog.same_person(&change.actor, &by.who).await? {
        let subject = if change.policy == "*" { "policies".to_owned() } else { format!("policy {}", change.policy) };
        let refused = NewRecord::new(by, "policy.approve", Verdict::Refused).about(subject);
        let detail = json!({ "change": id, "asked_by": change.actor });
        services.catalog.record(refused.detail(detail)).await?;
        let (who, asker) = (&by.who, &change.actor);
        let same = if who.eq_ignore_ascii_case(asker) {
            who.clone()
        } else {
            format!("{who} is the same person as {asker}, who")
        };
        return Err(Error::not_allowed(format!("{same} has asked for change {id}; somebody else has to approve it"))
            .hint("`refward policy approve --as NAME` says who approves"));
    }
    decide(services, id, by, false).await?;
    policies::settle(services).await?;
    Ok(Waiting {
        change: id,
        policy: change.policy,
        kind: change.kind,
        actor: change.actor,
        asked_at: change.asked_at,
        effective_at: change.effective_at,
        approved_by: Some(by.who.clone()),
        weakens: change.weakens,
    })
}

/// A change that waits is taken back; it never acts.
pub async fn revoke(services: &Services, id: i64, by: &By) -> Result<Waiting> {
    let change = waiting_change(services, id).await?;
    decide(services, id, by, true).await?;
    Ok(change)
}

async fn decide(services: &Services, id: i64, by: &By, revoked: bool) -> Result<()> {
    if services.catalog.decide_change(id, by, revoked).await? { Ok(()) } else { Err(waits_no_longer(id)) }
}

async fn waiting_change(services: &Services, id: i64) -> Result<Waiting> {
    let waiting = waiting(&services.catalog).await?.into_iter().find(|change| change.change == id);
    waiting.ok_or_else(|| waits_no_longer(id))
}

fn waits_no_longer(id: i64) -> Error {
    Error::not_found(format!("no change {id} waits")).hint("`refward policy history` tells what became of it")
}

/// The policy of that name, whatever the case.
async fn named(services: &Services, name: &str) -> Result<Policy> {
    let order = policies::order(services).await?;
    find(&order, name).cloned().ok_or_else(|| {
        Error::not_found(format!("there is no policy called {name}"))
            .hint("`refward policy list` shows them; `refward policy create` makes one")
    })
}

fn find<'a>(order: &'a Order, name: &str) -> Option<&'a Policy> {
    order.policies().find(|policy| policy.name.eq_ignore_ascii_case(name))
}

/// All but the default one, as they are ordered.
fn ordered_names(order: &Order) -> Vec<String> {
    let names = order.policies().map(|policy| policy.name.clone());
    names.filter(|name| !name.eq_ignore_ascii_case(DEFAULT_NAME)).collect()
}
