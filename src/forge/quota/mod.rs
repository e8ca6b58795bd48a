//! Budgets: how often a forge may be asked, and who goes first.
//!
//! A budget belongs to a [`Domain`], not to a token. Before a call there is [`Quotas::admit`], after it
//! [`Permit::answered`]; in between lies everything that keeps a forge from having to refuse us: primary limits learned
//! from its answers, with a reserve for the urgent, and the pace that it asks for and never reports on. Should it refuse
//! all the same, the whole host is left alone.
//!
//! Inside, time is [`Instant`]s; the wall clock appears only where people or the database look.

mod budget;
mod forecast;
mod host;
mod lane;
mod opening;
mod rolling;
mod rules;
mod standing;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::host::{Host, Ticket};
use self::lane::{Lane, Next};
use self::opening::{Barred, Gate, Opening};
use self::rules::Ask;
pub use self::rules::{Call, Domain, Effect, Renewal, Reserve, Resource, Rules, Urgency};
pub use self::standing::{Pause, Standing, Why};
use crate::domain::{Error, Result};

/// The budgets of all domains. Clones share them.
#[derive(Clone, Default)]
pub struct Quotas(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hosts: HashMap<String, Host>,
    lanes: BTreeMap<Domain, Lane>,
    last_ticket: Ticket,
}

/// What an answer said about limits. Only the forge's own answers count: where there was none, or something on the way
/// answered in its place, drop the [`Permit`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Observed {
    /// `x-ratelimit-limit`. Absent: no limit.
    pub limit: Option<u32>,
    /// `x-ratelimit-remaining`
    pub remaining: Option<u32>,
    /// `x-ratelimit-reset`, less the answer's `Date`.
    pub reset_in: Option<Duration>,
    /// The forge has refused, and why.
    pub refused: Option<Refusal>,
    /// It has answered, and asks for no further call of this domain for so long: `Retry-After` on a success.
    pub rest: Option<Duration>,
}

/// Why a forge has refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The budget is used up.
    Primary {
        /// Until the reset.
        wait: Duration,
    },
    /// Too much at a time, whatever is left of the budget.
    Secondary {
        /// `Retry-After`
        wait: Option<Duration>,
    },
}

/// Leave to make one call. Dropped without an answer, the call counts as made.
#[must_use]
pub struct Permit {
    quotas: Quotas,
    domain: Domain,
    ticket: Ticket,
}

impl Quotas {
    /// Waits until the call may be made, but no longer than the rules' patience: where it takes longer,
    /// [`Kind::Throttled`](crate::domain::Kind::Throttled) says until when and why.
    pub async fn admit(&self, call: Call) -> Result<Permit> {
        let nudge = Arc::new(Notify::new());
        let permit = self.join(&call, nudge.clone());
        loop {
            let next = self.lock().next(&permit);
            match next {
                Next::Go => return Ok(permit),
                Next::Leave(barred) => return Err(self.lock().send_away(&call.domain, (&call).into(), barred)),
                Next::Wait(until) => tokio::select! {
                    () = nudge.notified() => {}
                    () = sleep_until(until) => {}
                },
            }
        }
    }

    /// Which of the candidates to use for a read: one that may be used soonest, and of those the one with most left. If
    /// none may be used within the rules' patience, [`Kind::Throttled`](crate::domain::Kind::Throttled) until the first
    /// of them may.
    pub fn choose(
        &self,
        candidates: &[Domain],
        resource: Resource,
        urgency: Urgency,
        rules: &'static Rules,
    ) -> Result<usize> {
        let now = Instant::now();
        let mut state = self.lock();
        let ask = Ask { resource, urgency, effect: Effect::Reads, rules };
        let ranked = candidates.iter().enumerate().map(|(index, domain)| {
            let (lane, host) = state.lane(domain);
            let barred = lane.barred(ask, host, now);
            let open = if let Opening::At(at) = barred.opening { at } else { now };
            let left = lane.budget(resource).left(urgency, &rules.reserve, now);
            (index, open + lane.line_ahead(ask, None), barred, left)
        });
        let first = ranked.min_by_key(|(_, start, barred, left)| (*start, barred.opening, Reverse(*left)));
        let (index, start, barred, _) = first.ok_or_else(|| Error::bug("no credential to choose from"))?;
        if start > now + rules.patience {
            return Err(state.send_away(&candidates[index], ask, Barred { opening: Opening::At(start), ..barred }));
        }
        Ok(index)
    }

    /// The host asked a domain to rest, in an answer to something that is no call: git.
    pub fn rest(&self, domain: &Domain, resource: Resource, wait: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        state.lane(domain).0.budget_mut(resource).rest(wait, now);
        state.dispatch(&domain.host, now);
    }

    fn join(&self, call: &Call, nudge: Arc<Notify>) -> Permit {
        let mut state = self.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        let domain = call.domain.clone();
        state.lane(&domain).0.join(ticket, call.into(), nudge, Instant::now());
        Permit { quotas: self.clone(), domain, ticket }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Takes in what the forge answered.
    pub fn answered(self, answer: &Observed) {
        self.quotas.lock().leave(&self, Some(answer));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.quotas.lock().leave(self, None);
    }
}

impl State {
    fn lane(&mut self, domain: &Domain) -> (&mut Lane, &mut Host) {
        let host = self.hosts.entry(domain.host.clone()).or_default();
        (self.lanes.entry(domain.clone()).or_default(), host)
    }

    fn next(&mut self, permit: &Permit) -> Next {
        let (lane, host) = self.lane(&permit.domain);
        lane.next(permit.ticket, host, Instant::now())
    }

    fn leave(&mut self, permit: &Permit, answer: Option<&Observed>) {
        let now = Instant::now();
        let (lane, host) = self.lane(&permit.domain);
        let before = host.opening(now);
        lane.leave(permit.ticket, host, answer, now);
        if host.opening(now) == before {
            lane.dispatch(host, now);
        } else {
            self.dispatch(&permit.domain.host, now);
        }
    }

    /// Something has changed for all domains of a host.
    fn dispatch(&mut self, name: &str, now: Instant) {
        let host = self.hosts.entry(name.to_owned()).or_default();
        for (_, lane) in self.lanes.iter_mut().filter(|(domain, _)| domain.host == name) {
            lane.dispatch(host, now);
        }
    }

    fn send_away(&mut self, domain: &Domain, ask: Ask, barred: Barred) -> Error {
        let now = Instant::now();
        let Opening::At(at) = barred.opening else { return Error::bug("sent away without a time to come back") };
        let back = self.lane(domain).0.send_away(ask, barred.gate, at);
        Error::throttled(back - now, refusal(domain, barred.gate, at, now))
    }
}

/// Until when and why.
fn refusal(domain: &Domain, gate: Gate, at: Instant, now: Instant) -> String {
    let Domain { host, who } = domain;
    let at = on_the_wall(at, now).format("%H:%M:%S UTC");
    match gate {
        Gate::Host => format!("throttled: {host} has asked us to slow down; nobody calls it before {at}"),
        Gate::Budget { reserved: true, limit: Some(limit) } => format!(
            "throttled: {host} allows {limit} requests by {who} until the next reset, and the rest of them is kept for \
             what is more urgent until {at}"
        ),
        Gate::Budget { limit: Some(limit), .. } => {
            format!("throttled: {host} allows no further requests by {who} before {at} ({limit} used up)")
        }
        Gate::Budget { .. } => format!("throttled: {host} allows no further requests by {who} before {at}"),
        Gate::Rest => format!("throttled: {host} has asked {who} to rest; the next request at {at}"),
        Gate::Concurrent | Gate::Pace => {
            format!("throttled: requests by {who} to {host} are as frequent as it allows; the next at {at}")
        }
        Gate::Write => format!("throttled: {host} wants changes by {who} one after another; the next at {at}"),
        Gate::Creation => {
            format!("throttled: {who} has created as much on {host} as it allows at a time; the next at {at}")
        }
    }
}

fn on_the_wall(at: Instant, now: Instant) -> DateTime<Utc> {
    let span = |time| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
    let today = Utc::now();
    if at >= now { today.checked_add_signed(span(at - now)) } else { today.checked_sub_signed(span(now - at)) }
        .unwrap_or(today)
}
