//! Throttling: answers that come late and say so, and those that don't come at all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::Utc;
use uuid::Uuid;

use super::FakeAzureDevops;
use super::errors;
use super::reply::Reply;
use super::sign_in::Caller;
use super::state::State;

#[derive(Default)]
pub struct Limits {
    delays: usize,
    blocks: usize,
    seconds: u64,
    /// Who was told to wait, when, and until when.
    waits: HashMap<Uuid, (Instant, Instant)>,
    pub latency: Duration,
}

/// Clocks are not that exact.
const GRACE: Duration = Duration::from_millis(20);

/// What comes this soon was sent before the caller heard of it.
const UNDER_WAY: Duration = Duration::from_millis(100);

impl State {
    /// A call of somebody comes in: does it come too early, is it blocked?
    pub fn admit(&mut self, caller: &Caller, what: &str) -> Option<Reply> {
        if let Some((told, until)) = self.limits.waits.get(&caller.person)
            && told.elapsed() > UNDER_WAY
            && let Some(early) = until.checked_duration_since(Instant::now() + GRACE)
        {
            let early = early.as_millis();
            self.violations.push(format!("{what} came {early} ms before the end of the Retry-After that it was told"));
        }
        if self.limits.blocks == 0 {
            return None;
        }
        self.limits.blocks -= 1;
        self.wait(caller);
        Some(self.told(errors::blocked(), "0"))
    }

    /// An answer, which may be one that says that it came late.
    pub fn admitted(&mut self, caller: &Caller, reply: Reply) -> Reply {
        if self.limits.delays == 0 {
            return reply;
        }
        self.limits.delays -= 1;
        self.wait(caller);
        self.told(reply, "20").header("x-ratelimit-delay", "0.5")
    }

    fn wait(&mut self, caller: &Caller) {
        let now = Instant::now();
        let until = now + Duration::from_secs(self.limits.seconds);
        self.limits.waits.insert(caller.person, (now, until));
    }

    fn told(&self, reply: Reply, remaining: &str) -> Reply {
        let seconds = self.limits.seconds;
        let reset = Utc::now().timestamp() + i64::try_from(seconds).unwrap();
        reply
            .header("retry-after", &seconds.to_string())
            .header("x-ratelimit-resource", "core")
            .header("x-ratelimit-limit", "200")
            .header("x-ratelimit-remaining", remaining)
            .header("x-ratelimit-reset", &reset.to_string())
    }
}

impl FakeAzureDevops {
    /// The next `times` calls are answered, late, with `Retry-After`. Whoever asks again before that breaks a rule.
    pub fn delays(&self, times: usize, seconds: u64) {
        let limits = &mut self.state().limits;
        (limits.delays, limits.seconds) = (times, seconds);
    }

    /// The next `times` calls are refused with 429 (TF400733).
    pub fn blocks(&self, times: usize, seconds: u64) {
        let limits = &mut self.state().limits;
        (limits.blocks, limits.seconds) = (times, seconds);
    }

    /// How long the host takes for a call.
    pub fn calls_take(&self, time: Duration) {
        self.state().limits.latency = time;
    }
}
