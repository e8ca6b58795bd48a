//! A host that has asked us to slow down. All domains on it do: to go on with another credential is what gets
//! integrations banned.

use std::time::Duration;

use tokio::time::Instant;

use super::opening::Opening;

/// The longest pause that we choose ourselves.
const LONGEST: Duration = Duration::from_mins(32);

/// The number of a call.
pub(super) type Ticket = u64;

#[derive(Default)]
pub(super) struct Host {
    paused_until: Option<Instant>,
    /// Refusals since the last success.
    refusals: u32,
    /// Changes with every refusal; answers to calls from before it say nothing about the time after.
    era: u64,
    /// After a pause, one call finds out whether the host has calmed down. The others wait for its answer.
    trial: Option<Ticket>,
}

impl Host {
    pub fn opening(&self, now: Instant) -> Opening {
        match self.paused_until(now) {
            Some(until) => Opening::At(until),
            None if self.trial.is_some() => Opening::Answer,
            None => Opening::Now,
        }
    }

    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// A call goes out; returns the era that it belongs to.
    pub fn begin(&mut self, ticket: Ticket) -> u64 {
        if self.refusals > 0 {
            self.trial = Some(ticket);
        }
        self.era
    }

    /// A call ended, whatever came of it.
    pub fn end(&mut self, ticket: Ticket) {
        self.trial.take_if(|trial| *trial == ticket);
    }

    pub fn succeeded(&mut self, era: u64) {
        if era == self.era {
            self.refusals = 0;
        }
    }

    /// The host has refused a call of `era`. Many calls that were refused together count once.
    pub fn refused(&mut self, era: u64, wait: Option<Duration>, unknown_wait: Duration, now: Instant) {
        if era == self.era {
            self.era += 1;
            self.refusals += 1;
        }
        let doubled = unknown_wait.saturating_mul(1 << (self.refusals - 1).min(16));
        self.pause(now + wait.unwrap_or_else(|| doubled.min(LONGEST.max(unknown_wait))));
    }

    /// A pause that another process learned of.
    pub fn learn(&mut self, until: Instant, now: Instant) {
        if until > now {
            self.refusals = self.refusals.max(1);
            self.pause(until);
        }
    }

    /// Never shortens.
    fn pause(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }
}
