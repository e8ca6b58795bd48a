//! Service hooks: one subscription for each project and event, from the events that the server itself offers.
//! <https://learn.microsoft.com/azure/devops/service-hooks/services/webhooks>

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::repositories::Project;
use super::verify::{HEADER, Key, Purpose, USER};
use super::{AzureDevops, history};
use crate::domain::{Error, Kind, Result};
use crate::forge::{
    Access, Door, FoundHook, HookState, Hooks, Missed, MissedDelivery, Scope, Signer, Verified, WantedHook,
};

/// What a backup has to hear of. A Server offers fewer of them.
const EVENTS: &[&str] = &[
    "git.push",
    "git.repo.created",
    "git.repo.deleted",
    "git.repo.renamed",
    "git.repo.statuschanged",
    "git.repo.forked",
    "git.pullrequest.created",
    "git.pullrequest.updated",
    "git.pullrequest.merged",
    "ms.vss-code.git-pullrequest-comment-event",
    "workitem.created",
    "workitem.updated",
    "workitem.deleted",
    "workitem.restored",
    "workitem.commented",
    "build.complete",
];

/// Who publishes these events, and who hands them to us.
const PUBLISHER: &str = "tfs";
const CONSUMER: (&str, &str) = ("webHooks", "httpRequest");

/// As little as can be: what is sent may be kept in histories of others, and what is longer than 2 MB is not sent at all.
const SENT: [(&str, &str); 3] =
    [("resourceDetailsToSend", "minimal"), ("messagesToSend", "none"), ("detailedMessagesToSend", "none")];

/// What narrows a subscription down; ours are for all of a project.
const FILTERS: &[&str] = &[
    "repository",
    "branch",
    "pushedBy",
    "pullrequestCreatedBy",
    "pullrequestReviewersContains",
    "notificationType",
    "mergeResult",
    "areaPath",
    "workItemType",
    "tag",
    "changedFields",
    "linksChanged",
    "commentPattern",
    "definitionName",
    "buildStatus",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventType {
    id: String,
    #[serde(default)]
    supported_resource_versions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    id: String,
    /// Not told by old servers.
    status: Option<String>,
    event_type: String,
    resource_version: Option<String>,
    #[serde(default)]
    publisher_inputs: Map<String, Value>,
    #[serde(default)]
    consumer_inputs: Map<String, Value>,
    modified_date: Option<DateTime<Utc>>,
}

#[async_trait]
impl Hooks for AzureDevops {
    async fn wanted(&self, access: &Access) -> Result<Vec<WantedHook>> {
        let api = self.owner_of_hooks(access)?;
        let offered: Vec<EventType> = api.list(&["_apis", "hooks", "publishers", PUBLISHER, "eventtypes"], &[]).await?;
        let offered: Vec<(&EventType, &str)> =
            offered.iter().filter_map(|event| Some((event, newest(&event.supported_resource_versions)?))).collect();
        let projects: Vec<Project> =
            api.list_paged(&["_apis", "projects"], &[("stateFilter", "wellFormed"), ("$top", "500")]).await?;
        let mut wanted = Vec::new();
        for project in projects {
            let scope = Scope { id: project.id, name: project.name };
            wanted.extend(EVENTS.iter().filter_map(|event| {
                let (_, version) = offered.iter().find(|(offered, _)| offered.id == *event)?;
                let version = (*version).to_owned();
                Some(WantedHook { scope: scope.clone(), event: (*event).to_owned(), version })
            }));
        }
        Ok(wanted)
    }

    async fn found(&self, access: &Access, door: &Door) -> Result<Vec<FoundHook>> {
        let api = self.owner_of_hooks(access)?;
        let (consumer, action) = CONSUMER;
        let query = [("publisherId", PUBLISHER), ("consumerId", consumer), ("consumerActionId", action)];
        let subscriptions = api.list_paged::<Subscription>(&["_apis", "hooks", "subscriptions"], &query).await?;
        Ok(subscriptions.into_iter().filter(|hook| hook.is_ours(door)).map(|hook| hook.found(door)).collect())
    }

    async fn create(&self, access: &Access, door: &Door, wanted: &WantedHook) -> Result<FoundHook> {
        let body = subscription(door, &Key::random(), wanted)?;
        self.put(access, door, &Method::POST, &["_apis", "hooks", "subscriptions"], &body, wanted).await
    }

    async fn mend(&self, access: &Access, door: &Door, found: &FoundHook, wanted: &WantedHook) -> Result<FoundHook> {
        // With a key of its own: which one it had may have been altered. What is on its way with the old one is taken as well.
        let mut body = subscription(door, &Key::random(), wanted)?;
        body["id"] = found.id.as_str().into();
        body["status"] = "enabled".into();
        self.put(access, door, &Method::PUT, &["_apis", "hooks", "subscriptions", &found.id], &body, wanted).await
    }

    async fn remove(&self, access: &Access, id: &str) -> Result<()> {
        let api = self.owner_of_hooks(access)?;
        match api.send_good(&Method::DELETE, &["_apis", "hooks", "subscriptions", id], &[], None).await {
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn undelivered(&self, access: &Access, door: &Door, ids: &[String], since: DateTime<Utc>) -> Result<Missed> {
        let api = self.owner_of_hooks(access)?;
        let signer = Signer::Connection(door.connection);
        let history = history::read(&api, signer, ids, since).await?;
        let signers = vec![signer];
        let deliveries = history.failed.into_iter().map(|failed| MissedDelivery {
            id: failed.id,
            at: failed.at,
            verified: Verified { headers: HeaderMap::new(), body: failed.body, signers: signers.clone() },
        });
        Ok(Missed { deliveries: deliveries.collect(), complete: history.complete })
    }
}

impl AzureDevops {
    /// Hooks belong to whoever makes them, and to nobody else's credential.
    fn owner_of_hooks(&self, access: &Access) -> Result<Api> {
        let main = access.credentials.first().ok_or_else(|| Error::bug("a connection without a credential"))?;
        self.api(access, main)
    }

    async fn put(
        &self,
        access: &Access,
        door: &Door,
        method: &Method,
        path: &[&str],
        body: &Value,
        wanted: &WantedHook,
    ) -> Result<FoundHook> {
        let api = self.owner_of_hooks(access)?;
        let sent = api.send_good(method, path, &[], Some(body)).await;
        let answer = sent.map_err(|error| {
            error.while_doing(format!("setting up {} in the project {}", wanted.event, wanted.scope.name))
        })?;
        api.read::<Subscription>(&answer).map(|hook| hook.found(door))
    }
}

/// As we make them. Every input is text.
fn subscription(door: &Door, key: &Key, wanted: &WantedHook) -> Result<Value> {
    let secret = door.secrets.first().ok_or_else(|| Error::bug("a door without a secret"))?;
    let url = door.address.join(&key.to_string()).map_err(|error| Error::bug("a hook's address").detail(error))?;
    let (password, header) = (key.derive(secret, Purpose::Password), key.derive(secret, Purpose::Header));
    let mut inputs = json!({
        "url": url,
        "basicAuthUsername": USER,
        "basicAuthPassword": password.expose_secret(),
        "httpHeaders": format!("{HEADER}:{}", header.expose_secret()),
    });
    for (name, value) in SENT {
        inputs[name] = value.into();
    }
    let (consumer, action) = CONSUMER;
    Ok(json!({
        "publisherId": PUBLISHER,
        "eventType": wanted.event,
        "resourceVersion": wanted.version,
        "consumerId": consumer,
        "consumerActionId": action,
        "publisherInputs": { "projectId": wanted.scope.id },
        "consumerInputs": inputs,
    }))
}

impl Subscription {
    /// It leads to our door, and has a secret of ours or is one that we have made: several connections and deployments may have
    /// hooks side by side.
    fn is_ours(&self, door: &Door) -> bool {
        if door.known.contains(&self.id) {
            return true;
        }
        self.key(door).is_some_and(|key| door.secrets.iter().any(|secret| self.shows(&key, secret)))
    }

    fn key(&self, door: &Door) -> Option<Key> {
        self.input("url").strip_prefix(door.address.as_str()).and_then(Key::parse)
    }

    /// Headers are shown to whoever may look at subscriptions; passwords are masked.
    fn shows(&self, key: &Key, secret: &secrecy::SecretString) -> bool {
        self.header().is_some_and(|shown| key.opens(secret, Purpose::Header, shown))
    }

    fn header(&self) -> Option<&str> {
        let lines = self.input("httpHeaders").lines();
        let mut pairs = lines.filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(HEADER)).map(|(_, value)| value.trim())
    }

    fn input(&self, name: &str) -> &str {
        self.consumer_inputs.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn found(self, door: &Door) -> FoundHook {
        let altered = self.altered(door);
        let project = self.publisher_inputs.get("projectId").and_then(Value::as_str).unwrap_or_default();
        FoundHook {
            scope: project.to_lowercase(),
            event: self.event_type,
            state: state(self.status.as_deref()),
            altered,
            changed_at: self.modified_date,
            id: self.id,
        }
    }

    fn altered(&self, door: &Door) -> Vec<String> {
        let mut altered = Vec::new();
        match self.key(door) {
            None => altered.push("it does not lead to us".to_owned()),
            // Some servers mask headers as well; then the password has to do.
            Some(_) if self.input("httpHeaders").starts_with("***") => {}
            Some(key) if !door.secrets.first().is_some_and(|newest| self.shows(&key, newest)) => {
                altered.push("it has another secret".to_owned());
            }
            Some(_) => {}
        }
        if self.input("basicAuthUsername") != USER || self.input("basicAuthPassword").is_empty() {
            altered.push("it has another password".to_owned());
        }
        if SENT.iter().any(|(name, value)| self.input(name) != *value) {
            altered.push("it sends more or less than it should".to_owned());
        }
        if self.input("acceptUntrustedCerts") == "true" {
            altered.push("it trusts every certificate".to_owned());
        }
        let narrow =
            |name: &&&str| self.publisher_inputs.get(**name).and_then(Value::as_str).is_some_and(|v| !v.is_empty());
        if let Some(filter) = FILTERS.iter().find(narrow) {
            altered.push(format!("it is narrowed down by `{filter}`"));
        }
        altered.extend(self.resource_version.is_none().then(|| "it is of no version".to_owned()));
        altered
    }
}

fn state(status: Option<&str>) -> HookState {
    match status {
        Some("onProbation") => HookState::Probation,
        Some("disabledByUser") => HookState::DisabledByUser,
        Some("disabledBySystem") => HookState::DisabledBySystem,
        Some("disabledByInactiveIdentity") => HookState::DisabledByInactiveIdentity,
        _ => HookState::Enabled,
    }
}

/// The newest of the versions that a server offers; what is released is newer than its previews. Never `latest`: what that
/// means changes by itself.
fn newest(versions: &[String]) -> Option<&str> {
    let numbered = versions.iter().filter_map(|text| {
        let (number, preview) =
            text.split_once('-').map_or((text.as_str(), None), |(number, rest)| (number, Some(rest)));
        let (major, minor) = number.split_once('.')?;
        let preview =
            preview.map_or(u32::MAX, |rest| rest.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or(0));
        Some(((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?, preview), text))
    });
    numbered.max().map(|(_, text)| text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_taken_and_latest_never() {
        let newest = |versions: &[&str]| {
            let owned: Vec<String> = versions.iter().map(|text| (*text).to_owned()).collect();
            newest(&owned).map(str::to_owned)
        };
        assert_eq!(newest(&["1.0-preview.1", "latest"]).as_deref(), Some("1.0-preview.1"));
        assert_eq!(newest(&["1.0", "2.0", "1.0-preview.2"]).as_deref(), Some("2.0"));
        assert_eq!(newest(&["2.0-preview.1", "2.0"]).as_deref(), Some("2.0"));
        assert_eq!(newest(&["latest"]), None);
    }
}
