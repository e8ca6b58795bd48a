//! Asking for a change of policies.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::document::{assignments, differences};
use super::names::Names;
use super::outlook::{self, Move, Outlook};
use super::{Changed, find, named, ordered_names};
use crate::catalog::PolicyEdit;
use crate::domain::policy::{Policy, RepositoryFacts};
use crate::domain::{By, Error, RepoAddress, Result};
use crate::jobs::policies;
use crate::services::Services;

/// How a change is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub by: &'a By,
    /// A policy may select nothing that we know.
    pub allow_empty: bool,
    /// Only say what would happen.
    pub plan: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Submitted {
    /// Its number; `null`: nothing was changed.
    pub change: Option<i64>,
    pub policy: String,
    /// `create`, `set`, `delete` or `order`.
    pub kind: &'static str,
    /// `applied`, `waiting` or `unchanged`; of a plan, what it would be.
    pub state: &'static str,
    /// When it acts, if it waits.
    pub effective_at: Option<DateTime<Utc>>,
    /// It also waits for a second person.
    pub needs_approval: bool,
    pub differences: Vec<Changed>,
    /// Repositories that another policy applies to then.
    pub moves: Vec<Move>,
    /// Why it waits: what would be protected less, in words.
    pub weakens: Vec<String>,
}

/// Makes a policy, the last of those that select something. What is not set is as in the built-in one.
pub async fn create(services: &Services, name: &str, set: &[(String, String)], asked: Asked<'_>) -> Result<Submitted> {
    let policy = assignments(Policy::new(name), set)?;
    submit(services, PolicyEdit::Create(Box::new(policy)), asked).await
}

/// Changes what a policy says.
pub async fn set(services: &Services, name: &str, set: &[(String, String)], asked: Asked<'_>) -> Result<Submitted> {
    let names = Names::load(services).await?;
    let before = named(services, name).await?;
    let after = assignments(names.to_names(before.clone()), set)?;
    if after.name != before.name {
        return Err(
            Error::bad_request("a policy keeps its name").hint("create another one, and delete this one afterwards")
        );
    }
    submit(services, PolicyEdit::Set { before: Box::new(before), after: Box::new(after) }, asked).await
}

/// Deletes a policy. Its repositories are under the next one that selects them then.
pub async fn delete(services: &Services, name: &str, asked: Asked<'_>) -> Result<Submitted> {
    let policy = named(services, name).await?;
    if policy.is_default() {
        return Err(Error::bad_request("the default policy protects what no other one selects; it cannot be deleted")
            .hint("`refward policy set default …` changes it"));
    }
    submit(services, PolicyEdit::Delete(Box::new(policy)), asked).await
}

/// Has a policy name repositories, so that it applies to them before all that only fit. No other one names them then.
pub async fn assign(
    services: &Services,
    name: &str,
    repositories: &[RepoAddress],
    asked: Asked<'_>,
) -> Result<Vec<Submitted>> {
    let before = named(services, name).await?;
    let mut ids = Vec::new();
    for address in repositories {
        ids.push(services.catalog.resolve(address).await?.id.to_string());
    }
    if before.is_default() {
        return Err(Error::bad_request("the default policy applies to what no other one selects")
            .hint("take the repositories out of the other ones: `refward policy explain REPO` says which"));
    }
    let mut after = before.clone();
    after.select.repositories.extend(ids.iter().filter(|id| !before.select.repositories.contains(id)).cloned());
    let edit = PolicyEdit::Set { before: Box::new(before), after: Box::new(after) };
    let mut submitted = vec![submit(services, edit, asked).await?];
    if submitted[0].state == "waiting" {
        // Until then they are where they were.
        return Ok(submitted);
    }
    for other in policies::order(services).await?.policies() {
        if other.name.eq_ignore_ascii_case(name) || !other.select.repositories.iter().any(|id| ids.contains(id)) {
            continue;
        }
        let mut after = other.clone();
        after.select.repositories.retain(|id| !ids.contains(id));
        let edit = PolicyEdit::Set { before: Box::new(other.clone()), after: Box::new(after) };
        submitted.push(submit(services, edit, Asked { allow_empty: true, ..asked }).await?);
    }
    Ok(submitted)
}

/// Has these policies asked first, in this order; the others follow as they are.
pub async fn reorder(services: &Services, names: &[String], asked: Asked<'_>) -> Result<Submitted> {
    let mut first = Vec::new();
    for name in names {
        first.push(named(services, name).await?.name);
    }
    if names.iter().any(|name| name.eq_ignore_ascii_case(crate::domain::policy::DEFAULT_NAME)) {
        return Err(Error::bad_request("the default policy is always the last"));
    }
    let before = ordered_names(&policies::order(services).await?);
    let rest = before.iter().filter(|name| !first.contains(name)).cloned();
    let after = first.iter().cloned().chain(rest).collect();
    submit(services, PolicyEdit::Order { before, after }, asked).await
}

/// Checks a change, says what it means, and keeps it: it acts at once, or waits if anything would be protected less.
pub(super) async fn submit(services: &Services, edit: PolicyEdit, asked: Asked<'_>) -> Result<Submitted> {
    let names = Names::load(services).await?;
    let edit = match edit {
        PolicyEdit::Create(policy) => PolicyEdit::Create(Box::new(names.to_ids(*policy))),
        PolicyEdit::Set { before, after } => PolicyEdit::Set { before, after: Box::new(names.to_ids(*after)) },
        other => other,
    };
    let order = policies::order(services).await?;
    let facts: Vec<RepositoryFacts> = policies::facts(services).await?.into_iter().map(|(_, facts)| facts).collect();
    let mut outlook = Outlook::of(&edit, &order, &facts)?;
    let waiting = services.catalog.waiting_changes().await?;
    if !waiting.is_empty() {
        // What means nothing now may take effect together with something that waits, which nobody was told of.
        let then = Outlook::of(&edit, &outlook::after(&waiting, &order)?, &facts)?;
        let more: Vec<String> =
            then.weakens.into_iter().filter(|sentence| !outlook.weakens.contains(sentence)).collect();
        outlook.weakens.extend(more.into_iter().map(|sentence| format!("once what waits acts: {sentence}")));
    }
    match &edit {
        PolicyEdit::Create(policy) => {
            if let Some(there) = find(&order, &policy.name) {
                return Err(Error::bad_request(format!("there is already a policy called {}", there.name))
                    .hint(format!("`refward policy set {} …` changes it", there.name)));
            }
            check(policy, &outlook, asked)?;
        }
        PolicyEdit::Set { before, after } => {
            let selects_more = before.select != after.select && !after.is_default();
            check(after, &outlook, Asked { allow_empty: asked.allow_empty || !selects_more, ..asked })?;
        }
        PolicyEdit::Delete(_) | PolicyEdit::Order { .. } => {}
    }
    let settings = &services.settings.policies;
    let weak = !outlook.weakens.is_empty();
    let approval = policies::asks_for_approval(services, &asked.by.who);
    let waits = weak && (approval || !settings.grace.is_zero());
    let mut submitted = Submitted {
        change: None,
        policy: edit.policy().to_owned(),
        kind: edit.kind(),
        state: if waits { "waiting" } else { "applied" },
        effective_at: waits.then(|| Utc::now() + settings.grace),
        needs_approval: waits && approval,
        differences: differences(&edit, &names),
        moves: outlook.moves,
        weakens: outlook.weakens,
    };
    if submitted.differences.is_empty() && !matches!(edit, PolicyEdit::Create(_)) {
        submitted.state = "unchanged";
        return Ok(submitted);
    }
    if asked.plan {
        return Ok(submitted);
    }
    let catalog = &services.catalog;
    let changes: Vec<String> = submitted.differences.iter().map(ToString::to_string).collect();
    let until = submitted.effective_at;
    let id = catalog.change_policies(&edit, asked.by, until, &changes, &submitted.weakens).await?;
    submitted.change = Some(id);
    if !waits {
        policies::assign(services).await?;
        policies::judge_all(services).await?;
    }
    Ok(submitted)
}

fn check(policy: &Policy, outlook: &Outlook, asked: Asked<'_>) -> Result<()> {
    policy.check()?;
    if outlook.selected == 0 && !asked.allow_empty {
        return Err(Error::bad_request(format!("the policy {} selects no repository that we know", policy.name))
            .hint(
                "say which, e.g. `select.include=acme/*`, `select.connections=NAME`, `select.repositories=OWNER/NAME`; or add --allow-empty if they come later",
            ));
    }
    Ok(())
}
