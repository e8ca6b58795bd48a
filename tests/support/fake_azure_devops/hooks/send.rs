//! Deliveries on their way, and what the answers to them do to the subscription.
//! <https://learn.microsoft.com/azure/devops/service-hooks/troubleshoot>

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::Subscription;
use crate::support::fake_azure_devops::FakeAzureDevops;

/// Seconds between the attempts after an answer that may pass.
const TRANSIENT: [i64; 8] = [1, 2, 4, 8, 16, 32, 60, 60];

/// Minutes between the attempts on probation.
const PROBATION: [i64; 7] = [20, 40, 80, 160, 320, 640, 900];

/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

struct Letter {
    url: String,
    user: String,
    password: String,
    headers: Vec<(String, String)>,
    body: Value,
}

impl FakeAzureDevops {
    /// Sends a delivery; the answer is settled when it is there.
    pub(super) fn fly(&self, hook: Uuid, notification: u64) {
        let Some(letter) = self.letter(hook, notification) else { return };
        self.state().hooks.flying += 1;
        let azure = self.unjudged();
        tokio::spawn(async move {
            let answered = send(letter).await;
            let mut state = azure.state();
            let now = state.now() + state.hooks.ahead;
            if let Some(known) = state.hooks.subscriptions.iter_mut().find(|known| known.id == hook) {
                settle(known, notification, answered, now);
            }
            state.hooks.flying -= 1;
        });
    }

    fn letter(&self, hook: Uuid, notification: u64) -> Option<Letter> {
        let state = self.state();
        let hook = state.hooks.subscriptions.iter().find(|known| known.id == hook)?;
        let told = hook.notifications.iter().find(|told| told.id == notification)?;
        let input = |name: &str| hook.consumer_inputs.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut body = told.event.clone();
        body["subscriptionId"] = hook.id.to_string().into();
        body["notificationId"] = told.id.into();
        let headers = input("httpHeaders");
        let headers = headers.lines().filter_map(|line| line.split_once(':'));
        Some(Letter {
            url: input("url"),
            user: input("basicAuthUsername"),
            password: input("basicAuthPassword"),
            headers: headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect(),
            body,
        })
    }
}

async fn send(letter: Letter) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut request = client.post(&letter.url).timeout(PATIENCE).json(&letter.body);
    if !letter.user.is_empty() || !letter.password.is_empty() {
        request = request.basic_auth(&letter.user, Some(&letter.password));
    }
    for (name, value) in &letter.headers {
        request = request.header(name, value);
    }
    request.send().await.ok().map(|answer| answer.status().as_u16())
}

fn settle(hook: &mut Subscription, notification: u64, answered: Option<u16>, now: DateTime<Utc>) {
    let Some(told) = hook.notifications.iter_mut().find(|told| told.id == notification) else { return };
    told.attempts += 1;
    told.answered = answered;
    told.due = None;
    let passing = matches!(answered, None | Some(408 | 502 | 503 | 504));
    match answered {
        Some(200..300) => {
            told.result = "succeeded";
            if hook.status == "onProbation" {
                hook.status = "enabled";
            }
        }
        Some(410) => {
            told.result = "failed";
            hook.status = "disabledBySystem";
        }
        _ if passing && told.retries == 0 && told.attempts <= TRANSIENT.len() => {
            told.due = Some(now + TimeDelta::seconds(TRANSIENT[told.attempts - 1]));
        }
        // The others of a subscription on probation are not tried again.
        _ if hook.status == "onProbation" && told.retries == 0 => told.result = "failed",
        _ if told.retries < PROBATION.len() => {
            hook.status = "onProbation";
            told.due = Some(now + TimeDelta::minutes(PROBATION[told.retries]));
            told.retries += 1;
        }
        _ => {
            told.result = "failed";
            hook.status = "disabledBySystem";
        }
    }
}
