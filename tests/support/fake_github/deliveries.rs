//! The log of what an App's hook was sent, and how that went.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::FakeGithub;
use super::app_handle::AppHandle;
use super::hooks::Sent;
use super::reply::{Call, Reply, answer, message, not_found, ok};
use super::state::State;

/// One attempt to deliver something.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Another one for each attempt.
    pub id: u64,
    pub sent: Sent,
    pub delivered_at: DateTime<Utc>,
    pub redelivery: bool,
    pub duration: Duration,
    pub headers: Vec<(String, String)>,
    pub answered: Answered,
}

/// What a receiver said.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// `None`: nothing at all.
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Why it said nothing.
    pub trouble: &'static str,
}

impl Answered {
    pub async fn of(answer: reqwest::Result<reqwest::Response>) -> Self {
        match answer {
            Err(error) if error.is_timeout() => Self { trouble: "timed out", ..Self::default() },
            Err(_) => Self { trouble: "failed to connect to host", ..Self::default() },
            Ok(answer) => {
                let headers = answer.headers().iter();
                let headers = headers.map(|(name, value)| {
                    (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                });
                let (headers, status) = (headers.collect(), Some(answer.status().as_u16()));
                Self { status, headers, body: answer.text().await.unwrap_or_default(), trouble: "" }
            }
        }
    }

    /// GitHub's words for it.
    fn told(&self) -> String {
        match self.status {
            Some(200..400) => "OK".to_owned(),
            Some(status) => format!("Invalid HTTP Response: {status}"),
            None => self.trouble.to_owned(),
        }
    }
}

impl State {
    pub fn log(
        &mut self,
        app: u64,
        sent: &Sent,
        headers: Vec<(String, String)>,
        answered: Answered,
        duration: Duration,
        redelivery: bool,
    ) {
        let (id, delivered_at) = (self.number(), self.now());
        let sent = sent.clone();
        self.apps.app_mut(app).log.push(Attempt { id, sent, delivered_at, redelivery, duration, headers, answered });
    }
}

impl Attempt {
    fn json(&self) -> Value {
        let payload = &self.sent.payload;
        json!({
            "id": self.id,
            "guid": self.sent.guid,
            "delivered_at": self.delivered_at,
            "redelivery": self.redelivery,
            "duration": self.duration.as_secs_f64(),
            "status": self.answered.told(),
            "status_code": self.answered.status.unwrap_or(0),
            "event": self.sent.event,
            "action": payload["action"],
            "installation_id": payload["installation"]["id"],
            "repository_id": payload["repository"]["id"],
            "throttled_at": null,
        })
    }

    fn full_json(&self) -> Value {
        let headers = |headers: &[(String, String)]| -> Map<String, Value> {
            headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
        };
        let mut json = self.json();
        json["url"] = self.sent.hook.url.as_str().into();
        json["request"] = json!({ "headers": headers(&self.headers), "payload": self.sent.payload });
        json["response"] = json!({ "headers": headers(&self.answered.headers), "payload": self.answered.body });
        json
    }

    fn is_success(&self) -> bool {
        self.answered.status.is_some_and(|status| (200..400).contains(&status))
    }

    fn is_failure(&self) -> bool {
        self.answered.status.is_some_and(|status| (400..600).contains(&status))
    }
}

/// `/app/hook/deliveries` and what is below it.
pub fn route(github: &FakeGithub, app: u64, call: &Call, below: &[&str]) -> Reply {
    let state = github.state();
    let log = &state.apps.app(app).expect("it was authenticated").log;
    let find = |id: &str| log.iter().find(|attempt| attempt.id.to_string() == id);
    match (call.method, below) {
        ("GET", []) => list(&state, log, call),
        ("GET", [id]) => find(id).map_or_else(not_found, |attempt| ok(attempt.full_json())),
        ("POST", [id, "attempts"]) => {
            let Some(attempt) = find(id) else { return not_found() };
            let (github, sent) = (github.unjudged(), attempt.sent.clone());
            tokio::spawn(async move { github.send(sent, true).await });
            answer(202, json!({}))
        }
        _ => not_found(),
    }
}

/// Newest first. A cursor is the number of the last attempt that was shown.
fn list(state: &State, log: &[Attempt], call: &Call) -> Reply {
    let before = match call.query("cursor") {
        None => u64::MAX,
        Some(cursor) => match cursor.strip_prefix("v1_").and_then(|id| id.parse().ok()) {
            Some(before) => before,
            None => return message(422, "Invalid cursor"),
        },
    };
    let wanted = call.query("status");
    let fits = |attempt: &&Attempt| match wanted.as_deref() {
        Some("success") => attempt.is_success(),
        Some("failure") => attempt.is_failure(),
        _ => true,
    };
    let size = call.number("per_page", 30).clamp(1, 100);
    let mut rest = log.iter().rev().filter(fits).filter(|attempt| attempt.id < before).peekable();
    let shown: Vec<&Attempt> = rest.by_ref().take(size).collect();
    let more = shown.last().filter(|_| rest.peek().is_some()).map(|last| {
        let status = wanted.as_ref().map(|status| format!("&status={status}")).unwrap_or_default();
        let address = format!("{}/api/v3/app/hook/deliveries", state.host);
        format!("<{address}?per_page={size}{status}&cursor=v1_{}>; rel=\"next\"", last.id)
    });
    ok(shown.into_iter().map(Attempt::json).collect()).linked(more)
}

impl AppHandle {
    /// Every attempt that the log still has, oldest first.
    pub fn log(&self) -> Vec<Attempt> {
        self.github.state().apps.app(self.id).expect("the App was deleted").log.clone()
    }

    /// The log forgets all but the newest so many attempts.
    pub fn log_keeps(&self, newest: usize) {
        let mut state = self.github.state();
        let log = &mut state.apps.app_mut(self.id).log;
        log.drain(..log.len().saturating_sub(newest));
    }

    /// The log forgets what was attempted before that moment of the host's time.
    pub fn forget_deliveries_before(&self, moment: DateTime<Utc>) {
        self.github.state().apps.app_mut(self.id).log.retain(|attempt| attempt.delivered_at >= moment);
    }
}
