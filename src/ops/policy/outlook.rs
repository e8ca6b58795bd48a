//! What a change of policies would mean, before it acts.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::{PolicyChange, PolicyEdit};
use crate::domain::Result;
use crate::domain::policy::{Order, Policy, RepositoryFacts, weakens};

/// Repositories that a sentence names; of more it tells how many.
const NAMED: usize = 3;

/// A repository that another policy applies to then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Move {
    pub repository: String,
    pub from: String,
    pub to: String,
    /// What would be protected less, in words.
    pub weakens: Vec<String>,
}

/// What a change would mean.
pub(super) struct Outlook {
    pub(super) moves: Vec<Move>,
    /// What would be protected less, in words; empty: nothing.
    pub(super) weakens: Vec<String>,
    /// How many repositories the policy selects then, whether or not another one comes first.
    pub(super) selected: usize,
}

impl Outlook {
    pub(super) fn of(edit: &PolicyEdit, before: &Order, facts: &[RepositoryFacts]) -> Result<Self> {
        let after = Order::new(applied(edit, before))?;
        let own = match edit {
            PolicyEdit::Set { before, after } => weakens(before, after),
            PolicyEdit::Delete(policy) => vec![format!("the policy {} is deleted", policy.name)],
            PolicyEdit::Create(_) | PolicyEdit::Order { .. } => Vec::new(),
        };
        let selector = match edit {
            PolicyEdit::Create(policy) | PolicyEdit::Set { after: policy, .. } => Some(policy.select.compile()?),
            PolicyEdit::Delete(_) | PolicyEdit::Order { .. } => None,
        };
        let mut moves = Vec::new();
        let mut by_sentence: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for facts in facts {
            let (was, is) = (before.choose(facts).policy, after.choose(facts).policy);
            if was.name == is.name {
                continue;
            }
            let less = weakens(was, is);
            for sentence in &less {
                by_sentence.entry(sentence.clone()).or_default().push(&facts.full_name);
            }
            let (from, to) = (was.name.clone(), is.name.clone());
            moves.push(Move { repository: facts.full_name.clone(), from, to, weakens: less });
        }
        let of_repositories = by_sentence.into_iter().map(|(sentence, of)| format!("{}: {sentence}", some(&of)));
        Ok(Self {
            weakens: own.into_iter().chain(of_repositories).collect(),
            selected: facts.iter().filter(|facts| selector.as_ref().is_some_and(|one| one.matches(facts))).count(),
            moves,
        })
    }
}

/// The policies as they are once these changes act.
pub(super) fn after(waiting: &[PolicyChange], now: &Order) -> Result<Order> {
    let mut then = Order::new(now.policies().cloned().collect())?;
    for change in waiting {
        then = Order::new(applied(&change.edit, &then))?;
    }
    Ok(then)
}

/// All policies as they are then.
fn applied(edit: &PolicyEdit, before: &Order) -> Vec<Policy> {
    let mut policies: Vec<Policy> = before.policies().cloned().collect();
    match edit {
        PolicyEdit::Create(policy) => policies.push((**policy).clone()),
        PolicyEdit::Set { before, after } => {
            policies
                .iter_mut()
                .filter(|policy| policy.name == before.name)
                .for_each(|policy| *policy = (**after).clone());
        }
        PolicyEdit::Delete(gone) => policies.retain(|policy| policy.name != gone.name),
        PolicyEdit::Order { after, .. } => {
            let place = |name: &str| after.iter().position(|first| first.eq_ignore_ascii_case(name));
            policies.sort_by_key(|policy| place(&policy.name).unwrap_or(after.len()));
        }
    }
    policies
}

/// `acme/api, acme/web and 5 more`
fn some(names: &[&str]) -> String {
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}
