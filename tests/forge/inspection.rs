//! What `connect` tells about a token.

use refward::forge::{Access, Inspection};

use crate::support::fake_github::{FakeGithub, Fault, Token};
use crate::{github, told};

/// An organization with a private and a public repository.
async fn acme() -> FakeGithub {
    let host = FakeGithub::start().await;
    host.org("acme").public_repo("web").await;
    host.org("acme").repo("api").await;
    host
}

async fn inspect(host: &FakeGithub, token: Token) -> String {
    inspect_owner(host, token, "acme").await
}

async fn inspect_owner(host: &FakeGithub, token: Token, owner: &str) -> String {
    let access: Access = host.access(owner, &host.token(token));
    let text = match github().inspect(&access).await {
        Ok(Inspection { host, login, credential, expires, missing, held: _ }) => {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let first = format!("{host} | {} | {credential} | {}", or_dash(login), or_dash(expires));
            let missing = missing.into_iter().map(|line| format!("missing: {line}"));
            std::iter::once(first).chain(missing).collect::<Vec<_>>().join("\n")
        }
        Err(error) => told(&error),
    };
    text.replace(&format!(":{}", host.url().port().unwrap()), ":PORT")
}

#[tokio::test]
async fn a_token_that_is_fine() {
    let host = acme().await;
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").expires("2026-12-01 10:00:00 UTC")).await, @"GitHub Enterprise Server 3.19.0 | mona | classic token | 2026-12-01T10:00:00Z");
    insta::assert_snapshot!(inspect(&host, Token::fine_grained("mona", "acme").expires("2026-12-01 10:00:00 -0700")).await, @"GitHub Enterprise Server 3.19.0 | mona | fine-grained token | 2026-12-01T17:00:00Z");
    insta::assert_snapshot!(inspect_owner(&host, Token::classic("mona").scopes("repo"), "mona").await, @"GitHub Enterprise Server 3.19.0 | mona | classic token | -");
}

#[tokio::test]
async fn scopes_that_are_missing() {
    let host = acme().await;
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").scopes("public_repo, gist")).await, @"
    GitHub Enterprise Server 3.19.0 | mona | classic token | -
    missing: the scope `repo`, without which private repositories stay hidden: open the token at http://127.0.0.1:PORT/settings/tokens, tick `repo`, save
    missing: the scope `read:org`, without which the organization's members and teams stay hidden: open the token at http://127.0.0.1:PORT/settings/tokens, tick `read:org`, save
    ");
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").scopes("repo, admin:org")).await, @"GitHub Enterprise Server 3.19.0 | mona | classic token | -");
}

#[tokio::test]
async fn a_fine_grained_token_that_reads_too_little() {
    let host = acme().await;
    insta::assert_snapshot!(inspect(&host, Token::fine_grained("mona", "acme").without_contents()).await, @"
    GitHub Enterprise Server 3.19.0 | mona | fine-grained token | -
    missing: the permission `Contents: Read-only`, without which `acme/api` cannot be fetched: open the token at http://127.0.0.1:PORT/settings/personal-access-tokens, Repository permissions, Contents, Read-only
    ");
    insta::assert_snapshot!(inspect(&host, Token::fine_grained("mona", "acme").pending()).await, @"
    GitHub Enterprise Server 3.19.0 | mona | fine-grained token | -
    missing: access to private repositories of `acme`: the token sees none. If there are any, either the token was not made with `acme` as resource owner, or it does not include them (http://127.0.0.1:PORT/settings/personal-access-tokens), or an owner of `acme` has yet to approve it (http://127.0.0.1:PORT/organizations/acme/settings/personal-access-token-requests)
    ");
}

#[tokio::test]
async fn a_token_that_opens_nothing() {
    let host = acme().await;
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").expired()).await, @"
    Misconfigured: 127.0.0.1:PORT refuses the token: Bad credentials
    → it is mistyped, expired or revoked; make a new one at http://127.0.0.1:PORT/settings/tokens
    ");
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").sso_required()).await, @"
    GitHub Enterprise Server 3.19.0 | mona | classic token | -
    missing: listing the repositories of `acme`: the organization wants the token to be authorized for single sign-on (SAML): open this within the hour: https://github.com/orgs/acme/sso?authorization_request=A1
    ");
    insta::assert_snapshot!(inspect_owner(&host, Token::classic("mona"), "nobody").await, @"
    GitHub Enterprise Server 3.19.0 | mona | classic token | -
    missing: 127.0.0.1:PORT knows no organization or user called `nobody`, or the token may not see it: check the spelling; a fine-grained token must have been made for this owner
    ");
}

#[tokio::test]
async fn an_old_server_and_one_that_does_not_say() {
    let host = acme().await;
    host.version(Some("3.8.1"));
    insta::assert_snapshot!(inspect(&host, Token::classic("mona")).await, @"
    GitHub Enterprise Server 3.8.1 | mona | classic token | -
    missing: a newer GitHub Enterprise Server: 127.0.0.1:PORT runs 3.8, 3.9 is the oldest that works
    ");
    host.version(None);
    host.forget("/meta");
    host.forget("/user");
    insta::assert_snapshot!(inspect(&host, Token::classic("mona")).await, @"GitHub Enterprise Server | - | classic token | -");
}

#[tokio::test]
async fn trouble_on_the_way_is_an_error_not_a_finding() {
    let host = acme().await;
    host.fail(1, &Fault::json(500, "Server Error"));
    insta::assert_snapshot!(inspect(&host, Token::classic("mona")).await, @"
    Remote { retry_after: None }: 127.0.0.1:PORT is in trouble: it answers 500 Internal Server Error
    → -
    ");
    host.fail(1, &Fault::html(200));
    insta::assert_snapshot!(inspect(&host, Token::classic("mona")).await, @"
    Misconfigured: 127.0.0.1:PORT answers 200 OK with a web page instead of data
    → a login page or a proxy stands in between, or this is no GitHub: check the address and the setting `http.proxy`
    ");
}
