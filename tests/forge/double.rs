//! The double does what it is relied on for elsewhere.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use refward::forge::{Content, Delivery};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use url::Url;

use crate::support::fake_github::{FakeGithub, Fault, Repo, Token};
use crate::support::shell::try_git;
use crate::{github, place, secret};

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
            let verified = forge.verify(&headers.collect(), body, &[secret(1, "s3cret")]);
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
    let open = |password: String| {
        let (url, user) = (remote.url.clone(), credential.username.clone());
        async move { ls_remote(&url, &user, &password).await }
    };
    let issue = |token| host.token(token).expose_secret().to_owned();
    open(credential.password.expose_secret().to_owned()).await.unwrap();
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
