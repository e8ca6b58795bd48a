//! Foreign JSON to our words. Hooks are asked to send as little as they can (`resourceDetailsToSend: minimal`), versions differ,
//! and samples leave out what real deliveries have: so nothing has to be there that we can do without.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::{Actor, AppId, Change, ConnectionId, DeliveryId, Event, ObjectId, RefName, RemoteRepository};
use crate::forge::{Content, Delivery, Rejected, Signer, Verified};

/// What test notifications say that they are about, whoever sends them.
const TEST_IDS: &[&str] = &[
    "03c164c2-8912-4d5e-8009-3707d5f83734",
    "c12d0eb8-e382-443b-9f9c-c52cba5014c2",
    "f844ec47-a9db-4511-8281-8b63f4eaf94e",
    "be9b3917-87e6-42a4-a549-2bc06a7a878f",
];

/// What events are called that no backup needs.
const NOISE: &[&str] =
    &["ms.vss-pipeline", "ms.vss-release.", "ms.vss-endpoint.", "tfvc.", "message.", "advancedsecurity."];

/// References of one push that are told one by one; whatever it says of more, git says better.
const TOLD: usize = 100;

/// What stands around every event. All of it may be missing from samples, and most of it from a strange delivery.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default)]
    subscription_id: Value,
    #[serde(default)]
    notification_id: Value,
    #[serde(default)]
    id: Value,
    event_type: String,
    #[serde(default)]
    resource: Value,
    #[serde(default)]
    resource_containers: Value,
    #[serde(default)]
    created_date: Value,
}

pub(super) fn read(verified: &Verified) -> Result<Delivery, Rejected> {
    let envelope: Envelope = serde_json::from_slice(verified.body())
        .map_err(|_| Rejected::Malformed("the body is not JSON that says which event it tells of"))?;
    let signer = verified.signers().first().ok_or(Rejected::Unauthenticated)?;
    let id = envelope.delivery(*signer).ok_or(Rejected::Malformed("the body does not say which delivery it is"))?;
    let scope = envelope.scope();
    let content = envelope.content();
    Ok(Delivery { id, event: envelope.event_type, installation: None, scope, content })
}

impl Envelope {
    /// Notifications are counted for each subscription. The event's own id is the same for whoever has subscribed to it, and
    /// for all test notifications, so it is good for nothing but samples.
    fn delivery(&self, signer: Signer) -> Option<DeliveryId> {
        let number = |value: &Value| value.as_u64().map(|number| number.to_string());
        let notification = number(&self.notification_id).or_else(|| text(&self.notification_id));
        let subscription = guid(&self.subscription_id).or_else(|| text(&self.subscription_id));
        match (subscription, notification) {
            (Some(subscription), Some(notification)) => delivery_id(&subscription, &notification, signer),
            _ => told_by(&text(&self.id)?, signer),
        }
    }

    /// The project.
    fn scope(&self) -> Option<String> {
        guid(&self.resource_containers["project"]["id"]).or_else(|| guid(&self.resource["repository"]["project"]["id"]))
    }

    fn is_test(&self) -> bool {
        let containers = ["collection", "account", "project"].map(|name| &self.resource_containers[name]["id"]);
        let mut ids = containers.into_iter().chain([&self.id]);
        ids.any(|id| guid(id).is_some_and(|id| TEST_IDS.contains(&id.as_str())))
    }

    fn content(&self) -> Content {
        if self.is_test() {
            return Content::Ping;
        }
        let Some(changes) = self.changes() else {
            let event = self.event_type.clone();
            if !NOISE.iter().any(|noise| event.starts_with(noise)) {
                metrics::counter!("refward_events_not_understood_total", "forge" => super::SLUG, "event" => event)
                    .increment(1);
            }
            return Content::Ignored;
        };
        let (repository, actor, at) = (self.repository(), self.actor(), self.at());
        let event = |change| Event { repository: repository.clone(), actor: actor.clone(), at, change };
        Content::Events(changes.into_iter().map(event).collect())
    }

    /// `None`: an event that no backup needs.
    fn changes(&self) -> Option<Vec<Change>> {
        let resource = &self.resource;
        let repository = |what: &str| vec![Change::Repository(what.to_owned())];
        Some(match self.event_type.as_str() {
            "git.push" => self.pushed(),
            "git.repo.created" => repository("created"),
            "git.repo.deleted" => repository("deleted"),
            "git.repo.renamed" => repository("renamed"),
            "git.repo.forked" => repository("forked"),
            "git.repo.statuschanged" => repository("status changed"),
            // `refs/pull/N/merge` moves with it.
            "git.pullrequest.created" | "git.pullrequest.updated" | "git.pullrequest.merged" => {
                let number = number(&[&resource["pullRequestId"], &resource["id"]]);
                number.map(Change::PullRequest).into_iter().chain([Change::Refs]).collect()
            }
            "ms.vss-code.git-pullrequest-comment-event" => {
                let number = number(&[&resource["pullRequest"]["pullRequestId"], &resource["pullRequestId"]]);
                vec![number.map_or(Change::Account("pull requests"), Change::PullRequest)]
            }
            "workitem.updated" => {
                // `id` is the number of the update.
                let number = number(&[&resource["workItemId"], &resource["revision"]["id"]]);
                vec![number.map_or(Change::Account("work items"), Change::WorkItem)]
            }
            "workitem.created" | "workitem.deleted" | "workitem.restored" | "workitem.commented" => {
                vec![number(&[&resource["id"]]).map_or(Change::Account("work items"), Change::WorkItem)]
            }
            "build.complete" => vec![number(&[&resource["id"]]).map_or(Change::Account("builds"), Change::Build)],
            _ => return None,
        })
    }

    fn pushed(&self) -> Vec<Change> {
        let updates = self.resource["refUpdates"].as_array().map(Vec::as_slice).unwrap_or_default();
        let told: Vec<Change> = updates.iter().take(TOLD).map(|update| moved(update).unwrap_or(Change::Refs)).collect();
        let more = updates.is_empty() || updates.len() > TOLD;
        told.into_iter().chain(more.then_some(Change::Refs)).collect()
    }

    fn repository(&self) -> Option<RemoteRepository> {
        let resource = &self.resource;
        let told = [&resource["repository"], &resource["pullRequest"]["repository"]];
        let told = told.into_iter().find(|repository| repository.is_object()).unwrap_or(&Value::Null);
        let forge_id =
            guid(&told["id"]).or_else(|| guid(&resource["repositoryId"])).or_else(|| self.id_in_address())?;
        let project = text(&told["project"]["name"]).or_else(|| text(&resource["project"]["name"]));
        let name = text(&told["name"]).or_else(|| text(&resource["repositoryName"]));
        let full_name = project.zip(name).map(|(project, name)| format!("{project}/{name}"));
        Some(RemoteRepository {
            forge_id,
            full_name: full_name.unwrap_or_default(),
            private: true,
            archived: false,
            default_branch: text(&told["defaultBranch"])
                .map(|name| name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned()),
        })
    }

    /// A minimal delivery names the repository nowhere else. Addresses have had several forms, of which nothing is taken but
    /// the id that follows `repositories`; where there is none, all repositories of the project are looked at.
    fn id_in_address(&self) -> Option<String> {
        let address = self.resource["url"].as_str()?;
        let mut parts = address.split(['/', '?']).skip_while(|part| !part.eq_ignore_ascii_case("repositories"));
        parts.nth(1).and_then(|id| Uuid::try_parse(id).ok()).map(|id| id.hyphenated().to_string())
    }

    fn actor(&self) -> Option<Actor> {
        let resource = &self.resource;
        let people = ["pushedBy", "initiatedBy", "revisedBy", "createdBy", "requestedFor"].map(|who| &resource[who]);
        let comment = &resource["comment"]["author"];
        let name = |who: &Value| text(&who["uniqueName"]).or_else(|| text(&who["displayName"])).or_else(|| text(who));
        people.into_iter().chain([comment]).find_map(name).map(Actor)
    }

    fn at(&self) -> Option<DateTime<Utc>> {
        let resource = &self.resource;
        let times = [&resource["date"], &resource["utcTimestamp"], &self.created_date];
        let time = |value: &Value| DateTime::parse_from_rfc3339(value.as_str()?).ok();
        times.into_iter().find_map(time).map(|time| time.with_timezone(&Utc))
    }
}

/// What a delivery is called by which a subscription tells of a notification. Whoever proved to speak for one connection says
/// in the body which delivery this is, and could name one that another's are about to come with, so that those would count as
/// repeated: so it is named after whom it speaks for, too.
pub(super) fn delivery_id(subscription: &str, notification: &str, signer: Signer) -> Option<DeliveryId> {
    told_by(&format!("{subscription}/{notification}"), signer)
}

fn told_by(id: &str, signer: Signer) -> Option<DeliveryId> {
    let (Signer::Connection(ConnectionId(number)) | Signer::App(AppId(number))) = signer;
    DeliveryId::parse(&format!("{id}@{number}")).ok()
}

/// `None`: not in words that git knows.
fn moved(update: &Value) -> Option<Change> {
    let side = |value: &Value| ObjectId::parse_nullable(value.as_str()?).ok();
    let name: RefName = update["name"].as_str()?.parse().ok()?;
    // Whether it was forced is not told; what the references are compared with tells.
    let (old, new) = (side(&update["oldObjectId"])?, side(&update["newObjectId"])?);
    (old.is_some() || new.is_some()).then_some(Change::Push { name, old, new, forced: false })
}

/// The first that is one. Some are 0 where they are not known.
fn number(candidates: &[&Value]) -> Option<u64> {
    candidates.iter().find_map(|value| value.as_u64().filter(|number| *number > 0))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// In the one form that lists use, too.
fn guid(value: &Value) -> Option<String> {
    Uuid::try_parse(value.as_str()?).ok().map(|id| id.hyphenated().to_string())
}
