//! Webhooks, health and metrics over real HTTP, as a forge and a load balancer see them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use metrics_exporter_prometheus::PrometheusBuilder;
use refward::catalog::{Catalog, ConnectionSettings, NewConnection, NewCredential, Source, job_kind};
use refward::config;
use refward::domain::{ConnectionId, DeliveryId, Error, RemoteRepository, RepoId, Result};
use refward::forge::quota::Quotas;
use refward::forge::{Forge, Net, Signer, github};
use refward::ops::accept::{HookSecret, HookSecrets, Receiver};
use refward::web::{self, Check, Running, State};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "It's a Secret to Everybody";
const OLD_SECRET: &str = "the one before";
const MAX_BODY: usize = 64 << 10;

struct World {
    server: Running,
    catalog: Catalog,
    vault_works: Arc<AtomicBool>,
    rocket: RepoId,
    http: reqwest::Client,
    _folder: TempDir,
}

/// The secrets that the service accepts.
struct Fixed(Arc<[HookSecret]>);

#[async_trait]
impl HookSecrets for Fixed {
    fn of(&self, forge: &str) -> Arc<[HookSecret]> {
        if forge == github::SLUG { Arc::clone(&self.0) } else { Arc::new([]) }
    }

    async fn look_again(&self) -> Result<bool> {
        Ok(false)
    }
}

impl World {
    async fn new() -> Self {
        Self::with_secrets(&[SECRET, OLD_SECRET]).await
    }

    async fn with_secrets(secrets: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("refward.db").display());
        let catalog = Catalog::connect(&config::Database { url, max_connections: 4 }).await.unwrap();
        let (connection, rocket) = acme(&catalog).await;
        let secret =
            |text: &&str| HookSecret { signer: Signer::Connection(connection), secret: (*text).to_owned().into() };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let forges: Vec<Arc<dyn Forge>> =
            vec![Arc::from(github::connect(Net { http: http.clone(), quotas: Quotas::default() }))];
        let secrets = Fixed(secrets.iter().map(secret).collect());
        let vault_works = Arc::new(AtomicBool::new(true));
        let state = State {
            receiver: Receiver::start(catalog.clone(), forges, Arc::new(secrets)),
            checks: checks(&catalog, &vault_works),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            setup: None,
            desk: None,
            downloads: None,
            max_body: MAX_BODY,
        };
        let settings = config::Server {
            listen: String::new(),
            public_url: String::new(),
            max_body: MAX_BODY,
            shutdown_grace: Duration::from_secs(5),
        };
        let server = web::start("127.0.0.1:0", state, &settings).unwrap();
        Self { server, catalog, vault_works, rocket, http, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// As GitHub sends it.
    fn delivery(&self, id: &str, event: &str, body: &[u8]) -> RequestBuilder {
        self.http
            .post(self.url("/hooks/github"))
            .header("content-type", "application/json")
            .header("x-github-event", event)
            .header("x-github-delivery", id)
            .header("x-hub-signature-256", sign(SECRET, body))
            .body(body.to_vec())
    }
}

async fn acme(catalog: &Catalog) -> (ConnectionId, RepoId) {
    let new = NewConnection {
        forge: github::SLUG.into(),
        name: "acme".into(),
        url: "https://github.com/".into(),
        owner: "acme".into(),
        settings: ConnectionSettings { auto_add: true, ..Default::default() },
        credential: NewCredential {
            label: "token".into(),
            source: Source::Token(b"sealed".to_vec()),
            main: true,
            enabled: true,
        },
        webhook_secret: None,
    };
    let id = catalog.add_connection(new).await.unwrap();
    let connection = catalog.connection_by_id(id).await.unwrap().unwrap();
    let rocket = RepoId::derive(github::SLUG, "github.com", "1");
    let remote = RemoteRepository {
        forge_id: "1".into(),
        full_name: "acme/rocket".into(),
        private: true,
        archived: false,
        default_branch: None,
    };
    catalog.upsert_repository(&connection, "github.com", &rocket, &remote, true).await.unwrap();
    (id, rocket)
}

fn checks(catalog: &Catalog, vault_works: &Arc<AtomicBool>) -> Vec<Check> {
    let (catalog, vault_works) = (catalog.clone(), Arc::clone(vault_works));
    vec![
        Check::new("database", move || {
            let catalog = catalog.clone();
            async move { catalog.check().await }
        }),
        Check::new("vault", move || {
            let works = vault_works.load(Ordering::SeqCst);
            async move { if works { Ok(()) } else { Err(Error::busy("the bucket s3://secret-name is away")) } }
        }),
    ]
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn push() -> Vec<u8> {
    let body = json!({
        "ref": "refs/heads/main",
        "before": "1111111111111111111111111111111111111111",
        "after": "2222222222222222222222222222222222222222",
        "repository": { "id": 1, "full_name": "acme/rocket", "private": true },
        "sender": { "login": "mona" },
    });
    body.to_string().into_bytes()
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_push_is_stored_before_it_is_answered_and_once() {
    let world = World::new().await;
    let (status, body) = answer(world.delivery("d1", "push", &push())).await;
    assert_eq!((status, body), (202, json!({ "status": "stored" })));
    let pending = world.catalog.pending_events(&world.rocket).await.unwrap();
    assert_eq!(pending[0].actor.as_ref().unwrap().0, "mona");
    let jobs = world.catalog.jobs().await.unwrap();
    assert_eq!((jobs[0].kind.as_str(), jobs[0].subject.as_str()), (job_kind::SYNC_REPO, world.rocket.as_str()));
    let kept = world.catalog.body(github::SLUG, &DeliveryId::parse("d1").unwrap()).await.unwrap();
    assert_eq!(kept, Some(push()), "as it came");

    let (status, body) = answer(world.delivery("d1", "push", &push())).await;
    assert_eq!((status, body), (200, json!({ "status": "duplicate" })));
    assert_eq!(world.catalog.pending_events(&world.rocket).await.unwrap().len(), 1);
}

#[tokio::test]
async fn signs_of_life_and_what_no_backup_needs_are_not_stored() {
    let world = World::new().await;
    let (status, body) = answer(world.delivery("d1", "ping", b"{\"zen\":\"Keep it logically awesome.\"}")).await;
    assert_eq!((status, body), (200, json!({ "status": "pong" })));
    let (status, body) = answer(world.delivery("d2", "star", b"{\"action\":\"created\"}")).await;
    assert_eq!((status, body), (200, json!({ "status": "ignored" })));
    assert_eq!(world.catalog.event_counts().await.unwrap(), []);
}

#[tokio::test]
async fn nobody_gets_in_without_a_secret() {
    let world = World::new().await;
    let unsigned = world.http.post(world.url("/hooks/github")).header("x-github-event", "push").body(push());
    let signed = |value: &str| world.delivery("d", "push", &push()).header("x-hub-signature-256", value);
    let mut replaced = signed("").build().unwrap();
    replaced.headers_mut().insert("x-hub-signature-256", sign("wrong", &push()).parse().unwrap());
    assert_eq!(answer(unsigned).await.0, 401);
    assert_eq!(world.http.execute(replaced).await.unwrap().status(), 401);
    // Signed, then changed on the way.
    let tampered = world.delivery("d", "push", &push()).body(b"{}".to_vec());
    assert_eq!(answer(tampered).await.0, 401);
    assert_eq!(world.catalog.event_counts().await.unwrap(), []);

    let closed = World::with_secrets(&[]).await;
    let mut request = closed.delivery("d", "push", &push()).build().unwrap();
    request.headers_mut().insert("x-hub-signature-256", sign("", &push()).parse().unwrap());
    assert_eq!(closed.http.execute(request).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_rotated_secret_is_good_until_it_is_dropped() {
    let world = World::new().await;
    let mut request = world.delivery("d", "push", &push()).build().unwrap();
    request.headers_mut().insert("x-hub-signature-256", sign(OLD_SECRET, &push()).parse().unwrap());
    assert_eq!(world.http.execute(request).await.unwrap().status(), 202);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_to_the_sender() {
    let world = World::new().await;
    let (status, body) = answer(world.delivery("d", "push", b"not json")).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("the payload is not JSON")));
    let (status, _) = answer(world.delivery("with space", "push", &push())).await;
    assert_eq!(status, 400);
    let mut request = world.delivery("d", "push", &push()).build().unwrap();
    request.headers_mut().insert("content-type", "text/xml".parse().unwrap());
    assert_eq!(world.http.execute(request).await.unwrap().status(), 415);
    let elsewhere = world.http.post(world.url("/hooks/sourceforge")).body("{}");
    let (status, body) = answer(elsewhere).await;
    assert_eq!((status, body["status"].as_str()), (404, Some("refused")));
    assert_eq!(world.get("/hooks/github").await.0, 405);
}

#[tokio::test]
async fn a_form_is_as_good_as_json() {
    let world = World::new().await;
    let payload = String::from_utf8(push()).unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload).finish();
    let mut request = world.delivery("d", "push", form.as_bytes()).build().unwrap();
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    assert_eq!(world.http.execute(request).await.unwrap().status(), 202);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_is_announced() {
    let world = World::new().await;
    let fits = |length: usize| {
        let padding = length - br#"{"zen":""}"#.len();
        format!(r#"{{"zen":"{}"}}"#, "x".repeat(padding)).into_bytes()
    };
    assert_eq!(answer(world.delivery("d", "ping", &fits(MAX_BODY))).await.0, 200);
    let large = fits(MAX_BODY + 1);
    assert_eq!(answer(world.delivery("d", "ping", &large)).await.0, 413);
    let pieces = large.chunks(1000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
    let unannounced = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    assert_eq!(answer(world.delivery("d", "ping", &large).body(unannounced)).await.0, 413);
}

#[tokio::test]
async fn what_cannot_be_stored_is_asked_for_again() {
    let world = World::new().await;
    world.catalog.close().await.unwrap();
    let refused = world.delivery("d", "push", &push()).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(refused.json::<Value>().await.unwrap()["status"], "busy");
}

#[tokio::test]
async fn health_tells_what_works_and_nothing_else() {
    let world = World::new().await;
    assert_eq!(world.get("/healthz").await, (StatusCode::OK, r#"{"status":"ok"}"#.into()));
    let (status, body) = world.get("/readyz").await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::OK, r#"{"checks":{"database":"ok","vault":"ok"},"status":"ready"}"#)
    );
    world.vault_works.store(false, Ordering::SeqCst);
    let (status, body) = world.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""vault":"failing""#) && !body.contains("secret-name"), "{body}");
    assert_eq!(world.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(world.get("/metrics").await.0, StatusCode::OK);
}

#[tokio::test]
async fn stopping_answers_what_is_under_way() {
    let World { server, catalog, rocket, _folder, .. } = World::new().await;
    let (address, body) = (server.address(), push());
    let mut sender = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /hooks/github HTTP/1.1\r\nhost: refward\r\ncontent-type: application/json\r\nx-github-event: push\r\n\
         x-github-delivery: d\r\nx-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
        sign(SECRET, &body),
        body.len()
    );
    sender.write_all(head.as_bytes()).await.unwrap();
    sender.write_all(&body[..10]).await.unwrap();
    // Long enough for the server to be in the middle of it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stopping = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    sender.write_all(&body[10..]).await.unwrap();
    let mut answer = String::new();
    sender.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    stopping.await.unwrap();
    assert_eq!(catalog.pending_events(&rocket).await.unwrap().len(), 1);
    assert!(TcpStream::connect(address).await.is_err());
}
