//! The double is held against GitHub's own description of its API, and so is whoever calls it.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::double::{assertion, call, get};
use crate::support::fake_github::openapi::{Description, description};
use crate::support::fake_github::reply::{Reply, ok};
use crate::support::fake_github::{Covers, FakeGithub, Token};

fn described() -> &'static Description {
    description(true).expect("scripts/test-setup.sh must be run first")
}

#[test]
fn a_wrong_answer_of_the_double_is_noticed() {
    for (path, reply, complaint) in [
        ("/app", ok(json!({ "id": "37" })), "at `"),
        ("/app/installations", ok(json!([{ "id": 1 }])), "at `/0`"),
        ("/app/hook/deliveries", ok(json!([{}, {}, {}, {}])), "\"id\" is a required property"),
        ("/app/hook/config", ok(json!({ "url": 1 })), "at `/url`"),
        ("/installation/repositories", Reply { status: 201, ..ok(json!({})) }, "there is no such answer"),
    ] {
        let why = described().check_answer("GET", path, &reply).expect_err(path);
        assert!(why.contains(complaint), "{path}: {why}");
    }
    described().check_answer("GET", "/app/hook/config", &ok(json!({ "secret": "********" }))).unwrap();
}

#[tokio::test]
async fn a_call_that_github_does_not_know_breaks_a_rule() {
    let host = FakeGithub::start().await;
    host.org("acme");
    let app = host.app("acme").hook(&"http://127.0.0.1:1/".parse().unwrap(), "s3cret");
    let token = host.token(Token::classic("mona"));
    let token = token.expose_secret();
    get(&host, "orgs/acme/repos?type=all&per_page=100", token).await;
    get(&host, "repositories/1/collaborators/mona/permission", token).await;
    assert_eq!(host.violations(), [""; 0]);
    let config = json!({ "content_type": 7 });
    for (method, path, bearer, body, complaint) in [
        ("GET", "orgs/acme/repositories", token, Value::Null, "there is no such path"),
        ("PATCH", "app/installations", token, Value::Null, "does not know that method"),
        ("GET", "orgs/acme/repos?sort_by=name", token, Value::Null, "no query parameter `sort_by`"),
        ("GET", "orgs/acme/repos?type=mine", token, Value::Null, "\"mine\" is not one of"),
        ("PATCH", "app/hook/config", &assertion(&app), config, "at `/content_type`"),
    ] {
        call(&host, method, path, bearer, body).await;
        let broken = host.forgive_violations();
        assert!(broken.len() == 1 && broken[0].contains(complaint), "{complaint}: {broken:?}");
    }
}

#[tokio::test]
#[should_panic(expected = "rules of GitHub's were broken")]
async fn and_fails_the_test_at_its_end() {
    let host = FakeGithub::start().await;
    get(&host, "no/such/path", "").await;
}

#[tokio::test]
async fn what_webhooks_say_is_as_described() {
    let host = FakeGithub::start().await;
    let acme = host.org("acme");
    let (api, web) = (acme.repo("api").await, acme.repo("web").await);
    let app = host.app("acme").hook(&"http://127.0.0.1:1/".parse().unwrap(), "s3cret");
    host.hold();
    host.request_install(&app.slug(), "acme", "lisa", None);
    let id = host.approve(&app.slug(), "acme", Covers::Only(&["api"])).id();
    host.add_repositories(id, &[&web]);
    host.remove_repositories(id, &[&web]);
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main", "HEAD:more", "HEAD:refs/tags/v1"]).await;
    work.push(&[":more"]).await;
    api.rename("service");
    host.accept_new_permissions(id);
    api.archive();
    host.suspend(id);
    host.unsuspend(id);
    host.rename_account("acme", "acme-inc");
    api.delete();
    host.uninstall(id);
    let sent = host.deliveries();
    assert_eq!(sent.len(), 19);
    let wrong = sent.iter().filter_map(|sent| described().check_webhook(&sent.event, &sent.payload).err());
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}
