//! GitHub's events in our words, one by one.

use bytes::Bytes;
use refward::forge::{Content, Delivery, Rejected};
use serde_json::{Value, json};

use crate::support::fake_github::hooks::signature;
use crate::{github, headers, posted, secret};

fn read(event: &str, mut payload: Value) -> Delivery {
    if payload.get("repository").is_none() {
        payload["repository"] = json!({ "id": 42, "full_name": "acme/api" });
    }
    read_body(event, payload.to_string()).unwrap()
}

fn read_body(event: &str, body: impl Into<Bytes>) -> Result<Delivery, Rejected> {
    let body = body.into();
    let headers = headers(&[
        ("content-type", "application/json"),
        ("x-github-event", event),
        ("x-github-delivery", "d1"),
        ("x-hub-signature-256", &signature("s3cret", &body)),
    ]);
    let forge = github();
    let verified = forge.verify(posted(&headers, body), &[secret(1, "s3cret")]);
    verified.and_then(|verified| forge.read(&verified))
}

fn changes(event: &str, payload: Value) -> String {
    match read(event, payload).content {
        Content::Ping => "ping".to_owned(),
        Content::Ignored => "ignored".to_owned(),
        Content::Events(events) => {
            events.iter().map(|event| format!("{:?}", event.change)).collect::<Vec<_>>().join(" + ")
        }
    }
}

#[test]
fn what_each_event_asks_for() {
    let table: Vec<String> = [
        (
            "push",
            json!({ "ref": "refs/heads/main", "before": "0".repeat(40), "after": "a".repeat(40), "forced": true }),
        ),
        ("push", json!({ "ref": "refs/heads/main", "before": "b".repeat(64), "after": "0".repeat(64) })),
        ("push", json!({ "ref": "refs/heads/a..b", "before": "0".repeat(40), "after": "a".repeat(40) })),
        ("push", json!({ "ref": "refs/heads/main", "before": 7 })),
        ("create", json!({ "ref": "v1", "ref_type": "tag" })),
        ("delete", json!({ "ref": "v1", "ref_type": "tag" })),
        ("gollum", json!({ "pages": [] })),
        ("repository", json!({ "action": "transferred" })),
        ("public", json!({})),
        ("installation", json!({ "action": "suspend", "repository": null })),
        ("installation_repositories", json!({ "action": "removed", "repository": null })),
        ("installation_target", json!({ "action": "renamed", "repository": null })),
        ("github_app_authorization", json!({ "action": "revoked", "repository": null })),
        ("meta", json!({ "action": "deleted" })),
        ("organization", json!({ "action": "renamed", "repository": null })),
        ("organization", json!({ "action": "member_added", "repository": null })),
        ("issues", json!({ "action": "opened", "issue": { "number": 7 } })),
        ("issue_comment", json!({ "action": "created", "issue": { "number": 7 } })),
        ("issue_comment", json!({ "action": "created", "issue": { "number": 8, "pull_request": {} } })),
        (
            "sub_issues",
            json!({ "action": "sub_issue_added", "parent_issue": { "number": 1 }, "sub_issue": { "number": 2 } }),
        ),
        ("pull_request", json!({ "action": "synchronize", "pull_request": { "number": 8 } })),
        ("pull_request_review_thread", json!({ "action": "resolved", "pull_request": { "number": 8 } })),
        ("discussion_comment", json!({ "action": "created", "discussion": { "number": 9 } })),
        ("release", json!({ "action": "published", "release": { "id": 10 } })),
        ("label", json!({ "action": "created" })),
        ("repository_ruleset", json!({ "action": "created" })),
        ("repository_ruleset", json!({ "action": "created", "repository": null })),
        ("team", json!({ "action": "added_to_repository" })),
        ("team", json!({ "action": "created", "repository": null })),
        ("membership", json!({ "action": "added", "repository": null })),
        ("ping", json!({ "zen": "Design for failure.", "repository": null })),
        ("star", json!({ "action": "created" })),
        ("teleported", json!({})),
        // What we need is not there.
        ("issues", json!({ "action": "opened" })),
    ]
    .into_iter()
    .map(|(event, payload)| format!("{event}: {}", changes(event, payload)))
    .collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    push: Push { name: RefName("refs/heads/main"), old: None, new: Some(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa), forced: true }
    push: Push { name: RefName("refs/heads/main"), old: Some(bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb), new: None, forced: false }
    push: Refs
    push: Refs
    create: Refs
    delete: Refs
    gollum: Wiki
    repository: Repository("transferred")
    public: Repository("publicized")
    installation: Access("installation.suspend")
    installation_repositories: Access("installation_repositories.removed")
    installation_target: Access("installation_target.renamed")
    github_app_authorization: Access("github_app_authorization.revoked")
    meta: Access("meta.deleted")
    organization: Access("organization.renamed")
    organization: Account("members")
    issues: Issue(7)
    issue_comment: Issue(7)
    issue_comment: PullRequest(8)
    sub_issues: Issue(1) + Issue(2)
    pull_request: PullRequest(8) + Refs
    pull_request_review_thread: PullRequest(8)
    discussion_comment: Discussion(9)
    release: Release(10)
    label: Settings("labels")
    repository_ruleset: Settings("rulesets")
    repository_ruleset: Account("rulesets")
    team: Settings("people")
    team: Account("teams")
    membership: Account("teams")
    ping: ping
    star: ignored
    teleported: ignored
    issues: ignored
    "#);
}

#[test]
fn when_it_happened_and_who_did_it() {
    let delivery = read(
        "issues",
        json!({
            "action": "edited",
            "issue": { "number": 7, "updated_at": "2019-05-15T15:20:18.000-05:00" },
            "sender": { "login": "mona" },
        }),
    );
    assert_eq!(delivery.event, "issues.edited");
    let Content::Events(events) = delivery.content else { panic!() };
    assert_eq!(events[0].at.unwrap().to_rfc3339(), "2019-05-15T20:20:18+00:00");
    assert_eq!(events[0].actor.as_ref().unwrap().0, "mona");
}

fn pushed_to(repository: &Value) -> Result<String, Rejected> {
    let delivery = read_body("push", json!({ "ref": "refs/heads/main", "repository": repository }).to_string())?;
    let Content::Events(events) = delivery.content else { panic!("a push is an event") };
    Ok(events[0].repository.as_ref().expect("it says where").full_name.clone())
}

#[test]
fn a_repository_without_a_full_name_is_named_by_its_parts() {
    for owner in [json!({ "login": "acme" }), json!({ "name": "acme", "email": "acme@example.com" })] {
        assert_eq!(pushed_to(&json!({ "id": 42, "name": "api", "owner": owner })), Ok("acme/api".to_owned()));
    }
    for parts in [json!({ "id": 42, "name": "api" }), json!({ "id": 42, "owner": { "login": "acme" } })] {
        assert_eq!(pushed_to(&parts), Err(Rejected::Malformed("the payload names no repository")));
    }
}

#[test]
fn a_character_that_is_none_does_not_cost_a_push() {
    let push = |member: &[u8], full_name: &[u8]| {
        let (start, middle, end) = (
            br#"{"ref":"refs/heads/main","x":""#.as_slice(),
            br#"","repository":{"id":42,"full_name":""#.as_slice(),
            br#""}}"#.as_slice(),
        );
        read_body("push", [start, member, middle, full_name, end].concat())
    };
    for member in [br"\ud800".as_slice(), br"\udc00\ud83d", b"\xff", b"\\\\\\ud800"] {
        let Content::Events(events) = push(member, b"acme/api").unwrap().content else { panic!("a push is an event") };
        assert_eq!(events[0].repository.as_ref().unwrap().full_name, "acme/api");
    }
    // Where it matters, nothing is guessed.
    let refused = push(b"", b"acme/\xff").unwrap_err();
    assert_eq!(refused, Rejected::Malformed("the payload names no repository"));
}
