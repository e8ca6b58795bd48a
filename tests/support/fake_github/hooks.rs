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
use super::state::id_of;

/// Above this many tags in one push, GitHub says nothing about them.
const MAX_TAGS: usize = 3;

#[derive(Default)]
pub struct Hooks {
    receivers: Vec<Hook>,
    sent: Vec<Sent>,
    held: Option<Vec<Sent>>,
}

#[derive(Clone)]
struct Hook {
    owner: String,
    url: Url,
    secret: String,
    form: bool,
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
    url: Url,
    headers: Vec<(String, String)>,
    body: String,
}

impl FakeGithub {
    /// Tells `url` what happens to repositories of `owner`, as JSON.
    pub fn hook(&self, owner: &str, url: Url, secret: &str) {
        self.state().hooks.receivers.push(Hook {
            owner: owner.to_owned(),
            url,
            secret: secret.to_owned(),
            form: false,
        });
    }

    /// The same as a form.
    pub fn form_hook(&self, owner: &str, url: Url, secret: &str) {
        self.state().hooks.receivers.push(Hook { owner: owner.to_owned(), url, secret: secret.to_owned(), form: true });
    }

    /// Every hook's address changes to `url`, as when a receiver moves; what is still to be sent goes there, too.
    pub fn hooks_to(&self, url: &Url) {
        let mut state = self.state();
        let Hooks { receivers, sent, held } = &mut state.hooks;
        let waiting = sent.iter_mut().chain(held.iter_mut().flatten()).map(|sent| &mut sent.url);
        receivers.iter_mut().map(|hook| &mut hook.url).chain(waiting).for_each(|address| url.clone_into(address));
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
            self.send(sent).await;
        }
    }

    /// Sends one again, with the same GUID.
    pub async fn redeliver(&self, guid: &str) -> u16 {
        let sent = self.deliveries().into_iter().find(|sent| sent.guid == guid).expect("there is no such delivery");
        self.send(sent).await.expect("the receiver does not answer")
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
        let tags = push.changes.iter().filter(|change| change.name.is_tag()).count();
        for change in push.changes.iter().filter(|change| !change.name.is_tag() || tags <= MAX_TAGS) {
            let by = push.user.as_deref().unwrap_or("mona");
            let kind = if change.name.is_tag() { "tag" } else { "branch" };
            let short =
                json!({ "ref": change.name.short(), "ref_type": kind, "pusher_type": "user", "master_branch": "main" });
            match (change.old, change.new) {
                (None, _) => self.happen(&push.repository, by, "create", short),
                (_, None) => self.happen(&push.repository, by, "delete", short),
                _ => (),
            }
            self.happen(&push.repository, by, "push", push_payload(change, by));
        }
    }

    pub(super) fn announce_repository(&self, id: u64, action: &str) {
        let full_name = self.state().by_id(id).full_name();
        self.happen(&full_name, "mona", "repository", json!({ "action": action }));
    }

    /// Anything else that shall have happened to a repository.
    pub fn happen(&self, full_name: &str, by: &str, event: &str, mut payload: Value) {
        let mut state = self.state();
        let repository = state.by_name(full_name).expect("the repository was deleted").clone();
        payload["repository"] = repository.json();
        payload["sender"] = json!({ "login": by, "id": id_of(by), "type": "User" });
        let version = state.version.clone();
        let hooks: Vec<Hook> =
            state.hooks.receivers.iter().filter(|hook| hook.owner == repository.owner).cloned().collect();
        for hook in hooks {
            let sent = hook.sign(event, &payload, version.as_deref(), self.url());
            state.hooks.sent.push(sent.clone());
            if let Some(held) = &mut state.hooks.held {
                held.push(sent);
                continue;
            }
            let github = self.clone();
            tokio::spawn(async move { github.send(sent).await });
        }
    }

    async fn send(&self, sent: Sent) -> Option<u16> {
        let mut request = self.inner.http.post(sent.url.clone()).body(sent.body.clone());
        for (name, value) in &sent.headers {
            request = request.header(name, value);
        }
        let status = request.send().await.ok().map(|answer| answer.status().as_u16());
        let mut state = self.state();
        if let Some(kept) = state.hooks.sent.iter_mut().find(|kept| kept.guid == sent.guid) {
            kept.status = status;
        }
        status
    }
}

impl Hook {
    fn sign(&self, event: &str, payload: &Value, version: Option<&str>, host: &Url) -> Sent {
        let json = payload.to_string();
        let (kind, body) = if self.form {
            let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish();
            ("application/x-www-form-urlencoded", form)
        } else {
            ("application/json", json)
        };
        let guid = Uuid::new_v4().to_string();
        let mut headers = vec![
            ("content-type", kind.to_owned()),
            ("user-agent", "GitHub-Hookshot/044aadd".to_owned()),
            ("x-github-event", event.to_owned()),
            ("x-github-delivery", guid.clone()),
            ("x-github-hook-id", "1".to_owned()),
            ("x-github-hook-installation-target-type", "organization".to_owned()),
            ("x-github-hook-installation-target-id", id_of(&self.owner).to_string()),
            ("x-hub-signature-256", signature(&self.secret, body.as_bytes())),
        ];
        if let Some(version) = version {
            headers.push(("x-github-enterprise-version", version.to_owned()));
            headers.push(("x-github-enterprise-host", host.host_str().unwrap().to_owned()));
        }
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Sent {
            guid,
            event: event.to_owned(),
            payload: payload.clone(),
            status: None,
            url: self.url.clone(),
            headers,
            body,
        }
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
