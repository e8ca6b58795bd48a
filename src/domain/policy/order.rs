//! Exactly one policy applies to a repository; which one, and why.

use std::fmt;

use super::selection::{Found, RepositoryFacts, Selector};
use super::{DEFAULT_NAME, Policy};
use crate::domain::Result;

/// All policies in the order in which they are asked; the default one comes last.
pub struct Order {
    policies: Vec<(Policy, Selector)>,
    default: Policy,
}

/// The policy that applies.
pub struct Choice<'a> {
    /// It.
    pub policy: &'a Policy,
    /// How it came to that.
    pub why: Why,
}

/// Why a policy applies to a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    how: Found,
    /// The policies that would apply if this one did not, the next one first; the default one is not among them.
    pub also: Vec<String>,
}

impl Order {
    /// `policies` as they are ordered; where none is called `default`, the built-in one is.
    pub fn new(policies: Vec<Policy>) -> Result<Self> {
        let (defaults, others): (Vec<_>, Vec<_>) =
            policies.into_iter().partition(|policy| policy.name.eq_ignore_ascii_case(DEFAULT_NAME));
        let compile = |policy: Policy| policy.select.compile().map(|selector| (policy, selector));
        Ok(Self {
            policies: others.into_iter().map(compile).collect::<Result<_>>()?,
            default: defaults.into_iter().next().unwrap_or_else(Policy::built_in),
        })
    }

    /// All policies, the default one last.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter().map(|(policy, _)| policy).chain([&self.default])
    }

    /// Those that name the repository come before those that it fits; else the order decides.
    pub fn choose(&self, facts: &RepositoryFacts) -> Choice<'_> {
        let mut found: Vec<(&Policy, Found)> = Vec::new();
        for (policy, selector) in &self.policies {
            found.extend(selector.find(facts).map(|how| (policy, how)));
        }
        found.sort_by_key(|(_, how)| *how != Found::Named);
        let mut found = found.into_iter();
        match found.next() {
            Some((policy, how)) => {
                let also = found.map(|(policy, _)| policy.name.clone()).collect();
                Choice { policy, why: Why { how, also } }
            }
            None => Choice { policy: &self.default, why: Why { how: Found::Fits(Vec::new()), also: Vec::new() } },
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            Found::Named => f.write_str("it names this repository")?,
            Found::Fits(why) if why.is_empty() => return f.write_str("no other policy selects this repository"),
            Found::Fits(why) => write!(f, "it selects this repository: {}", why.join(", "))?,
        }
        match self.also.as_slice() {
            [] => Ok(()),
            also => write!(f, "; it comes before {}, which would apply as well", also.join(", ")),
        }
    }
}
