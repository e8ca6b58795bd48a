//! The double does what it is relied on for elsewhere.

#[path = "double/apps.rs"]
mod apps;
#[path = "double/delivery_log.rs"]
mod delivery_log;
#[path = "double/graphql.rs"]
mod graphql;
#[path = "double/limits.rs"]
mod limits;
#[path = "double/manifests.rs"]
mod manifests;
#[path = "double/people.rs"]
mod people;

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use chrono::Utc;
use http::HeaderMap;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use refward::forge::{Content, Delivery};
use refward::git::Credential;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::support::fake_github::{AppHandle, FakeGithub, Fault, Repo, Token};
use crate::support::shell::try_git;
use crate::{client, github, place, posted, secret};

/// What the API said.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn told(&self) -> (u16, &str) {
        (self.status, self.body["message"].as_str().unwrap_or_default())
    }
}

/// Calls the REST API as whoever holds `bearer`.
pub async fn call(host: &FakeGithub, method: &str, path: &str, bearer: &str, body: Value) -> Answer {
    call_with(host, method, path, bearer, body, ("accept", "application/vnd.github+json")).await
}

pub async fn get(host: &FakeGithub, path: &str, bearer: &str) -> Answer {
    call(host, "GET", path, bearer, Value::Null).await
}

async fn call_with(
    host: &FakeGithub,
    method: &str,
    path: &str,
    bearer: &str,
    body: Value,
    header: (&str, &str),
) -> Answer {
    let url = host.url().join(&format!("api/v3/{path}")).unwrap();
    let mut request = client().request(method.parse().unwrap(), url).bearer_auth(bearer).header(header.0, header.1);
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
    Answer { status, headers, body }
}

/// An assertion that is good for five minutes.
pub fn assertion(app: &AppHandle) -> String {
    signed(&app.pem(), &json!(app.id.to_string()), -30, 300)
}

/// An assertion; times in seconds from now.
pub fn signed(pem: &str, issuer: &Value, since: i64, until: i64) -> String {
    let now = Utc::now().timestamp();
    let claims = json!({ "iss": issuer, "iat": now + since, "exp": now + until });
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

/// An installation token, narrowed by `body`.
pub async fn mint(host: &FakeGithub, app: &AppHandle, installation: u64, body: Value) -> Answer {
    call(host, "POST", &format!("app/installations/{installation}/access_tokens"), &assertion(app), body).await
}

/// The token itself.
pub async fn token(host: &FakeGithub, app: &AppHandle, installation: u64, body: Value) -> String {
    let minted = mint(host, app, installation, body).await;
    assert_eq!(minted.status, 201, "{}", minted.body);
    minted.body["token"].as_str().unwrap().to_owned()
}

/// Names in a list of repositories.
pub fn names(repositories: &Value) -> Vec<&str> {
    repositories.as_array().unwrap().iter().map(|repository| repository["name"].as_str().unwrap()).collect()
}

/// A receiver that reads deliveries with the real adapter.
fn receiver() -> (Url, Arc<Mutex<Vec<Delivery>>>) {
    let taken: Arc<Mutex<Vec<Delivery>>> = Arc::default();
    let kept = taken.clone();
    let take = move |request: HttpRequest, body: Bytes| {
        let kept = kept.clone();
        async move {
            let forge = github();
            let headers = request.headers().iter().map(|(name, value)| {
                (
                    name.as_str().parse::<http::HeaderName>().unwrap(),
                    http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                )
            });
            let verified = forge.verify(posted(&headers.collect(), body), &[secret(1, "s3cret")]);
            match verified.and_then(|verified| forge.read(&verified)) {
                Ok(delivery) => {
                    kept.lock().unwrap().push(delivery);
                    HttpResponse::Accepted().finish()
                }
                Err(_) => HttpResponse::Unauthorized().finish(),
            }
        }
    };
    let server = HttpServer::new(move || App::new().route("/hooks/github", web::post().to(take.clone())));
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/github", server.addrs()[0]).parse().unwrap();
    tokio::spawn(server.run());
    (url, taken)
}

fn kinds(taken: &Mutex<Vec<Delivery>>) -> Vec<String> {
    let kind = |delivery: &Delivery| match &delivery.content {
        Content::Events(events) => format!("{}:{}", delivery.event, events[0].change.kind()),
        other => format!("{other:?}"),
    };
    taken.lock().unwrap().iter().map(kind).collect()
}

#[tokio::test]
async fn webhooks_tell_what_really_happened() {
    let (receiver, taken) = receiver();
    let host = FakeGithub::start().await;
    host.hook("acme", receiver.clone(), "s3cret");
    host.hold();
    let api = host.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    work.push(&["HEAD:refs/tags/a", "HEAD:refs/tags/b", "HEAD:refs/tags/c", "HEAD:refs/tags/d"]).await;
    api.rename("service");
    host.release(|held| held.reverse()).await;
    host.delivered(4).await;
    assert_eq!(
        kinds(&taken),
        ["repository.renamed:repository", "push:push", "create:refs", "repository.created:repository"]
    );

    let guid = host.deliveries()[0].guid.clone();
    assert_eq!(host.redeliver(&guid).await, 202);
    assert_eq!(taken.lock().unwrap().last().unwrap().id.as_str(), guid);

    host.form_hook("mona", receiver, "wrong");
    host.user("mona").repo("diary").await;
    host.delivered(5).await;
    assert_eq!(host.deliveries().last().unwrap().status, Some(401));
}

async fn ls_remote(url: &Url, user: &str, password: &str) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let mut url = url.clone();
    url.set_username(user).unwrap();
    url.set_password(Some(password)).unwrap();
    let output = try_git(folder.path(), &["ls-remote", url.as_str()]).await;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[tokio::test]
async fn git_opens_to_the_token_and_follows_renames() {
    let host = FakeGithub::start().await;
    let api: Repo = host.org("acme").repo("api").await;
    let good = host.token(Token::fine_grained("mona", "acme"));
    let url = |access| github().remote(access, place("acme/api")).unwrap();
    let remote = url(&host.access("acme", &good));
    let credential = remote.credential.unwrap().credential().await.unwrap();
    let Credential::Basic { username, password } = credential else { panic!("not basic authentication") };
    let open = |password: String| {
        let (url, user) = (remote.url.clone(), username.clone());
        async move { ls_remote(&url, &user, &password).await }
    };
    let issue = |token| host.token(token).expose_secret().to_owned();
    open(password.expose_secret().to_owned()).await.unwrap();
    for (token, complaint) in [
        (Token::classic("mona").expired(), "Authentication failed"),
        (Token::classic("mona").sso_required(), "403"),
        (Token::fine_grained("mona", "acme").pending(), "not found"),
        (Token::fine_grained("mona", "acme").without_contents(), "403"),
        (Token::classic("mona").scopes("public_repo"), "not found"),
    ] {
        let error = open(issue(token)).await.unwrap_err();
        assert!(error.contains(complaint), "{error}");
    }
    host.fail_git(1, &Fault::json(429, "This request was rate-limited due to too many requests"));
    assert!(open(issue(Token::classic("mona"))).await.unwrap_err().contains("429"));
    api.rename("service");
    open(issue(Token::classic("mona"))).await.unwrap();
    host.revoke(&good);
    open(good.expose_secret().to_owned()).await.unwrap_err();
    api.delete();
    assert!(open(issue(Token::classic("mona"))).await.unwrap_err().contains("not found"));
}
