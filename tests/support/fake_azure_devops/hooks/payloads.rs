//! What is sent about an event, as `resourceDetailsToSend: minimal` has it: no more than where to look.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::fake_azure_devops::events::{Event, What};
use crate::support::fake_azure_devops::state::State;

/// The name of an event, and what is sent about it.
pub fn of(state: &State, event: &Event) -> (&'static str, Value) {
    let (name, resource) = told(state, event);
    let base = format!("{}/{}/", state.host, event.org);
    let org = state.org(&event.org).id;
    let payload = json!({
        "id": Uuid::new_v4(),
        "eventType": name,
        "publisherId": "tfs",
        "message": null,
        "detailedMessage": null,
        "resource": resource,
        "resourceContainers": {
            "collection": { "id": org, "baseUrl": base },
            "account": { "id": org, "baseUrl": base },
            "project": { "id": event.project, "baseUrl": base },
        },
        "createdDate": event.at,
    });
    (name, payload)
}

fn told(state: &State, event: &Event) -> (&'static str, Value) {
    let repository = event.repository.map(|id| id.to_string()).unwrap_or_default();
    let url = format!("{}/{}/_apis/git/repositories/{repository}", state.host, event.org);
    let pull = |number: u64| json!({ "pullRequestId": number, "url": format!("{url}/pullRequests/{number}") });
    match &event.what {
        What::Push { push_id, .. } => {
            ("git.push", json!({ "pushId": push_id, "url": format!("{url}/pushes/{push_id}") }))
        }
        What::RepositoryCreated => ("git.repo.created", json!({ "url": url })),
        What::RepositoryForked { .. } => ("git.repo.forked", json!({ "url": url })),
        What::RepositoryRenamed { old_name, new_name } => {
            ("git.repo.renamed", json!({ "oldName": old_name, "newName": new_name, "url": url }))
        }
        What::RepositoryDeleted { name, hard } => {
            ("git.repo.deleted", json!({ "repositoryId": repository, "repositoryName": name, "isHardDelete": hard }))
        }
        What::RepositoryStatusChanged { disabled } => {
            ("git.repo.statuschanged", json!({ "disabled": disabled, "url": url }))
        }
        What::PullRequestCreated { number } => ("git.pullrequest.created", pull(*number)),
        What::PullRequestUpdated { number, .. } => ("git.pullrequest.updated", pull(*number)),
        What::PullRequestMerged { number, .. } => ("git.pullrequest.merged", pull(*number)),
        What::PullRequestComment { number, .. } => {
            ("ms.vss-code.git-pullrequest-comment-event", json!({ "pullRequest": pull(*number) }))
        }
    }
}
