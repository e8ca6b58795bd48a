//! Deliveries of service hooks in our words, one by one.

use bytes::Bytes;
use http::HeaderMap;
use refward::forge::{Content, Delivery, Rejected};
use serde_json::{Value, json};

use super::azure;
use super::verify::{KEY, authentic, posted_to};
use crate::secret;

fn try_read(body: Vec<u8>) -> Result<Delivery, Rejected> {
    let forge = azure();
    let headers: HeaderMap = authentic();
    let verified = forge.verify(posted_to(Some(KEY), &headers, Bytes::from(body)), &[secret(1, "s3cret")]).unwrap();
    forge.read(&verified)
}

fn read(payload: &Value) -> Delivery {
    try_read(payload.to_string().into_bytes()).unwrap()
}

fn told(delivery: &Delivery) -> String {
    match &delivery.content {
        Content::Ping => "ping".to_owned(),
        Content::Ignored => "ignored".to_owned(),
        Content::Events(events) => {
            let repository = events[0].repository.as_ref();
            let repository = repository.map_or("-".to_owned(), |it| format!("{} {}", &it.forge_id[..8], it.full_name));
            let changes = events.iter().map(|event| match &event.change {
                refward::domain::Change::Push { name, old, new, .. } => {
                    let side = |id: &Option<refward::domain::ObjectId>| {
                        id.as_ref().map_or("nothing".to_owned(), |id| id.to_string()[..7].to_owned())
                    };
                    format!("{name} {}..{}", side(old), side(new))
                }
                change => format!("{change:?}"),
            });
            format!("{repository}: {}", changes.collect::<Vec<_>>().join(" + "))
        }
    }
}

#[test]
fn what_each_of_the_documented_deliveries_asks_for() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/azure-devops/payloads");
    let Ok(files) = std::fs::read_dir(folder) else {
        println!("NOT CHECKED: there are no deliveries in {folder}");
        return;
    };
    let mut lines: Vec<String> = files
        .map(|file| {
            let file = file.unwrap();
            let delivery = try_read(std::fs::read(file.path()).unwrap()).unwrap();
            let name = file.file_name().to_str().unwrap().trim_end_matches(".json").to_owned();
            format!("{name} => {}", told(&delivery))
        })
        .collect();
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    TEST-notification.git.push => ping
    git.pullrequest.created => 33333333 Widgets/widgets-api: PullRequest(7) + Refs
    git.pullrequest.merged.attempt-conflict => 33333333 Widgets/widgets-api: PullRequest(7) + Refs
    git.pullrequest.updated.abandoned => 33333333 Widgets/widgets-api: PullRequest(7) + Refs
    git.pullrequest.updated.completed => 33333333 Widgets/widgets-api: PullRequest(7) + Refs
    git.push.branch-create => 33333333 Widgets/widgets-api: refs/heads/topic/é-x nothing..bbbbbbb
    git.push.branch-delete => 33333333 Widgets/widgets-api: refs/heads/topic bbbbbbb..nothing
    git.push.force-multi-ref => 33333333 Widgets/widgets-api: refs/heads/main bbbbbbb..aaaaaaa + refs/heads/rel nothing..ccccccc + refs/tags/v1.1 nothing..ccccccc
    git.push.resource-minimal => 33333333 : Refs
    git.push.resource-none => -: Refs
    git.push.tag-create => 33333333 Widgets/widgets-api: refs/tags/v1.0 nothing..ccccccc
    git.push.update => 33333333 Widgets/widgets-api: refs/heads/main aaaaaaa..bbbbbbb
    git.repo.created => 33333333 Widgets/widgets-api: Repository("created")
    git.repo.deleted => 33333333 Widgets/widgets-api: Repository("deleted")
    git.repo.forked.SHAPE-UNVERIFIED => 33333333 Widgets/widgets-fork: Repository("forked")
    git.repo.renamed => 33333333 Widgets/widgets-api: Repository("renamed")
    git.repo.statuschanged.disabled => 33333333 Widgets/widgets-api: Repository("status changed")
    pipelines.run-state-changed => ignored
    pr-comment.created => 33333333 Widgets/widgets-api: PullRequest(7)
    pr-comment.deleted => 33333333 Widgets/widgets-api: PullRequest(7)
    pr-comment.edited => 33333333 Widgets/widgets-api: PullRequest(7)
    workitem.commented => -: WorkItem(299)
    workitem.created => -: WorkItem(299)
    workitem.deleted => -: WorkItem(299)
    workitem.restored => -: WorkItem(299)
    workitem.updated => -: WorkItem(299)
    "#);
}

#[test]
fn what_is_told_in_few_words_is_understood_all_the_same() {
    let delivery = read(&json!({
        "subscriptionId": "55555555-0000-4000-8000-000000000001",
        "notificationId": 7,
        "eventType": "git.push",
        "resource": null,
        "resourceContainers": { "project": { "id": "22222222-0000-4000-8000-00000000000A" } },
    }));
    assert_eq!(delivery.id.as_str(), "55555555-0000-4000-8000-000000000001/7@1");
    assert_eq!(delivery.scope.as_deref(), Some("22222222-0000-4000-8000-00000000000a"), "as lists write it");
    assert_eq!(told(&delivery), "-: Refs", "something in the project moved");
    let few =
        |resource: Value, event: &str| told(&read(&json!({ "id": "1", "eventType": event, "resource": resource })));
    assert_eq!(few(json!({ "id": 4, "workItemId": 0, "revision": { "id": 9 } }), "workitem.updated"), "-: WorkItem(9)");
    assert_eq!(
        few(
            json!({ "url": "https://x/_apis/repos/git/repositories/33333333-0000-4000-8000-000000000001" }),
            "git.repo.forked"
        ),
        "33333333 : Repository(\"forked\")"
    );
    assert_eq!(few(json!({}), "git.pullrequest.updated"), "-: Refs");
    assert_eq!(few(json!({}), "surprise"), "ignored");
}

#[test]
fn who_speaks_for_one_connection_claims_no_delivery_of_another() {
    let forge = azure();
    let told = |connection: i64, id: Value| {
        let body = json!({ "subscriptionId": id, "notificationId": 7, "eventType": "git.push" }).to_string();
        let headers = authentic();
        let posted = posted_to(Some(KEY), &headers, Bytes::from(body));
        let verified = forge.verify(posted, &[secret(connection, "s3cret")]).unwrap();
        forge.read(&verified).unwrap().id
    };
    let subscription = "55555555-0000-4000-8000-000000000001";
    assert_eq!(told(1, subscription.into()), told(1, subscription.to_uppercase().into()));
    assert_ne!(told(1, subscription.into()), told(2, subscription.into()));
    assert_ne!(told(1, subscription.into()), told(2, format!("{subscription}/7@1").into()));
}

#[test]
fn a_push_of_many_references_names_some_and_says_that_there_are_more() {
    let updates: Vec<Value> = (0..250)
        .map(|n| json!({ "name": format!("refs/tags/{n}"), "oldObjectId": "0".repeat(40), "newObjectId": "a".repeat(40) }))
        .collect();
    let delivery = read(&json!({ "id": "1", "eventType": "git.push", "resource": { "refUpdates": updates } }));
    let Content::Events(events) = delivery.content else { panic!("a push is an event") };
    assert_eq!(events.len(), 101);
}

#[test]
fn what_is_no_delivery_is_said_to_be_none() {
    for body in ["", "no", "[]", "{}", r#"{"eventType":7}"#, r#"{"eventType":"git.push"}"#] {
        assert!(matches!(try_read(body.into()), Err(Rejected::Malformed(_))), "{body}");
    }
}
