//! What a person is told when GitHub says no, and that tokens stay where they belong.

use std::sync::Arc;
use std::time::Duration;

use refward::domain::{Error, Kind};
use refward::forge::{Access, github as adapter};
use reqwest::dns::{Name, Resolve, Resolving};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::support::fake_github::{FakeGithub, Fault, Token};
use crate::{client, github, net, told};

/// The error of a listing whose first answer is `fault`, with the port made a constant.
async fn failing_with(fault: Fault) -> String {
    let host = FakeGithub::start().await;
    host.without_graphql();
    let token = host.token(Token::classic("mona"));
    host.org("acme").paper_repos(1);
    host.fail(1, &fault);
    let error = github().survey(&host.access("acme", &token)).await.unwrap_err();
    steady(&host, &told(&error))
}

fn steady(host: &FakeGithub, text: &str) -> String {
    text.replace(&format!(":{}", host.url().port().unwrap()), ":PORT")
}

fn forbidden(message: &str) -> Fault {
    Fault::json(403, message)
}

/// What GitHub and what stands before it may answer, by name.
fn faults() -> Vec<(&'static str, Fault)> {
    vec![
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
    ]
}

#[tokio::test]
async fn every_refusal_says_what_to_do() {
    let mut all = Vec::new();
    for (name, fault) in faults() {
        all.push(format!("# {name}\n{}", failing_with(fault).await));
    }
    insta::assert_snapshot!(all.join("\n\n"), @"
    # bad token
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses the token: Bad credentials
    → it is mistyped, expired or revoked; make a new one at http://127.0.0.1:PORT/settings/tokens

    # single sign-on
    Misconfigured: listing the repositories of `acme`: the organization wants the token to be authorized for single sign-on (SAML)
    → open this within the hour: https://github.com/orgs/acme/sso?authorization_request=A1

    # partial results
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT leaves out what belongs to organizations with single sign-on (ids 21955855,20582480)
    → authorize the token for them: token settings, Configure SSO

    # address
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses this machine's address: Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list enabled, and your IP address is not permitted to access this resource.
    → an owner of the organization has to add it: organization settings, Authentication security, IP allow list

    # permission
    Misconfigured: listing the repositories of `acme`: the token lacks a permission: contents: read or issues: write and contents: read
    → edit the token's permissions: http://127.0.0.1:PORT/settings/personal-access-tokens

    # scope
    Misconfigured: listing the repositories of `acme`: the token lacks a scope: one of admin:org, read:org is needed, it has gist (Must have admin rights to Repository.)
    → tick the scope and save, the token stays the same: http://127.0.0.1:PORT/settings/tokens

    # classic tokens refused
    Misconfigured: listing the repositories of `acme`: the organization refuses this kind of token: `acme` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or a personal access token with fine-grained permissions.
    → make one that it accepts, mostly a fine-grained one: http://127.0.0.1:PORT/settings/personal-access-tokens/new

    # something else
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT refuses: Sorry. Your account was suspended.
    → -

    # secondary limit
    Remote { retry_after: Some(60s) }: listing the repositories of `acme`: 127.0.0.1:PORT asks us to wait 60 s: too many requests at once
    → -

    # secondary limit with a time
    Remote { retry_after: Some(17s) }: listing the repositories of `acme`: 127.0.0.1:PORT asks us to wait 17 s: too many requests at once
    → -

    # too many
    Remote { retry_after: Some(60s) }: listing the repositories of `acme`: 127.0.0.1:PORT asks us to wait 60 s: too many requests at once
    → -

    # trouble
    Remote { retry_after: Some(5s) }: listing the repositories of `acme`: 127.0.0.1:PORT is in trouble: it answers 502 Bad Gateway
    → -

    # trouble with a page
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:PORT answers 503 Service Unavailable with a web page instead of data
    → -

    # login page
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT answers 200 OK with a web page instead of data
    → a login page or a proxy stands in between, or this is no GitHub: check the address and the setting `http.proxy`

    # proxy
    Misconfigured: listing the repositories of `acme`: the HTTP proxy wants a password
    → put it into the setting `http.proxy`

    # legal
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT no longer gives this out: Repository access blocked
    → -

    # not GitHub's JSON
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:PORT answers with something that GitHub does not send
    → -

    # elsewhere
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT sends us to evil.example.com, where the token does not belong
    → if the forge has moved, connect it by its new address; the token was sent to 127.0.0.1:PORT alone

    # another port
    Misconfigured: listing the repositories of `acme`: 127.0.0.1:PORT sends us to 127.0.0.1, where the token does not belong
    → if the forge has moved, connect it by its new address; the token was sent to 127.0.0.1:PORT alone

    # nonsense
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:PORT answers 418 I'm a teapot: I'm a teapot[31m
    → -
    ");
}

#[tokio::test]
async fn a_used_up_limit_says_when_it_begins_anew() {
    let host = FakeGithub::start().await;
    host.without_graphql();
    let token = host.token(Token::classic("mona"));
    host.org("acme").paper_repos(250);
    host.limit(Some(2));
    let error = github().survey(&host.access("acme", &token)).await.unwrap_err();
    let Kind::Throttled { retry_after: wait } = error.kind() else { panic!("{error:?}") };
    assert!((Duration::from_mins(29)..=Duration::from_mins(31)).contains(&wait), "{wait:?}");
}

#[tokio::test]
async fn an_owner_that_is_not_there() {
    let host = FakeGithub::start().await;
    let token = host.token(Token::classic("mona"));
    let error = github().survey(&host.access("nobody", &token)).await.unwrap_err();
    insta::assert_snapshot!(steady(&host, &told(&error)), @"
    NotFound: 127.0.0.1:PORT knows no organization or user called `nobody`, or the token may not see it
    → check the spelling; a fine-grained token must have been made for this owner
    ");
    for owner in ["", "..", "a/b", "a?b", "a b"] {
        let error = github().survey(&host.access(owner, &token)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BadRequest, "{owner}");
    }
}

async fn listing_at(address: &str, http: reqwest::Client) -> Error {
    let url = address.parse().unwrap();
    let access = Access::with_token(url, "acme", "ghp_x".into());
    adapter::connect(net(http)).survey(&access).await.unwrap_err()
}

/// A resolver that knows no name, so that the test asks nobody.
struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("no such name".into()) })
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_found_or_reached() {
    insta::assert_snapshot!(told(&listing_at("http://127.0.0.1:1", client()).await), @"
    Remote { retry_after: None }: listing the repositories of `acme`: 127.0.0.1:1 cannot be reached
    → -
    ");
    let lost = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(NoNames)).build().unwrap();
    insta::assert_snapshot!(told(&listing_at("https://git.example.com", lost).await), @"
    Remote { retry_after: None }: listing the repositories of `acme`: git.example.com is a name that cannot be resolved
    → -
    ");
}

#[tokio::test]
async fn a_host_that_never_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let hurried = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(200)).build().unwrap();
    let error = listing_at(&format!("http://{address}"), hurried).await;
    assert_eq!(error.to_string(), format!("listing the repositories of `acme`: {address} does not answer in time"));
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
        let error = listing_at(&format!("{scheme}://{address}"), client()).await;
        assert!(matches!(error.kind(), Kind::Remote { .. }), "{}", error.for_log());
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_not_sent() {
    for token in ["", "ghp_x\nghp_y", "ghp_ñ"] {
        let url = "http://127.0.0.1:1".parse().unwrap();
        let access = Access::with_token(url, "acme", token.into());
        assert_eq!(github().survey(&access).await.unwrap_err().kind(), Kind::Misconfigured);
    }
}

#[tokio::test]
async fn a_token_never_reaches_another_host() {
    let (host, other) = (FakeGithub::start().await, FakeGithub::start().await);
    host.without_graphql();
    let token = host.token(Token::classic("mona"));
    host.org("acme").paper_repos(1);
    let elsewhere = other.url().join("api/v3/orgs/acme/repos").unwrap();
    host.fail(1, &Fault::redirect(elsewhere.as_str()));
    let error = github().survey(&host.access("acme", &token)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);

    let next = format!("<{elsewhere}?page=2>; rel=\"next\"");
    host.fail(1, &Fault { status: 200, headers: vec![], body: "[]".to_owned() }.header("link", &next));
    let error = github().survey(&host.access("acme", &token)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(other.seen().is_empty(), "{:?}", other.seen());
}

#[tokio::test]
async fn redirects_and_links_within_the_host_are_followed_but_not_in_circles() {
    let host = FakeGithub::start().await;
    host.without_graphql();
    let token = host.token(Token::classic("mona"));
    host.org("acme").paper_repos(1);
    let here = host.url().join("api/v3/orgs/acme/repos?per_page=100").unwrap();
    host.fail(1, &Fault::redirect(here.as_str()));
    assert_eq!(github().survey(&host.access("acme", &token)).await.unwrap().repositories.len(), 1);

    host.fail(20, &Fault::redirect(here.as_str()));
    let error = github().survey(&host.access("acme", &token)).await.unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");

    let host = FakeGithub::start().await;
    host.without_graphql();
    let token = host.token(Token::classic("mona"));
    let next = format!("<{}api/v3/organizations/1/repos>; rel=\"next\"", host.url());
    host.fail(20, &Fault { status: 200, headers: vec![], body: "[]".to_owned() }.header("link", &next));
    let error = github().survey(&host.access("acme", &token)).await.unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
}
