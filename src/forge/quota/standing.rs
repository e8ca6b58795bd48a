//! What is known about budgets, for people, `/metrics`, and the processes that share them through the database.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::budget::{Known, Window};
use super::rules::{Domain, Renewal, Resource};
use super::{Quotas, on_the_wall};

/// How one budget stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whose it is.
    pub domain: Domain,
    /// For what.
    pub resource: Resource,
    /// Requests, or GraphQL points, until the reset. None: the forge sets no limit.
    pub limit: Option<u32>,
    /// What is left of them, as the forge last said.
    pub remaining: Option<u32>,
    /// When all of them are there again.
    pub reset_at: Option<DateTime<Utc>>,
    /// The forge has refused.
    pub pause: Option<Pause>,
    /// Calls that wait in this process.
    pub waiting: usize,
    /// When the forge said so.
    pub observed_at: DateTime<Utc>,
}

/// No calls until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The moment at which we may go on.
    pub until: DateTime<Utc>,
    /// What the forge refused for.
    pub why: Why,
}

/// What a forge refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// This budget is used up.
    UsedUp,
    /// The host has asked all of us to slow down.
    SlowDown,
}

impl Standing {
    /// How many requests or points are used up.
    pub fn used(&self) -> Option<u32> {
        Some(self.limit?.saturating_sub(self.remaining?))
    }
}

impl Quotas {
    /// How every budget stands that a forge has said anything about.
    pub fn standings(&self) -> Vec<Standing> {
        let now = Instant::now();
        let state = self.lock();
        let mut standings = Vec::new();
        for (domain, lane) in &state.lanes {
            let slow_down = state.hosts.get(&domain.host).and_then(|host| host.paused_until(now));
            for resource in Resource::ALL {
                let budget = lane.budget(resource);
                let Some(observed) = budget.observed() else { continue };
                let (limit, remaining, reset) = match budget.known() {
                    Known::Nothing | Known::NoLimit => (None, None, None),
                    Known::Limited(Window { limit, remaining, resets, .. }) if resets > now => {
                        (Some(limit), Some(remaining), Some(resets))
                    }
                    Known::Limited(Window { limit, .. }) => (Some(limit), Some(limit), None),
                };
                let pause = |until, why| Pause { until: on_the_wall(until, now), why };
                let slow_down = slow_down.map(|until| pause(until, Why::SlowDown));
                let used_up = budget.shut_until(now).map(|until| pause(until, Why::UsedUp));
                standings.push(Standing {
                    domain: domain.clone(),
                    resource,
                    limit,
                    remaining,
                    reset_at: reset.map(|reset| on_the_wall(reset, now)),
                    pause: slow_down.or(used_up),
                    waiting: lane.waiting(resource),
                    observed_at: on_the_wall(observed, now),
                });
            }
        }
        standings
    }

    /// Takes in what other processes saw. Within a window the count only falls, an older window is ignored, and a pause
    /// is never shortened: so it does not matter in which order, or how often.
    pub fn learn(&self, standings: Vec<Standing>) {
        let (now, today) = (Instant::now(), Utc::now());
        let instant = |at: DateTime<Utc>| match (at - today).to_std() {
            Ok(ahead) => now + ahead,
            Err(_) => (today - at).to_std().ok().and_then(|ago| now.checked_sub(ago)).unwrap_or(now),
        };
        let mut state = self.lock();
        for standing in standings {
            let (lane, host) = state.lane(&standing.domain);
            let gradual = lane.rules().is_some_and(|rules| rules.renewal == Renewal::Gradual);
            let budget = lane.budget_mut(standing.resource);
            let observed = instant(standing.observed_at);
            match (standing.limit, standing.remaining, standing.reset_at.map(instant)) {
                (Some(limit), Some(remaining), Some(resets)) if resets > now => {
                    let renews_from = gradual.then_some(observed);
                    budget.observe(Window { limit, remaining, resets, renews_from }, observed);
                }
                (None, ..) if standing.pause.is_none() && budget.observed().is_none_or(|ours| ours < observed) => {
                    budget.observe_unlimited(observed);
                }
                _ => {}
            }
            if let Some(Pause { until, why }) = standing.pause {
                match why {
                    Why::UsedUp if instant(until) > now => budget.refuse_until(instant(until), observed),
                    Why::UsedUp => {}
                    Why::SlowDown => host.learn(instant(until), now),
                }
            }
            state.dispatch(&standing.domain.host, now);
        }
    }
}
