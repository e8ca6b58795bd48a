//! Which repositories are found.

use std::collections::BTreeSet;

use refward::domain::RemoteRepository;
use secrecy::SecretString;

use crate::github;
use crate::support::fake_github::{FakeGithub, Token};

/// What the adapter finds of an owner.
async fn listed(host: &FakeGithub, owner: &str, token: &SecretString) -> Vec<RemoteRepository> {
    let survey = github().survey(&host.access(owner, token)).await.unwrap();
    survey.repositories.into_iter().map(|surveyed| surveyed.repository).collect()
}

fn names(repositories: &[RemoteRepository]) -> Vec<&str> {
    repositories.iter().map(|repository| repository.full_name.as_str()).collect()
}

#[tokio::test]
async fn all_250_repositories_of_an_organization() {
    let host = FakeGithub::start().await;
    host.without_graphql();
    host.org("acme").paper_repos(250);
    let token = host.token(Token::classic("mona"));
    let found = listed(&host, "acme", &token).await;
    assert_eq!(found.iter().map(|repository| &repository.forge_id).collect::<BTreeSet<_>>().len(), 250);
    let pages = host.seen();
    assert_eq!(pages.iter().filter(|page| page.path.contains("/repos")).count(), 3);
    for page in &pages {
        assert_eq!(page.header("authorization").len(), 1, "{}", page.path);
        assert_eq!(page.header("x-github-api-version"), ["2022-11-28"]);
        assert_eq!(page.header("accept"), ["application/vnd.github+json"]);
        assert_eq!(page.header("user-agent"), [concat!("refward/", env!("CARGO_PKG_VERSION"))]);
    }
}

#[tokio::test]
async fn what_a_repository_looks_like() {
    let host = FakeGithub::start().await;
    let acme = host.org("acme");
    let api = acme.repo("api").await;
    api.archive();
    acme.public_repo("web").await;
    let token = host.token(Token::classic("mona"));
    let found = listed(&host, "ACME", &token).await;
    let expected = |id: u64, name: &str, private: bool| RemoteRepository {
        forge_id: id.to_string(),
        full_name: format!("acme/{name}"),
        private,
        archived: private,
        // Empty, so there is none yet.
        default_branch: None,
    };
    assert_eq!(found, [expected(api.id, "api", true), expected(api.id + 1, "web", false)]);
}

#[tokio::test]
async fn ones_own_account_and_another_persons() {
    let host = FakeGithub::start().await;
    host.user("mona").repo("diary").await;
    host.user("lisa").repo("diary").await;
    host.user("lisa").public_repo("blog").await;
    let token = host.token(Token::classic("mona"));
    let found = listed(&host, "Mona", &token).await;
    assert_eq!(names(&found), ["mona/diary"]);
    let found = listed(&host, "lisa", &token).await;
    assert_eq!(names(&found), ["lisa/blog"]);
}

#[tokio::test]
async fn only_the_chosen_ones_for_a_fine_grained_token() {
    let host = FakeGithub::start().await;
    let acme = host.org("acme");
    acme.repo("api").await;
    acme.repo("secret").await;
    let token = host.token(Token::fine_grained("mona", "acme").chosen(&["api"]));
    let found = listed(&host, "acme", &token).await;
    assert_eq!(names(&found), ["acme/api"]);
}

#[tokio::test]
async fn a_small_host_that_does_not_know_who_we_are() {
    let host = FakeGithub::start().await;
    host.user("lisa").public_repo("blog").await;
    host.forget("/user");
    let token = host.token(Token::classic("mona"));
    let found = listed(&host, "lisa", &token).await;
    assert_eq!(names(&found), ["lisa/blog"]);
}
