//! What a host asks of its clients, and what a call is in its eyes.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who shares a budget: a user or an App's installation, on one host. All tokens of one user are one domain, as are all
/// that were minted for one installation; it is the caller who recognises them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Domain {
    /// `github.com`
    pub host: String,
    /// `installation 123`, `user octocat`, `app 5`
    pub who: String,
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host, self.who)
    }
}

/// What a domain has separate budgets for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// REST
    Rest,
    /// GraphQL, counted in points.
    #[serde(rename = "graphql")]
    GraphQl,
    /// Calls that an App signs itself.
    App,
}

impl Resource {
    pub(super) const ALL: [Self; 3] = [Self::Rest, Self::GraphQl, Self::App];

    /// The word in the database, in `/metrics` and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::GraphQl => "graphql",
            Self::App => "app",
        }
    }
}

/// Who waits for the call. The more urgent go first, and a reserve is kept for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody who looks on, or a restore.
    Person,
    /// A webhook.
    Event,
    /// Whatever has time.
    Sweep,
}

/// What a call does to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `GET`, or a GraphQL query.
    Reads,
    /// Gets a token: costs what a write costs, and changes nothing that another write would have to wait for.
    SignsIn,
    /// Any other method, or a mutation.
    Writes,
    /// A write that makes what notifies people: issues, comments, releases.
    Creates,
}

impl Effect {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Creates as usize + 1;

    /// One after another, with a gap.
    pub(super) fn takes_turns(self) -> bool {
        matches!(self, Self::Writes | Self::Creates)
    }

    /// What GitHub's limits for each minute count.
    pub(super) fn points(self) -> u32 {
        match self {
            Self::Reads => 1,
            Self::SignsIn | Self::Writes | Self::Creates => 5,
        }
    }
}

/// A call that is about to be made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose budget it uses.
    pub domain: Domain,
    /// Which of its budgets.
    pub resource: Resource,
    /// Who waits for it.
    pub urgency: Urgency,
    /// What it does.
    pub effect: Effect,
    /// What the host asks for; the same for all calls to one host.
    pub rules: &'static Rules,
}

/// A call as its domain sees it.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub resource: Resource,
    pub urgency: Urgency,
    pub effect: Effect,
    pub rules: &'static Rules,
}

impl Ask {
    /// How long so many points take at the pace of the limit.
    pub fn time_for(self, points: u32) -> Duration {
        Duration::from_mins(1) * points / self.rules.points_per_minute(self.resource)
    }
}

impl From<&Call> for Ask {
    fn from(&Call { resource, urgency, effect, rules, .. }: &Call) -> Self {
        Self { resource, urgency, effect, rules }
    }
}

/// What a host asks of its clients, for each domain. [`Rules::UNLIMITED`] where it asks nothing.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Calls under way at a time.
    pub concurrent: u32,
    /// Points in a minute, except GraphQL. A read is one, a write five.
    pub points_per_minute: u32,
    /// Points of GraphQL in a minute, counted likewise.
    pub graphql_points_per_minute: u32,
    /// [`Effect::Creates`] in a minute.
    pub creations_per_minute: u32,
    /// [`Effect::Creates`] in an hour.
    pub creations_per_hour: u32,
    /// Between the answer to a write and the next one. Zero lets writes run side by side.
    pub write_gap: Duration,
    /// The pause after a refusal that names none; it doubles with every further one.
    pub unknown_wait: Duration,
    /// How what was used of the primary limit comes back.
    pub renewal: Renewal,
    /// What is kept for the more urgent.
    pub reserve: Reserve,
    /// The longest wait inside [`admit`](super::Quotas::admit); a longer one is the job queue's.
    pub patience: Duration,
}

impl Rules {
    /// No limit.
    pub const UNLIMITED: u32 = u32::MAX;

    /// The usual patience: as long as a burst needs to pass.
    pub const PATIENCE: Duration = Duration::from_secs(5);

    pub(super) fn points_per_minute(&self, resource: Resource) -> u32 {
        match resource {
            Resource::Rest | Resource::App => self.points_per_minute,
            Resource::GraphQl => self.graphql_points_per_minute,
        }
    }
}

/// How what was used of a primary limit comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// All of it at the reset. Every answer tells of the limit, where there is one.
    AtReset,
    /// Evenly, until there is nothing left of it at the reset. Answers tell of the limit only while it is being used up.
    Gradual,
}

/// The share of a primary limit that the less urgent leave to the more urgent. What nobody needed is worth nothing after
/// the reset, so it shrinks to zero while that comes near, and all of the budget can be used.
#[derive(Clone, Copy, Debug)]
pub struct Reserve {
    /// Per cent that sweeps leave.
    pub from_sweeps: u32,
    /// Per cent that webhooks leave.
    pub from_events: u32,
    /// How long before the reset it starts to shrink.
    pub fades: Duration,
}

impl Reserve {
    /// A fifth is kept from sweeps, a twentieth from webhooks too.
    pub const USUAL: Self = Self { from_sweeps: 20, from_events: 5, fades: Duration::from_mins(15) };

    /// How many of `limit` must stay when the reset is `left` away.
    pub(super) fn floor(&self, urgency: Urgency, limit: u32, left: Duration) -> u32 {
        let fades = millis(self.fades).max(1);
        let share = u64::from(limit) * self.share(urgency) * millis(left).min(fades);
        u32::try_from(share.div_ceil(100 * fades)).unwrap_or(u32::MAX)
    }

    /// How far away the reset is when only so many have to stay.
    pub(super) fn left_at(&self, urgency: Urgency, limit: u32, floor: u32) -> Duration {
        let whole = (u64::from(limit) * self.share(urgency)).max(1);
        Duration::from_millis(u64::from(floor) * 100 * millis(self.fades).max(1) / whole)
    }

    /// How long one of `limit` takes to leave the reserve while that shrinks.
    pub(super) fn fading_of_one(&self, urgency: Urgency, limit: u32) -> Duration {
        self.left_at(urgency, limit, 1)
    }

    fn share(&self, urgency: Urgency) -> u64 {
        u64::from(match urgency {
            Urgency::Person => 0,
            Urgency::Event => self.from_events,
            Urgency::Sweep => self.from_sweeps,
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
