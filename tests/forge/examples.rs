//! Every example payload that GitHub's own SDK ships is taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use refward::forge::Content;
use serde::Deserialize;
use serde_json::Value;

use crate::support::fake_github::hooks::signature;
use crate::{github, headers, posted, secret};

#[derive(Deserialize)]
struct Event {
    name: String,
    examples: Vec<Value>,
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".test-tools/node_modules/@octokit/webhooks-examples")
}

fn examples(set: &str) -> Vec<Event> {
    let file = package().join(set).join("index.json");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}. Run scripts/test-setup.sh first.", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// What became of the examples of each event.
fn outcomes(set: &str) -> BTreeMap<String, Vec<String>> {
    let forge = github();
    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in examples(set) {
        for example in &event.examples {
            let body = Bytes::from(example.to_string());
            let headers = headers(&[
                ("content-type", "application/json"),
                ("x-github-event", &event.name),
                ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
                ("x-hub-signature-256", &signature("s3cret", &body)),
            ]);
            let verified = forge.verify(posted(&headers, body), &[secret(1, "s3cret")]);
            let delivery = verified.and_then(|verified| forge.read(&verified));
            let outcome = match delivery.unwrap_or_else(|why| panic!("{set} {}: {why}: {example}", event.name)).content
            {
                Content::Ping => vec!["ping".to_owned()],
                Content::Ignored => vec!["-".to_owned()],
                Content::Events(events) => events.iter().map(|event| event.change.kind().to_owned()).collect(),
            };
            let known = outcomes.entry(event.name.clone()).or_default();
            known.extend(outcome);
            known.sort();
            known.dedup();
        }
    }
    outcomes
}

#[test]
fn githubs_own_examples_are_all_taken() {
    let outcomes = outcomes("api.github.com");
    assert_eq!(outcomes.len(), 58);
    let table: Vec<String> = outcomes.iter().map(|(event, kinds)| format!("{event}: {}", kinds.join(" "))).collect();
    insta::assert_snapshot!(table.join("\n"), @"
    branch_protection_rule: settings
    check_run: -
    check_suite: -
    code_scanning_alert: -
    commit_comment: settings
    create: refs
    delete: refs
    dependabot_alert: -
    deploy_key: settings
    deployment: -
    deployment_review: -
    deployment_status: -
    discussion: discussion
    discussion_comment: discussion
    fork: -
    github_app_authorization: access
    gollum: wiki
    installation: access
    installation_repositories: access
    issue_comment: issue
    issues: issue pull_request
    label: settings
    marketplace_purchase: -
    member: settings
    membership: account
    merge_group: -
    meta: access
    milestone: settings
    org_block: -
    organization: access account
    package: -
    page_build: settings
    ping: ping
    project: -
    project_card: -
    project_column: -
    projects_v2_item: account
    public: repository
    pull_request: pull_request refs
    pull_request_review: pull_request
    pull_request_review_comment: pull_request
    pull_request_review_thread: pull_request
    push: push
    release: release
    repository: repository
    repository_dispatch: -
    repository_import: refs
    repository_vulnerability_alert: -
    security_advisory: -
    sponsorship: -
    star: -
    status: -
    team: account settings
    team_add: settings
    watch: -
    workflow_dispatch: -
    workflow_job: -
    workflow_run: -
    ");
}

#[test]
fn those_of_enterprise_servers_too() {
    let current = outcomes("api.github.com");
    for set in ["ghes-31", "ghes-32", "ghes-33", "ghes-34", "ghes-35"] {
        for (event, kinds) in outcomes(set) {
            let Some(expected) = current.get(&event) else { continue };
            assert!(kinds.iter().all(|kind| expected.contains(kind)), "{set} {event}: {kinds:?}, not {expected:?}");
        }
    }
}
