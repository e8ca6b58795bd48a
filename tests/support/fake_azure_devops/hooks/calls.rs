//! `_apis/hooks/…`.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Notification, Subscription};
use crate::support::fake_azure_devops::reply::{Call, Reply, done, list, ok};
use crate::support::fake_azure_devops::state::{State, is};
use crate::support::fake_azure_devops::{Caller, FakeAzureDevops, Secured, ServiceHooks, errors};

/// The events, with the version that is offered, and what narrows them down.
const EVENTS: &[(&str, &[&str], &[&str])] = &[
    ("git.push", &["1.0"], &["repository", "branch", "pushedBy"]),
    ("git.repo.created", &["1.0-preview.1"], &[]),
    ("git.repo.deleted", &["1.0-preview.1"], &["repository"]),
    ("git.repo.renamed", &["1.0-preview.1"], &["repository"]),
    ("git.repo.statuschanged", &["1.0-preview.1"], &["repository"]),
    ("git.repo.forked", &["1.0-preview.1"], &["repository"]),
    ("git.pullrequest.created", &["1.0-preview.1", "1.0"], &["repository", "branch"]),
    ("git.pullrequest.updated", &["1.0-preview.1", "1.0"], &["repository", "branch", "notificationType"]),
    ("git.pullrequest.merged", &["1.0-preview.1", "1.0"], &["repository", "branch", "mergeResult"]),
    ("ms.vss-code.git-pullrequest-comment-event", &["1.0", "2.0"], &["repository", "branch"]),
    ("workitem.created", &["1.0"], &["areaPath", "workItemType", "tag"]),
    ("workitem.updated", &["1.0"], &["areaPath", "workItemType", "tag", "changedFields", "linksChanged"]),
    ("workitem.deleted", &["1.0"], &["areaPath", "workItemType", "tag"]),
    ("workitem.restored", &["1.0"], &["areaPath", "workItemType", "tag"]),
    ("workitem.commented", &["1.0"], &["areaPath", "workItemType", "tag", "commentPattern"]),
    ("build.complete", &["1.0", "2.0"], &["definitionName", "buildStatus"]),
    ("tfvc.checkin", &["1.0"], &["path"]),
];

/// The inputs of `webHooks/httpRequest`, and what they may be, if that is limited.
const INPUTS: &[(&str, &[&str])] = &[
    ("url", &[]),
    ("httpHeaders", &[]),
    ("basicAuthUsername", &[]),
    ("basicAuthPassword", &[]),
    ("acceptUntrustedCerts", &["true", "false"]),
    ("resourceDetailsToSend", &["", "all", "minimal", "none"]),
    ("messagesToSend", &["", "all", "text", "html", "markdown", "none"]),
    ("detailedMessagesToSend", &["", "all", "text", "html", "markdown", "none"]),
];

/// A call to `_apis/hooks/…`; `rest` is what follows `hooks`, in lower case. `None`: there is no such call.
pub fn respond(azure: &FakeAzureDevops, caller: &Caller, call: &Call, rest: &[&str]) -> Option<Reply> {
    let mut state = azure.state();
    Some(match (call.method.as_str(), rest) {
        ("GET", ["publishers", "tfs", "eventtypes"]) => event_types(&state),
        ("GET", ["subscriptions"]) => subscriptions(&state, caller, call),
        ("POST", ["subscriptions"]) => create(&mut state, caller, call),
        ("GET", ["subscriptions", id]) => match place(&state, caller, id) {
            Some(at) => ok(shown(&state, &state.hooks.subscriptions[at])),
            None => no_subscription(id),
        },
        ("PUT", ["subscriptions", id]) => replace(&mut state, caller, call, id),
        ("DELETE", ["subscriptions", id]) => delete(&mut state, caller, id),
        ("POST", ["notificationsquery"]) => query(&state, caller, call),
        _ => return None,
    })
}

fn event_types(state: &State) -> Reply {
    let offered = EVENTS.iter().filter(|(name, ..)| !state.hooks.without.iter().any(|without| without == name));
    list(
        offered
            .map(|(name, versions, filters)| {
                let inputs = std::iter::once(&"projectId").chain(filters.iter());
                json!({
                    "publisherId": "tfs",
                    "id": name,
                    "name": name,
                    "description": "",
                    "supportedResourceVersions": versions,
                    "inputDescriptors": inputs.map(|id| json!({ "id": id, "isConfidential": false })).collect::<Vec<_>>(),
                })
            })
            .collect(),
    )
}

fn subscriptions(state: &State, caller: &Caller, call: &Call) -> Reply {
    let event = call.query("eventType");
    let seen = state.hooks.subscriptions.iter().filter(|hook| {
        hook.org == caller.org
            && event.is_none_or(|event| event == hook.event)
            && allows(state, caller, hook.project, "ViewSubscriptions")
    });
    list(seen.map(|hook| shown(state, hook)).collect())
}

fn create(state: &mut State, caller: &Caller, call: &Call) -> Reply {
    let (project, publisher, consumer) = match checked(state, caller, &call.body) {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let now = state.now();
    let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
    let hook = Subscription {
        id: Uuid::new_v4(),
        org: caller.org.clone(),
        project,
        event: text("eventType"),
        version: text("resourceVersion"),
        status: "enabled",
        by: caller.person,
        created: now,
        modified: now,
        publisher_inputs: publisher,
        consumer_inputs: consumer,
        last: 0,
        notifications: Vec::new(),
    };
    let reply = ok(shown(state, &hook));
    state.hooks.subscriptions.push(hook);
    reply
}

fn replace(state: &mut State, caller: &Caller, call: &Call, id: &str) -> Reply {
    let Some(at) = place(state, caller, id) else { return no_subscription(id) };
    let (project, publisher, consumer) = match checked(state, caller, &call.body) {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let now = state.now();
    let hook = &mut state.hooks.subscriptions[at];
    (hook.project, hook.publisher_inputs, hook.consumer_inputs, hook.modified) = (project, publisher, consumer, now);
    call.body["resourceVersion"].as_str().unwrap_or_default().clone_into(&mut hook.version);
    hook.by = caller.person;
    match call.body["status"].as_str() {
        Some("enabled") => hook.status = "enabled",
        Some("disabledByUser") => hook.status = "disabledByUser",
        _ => {}
    }
    // What it was on probation for is given up.
    for told in hook.notifications.iter_mut().filter(|told| told.retries > 0 && told.result == "pending") {
        (told.result, told.due) = ("failed", None);
    }
    ok(shown(state, &state.hooks.subscriptions[at]))
}

fn delete(state: &mut State, caller: &Caller, id: &str) -> Reply {
    let Some(at) = place(state, caller, id) else { return no_subscription(id) };
    if !allows(state, caller, state.hooks.subscriptions[at].project, "DeleteSubscriptions") {
        return errors::access_denied(&caller.person.to_string(), "Delete subscriptions");
    }
    state.hooks.subscriptions.remove(at);
    done()
}

fn place(state: &State, caller: &Caller, id: &str) -> Option<usize> {
    let mine = |hook: &Subscription| hook.org == caller.org && is(hook.id, id);
    let at = state.hooks.subscriptions.iter().position(mine)?;
    allows(state, caller, state.hooks.subscriptions[at].project, "ViewSubscriptions").then_some(at)
}

fn allows(state: &State, caller: &Caller, project: Uuid, permission: &str) -> bool {
    state.org(&caller.org).allows(caller.person, &ServiceHooks(Some(project)).token(), permission)
}

fn no_subscription(id: &str) -> Reply {
    errors::hooks(404, "SubscriptionNotFoundException", &format!("No subscription exists with ID {id}."))
}

type Checked = (Uuid, Map<String, Value>, Map<String, Value>);

/// The inputs by their descriptors.
fn checked(state: &State, caller: &Caller, body: &Value) -> Result<Checked, Reply> {
    let bad = |why: String| Err(errors::hooks(400, "SubscriptionInputException", &why));
    if body["publisherId"] != "tfs" || body["consumerId"] != "webHooks" || body["consumerActionId"] != "httpRequest" {
        return bad("no registered handler".to_owned());
    }
    let event = body["eventType"].as_str().unwrap_or_default();
    let offered =
        EVENTS.iter().find(|(name, ..)| *name == event && !state.hooks.without.iter().any(|known| known == name));
    let Some((_, versions, filters)) = offered else { return bad(format!("The event type {event} is not known.")) };
    let version = body["resourceVersion"].as_str().unwrap_or_default();
    if !versions.contains(&version) && version != "latest" {
        return bad(format!("The resource version {version} of {event} is not supported."));
    }
    let inputs = |name: &str| body[name].as_object().cloned().unwrap_or_default();
    let (mut publisher, consumer) = (inputs("publisherInputs"), inputs("consumerInputs"));
    if let Some((name, _)) = publisher.iter().chain(&consumer).find(|(_, value)| !value.is_string()) {
        return bad(format!("The input {name} is not a string."));
    }
    let known = |name: &str| name == "projectId" || filters.contains(&name);
    if let Some(name) = publisher.keys().find(|name| !known(name)) {
        return bad(format!("The input {name} is not known of {event}."));
    }
    let project = publisher.get("projectId").and_then(Value::as_str).unwrap_or_default();
    let Some(project) = state.org(&caller.org).project(project).filter(|project| project.state == "wellFormed") else {
        return Err(errors::no_project(project));
    };
    let project = project.id;
    if !allows(state, caller, project, "EditSubscriptions") {
        return Err(errors::access_denied(&caller.person.to_string(), "Edit subscriptions"));
    }
    for (name, value) in &consumer {
        let value = value.as_str().unwrap_or_default();
        let Some((_, values)) = INPUTS.iter().find(|(known, _)| known == name) else {
            return bad(format!("The input {name} is not known."));
        };
        let spaces = value.contains(char::is_whitespace);
        let fits = match name.as_str() {
            "url" => value.parse::<url::Url>().is_ok(),
            "httpHeaders" => {
                value.lines().all(|line| line.split_once(':').is_some_and(|(_, text)| !text.trim().contains(' ')))
            }
            "basicAuthPassword" => !spaces && (1..=256).contains(&value.len()) && value != MASK,
            _ => values.is_empty() || values.contains(&value),
        };
        if !fits {
            return bad(format!("The input {name} is not valid."));
        }
    }
    if !consumer.contains_key("url") {
        return bad("The input url is required.".to_owned());
    }
    publisher.insert("tfsSubscriptionId".to_owned(), Uuid::new_v4().to_string().into());
    Ok((project, publisher, consumer))
}

/// What is shown instead of a password.
const MASK: &str = "********";

fn shown(state: &State, hook: &Subscription) -> Value {
    let mut inputs = hook.consumer_inputs.clone();
    if inputs.contains_key("basicAuthPassword") {
        inputs.insert("basicAuthPassword".to_owned(), MASK.into());
    }
    json!({
        "id": hook.id,
        "url": format!("{}/{}/_apis/hooks/subscriptions/{}", state.host, hook.org, hook.id),
        "status": hook.status,
        "publisherId": "tfs",
        "eventType": hook.event,
        "resourceVersion": hook.version,
        "eventDescription": "",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "actionDescription": "",
        "createdBy": { "id": hook.by },
        "createdDate": hook.created,
        "modifiedBy": { "id": hook.by },
        "modifiedDate": hook.modified,
        "publisherInputs": hook.publisher_inputs,
        "consumerInputs": inputs,
    })
}

/// The newest first, and no more than are asked for.
fn query(state: &State, caller: &Caller, call: &Call) -> Reply {
    let body = &call.body;
    let time = |name: &str| body[name].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let (from, until) = (time("minCreatedDate"), time("maxCreatedDate"));
    let ids: Vec<&str> = body["subscriptionIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted = |told: &Notification| {
        from.is_none_or(|from| told.created >= from)
            && until.is_none_or(|until| told.created <= until)
            && body["resultType"].as_str().is_none_or(|result| result == told.result)
    };
    let hooks = state.hooks.subscriptions.iter().filter(|hook| {
        hook.org == caller.org
            && ids.iter().any(|id| is(hook.id, id))
            && allows(state, caller, hook.project, "ViewSubscriptions")
    });
    let limit = |name: &str| body[name].as_u64().and_then(|most| most.try_into().ok()).unwrap_or(100);
    let (most, each) = (limit("maxResults"), limit("maxResultsPerSubscription"));
    let mut found: Vec<(&Subscription, &Notification)> = hooks
        .flat_map(|hook| {
            hook.notifications.iter().rev().filter(|told| wanted(told)).take(each).map(move |told| (hook, told))
        })
        .collect();
    found.sort_by_key(|(_, told)| std::cmp::Reverse(told.created));
    found.truncate(state.page_size.map_or(most, |page| page.min(most)));
    let details = body["includeDetails"] == true;
    let results = found.into_iter().map(|(hook, told)| {
        let mut entry = json!({
            "id": told.id,
            "subscriptionId": hook.id,
            "subscriberId": Uuid::nil(),
            "eventId": told.event["id"],
            "status": if told.result == "pending" { "processing" } else { "completed" },
            "result": told.result,
            "createdDate": told.created,
            "modifiedDate": told.created,
        });
        if details {
            entry["details"] = json!({
                "eventType": hook.event,
                "event": told.event,
                "publisherId": "tfs",
                "requestAttempts": told.attempts,
                "errorMessage": told.answered.map(|status| status.to_string()),
            });
        }
        entry
    });
    ok(json!({ "subscriptionIds": body["subscriptionIds"], "results": results.collect::<Vec<_>>(), "summary": [] }))
}
