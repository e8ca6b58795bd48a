//! What a person is told when GitHub says no, and that tokens stay where they belong.

use std::time::Duration;

use refward::domain::{Error, Kind};
use refward::forge::Access;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::support::fake_github::{FakeGithub, Fault, Token};
use crate::{github, told};

/// The error of a listing whose first answer is `fault`, with the port made a constant.
async fn failing_with(fault: Fault) -> String {
    let host = FakeGithub::start().await;
    let token = host.token(Token::classic("mona"));
    host.org("acme").paper_repos(1);
    host.fail(1, &fault);
    let error = github().repositories(&host.access("acme", &token)).await.unwrap_err();
    steady(&host, &told(&error))
}

fn steady(host: &FakeGithub, text: &str) -> String {
    text.replace(&format!(":{}", host.url().port().unwrap()), ":PORT")
}

fn forbidden(message: &str) -> Fault {
    Fault::json(403, message)
}

#[tokio::test]
async fn every_refusal_says_what_to_do() {
    let faults = [
        ("bad token", Fault::json(401, "Bad credentials")),
        (
            "single sign-on",
            forbidden("Resource protected by organization SAML enforcement.")
                .header("x-github-sso", "required; url=https://github.com/orgs/acme/sso?authorization_request=A1"),
        ),
        (
            "partial results",
            Fault { status: 200, headers: vec![], body: "[]".to_owned() }
                .header("x-github-sso", "partial-results; organizations=21955855,20582480"),
        ),
        (
            "address",
            forbidden(
                "Although you appear to have the correct authorization credentials, the `acme` organization has an \
                       IP allow list enabled, and your IP address is not permitted to access this resource.",
            ),
        ),
        (
            "permission",
            forbidden("Resource not accessible by personal access token")
                .header("x-accepted-github-permissions", "contents=read; issues=write,contents=read"),
        ),
        (
            "scope",
            forbidden("Must have admin rights to Repository.")
                .header("x-oauth-scopes", "gist")
                .header("x-accepted-oauth-scopes", "admin:org, read:org"),
        ),
        (
            "classic tokens refused",
            forbidden(
                "`acme` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, \
                       or a personal access token with fine-grained permissions.",
            ),
        ),
        ("something else", forbidden("Sorry. Your account was suspended.")),
        ("secondary limit", forbidden("You have exceeded a secondary rate limit.")),
        (
            "secondary limit with a time",
            forbidden("You have exceeded a secondary rate limit.").header("retry-after", "17"),
        ),
        ("too many", Fault::json(429, "Too many requests")),
        ("trouble", Fault::json(502, "Server Error").header("retry-after", "5")),
        ("trouble with a page", Fault::html(503)),
        ("login page", Fault::html(200)),
        ("proxy", Fault::html(407)),
        ("legal", Fault::json(451, "Repository access blocked")),
        ("not GitHub's JSON", Fault { status: 200, headers: vec![], body: "{\"ok\":true}".to_owned() }),
        ("elsewhere", Fault::redirect("https://evil.example.com/api/v3/orgs/acme/repos")),
        ("another port", Fault::redirect("http://127.0.0.1:1/")),
        ("nonsense", Fault::json(418, "I'm a teapot\u{1b}[31m")),
    ];
    let mut all = Vec::new();
    for (name, fault) in faults {
        all.push(format!("# {name}\n{}", failing_with(fault).await));
    }
    insta::assert_snapshot!(all.join("\n\n"), @"");
}

#[tokio::test]
async fn a_used_up_limit_says_when_it_begins_anew() {
    let host = FakeGithub::start().await;
    let token = host.token(Token::classic("mona"));
    host.org("acme").paper_repos(250);
    host.limit(Some(2));
    let error = github().repositories(&host.access("acme", &token)).await.unwrap_err();
    let Kind::Remote { retry_after: Some(wait) } = error.kind() else { panic!("{error:?}") };
    assert!((Duration::from_secs(1790)..=Duration::from_secs(1800)).contains(&wait), "{wait:?}");
}

#[tokio::test]
async fn an_owner_that_is_not_there() {
    let host = FakeGithub::start().await;
    let token = host.token(Token::classic("mona"));
    let error = github().repositories(&host.access("nobody", &token)).await.unwrap_err();
    insta::assert_snapshot!(steady(&host, &told(&error)), @"");
    for owner in ["", "..", "a/b", "a?b", "a b"] {
        let error = github().repositories(&host.access(owner, &token)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BadRequest, "{owner}");
    }
}

async fn listing_at(address: &str) -> Error {
    let url = address.parse().unwrap();
    let access = Access { url, owner: "acme".to_owned(), token: "ghp_x".into() };
    github().repositories(&access).await.unwrap_err()
}

#[tokio::test]
async fn a_host_that_cannot_be_reached() {
    insta::assert_snapshot!(told(&listing_at("http://127.0.0.1:1").await), @"");
    let unresolved = listing_at("https://refward-test.invalid").await;
    assert!(matches!(unresolved.kind(), Kind::Remote { .. }));
    assert!(unresolved.to_string().starts_with("refward-test.invalid "), "{unresolved}");
}

#[tokio::test]
async fn a_host_that_does_not_speak_tls_or_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut some = [0; 64];
            let _ = socket.read(&mut some).await;
        }
    });
    for scheme in ["https", "http"] {
        let error = listing_at(&format!("{scheme}://{address}")).await;
        assert!(matches!(error.kind(), Kind::Remote { .. }), "{}", error.for_log());
        assert!(error.to_string().starts_with(&address.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_not_sent() {
    for token in ["", "ghp_x\nghp_y", "ghp_ñ"] {
        let url = "http://127.0.0.1:1".parse().unwrap();
        let access = Access { url, owner: "acme".to_owned(), token: token.into() };
        assert_eq!(github().repositories(&access).await.unwrap_err().kind(), Kind::Misconfigured);
    }
}

#[tokio::test]
async fn a_token_never_reaches_another_host() {
    let (host, other) = (FakeGithub::start().await, FakeGithub::start().await);
    let token = host.token(Token::classic("mona"));
    host.org("acme").paper_repos(1);
    let elsewhere = other.url().join("api/v3/orgs/acme/repos").unwrap();
    host.fail(1, &Fault::redirect(elsewhere.as_str()));
    let error = github().repositories(&host.access("acme", &token)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);

    let next = format!("<{elsewhere}?page=2>; rel=\"next\"");
    host.fail(1, &Fault { status: 200, headers: vec![], body: "[]".to_owned() }.header("link", &next));
    let error = github().repositories(&host.access("acme", &token)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(other.seen().is_empty(), "{:?}", other.seen());
}

#[tokio::test]
async fn redirects_and_links_within_the_host_are_followed_but_not_in_circles() {
    let host = FakeGithub::start().await;
    let token = host.token(Token::classic("mona"));
    host.org("acme").paper_repos(1);
    let here = host.url().join("api/v3/orgs/acme/repos?per_page=100").unwrap();
    host.fail(1, &Fault::redirect(here.as_str()));
    assert_eq!(github().repositories(&host.access("acme", &token)).await.unwrap().len(), 1);

    host.fail(20, &Fault::redirect(here.as_str()));
    let error = github().repositories(&host.access("acme", &token)).await.unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");

    let host = FakeGithub::start().await;
    let token = host.token(Token::classic("mona"));
    let next = format!("<{}api/v3/organizations/1/repos>; rel=\"next\"", host.url());
    host.fail(20, &Fault { status: 200, headers: vec![], body: "[]".to_owned() }.header("link", &next));
    let error = github().repositories(&host.access("acme", &token)).await.unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
}
