//! When a backlog will be done.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::budget::Known;
use super::rules::{Domain, Resource, Rules};
use super::{Quotas, on_the_wall};

/// Forges count by the hour.
const WINDOW: u64 = 3_600;

/// Further ahead nobody believes it.
const HORIZON: u64 = 365 * 24 * 3_600;

/// What one domain will be able to do.
struct Supply {
    /// Seconds until anything is allowed.
    starts: u64,
    remaining: u64,
    /// Seconds until the reset.
    resets: u64,
    limit: u64,
    per_minute: u64,
}

impl Supply {
    /// Requests in the next `seconds`.
    fn within(&self, seconds: u64) -> u64 {
        let first = self.resets.max(self.starts);
        let until_reset = seconds.min(first).saturating_sub(self.starts);
        let after = seconds.saturating_sub(first);
        self.paced(self.remaining, until_reset)
            + after / WINDOW * self.paced(self.limit, WINDOW)
            + self.paced(self.limit, after % WINDOW)
    }

    fn paced(&self, budget: u64, seconds: u64) -> u64 {
        budget.min(self.per_minute * seconds / 60)
    }
}

impl Quotas {
    /// When a backlog of so many requests will be done if nothing else is asked of these domains. None: no limit that we
    /// know of holds it up.
    pub fn forecast(&self, domains: &[Domain], resource: Resource, requests_waiting: u64) -> Option<DateTime<Utc>> {
        let now = Instant::now();
        let seconds = |until: Instant| until.saturating_duration_since(now).as_secs();
        let state = self.lock();
        let mut supplies = Vec::new();
        for domain in domains {
            let lane = state.lanes.get(domain)?;
            let budget = lane.budget(resource);
            let Known::Limited(window) = budget.known() else { return None };
            let host = state.hosts.get(&domain.host).and_then(|host| host.paused_until(now));
            let starts = host.max(budget.shut_until(now)).map_or(0, seconds);
            let per_minute = lane.rules().map_or(Rules::UNLIMITED, |rules| rules.points_per_minute(resource));
            let over = window.resets <= now;
            supplies.push(Supply {
                starts,
                remaining: u64::from(if over { 0 } else { window.remaining }),
                resets: seconds(window.resets),
                limit: u64::from(window.limit),
                per_minute: u64::from(per_minute),
            });
        }
        let enough = |at: u64| supplies.iter().map(|supply| supply.within(at)).sum::<u64>() >= requests_waiting;
        if supplies.is_empty() {
            return None;
        }
        let (mut low, mut high) = (0, HORIZON);
        while low < high {
            let middle = low.midpoint(high);
            if enough(middle) { high = middle } else { low = middle + 1 }
        }
        Some(on_the_wall(now + Duration::from_secs(low), now))
    }
}
