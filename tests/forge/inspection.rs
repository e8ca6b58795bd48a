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
        Ok(Inspection { host, login, credential, expires, missing }) => {
            let mut text =
                format!("{host} | {} | {credential} | {}", login.unwrap_or_default(), expires.unwrap_or_default());
            for line in missing {
                text += &format!("\nmissing: {line}");
            }
            text
        }
        Err(error) => told(&error),
    };
    text.replace(&format!(":{}", host.url().port().unwrap()), ":PORT")
}

#[tokio::test]
async fn a_token_that_is_fine() {
    let host = acme().await;
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").expires("2026-12-01 10:00:00 UTC")).await, @"");
    insta::assert_snapshot!(inspect(&host, Token::fine_grained("mona", "acme").expires("2026-12-01 10:00:00 -0700")).await, @"");
    insta::assert_snapshot!(inspect_owner(&host, Token::classic("mona").scopes("repo"), "mona").await, @"");
}

#[tokio::test]
async fn scopes_that_are_missing() {
    let host = acme().await;
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").scopes("public_repo, gist")).await, @"");
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").scopes("repo, admin:org")).await, @"");
}

#[tokio::test]
async fn a_fine_grained_token_that_reads_too_little() {
    let host = acme().await;
    insta::assert_snapshot!(inspect(&host, Token::fine_grained("mona", "acme").without_contents()).await, @"");
    insta::assert_snapshot!(inspect(&host, Token::fine_grained("mona", "acme").pending()).await, @"");
}

#[tokio::test]
async fn a_token_that_opens_nothing() {
    let host = acme().await;
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").expired()).await, @"");
    insta::assert_snapshot!(inspect(&host, Token::classic("mona").sso_required()).await, @"");
    insta::assert_snapshot!(inspect_owner(&host, Token::classic("mona"), "nobody").await, @"");
}

#[tokio::test]
async fn an_old_server_and_one_that_does_not_say() {
    let host = acme().await;
    host.version(Some("3.8.1"));
    insta::assert_snapshot!(inspect(&host, Token::classic("mona")).await, @"");
    host.version(None);
    host.forget("/meta");
    host.forget("/user");
    insta::assert_snapshot!(inspect(&host, Token::classic("mona")).await, @"");
}

#[tokio::test]
async fn trouble_on_the_way_is_an_error_not_a_finding() {
    let host = acme().await;
    host.fail(1, &Fault::json(500, "Server Error"));
    insta::assert_snapshot!(inspect(&host, Token::classic("mona")).await, @"");
    host.fail(1, &Fault::html(200));
    insta::assert_snapshot!(inspect(&host, Token::classic("mona")).await, @"");
}
