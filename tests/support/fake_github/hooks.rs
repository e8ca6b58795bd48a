//! Webhooks: made from what really happened, signed, sent, kept, sent again.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use refward::cli::demo::git_server::Push;
use refward::domain::{ObjectId, RefChange};
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;
use uuid::Uuid;

use super::FakeGithub;
use super::deliveries::Answered;
use super::installations::hears;
use super::state::{State, id_of};

/// Above this many tags in one push, GitHub says nothing about them…
const MAX_TAGS: usize = 3;

/// …and above this many branches, nothing about those.
const MAX_BRANCHES: usize = 5000;

/// The longest payload in bytes; what would be longer is not sent at all.
const MAX_PAYLOAD: usize = 25 * 1024 * 1024;

pub struct Hooks {
    receivers: Vec<Hook>,
    sent: Vec<Sent>,
    held: Option<Vec<Sent>>,
    max_payload: usize,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { receivers: Vec::new(), sent: Vec::new(), held: None, max_payload: MAX_PAYLOAD }
    }
}

/// Where deliveries go, and how.
#[derive(Clone, Debug)]
pub struct Hook {
    pub id: u64,
    pub target: Target,
    pub url: Url,
    pub secret: Option<String>,
    pub form: bool,
}

/// Whose hook it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// An owner's.
    Owner(String),
    /// An App's, by its number.
    App(u64),
}

/// A delivery.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The same in every attempt.
    pub guid: String,
    /// Its event.
    pub event: String,
    /// Its payload.
    pub payload: Value,
    /// How the receiver answered the last attempt; `None`: not (yet).
    pub status: Option<u16>,
    pub(super) hook: Hook,
}

impl FakeGithub {
    /// Tells `url` what happens to repositories of `owner`, as JSON.
    pub fn hook(&self, owner: &str, url: Url, secret: &str) {
        self.add_hook(owner, url, secret, false);
    }

    /// The same as a form.
    pub fn form_hook(&self, owner: &str, url: Url, secret: &str) {
        self.add_hook(owner, url, secret, true);
    }

    fn add_hook(&self, owner: &str, url: Url, secret: &str, form: bool) {
        let target = Target::Owner(owner.to_owned());
        self.state().hooks.receivers.push(Hook { id: 1, target, url, secret: Some(secret.to_owned()), form });
    }

    /// Every hook's address changes to `url`, as when a receiver moves; what is still to be sent goes there, too.
    /// The hooks of Apps keep their path.
    pub fn hooks_to(&self, url: &Url) {
        let mut state = self.state();
        for hook in state.apps.registered.iter_mut().filter_map(|app| app.hook.url.as_mut()) {
            hook.set_host(url.host_str()).unwrap();
            hook.set_port(url.port()).unwrap();
        }
        let Hooks { receivers, sent, held, .. } = &mut state.hooks;
        let waiting = sent.iter_mut().chain(held.iter_mut().flatten()).map(|sent| &mut sent.hook);
        let owners = receivers.iter_mut().chain(waiting).filter(|hook| matches!(hook.target, Target::Owner(_)));
        owners.for_each(|hook| url.clone_into(&mut hook.url));
    }

    /// The longest payload in bytes that is sent.
    pub fn max_payload(&self, bytes: usize) {
        self.state().hooks.max_payload = bytes;
    }

    /// Every delivery so far, in the order of what happened.
    pub fn deliveries(&self) -> Vec<Sent> {
        self.state().hooks.sent.clone()
    }

    /// Keeps deliveries back until [`Self::release`].
    pub fn hold(&self) {
        self.state().hooks.held.get_or_insert_default();
    }

    /// Sends what was kept back, in an order of your choice: `|held| held.reverse()`. What that takes out is lost.
    pub async fn release(&self, reorder: impl FnOnce(&mut Vec<Sent>)) {
        let mut held = self.state().hooks.held.take().unwrap_or_default();
        self.state().hooks.sent.retain(|sent| held.iter().all(|held| held.guid != sent.guid));
        reorder(&mut held);
        self.state().hooks.sent.extend(held.iter().cloned());
        for sent in held {
            self.send(sent, false).await;
        }
    }

    /// Sends one again, with the same GUID.
    pub async fn redeliver(&self, guid: &str) -> u16 {
        let sent = self.deliveries().into_iter().find(|sent| sent.guid == guid).expect("there is no such delivery");
        self.send(sent, true).await.expect("the receiver does not answer")
    }

    /// Waits until so many deliveries have been answered.
    pub async fn delivered(&self, count: usize) {
        let patience = Instant::now();
        while self.deliveries().iter().filter(|sent| sent.status.is_some()).count() < count {
            assert!(patience.elapsed() < Duration::from_secs(20), "not delivered: {:?}", self.deliveries());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn announce(&self, push: &Push) {
        self.state().was_pushed(&push.repository);
        let tags = push.changes.iter().filter(|change| change.name.is_tag()).count();
        let branches = push.changes.len() - tags;
        let told = |change: &&RefChange| if change.name.is_tag() { tags <= MAX_TAGS } else { branches <= MAX_BRANCHES };
        for change in push.changes.iter().filter(told) {
            let by = push.user.as_deref().unwrap_or("mona");
            let kind = if change.name.is_tag() { "tag" } else { "branch" };
            let short = json!({
                "ref": change.name.short(),
                "ref_type": kind,
                "pusher_type": "user",
                "master_branch": "main",
                "description": null,
            });
            match (change.old, change.new) {
                (None, _) => self.happen(&push.repository, by, "create", short),
                (_, None) => self.happen(&push.repository, by, "delete", short),
                _ => (),
            }
            let mut payload = push_payload(change, by);
            payload["compare"] = format!("{}{}/compare", self.url(), push.repository).into();
            self.happen(&push.repository, by, "push", payload);
        }
    }

    /// `changes` are null if the action has none.
    pub(super) fn announce_repository(&self, id: u64, action: &str, changes: Value) {
        let full_name = self.state().by_id(id).full_name();
        let mut payload = json!({ "action": action });
        if !changes.is_null() {
            payload["changes"] = changes;
        }
        self.happen(&full_name, "mona", "repository", payload);
    }

    /// Anything else that shall have happened to a repository.
    pub fn happen(&self, full_name: &str, by: &str, event: &str, mut payload: Value) {
        let mut state = self.state();
        let repository = state.by_name(full_name).expect("the repository was deleted").clone();
        payload["repository"] = state.repository_json(&repository);
        payload["sender"] = state.account_json(by);
        if state.account(&repository.owner).is_some_and(|(_, account)| account.organization) {
            payload["organization"] = state.organization_json(&repository.owner);
        }
        let target = Target::Owner(repository.owner.clone());
        let hooks: Vec<Hook> = state.hooks.receivers.iter().filter(|hook| hook.target == target).cloned().collect();
        for hook in hooks {
            self.dispatch(&mut state, hook, event, payload.clone());
        }
        let apps = &state.apps;
        let told = apps.registered.iter().flat_map(|app| {
            let hearing = apps.installations.iter();
            let hearing = hearing.filter(|found| hears(app, found, &repository.owner, repository.id, event));
            hearing.map(|found| (app.id, found.id))
        });
        for (app, installation) in told.collect::<Vec<_>>() {
            payload["installation"] = json!({ "id": installation, "node_id": format!("I_{installation}") });
            self.send_to_app(&mut state, app, event, payload.clone());
        }
    }

    /// Sends an event to the one hook of an App, if it has one.
    pub(super) fn send_to_app(&self, state: &mut State, app: u64, event: &str, payload: Value) {
        if let Some(hook) = state.hook_of(app) {
            self.dispatch(state, hook, event, payload);
        }
    }

    fn dispatch(&self, state: &mut State, hook: Hook, event: &str, payload: Value) {
        if payload.to_string().len() > state.hooks.max_payload {
            return;
        }
        let guid = Uuid::new_v4().to_string();
        let sent = Sent { guid, event: event.to_owned(), payload, status: None, hook };
        state.hooks.sent.push(sent.clone());
        if let Some(held) = &mut state.hooks.held {
            held.push(sent);
            return;
        }
        let github = self.unjudged();
        tokio::spawn(async move { github.send(sent, false).await });
    }

    /// An App's delivery goes where its hook points by now, under the secret of now.
    pub(super) async fn send(&self, mut sent: Sent, again: bool) -> Option<u16> {
        let (headers, body) = {
            let state = self.state();
            if let Target::App(app) = sent.hook.target {
                sent.hook = state.hook_of(app).unwrap_or(sent.hook);
            }
            sent.written(&state, self.url())
        };
        let mut request = self.inner.http.post(sent.hook.url.clone()).body(body);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let since = Instant::now();
        let answered = Answered::of(request.send().await).await;
        let status = answered.status;
        let mut state = self.state();
        if let Some(kept) = state.hooks.sent.iter_mut().find(|kept| kept.guid == sent.guid) {
            kept.status = status;
        }
        if let Target::App(app) = sent.hook.target {
            state.log(app, &sent, headers, answered, since.elapsed(), again);
        }
        status
    }
}

impl State {
    /// An App's hook as it is now.
    pub fn hook_of(&self, app: u64) -> Option<Hook> {
        let hook = self.apps.app(app)?.hook.clone();
        Some(Hook { id: hook.id, target: Target::App(app), url: hook.url?, secret: hook.secret, form: hook.form })
    }
}

impl Sent {
    /// The headers and the body as they go out.
    fn written(&self, state: &State, host: &Url) -> (Vec<(String, String)>, String) {
        let json = self.payload.to_string();
        let (kind, body) = if self.hook.form {
            let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish();
            ("application/x-www-form-urlencoded", form)
        } else {
            ("application/json", json)
        };
        let (target, target_id) = match &self.hook.target {
            Target::Owner(owner) => ("organization", state.account(owner).map_or(id_of(owner), |(_, found)| found.id)),
            Target::App(id) => ("integration", *id),
        };
        let mut headers = vec![
            ("content-type", kind.to_owned()),
            ("user-agent", "GitHub-Hookshot/044aadd".to_owned()),
            ("x-github-event", self.event.clone()),
            ("x-github-delivery", self.guid.clone()),
            ("x-github-hook-id", self.hook.id.to_string()),
            ("x-github-hook-installation-target-type", target.to_owned()),
            ("x-github-hook-installation-target-id", target_id.to_string()),
        ];
        if let Some(secret) = &self.hook.secret {
            headers.push(("x-hub-signature-256", signature(secret, body.as_bytes())));
        }
        if let Some(version) = &state.version {
            headers.push(("x-github-enterprise-version", version.clone()));
            headers.push(("x-github-enterprise-host", host.host_str().unwrap().to_owned()));
        }
        (headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), body)
    }
}

/// `sha256=…` as GitHub writes it.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn push_payload(change: &RefChange, by: &str) -> Value {
    let id = |id: Option<ObjectId>| id.map_or_else(|| "0".repeat(40), |id| id.to_string());
    json!({
        "ref": change.name,
        "before": id(change.old),
        "after": id(change.new),
        "created": change.old.is_none(),
        "deleted": change.new.is_none(),
        "forced": change.forced,
        "base_ref": null,
        "commits": [],
        "head_commit": null,
        "pusher": { "name": by, "email": "mona@example.com" },
    })
}
