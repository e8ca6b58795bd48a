//! Discord's limits: a bucket of calls for each route and channel, filled again after a while, and one for the whole bot.
//! <https://docs.discord.com/developers/topics/rate-limits>
//!
//! Nothing is known of a bucket before its first answer. From then on a call that would be refused waits here: whoever is
//! refused too often is shut out for an hour, with all that runs at the same address.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::api::Answer;
use crate::domain::{Error, Kind, Result};

/// What is waited for on the spot; whatever takes longer comes back later. It holds up a worker.
const SHORT: Duration = Duration::from_secs(2);

/// When Discord refuses without saying for how long.
const UNKNOWN_WAIT: Duration = Duration::from_secs(5);

/// How long an empty bucket is remembered after it was filled: each interaction has one of its own.
const REMEMBERED: Duration = Duration::from_mins(1);

/// What shares a limit as far as we can know before Discord names the bucket.
pub(super) struct Lane {
    /// The method and the kind of thing.
    pub route: String,
    /// Which channel, server or interaction.
    pub of: String,
    /// It counts for the whole bot's limit, too. Answers to interactions do not.
    pub is_ours: bool,
}

/// Discord refuses for now.
#[derive(Clone, Copy)]
pub(super) struct Wait(Duration);

#[derive(Default)]
pub(super) struct Limits(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// The names of buckets, by route.
    buckets: HashMap<String, String>,
    /// By the bucket's name and what it is for.
    windows: HashMap<(String, String), Window>,
    /// The whole bot has to wait until then.
    everything: Option<Instant>,
}

struct Window {
    limit: u32,
    remaining: u32,
    filled: Instant,
    /// How long filling takes.
    span: Duration,
}

impl Limits {
    /// Returns when a call may go out. Fails with [`Kind::Throttled`] if that takes long.
    pub async fn admit(&self, lane: &Lane) -> Result<()> {
        let mut waited = Duration::ZERO;
        loop {
            let wait = self.seen().take(lane, Instant::now());
            let Some(wait) = wait else { return Ok(()) };
            waited += wait;
            if waited > SHORT {
                return Err(Error::throttled(
                    wait,
                    format!("we call Discord again in {} s, as it wants", seconds(wait)),
                ));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Learns from an answer. Gives how long to wait if it is a refusal for coming too soon.
    pub fn observed(&self, lane: &Lane, answer: &Answer) -> Option<Wait> {
        self.seen().learn(lane, answer, Instant::now())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    pub fn is_short(self) -> bool {
        self.0 <= SHORT
    }

    pub fn error(self) -> Error {
        let message = format!("Discord asks us to wait {} s", seconds(self.0));
        Error::new(Kind::Remote { retry_after: Some(self.0) }, message)
    }
}

impl Seen {
    /// Takes a call out of its bucket, or says how long there is none.
    fn take(&mut self, lane: &Lane, now: Instant) -> Option<Duration> {
        if let Some(until) = self.everything.filter(|until| lane.is_ours && *until > now) {
            return Some(until - now);
        }
        let bucket = self.buckets.get(&lane.route)?;
        let window = self.windows.get_mut(&(bucket.clone(), lane.of.clone()))?;
        if window.filled <= now {
            (window.remaining, window.filled) = (window.limit, now + window.span);
        }
        if window.remaining == 0 {
            return Some(window.filled - now);
        }
        window.remaining -= 1;
        None
    }

    fn learn(&mut self, lane: &Lane, answer: &Answer, now: Instant) -> Option<Wait> {
        self.windows.retain(|_, window| now < window.filled + REMEMBERED);
        let headers = &answer.headers;
        let key = text(headers, "x-ratelimit-bucket").map(|bucket| {
            self.buckets.insert(lane.route.clone(), bucket.to_owned());
            (bucket.to_owned(), lane.of.clone())
        });
        if let (Some(key), Some(told)) = (&key, Window::told(headers, now)) {
            self.windows.entry(key.clone()).and_modify(|window| window.correct(&told, now)).or_insert(told);
        }
        let refusal = (answer.status == StatusCode::TOO_MANY_REQUESTS).then(|| Refusal::of(answer))?;
        let until = now + refusal.wait;
        match key {
            Some(key) if !refusal.global => {
                let empty = Window { limit: 1, remaining: 0, filled: until, span: refusal.wait };
                let window = self.windows.entry(key).or_insert(empty);
                (window.remaining, window.filled) = (0, until);
            }
            // Without a bucket it comes from what stands before Discord, and is meant for all that we do.
            _ => self.everything = Some(until),
        }
        Some(Wait(refusal.wait))
    }
}

impl Window {
    fn told(headers: &HeaderMap, now: Instant) -> Option<Self> {
        let number = |name| text(headers, name)?.parse().ok();
        let span = text(headers, "x-ratelimit-reset-after")?.parse().ok()?;
        let span = Duration::try_from_secs_f64(span).ok()?;
        let (limit, remaining) = (number("x-ratelimit-limit")?, number("x-ratelimit-remaining")?);
        Some(Self { limit, remaining, filled: now + span, span })
    }

    /// Calls that are under way do not show in what an answer tells.
    fn correct(&mut self, told: &Self, now: Instant) {
        let same = now < self.filled;
        self.remaining = if same { self.remaining.min(told.remaining) } else { told.remaining };
        (self.limit, self.filled, self.span) = (told.limit, told.filled, self.span.max(told.span));
    }
}

struct Refusal {
    wait: Duration,
    global: bool,
}

impl Refusal {
    fn of(answer: &Answer) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            retry_after: Option<f64>,
            global: bool,
        }
        let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
        let header = || text(&answer.headers, RETRY_AFTER.as_str())?.parse().ok();
        let wait = body.retry_after.or_else(header).and_then(|wait| Duration::try_from_secs_f64(wait).ok());
        let scope = text(&answer.headers, "x-ratelimit-scope");
        Self { wait: wait.unwrap_or(UNKNOWN_WAIT), global: body.global || scope == Some("global") }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Rounded up: nobody should come back too soon because of how it is written.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
