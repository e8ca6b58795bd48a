//! What an App is told, and what its log says of that.

use serde_json::{Value, json};

use super::{Answer, assertion, call, get, receiver};
use crate::support::fake_github::{AppHandle, Covers, FakeGithub, Repo};
use crate::support::world::eventually;

/// What an App was told, in order: the event and its action.
fn told(host: &FakeGithub) -> Vec<String> {
    let action = |payload: &Value| payload["action"].as_str().map(|action| format!(".{action}")).unwrap_or_default();
    host.deliveries().iter().map(|sent| format!("{}{}", sent.event, action(&sent.payload))).collect()
}

async fn push(repo: &Repo, refspecs: &[&str]) {
    let work = repo.work().await;
    work.commit(&refspecs.join(" ")).await;
    work.push(refspecs).await;
}

/// As soon as so many attempts were made.
async fn attempts(app: &AppHandle, count: usize) {
    eventually(async || (app.log().len() >= count).then_some(()), || format!("{count} attempts")).await;
}

async fn log(host: &FakeGithub, app: &AppHandle, query: &str) -> Answer {
    get(host, &format!("app/hook/deliveries{query}"), &assertion(app)).await
}

#[tokio::test]
async fn an_app_hears_what_people_do_with_it() {
    let host = FakeGithub::start().await;
    let acme = host.org("acme");
    let (api, web) = (acme.repo("api").await, acme.repo("web").await);
    let (url, _) = receiver();
    let app = host.app("acme").hook(&url, "s3cret").setup_url("https://refward.example/setup?a=b");
    host.hold();
    let asked = host.request_install(&app.slug(), "acme", "lisa", Some("s1"));
    assert_eq!(asked.redirect.unwrap().as_str(), "https://refward.example/setup?a=b&setup_action=request&state=s1");
    let requests = get(&host, "app/installation-requests", &assertion(&app)).await;
    assert_eq!(requests.body[0]["requester"]["login"], "lisa");
    let landing = host.approve(&app.slug(), "acme", Covers::Only(&["api"]));
    let id = landing.id();
    let there = format!("https://refward.example/setup?a=b&installation_id={id}&setup_action=install");
    assert_eq!(landing.redirect.as_ref().unwrap().as_str(), there);
    push(&web, &["main"]).await;
    host.add_repositories(id, &[&web]);
    push(&web, &["main", "--force"]).await;
    host.remove_repositories(id, &[&api]);
    host.suspend(id);
    push(&web, &["HEAD:more"]).await;
    host.unsuspend(id);
    host.accept_new_permissions(id);
    host.rename_account("acme", "acme-inc");
    host.uninstall(id);
    assert_eq!(
        told(&host),
        [
            "installation.created",
            "installation_repositories.added",
            "push",
            "installation_repositories.removed",
            "installation.suspend",
            "installation.unsuspend",
            "installation.new_permissions_accepted",
            "installation_target.renamed",
            "installation.deleted",
        ]
    );
    let created = host.deliveries()[0].payload.clone();
    assert_eq!(created["requester"]["login"], "lisa");
    assert_eq!(created["repositories"][0]["full_name"], "acme/api");
    assert!(host.deliveries().iter().all(|sent| sent.payload["installation"]["id"] == id));
    host.release(|_| ()).await;
    assert!(host.deliveries().iter().all(|sent| sent.status == Some(202)), "{:?}", host.deliveries());
    let headers = &app.log()[0].headers;
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).unwrap().1.as_str();
    assert_eq!(header("x-github-hook-installation-target-type"), "integration");
    assert_eq!(header("x-github-hook-installation-target-id"), app.id.to_string());
}

#[tokio::test]
async fn what_was_not_taken_is_in_the_log_and_can_be_had_again() {
    let host = FakeGithub::start().await;
    let api = host.org("acme").repo("api").await;
    let app = host.app("acme").events(&["push"]).hook(&"http://127.0.0.1:1/hooks".parse().unwrap(), "old");
    let installation = host.install(&app.slug(), "acme", Covers::All, None).id();
    attempts(&app, 1).await;
    push(&api, &["main"]).await;
    attempts(&app, 2).await;

    let newest = log(&host, &app, "?per_page=1").await;
    let item = &newest.body[0];
    assert_eq!(item["status"], "failed to connect to host");
    assert_eq!((&item["status_code"], &item["redelivery"]), (&json!(0), &json!(false)));
    assert_eq!((&item["event"], &item["installation_id"]), (&json!("push"), &json!(installation)));
    let link = newest.header("link").split(['<', '>']).nth(1).unwrap();
    let older = log(&host, &app, &link[link.find('?').unwrap()..]).await;
    assert_eq!(older.body[0]["event"], "installation");
    assert_eq!(older.header("link"), "");
    // Neither a success nor a failure in the sense of the filter.
    assert_eq!(log(&host, &app, "?status=failure").await.body, json!([]));

    // The hook moves and gets another secret; what is sent again goes there under that.
    let (url, taken) = receiver();
    let config = json!({ "url": url, "secret": "s3cret" });
    let changed = call(&host, "PATCH", "app/hook/config", &assertion(&app), config).await;
    assert_eq!((changed.status, &changed.body["secret"]), (200, &json!("********")));
    let again = format!("app/hook/deliveries/{}/attempts", item["id"]);
    assert_eq!(call(&host, "POST", &again, &assertion(&app), Value::Null).await.status, 202);
    attempts(&app, 3).await;
    assert_eq!(taken.lock().unwrap().len(), 1);
    let newest = log(&host, &app, "?status=success").await;
    assert_eq!((&newest.body[0]["guid"], &newest.body[0]["redelivery"]), (&item["guid"], &json!(true)));
    assert_eq!(newest.body[0]["status"], "OK");
    let whole = get(&host, &format!("app/hook/deliveries/{}", newest.body[0]["id"]), &assertion(&app)).await;
    assert_eq!(whole.body["request"]["payload"]["repository"]["id"], api.id);
    assert_eq!(whole.body["request"]["headers"]["x-github-event"], "push");

    app.log_keeps(1);
    assert_eq!(log(&host, &app, "").await.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_hears_of_many_tags_or_of_too_much_at_once() {
    let host = FakeGithub::start().await;
    let api = host.org("acme").repo("api").await;
    let (url, _) = receiver();
    let app = host.app("acme").events(&["push"]).hook(&url, "s3cret");
    host.install(&app.slug(), "acme", Covers::All, None);
    push(&api, &["HEAD:refs/tags/a", "HEAD:refs/tags/b", "HEAD:refs/tags/c", "HEAD:refs/tags/d"]).await;
    host.max_payload(1000);
    push(&api, &["main"]).await;
    assert_eq!(told(&host), ["installation.created"]);
}
