//! Rate limits: <https://docs.discord.com/developers/topics/rate-limits>

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant, SystemTime};

use super::FakeDiscord;
use super::faults::limited;
use super::reply::{Call, Reply};

/// Calls with a bot's token in a second, all routes together.
const GLOBAL: usize = 50;

/// Refused calls in ten minutes, after which an address is banned.
const INVALID: usize = 10_000;

pub struct Limits {
    /// `None`: what Discord allows, as far as it is known.
    each: Option<(usize, Duration)>,
    buckets: HashMap<String, Bucket>,
    global: VecDeque<Instant>,
    global_most: usize,
    invalid: usize,
    invalid_most: usize,
}

struct Bucket {
    left: usize,
    since: Instant,
}

/// How a call's bucket stands after it.
pub struct Stand {
    limit: usize,
    left: usize,
    reset_after: f64,
    bucket: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            each: None,
            buckets: HashMap::new(),
            global: VecDeque::new(),
            global_most: GLOBAL,
            invalid: 0,
            invalid_most: INVALID,
        }
    }
}

impl Limits {
    /// Whoever was refused too often gets nothing but a page that no program reads.
    pub fn ban(&self) -> Option<Reply> {
        let page = serde_json::Value::from("<html>error code: 1015</html>");
        let banned = self.invalid >= self.invalid_most;
        banned.then(|| Reply { status: 429, headers: Vec::new(), body: Some(page) }.header("retry-after", 600))
    }

    /// 401, 403 and 429 count, what is shared with others aside.
    pub fn count(&mut self, reply: &Reply) {
        let shared = reply.headers.iter().any(|(name, value)| *name == "x-ratelimit-scope" && value == "shared");
        if matches!(reply.status, 401 | 403 | 429) && !shared {
            self.invalid += 1;
        }
    }

    /// Takes one call from its bucket, or refuses it.
    pub fn take(&mut self, call: &Call) -> Result<Stand, Reply> {
        let (route, major) = place(call);
        let (limit, window) = self.each.unwrap_or_else(|| usual(&call.method, &route));
        let now = Instant::now();
        // Routes of interactions are not bound to the bot's limit.
        if !route.starts_with("/webhooks/") {
            self.global.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
            if self.global.len() >= self.global_most {
                let wait =
                    Duration::from_secs(1).saturating_sub(self.global.front().map_or(Duration::ZERO, Instant::elapsed));
                return Err(limited(rounded(wait), true, "global"));
            }
            self.global.push_back(now);
        }
        let bucket = self
            .buckets
            .entry(format!("{} {route} {major}", call.method))
            .or_insert(Bucket { left: limit, since: now });
        if now.duration_since(bucket.since) >= window {
            *bucket = Bucket { left: limit, since: now };
        }
        let reset_after = rounded(window.saturating_sub(now.duration_since(bucket.since)));
        let mut stand = Stand { limit, left: 0, reset_after, bucket: hash(&format!("{} {route}", call.method)) };
        if bucket.left == 0 {
            return Err(stand.tell(limited(reset_after, false, "user")));
        }
        bucket.left -= 1;
        stand.left = bucket.left;
        Ok(stand)
    }
}

impl Stand {
    pub fn tell(&self, reply: Reply) -> Reply {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        reply
            .header("x-ratelimit-limit", self.limit)
            .header("x-ratelimit-remaining", self.left)
            .header("x-ratelimit-reset", format!("{:.3}", now + self.reset_after))
            .header("x-ratelimit-reset-after", format!("{:.3}", self.reset_after))
            .header("x-ratelimit-bucket", &self.bucket)
    }
}

/// A call's route, and its major parameter: calls with the same of both share a bucket.
fn place(call: &Call) -> (String, String) {
    let segments = call.segments();
    let major = match segments[..] {
        ["channels" | "guilds", id, ..] => id.to_owned(),
        ["webhooks", id, token, ..] => format!("{id}/{token}"),
        _ => String::new(),
    };
    let is_id = |segment: &&str| segment.chars().all(|c| c.is_ascii_digit());
    let plain = segments.iter().enumerate().map(|(place, segment)| {
        let token = segments[0] == "webhooks" && place == 2;
        if token || is_id(segment) { ":id" } else { segment }
    });
    (format!("/{}", plain.collect::<Vec<_>>().join("/")), major)
}

/// What was seen to be allowed; Discord does not promise it, and tells it with every answer.
fn usual(method: &str, route: &str) -> (usize, Duration) {
    match (method, route) {
        ("POST", "/channels/:id/messages") | ("PATCH", "/channels/:id/messages/:id") => (5, Duration::from_secs(5)),
        (_, route) if route.starts_with("/webhooks/") => (5, Duration::from_secs(2)),
        _ => (50, Duration::from_secs(1)),
    }
}

/// Seconds, in milliseconds rounded up.
fn rounded(wait: Duration) -> f64 {
    (wait.as_secs_f64() * 1000.0).ceil() / 1000.0
}

fn hash(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl FakeDiscord {
    /// Every bucket holds so many calls in so long.
    pub fn limit(&self, calls: usize, window: Duration) {
        let mut state = self.state();
        state.limits.buckets.clear();
        state.limits.each = Some((calls, window));
    }

    /// All routes together take so many calls in a second. Discord's number is 50.
    pub fn limit_global(&self, calls: usize) {
        self.state().limits.global_most = calls;
    }

    /// Bans whoever was refused so often. Discord's number is 10,000 in ten minutes.
    pub fn ban_after(&self, refusals: usize) {
        self.state().limits.invalid_most = refusals;
    }

    /// How many calls counted as invalid so far.
    pub fn invalid_requests(&self) -> usize {
        self.state().limits.invalid
    }
}
