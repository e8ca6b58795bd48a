//! Rate limits: who has how much left, and who asks too much at once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, json};

use super::FakeGithub;
use super::reply::{Reply, message, ok};
use super::state::State;
use super::tokens::Token;

/// Calls in an hour, as on github.com.
const PER_HOUR: u64 = 5000;

const SECONDARY: &str = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

/// All limits are off at first, as on a fresh Enterprise Server.
pub struct Limits {
    /// What a bucket has left when it is first used, by resource.
    left: HashMap<&'static str, u64>,
    buckets: HashMap<(String, &'static str), Bucket>,
    status: u16,
    reset_after: TimeDelta,
    secondary: VecDeque<Option<u64>>,
    points_per_minute: Option<u64>,
    points: HashMap<String, VecDeque<(Instant, u64)>>,
    concurrency: Option<usize>,
    latency: Duration,
    in_flight: Arc<()>,
}

#[derive(Clone)]
struct Bucket {
    used: u64,
    reset: DateTime<Utc>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            left: HashMap::new(),
            buckets: HashMap::new(),
            status: 403,
            reset_after: TimeDelta::minutes(30),
            secondary: VecDeque::new(),
            points_per_minute: None,
            points: HashMap::new(),
            concurrency: None,
            latency: Duration::ZERO,
            in_flight: Arc::default(),
        }
    }
}

/// What somebody has left of a resource.
pub struct Left {
    pub resource: &'static str,
    pub used: u64,
    pub remaining: u64,
    pub reset: DateTime<Utc>,
}

impl Left {
    pub const LIMIT: u64 = PER_HOUR;

    pub fn tell(&self, reply: Reply) -> Reply {
        reply
            .header("x-ratelimit-limit", &Self::LIMIT.to_string())
            .header("x-ratelimit-remaining", &self.remaining.to_string())
            .header("x-ratelimit-used", &self.used.to_string())
            .header("x-ratelimit-reset", &self.reset.timestamp().to_string())
            .header("x-ratelimit-resource", self.resource)
    }
}

/// `GET /rate_limit`, which costs nothing.
pub fn rate_limit(state: &mut State, token: &Token) -> Reply {
    let mut resources = Map::new();
    for resource in ["core", "graphql", "search"] {
        if let Some(left) = state.left(token, resource) {
            let (used, remaining, reset) = (left.used, left.remaining, left.reset.timestamp());
            let bucket = json!({ "limit": Left::LIMIT, "used": used, "remaining": remaining, "reset": reset });
            resources.insert(resource.to_owned(), bucket);
        }
    }
    let Some(core) = resources.get("core").cloned() else {
        return message(404, "Rate limiting is not enabled.");
    };
    resources.entry("search").or_insert_with(|| core.clone());
    ok(json!({ "resources": resources, "rate": core }))
}

/// Who shares a bucket: all tokens of an installation, all tokens of a person.
pub fn bucket(state: &State, token: &Token) -> String {
    match &token.grant {
        Some(grant) => format!("installation ID {}", grant.installation),
        None => format!("user ID {}", state.account_json(&token.user)["id"]),
    }
}

impl State {
    /// What a token has left; `None`: the limit is off.
    pub fn left(&mut self, token: &Token, resource: &'static str) -> Option<Left> {
        let remaining = *self.limits.left.get(resource)?;
        let (key, now) = ((bucket(self, token), resource), self.now());
        let reset = now + self.limits.reset_after;
        let fresh = Bucket { used: PER_HOUR - remaining, reset };
        let kept = self.limits.buckets.entry(key).or_insert(fresh);
        if kept.reset <= now {
            *kept = Bucket { used: 0, reset };
        }
        let used = kept.used.min(PER_HOUR);
        Some(Left { resource, used, remaining: PER_HOUR - used, reset: kept.reset })
    }

    pub fn charge(&mut self, token: &Token, resource: &'static str, cost: u64) {
        let key = (bucket(self, token), resource);
        if let Some(kept) = self.limits.buckets.get_mut(&key) {
            kept.used += cost;
        }
    }

    /// The primary limit's refusal, in GitHub's words.
    pub fn exceeded(&self, token: &Token) -> Reply {
        message(self.limits.status, &format!("API rate limit exceeded for {}.", bucket(self, token)))
    }

    /// The refusal of somebody who asks too much in too little time.
    pub fn too_fast(&mut self, token: &Token, points: u64) -> Option<Reply> {
        if let Some(retry_after) = self.limits.secondary.pop_front() {
            let reply = self.secondary();
            return Some(match retry_after {
                Some(seconds) => reply.header("retry-after", &seconds.to_string()),
                None => reply,
            });
        }
        let most = self.limits.points_per_minute?;
        let who = bucket(self, token);
        let recent = self.limits.points.entry(who.clone()).or_default();
        recent.retain(|(at, _)| at.elapsed() < Duration::from_mins(1));
        recent.push_back((Instant::now(), points));
        let spent: u64 = recent.iter().map(|(_, points)| points).sum();
        if spent <= most {
            return None;
        }
        self.violations.push(format!("{who} spent {spent} points in a minute; {most} are allowed"));
        Some(self.secondary())
    }

    fn secondary(&self) -> Reply {
        message(self.limits.status, SECONDARY)
    }
}

impl FakeGithub {
    /// Switches the primary limit of the REST API on: everybody has so many calls left. `None`: off, as on a fresh server.
    pub fn limit(&self, remaining: Option<u64>) {
        self.set_limit("core", remaining);
    }

    /// The same for points of GraphQL.
    pub fn limit_graphql(&self, remaining: Option<u64>) {
        self.set_limit("graphql", remaining);
    }

    fn set_limit(&self, resource: &'static str, remaining: Option<u64>) {
        let limits = &mut self.state().limits;
        limits.buckets.retain(|(_, known), _| *known != resource);
        match remaining {
            Some(remaining) => limits.left.insert(resource, remaining),
            None => limits.left.remove(resource),
        };
    }

    /// Used up limits begin anew so many seconds after they were first used.
    pub fn limits_reset_after(&self, seconds: i64) {
        self.state().limits.reset_after = TimeDelta::seconds(seconds);
    }

    /// What those are refused with who ask too much: 403, or 429.
    pub fn limits_answer(&self, status: u16) {
        self.state().limits.status = status;
    }

    /// The next `times` calls meet the secondary limit. `None`: GitHub does not say when to come back.
    pub fn secondary(&self, times: usize, retry_after: Option<u64>) {
        self.state().limits.secondary.extend(std::iter::repeat_n(retry_after, times));
    }

    /// Whoever spends more in a minute is refused, and has broken a rule. github.com's number is 900.
    pub fn points_per_minute(&self, most: u64) {
        self.state().limits.points_per_minute = Some(most);
    }

    /// Whoever asks for more than so many things at once is refused, and has broken a rule. github.com's number is 100.
    pub fn at_most_at_once(&self, calls: usize) {
        self.state().limits.concurrency = Some(calls);
    }

    /// How long the host takes for a call.
    pub fn calls_take(&self, time: Duration) {
        self.state().limits.latency = time;
    }

    /// A call comes in. What is given must be kept until it is answered.
    pub(super) async fn enter(&self) -> (Arc<()>, Option<Reply>) {
        let (visitor, refusal, latency) = {
            let mut state = self.state();
            let visitor = state.limits.in_flight.clone();
            let at_once = Arc::strong_count(&visitor) - 1;
            let refusal = state.limits.concurrency.filter(|most| at_once > *most).map(|most| {
                state.violations.push(format!("{at_once} calls at once; {most} are allowed"));
                state.secondary()
            });
            (visitor, refusal, state.limits.latency)
        };
        if refusal.is_none() {
            self.inner.calls.pass().await;
            tokio::time::sleep(latency).await;
        }
        (visitor, refusal)
    }

    /// Every rule of GitHub's that was broken so far. A test fails at its end if there is one, unless it forgives.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Takes them back, for a test that breaks rules on purpose.
    pub fn forgive_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.state().violations)
    }
}
