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

/// Whatever is told: what is added to a clock must not go past its end.
const LONGEST: Duration = Duration::from_hours(24);

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
        if let Some(bucket) = text(headers, "x-ratelimit-bucket") {
            self.buckets.insert(lane.route.clone(), bucket.to_owned());
        }
        // Until a bucket is named, the route stands for it.
        let bucket = self.buckets.entry(lane.route.clone()).or_insert_with(|| lane.route.clone());
        let key = (bucket.clone(), lane.of.clone());
        if let Some(told) = Window::told(headers, now) {
            self.windows.entry(key.clone()).and_modify(|window| window.correct(&told, now)).or_insert(told);
        }
        if answer.status != StatusCode::TOO_MANY_REQUESTS {
            return None;
        }
        let Refusal { wait, scope } = Refusal::of(answer);
        match scope {
            Scope::Everything => self.everything = Some(now + wait),
            Scope::Bucket => {
                let one = Window { limit: 1, remaining: 0, filled: now, span: wait };
                let window = self.windows.entry(key).or_insert(one);
                (window.remaining, window.filled) = (0, now + wait);
            }
        }
        Some(Wait(wait))
    }
}

impl Window {
    fn told(headers: &HeaderMap, now: Instant) -> Option<Self> {
        let number = |name| text(headers, name)?.parse().ok();
        let span = text(headers, "x-ratelimit-reset-after")?.parse().ok()?;
        let span = Duration::try_from_secs_f64(span).ok()?.min(LONGEST);
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
    scope: Scope,
}

enum Scope {
    Bucket,
    Everything,
}

impl Refusal {
    fn of(answer: &Answer) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            retry_after: Option<f64>,
        }
        let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
        let header = || text(&answer.headers, RETRY_AFTER.as_str())?.parse().ok();
        let wait = body.retry_after.or_else(header).and_then(|wait| Duration::try_from_secs_f64(wait).ok());
        // Without a scope it comes from what stands before Discord, and is meant for all that we do.
        let scope = match text(&answer.headers, "x-ratelimit-scope") {
            Some("user" | "shared") => Scope::Bucket,
            _ => Scope::Everything,
        };
        Self { wait: wait.unwrap_or(UNKNOWN_WAIT).min(LONGEST), scope }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Rounded up: nobody should come back too soon because of how it is written.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use tokio::time::Instant;

    use super::{Lane, Limits};
    use crate::chat::discord::api::Answer;
    use crate::domain::Kind;

    fn lane(of: &str) -> Lane {
        Lane { route: "POST messages".to_owned(), of: of.to_owned(), is_ours: true }
    }

    fn answer(status: StatusCode, headers: &[(&'static str, &'static str)], body: &'static str) -> Answer {
        let pairs =
            headers.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)));
        Answer { status, headers: pairs.collect::<HeaderMap>(), body: Bytes::from_static(body.as_bytes()) }
    }

    fn left(remaining: &'static str, reset_after: &'static str) -> Answer {
        let headers = [
            ("x-ratelimit-bucket", "abc"),
            ("x-ratelimit-limit", "2"),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset-after", reset_after),
        ];
        answer(StatusCode::OK, &headers, "")
    }

    fn refused(scope: &'static str, body: &'static str) -> Answer {
        answer(StatusCode::TOO_MANY_REQUESTS, &[("x-ratelimit-scope", scope)], body)
    }

    /// How long it takes to be admitted.
    async fn admitted(limits: &Limits, lane: &Lane) -> Duration {
        let since = Instant::now();
        limits.admit(lane).await.expect("admitted");
        since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_bucket_is_waited_for_and_others_are_not() {
        let limits = Limits::default();
        assert_eq!(admitted(&limits, &lane("1")).await, Duration::ZERO);
        assert!(limits.observed(&lane("1"), &left("0", "1.5")).is_none());
        assert_eq!(admitted(&limits, &lane("2")).await, Duration::ZERO);
        assert!(admitted(&limits, &lane("1")).await.as_millis().abs_diff(1500) < 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_was_filled_gives_as_many_as_it_holds() {
        let limits = Limits::default();
        limits.observed(&lane("1"), &left("0", "1"));
        let mut waits = Vec::new();
        for _ in 0..4 {
            waits.push(admitted(&limits, &lane("1")).await.as_secs());
        }
        assert_eq!(waits, [1, 0, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_comes_back_later() {
        let limits = Limits::default();
        limits.observed(&lane("1"), &left("0", "30"));
        let error = limits.admit(&lane("1")).await.expect_err("half a minute");
        let Kind::Throttled { retry_after } = error.kind() else { panic!("{error:?}") };
        assert!(retry_after > Duration::from_secs(29), "{retry_after:?}");
        assert_eq!(error.to_string(), "we call Discord again in 30 s, as it wants");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_counts_for_whom_it_is_meant() {
        let limits = Limits::default();
        let body = r#"{ "message": "You are being rate limited.", "retry_after": 1.25, "global": false }"#;
        let wait = limits.observed(&lane("1"), &refused("shared", body)).expect("a refusal");
        assert!(wait.is_short());
        assert_eq!(admitted(&limits, &lane("2")).await, Duration::ZERO);
        assert!(admitted(&limits, &lane("1")).await.as_millis().abs_diff(1250) < 5);

        limits.observed(&lane("1"), &refused("global", r#"{ "retry_after": 0.5, "global": true }"#));
        let answer_to_somebody = Lane { is_ours: false, ..lane("3") };
        assert_eq!(admitted(&limits, &answer_to_somebody).await, Duration::ZERO);
        assert!(admitted(&limits, &lane("2")).await.as_millis().abs_diff(500) < 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ban_is_for_everything_and_its_page_is_not_read() {
        let limits = Limits::default();
        let page = answer(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", "600")], "<html>error code: 1015</html>");
        let wait = limits.observed(&lane("1"), &page).expect("a refusal");
        assert!(!wait.is_short());
        assert_eq!(wait.error().to_string(), "Discord asks us to wait 600 s");
        assert!(matches!(limits.admit(&lane("2")).await.map_err(|error| error.kind()), Err(Kind::Throttled { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_under_way_are_counted_before_they_are_answered() {
        let limits = Limits::default();
        limits.observed(&lane("1"), &left("2", "1"));
        admitted(&limits, &lane("1")).await;
        admitted(&limits, &lane("1")).await;
        // It was sent before the second of them arrived.
        limits.observed(&lane("1"), &left("1", "1"));
        assert!(admitted(&limits, &lane("1")).await > Duration::from_millis(900));
    }
}
