//! The running service: what it answers, how it starts and how it ends.

use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::support::fake_github::hooks::signature;
use crate::support::world::{Service, World, eventually};

/// The webhook secret that `World::connect` uses.
const SECRET: &str = "webhook-secret-of-acme";

/// A delivery by hand.
struct Post<'a> {
    service: &'a Service,
    client: Client,
}

impl Post<'_> {
    async fn send(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
        let mut request = self.client.post(self.service.url("hooks/github")).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// With all the headers that GitHub sends, signed with `secret`.
    async fn signed(&self, kind: &str, event: &str, guid: &str, secret: &str, body: &str) -> u16 {
        let signature = signature(secret, body.as_bytes());
        let headers = [
            ("content-type", kind),
            ("x-github-event", event),
            ("x-github-delivery", guid),
            ("x-hub-signature-256", &signature),
        ];
        self.send(&headers, body.as_bytes().to_vec()).await.status().as_u16()
    }
}

#[tokio::test]
async fn every_delivery_gets_the_answer_that_it_deserves() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    let post = Post { service: &service, client: Client::builder().no_proxy().build().unwrap() };
    let json = "application/json";

    // A real push, as its payload was sent, by hand.
    world.github.hold();
    work.commit("one").await;
    work.push(&["main"]).await;
    let push = world.github.deliveries().into_iter().rfind(|sent| sent.event == "push").unwrap().payload.to_string();
    world.github.release(Vec::clear).await;
    assert_eq!(post.signed(json, "push", "guid-1", SECRET, &push).await, 202);
    assert_eq!(post.signed(json, "push", "guid-1", SECRET, &push).await, 200, "a duplicate");
    assert_eq!(world.snapshot("acme/api", 2).await["trigger"]["deliveries"], json!(["guid-1"]));
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &push).finish();
    let encoded = "application/x-www-form-urlencoded";
    assert_eq!(post.signed(encoded, "push", "guid-2", SECRET, &form).await, 202);

    assert_eq!(post.signed(json, "ping", "guid-3", SECRET, r#"{"zen":"Design for failure."}"#).await, 200);
    assert_eq!(post.signed(json, "star", "guid-4", SECRET, &push).await, 200, "nothing that a backup needs");
    assert_eq!(post.signed(json, "push", "guid-5", "wrong", &push).await, 401);
    assert_eq!(post.send(&[("content-type", json)], push.clone().into_bytes()).await.status(), 401, "no signature");
    assert_eq!(post.signed(json, "push", "guid-6", SECRET, "not JSON").await, 400);
    assert_eq!(post.signed(json, "push", "", SECRET, &push).await, 400, "no id");
    assert_eq!(post.signed("text/plain", "push", "guid-7", SECRET, &push).await, 415);
    let large = post.send(&[("content-type", json)], vec![b' '; (25 << 20) + 1]).await;
    assert_eq!(large.status(), 413);
    let elsewhere = post.client.post(service.url("hooks/gitlab")).send().await.unwrap();
    assert_eq!(elsewhere.status(), 404);
    let got = post.client.get(service.url("hooks/github")).send().await.unwrap();
    assert_eq!(got.status(), 405);
    world.idle().await;
    assert_eq!(world.snapshots("acme/api").await.len(), 2);
}

#[tokio::test]
async fn nobody_gets_in_before_there_is_a_secret() {
    let world = World::new().await;
    let service = world.serve().await;
    let post = Post { service: &service, client: Client::builder().no_proxy().build().unwrap() };
    assert_eq!(post.signed("application/json", "ping", "1", "", "{}").await, 401);

    // One that is added while the service runs counts at once.
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    eventually(
        async || (post.signed("application/json", "ping", "2", SECRET, "{}").await == 200).then_some(()),
        || "the new secret to count".to_owned(),
    )
    .await;
}

#[tokio::test]
async fn health_is_told_without_secrets() {
    let world = World::new().await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    let get = async |path| {
        let answer = reqwest::get(service.url(path)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("healthz").await, (200, r#"{"status":"ok"}"#.to_owned()));
    let (status, ready) = get("readyz").await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(
        (status, ready),
        (200, json!({ "status": "ready", "checks": { "database": "ok", "vault": "ok", "workers": "ok" } }))
    );
    let (status, metrics) = get("metrics").await;
    assert_eq!(status, 200);
    for secret in world.secrets().iter().map(String::as_str).chain(["acme"]) {
        assert!(!metrics.contains(secret), "{metrics}");
    }

    // A vault that is gone is told, and healed.
    let (vault, aside) = (world.folder().join("vault"), world.folder().join("aside"));
    std::fs::rename(&vault, &aside).unwrap();
    let (status, ready) = get("readyz").await;
    assert_eq!(status, 503);
    assert!(ready.contains(r#""vault":"failing""#) && !ready.contains("backup/"), "{ready}");
    std::fs::rename(&aside, &vault).unwrap();
    assert_eq!(get("readyz").await.0, 200);
}

#[tokio::test]
async fn a_stop_lets_a_running_backup_end() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;

    world.github.hold_fetches();
    work.commit("two").await;
    work.push(&["main"]).await;
    world.github.fetch_is_held().await;
    service.signal("TERM");
    service.logged("stopping").await;
    world.github.let_fetches_go();
    assert_eq!(service.stop().await, 0);
    assert_eq!(world.snapshots("acme/api").await.len(), 2);
    let status = world.status("acme/api").await;
    assert_eq!((&status["queue"], &status["state"]), (&json!("idle"), &json!("ok")));
}

#[tokio::test]
async fn a_stop_that_takes_too_long_hands_the_job_on() {
    let world = World::with(&[("server.shutdown_grace", "1s")]).await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    world.github.hold_fetches();
    let service = world.serve().await;
    world.github.fetch_is_held().await;
    assert_eq!(service.stop().await, 0);
    assert_eq!(world.status("acme/api").await["queue"], "queued", "the lease was handed back");
    world.github.let_fetches_go();
    let _service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.matches(&api).await;
    assert_eq!(world.objects().len(), 1);
}

#[tokio::test]
async fn a_second_service_on_the_same_port_says_so() {
    let world = World::new().await;
    let service = world.serve().await;
    let address = service.url("/");
    let address = format!("127.0.0.1:{}", address.port().unwrap());
    let ran = world.refward(&["serve", "--listen", &address, "--json"]).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (6, &json!("misconfigured")), "{ran:?}");
    assert!(ran.error()["message"].as_str().unwrap().contains(&address));
}
