//! Service hooks: subscriptions, what is delivered to them, how often that is tried, and what is written down about it.

mod calls;
mod payloads;
mod send;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use calls::respond;

use super::FakeAzureDevops;
use super::events::Event;

/// What the double knows of service hooks; it lies in its state.
#[derive(Default)]
pub struct Hooks {
    pub(super) subscriptions: Vec<Subscription>,
    /// Events that this server does not offer.
    without: Vec<String>,
    /// How far tests have moved the clock of retries.
    ahead: TimeDelta,
    /// Deliveries that are kept back; `None`: none are.
    held: Option<Vec<(Uuid, u64)>>,
    /// Events that are dropped without a trace but the number.
    lose: usize,
    flying: usize,
}

pub(super) struct Subscription {
    pub id: Uuid,
    pub org: String,
    pub project: Uuid,
    pub event: String,
    pub version: String,
    pub status: &'static str,
    pub by: Uuid,
    pub created: DateTime<Utc>,
    pub modified: DateTime<Utc>,
    pub publisher_inputs: Map<String, Value>,
    pub consumer_inputs: Map<String, Value>,
    /// The number of the last notification.
    pub last: u64,
    pub notifications: Vec<Notification>,
}

/// A delivery, and what became of it.
pub(super) struct Notification {
    pub id: u64,
    pub created: DateTime<Utc>,
    pub event: Value,
    /// `pending`, `succeeded`, `failed`.
    pub result: &'static str,
    pub attempts: usize,
    /// Of those, the ones on probation.
    pub retries: usize,
    /// When it is tried again.
    pub due: Option<DateTime<Utc>>,
    /// How the last attempt was answered.
    pub answered: Option<u16>,
}

/// A subscription as a test looks at it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub id: Uuid,
    pub project: Uuid,
    pub event: String,
    pub status: &'static str,
    pub url: String,
    /// What each of its deliveries was answered, the last time that it was tried.
    pub answers: Vec<Option<u16>>,
}

/// Something happened. Called on a thread of a tokio runtime, without the state's lock.
pub fn announce(azure: &FakeAzureDevops, event: &Event) {
    let (name, payload) = payloads::of(&azure.state(), event);
    let mut fresh = Vec::new();
    {
        let mut state = azure.state();
        let now = state.now() + state.hooks.ahead;
        let hooks = &mut state.hooks;
        let lost = hooks.lose > 0;
        for hook in &mut hooks.subscriptions {
            // Whatever happens on probation is told to nobody.
            if hook.org != event.org || hook.project != event.project || hook.event != name || hook.status != "enabled"
            {
                continue;
            }
            hook.last += 1;
            if lost {
                hooks.lose -= 1;
                continue;
            }
            let mut event = payload.clone();
            event["resourceVersion"] = hook.version.clone().into();
            hook.notifications.push(Notification {
                id: hook.last,
                created: now,
                event,
                result: "pending",
                attempts: 0,
                retries: 0,
                due: Some(now),
                answered: None,
            });
            fresh.push((hook.id, hook.last));
        }
        if let Some(held) = &mut hooks.held {
            held.append(&mut fresh);
        }
    }
    for (hook, notification) in fresh {
        azure.fly(hook, notification);
    }
}

impl FakeAzureDevops {
    /// Every subscription there is.
    pub fn subscriptions(&self) -> Vec<Seen> {
        let state = self.state();
        let seen = state.hooks.subscriptions.iter().map(|hook| Seen {
            id: hook.id,
            project: hook.project,
            event: hook.event.clone(),
            status: hook.status,
            url: hook.consumer_inputs["url"].as_str().unwrap_or_default().to_owned(),
            answers: hook.notifications.iter().map(|told| told.answered).collect(),
        });
        seen.collect()
    }

    /// This server does not offer these events.
    pub fn without_events(&self, events: &[&str]) {
        self.state().hooks.without = events.iter().map(|event| (*event).to_owned()).collect();
    }

    /// Somebody, or the system, changes the status of a subscription.
    pub fn set_status(&self, id: Uuid, status: &'static str) {
        self.with_hook(id, |hook| hook.status = status);
    }

    /// Somebody changes an input; empty takes it away.
    pub fn alter_hook(&self, id: Uuid, input: &str, value: &str) {
        self.with_hook(id, |hook| {
            let of_publisher = hook.publisher_inputs.contains_key(input) || input == "branch";
            let inputs = if of_publisher { &mut hook.publisher_inputs } else { &mut hook.consumer_inputs };
            inputs.insert(input.to_owned(), value.into());
        });
    }

    /// Somebody deletes a subscription.
    pub fn delete_hook(&self, id: Uuid) {
        self.state().hooks.subscriptions.retain(|hook| hook.id != id);
    }

    /// Whoever made them has left: theirs are switched off.
    pub fn identity_is_inactive(&self, person: Uuid) {
        let mut state = self.state();
        for hook in state.hooks.subscriptions.iter_mut().filter(|hook| hook.by == person) {
            hook.status = "disabledByInactiveIdentity";
        }
    }

    /// The history forgets everything.
    pub fn forget_history(&self) {
        for hook in &mut self.state().hooks.subscriptions {
            hook.notifications.clear();
        }
    }

    /// Keeps deliveries back until [`Self::release_hooks`].
    pub fn hold_hooks(&self) {
        self.state().hooks.held = Some(Vec::new());
    }

    /// Sends what was kept back, in any order.
    pub fn release_hooks(&self, reorder: impl FnOnce(&mut Vec<(Uuid, u64)>)) {
        let mut held = self.state().hooks.held.take().unwrap_or_default();
        reorder(&mut held);
        for (hook, notification) in held {
            self.fly(hook, notification);
        }
    }

    /// The next `count` deliveries are lost on the way, and nothing but the counter knows of them.
    pub fn lose_hooks(&self, count: usize) {
        self.state().hooks.lose = count;
    }

    /// Sends every delivery of a subscription once more.
    pub fn redeliver_hooks(&self, id: Uuid) {
        let mut ids = Vec::new();
        self.with_hook(id, |hook| ids = hook.notifications.iter().map(|told| told.id).collect());
        for notification in ids {
            self.fly(id, notification);
        }
    }

    /// Moves the clock of retries, tries what is due by then, and waits for it.
    pub async fn hooks_later(&self, by: Duration) {
        self.state().hooks.ahead += TimeDelta::from_std(by).unwrap();
        loop {
            self.hooks_arrive().await;
            let due = self.due();
            if due.is_empty() {
                return;
            }
            for (hook, notification) in due {
                self.fly(hook, notification);
            }
        }
    }

    /// Waits until nothing is on its way.
    pub async fn hooks_arrive(&self) {
        while self.state().hooks.flying > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn due(&self) -> Vec<(Uuid, u64)> {
        let state = self.state();
        let now = state.now() + state.hooks.ahead;
        let all = state.hooks.subscriptions.iter();
        let told = all.flat_map(|hook| hook.notifications.iter().map(|told| (hook.id, told)));
        // A first attempt is under way, or kept back.
        let due = told.filter(|(_, told)| told.attempts > 0 && told.due.is_some_and(|at| at <= now));
        due.map(|(hook, told)| (hook, told.id)).collect()
    }

    fn with_hook(&self, id: Uuid, change: impl FnOnce(&mut Subscription)) {
        let mut state = self.state();
        let hook = state.hooks.subscriptions.iter_mut().find(|hook| hook.id == id);
        change(hook.expect("there is no such subscription"));
    }
}
