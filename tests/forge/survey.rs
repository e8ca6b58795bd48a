//! What one look at an owner's repositories says of each.

use std::path::Path;

use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use refward::forge::{Access, Mark, Survey};
use secrecy::SecretString;

use crate::github;
use crate::support::fake_github::{FakeGithub, Repo, Token, Trouble};

/// A host whose clock is behind, so that no push looks recent to us, with a repository.
async fn calm() -> (FakeGithub, Repo, SecretString) {
    let host = FakeGithub::start().await;
    host.move_clock(-120);
    let api = host.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let token = host.token(Token::classic("mona"));
    (host, api, token)
}

async fn survey(access: &Access) -> Survey {
    github().survey(access).await.unwrap()
}

fn mark(survey: &Survey) -> &str {
    match &survey.repositories[0].mark {
        Mark::Told(mark) => mark,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mark_stays_while_nothing_is_pushed_and_changes_when_something_is() {
    let (host, api, token) = calm().await;
    let access = host.access("acme", &token);
    let first = survey(&access).await;
    assert_eq!((first.requests, first.complete, &first), (1, true, &survey(&access).await));
    let work = api.work().await;
    work.git(&["pull", "--quiet", "origin", "main"]).await;
    work.push(&["HEAD:refs/tags/v1", "HEAD:refs/tags/v2", "HEAD:refs/tags/v3", "HEAD:refs/tags/v4"]).await;
    let tagged = survey(&access).await;
    assert_ne!(mark(&first), mark(&tagged));
    work.push(&[":refs/tags/v1"]).await;
    assert_ne!(mark(&survey(&access).await), mark(&tagged));
}

#[tokio::test]
async fn rest_tells_the_beginning_of_the_same_mark() {
    let (host, _, token) = calm().await;
    let access = host.access("acme", &token);
    let more = survey(&access).await;
    host.without_graphql();
    let less = survey(&access).await;
    assert!(mark(&more).starts_with(&format!("{}/", mark(&less))), "{} {}", mark(&more), mark(&less));
    assert_eq!(less.repositories[0].repository, more.repositories[0].repository);
    assert_eq!(less.repositories[0].visibility, more.repositories[0].visibility);
}

#[tokio::test]
async fn a_push_of_a_moment_ago_may_hide_another() {
    let (host, api, token) = calm().await;
    host.move_clock(120);
    let work = api.work().await;
    work.commit("two").await;
    work.push(&["HEAD:refs/heads/two"]).await;
    for graphql in [true, false] {
        if !graphql {
            host.without_graphql();
        }
        assert_eq!(survey(&host.access("acme", &token)).await.repositories[0].mark, Mark::Moving);
    }
}

#[tokio::test]
async fn an_answer_in_part_is_no_answer() {
    let (host, _, token) = calm().await;
    let access = host.access("acme", &token);
    let whole = survey(&access).await;
    for field in ["pushedAt", "defaultBranchRef"] {
        host.fail_graphql(1, &Trouble::Partial(field));
        let asked_again = survey(&access).await;
        let (one, other) = (mark(&whole), mark(&asked_again));
        assert!(one.starts_with(other), "{field}: {one} {other}");
        assert_eq!(asked_again.repositories.len(), 1);
    }
}

#[tokio::test]
async fn ten_thousand_unchanged_repositories_cost_a_hundred_requests() {
    let host = FakeGithub::start().await;
    host.move_clock(-120);
    host.org("acme").paper_repos(10_000);
    let token = host.token(Token::classic("mona"));
    host.limit_graphql(Some(5000));
    let found = survey(&host.access("acme", &token)).await;
    assert_eq!((found.repositories.len(), found.requests), (10_000, 100));
    assert_eq!(host.seen().len(), 100, "and nothing else");
    assert!(found.repositories.iter().all(|surveyed| matches!(surveyed.mark, Mark::Told(_))));
}

#[test]
fn the_query_is_one_that_github_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = root.join(".test-tools/openapi/schema.graphql");
    let Ok(text) = std::fs::read_to_string(&schema) else {
        eprintln!("\n!!! NOT CHECKED: {} is missing. Run scripts/test-setup.sh.\n", schema.display());
        return;
    };
    // GitHub's schema has two fields twice; the first ones are kept.
    let schema = Schema::parse(text, "schema.graphql").unwrap_or_else(|errors| errors.partial);
    let schema = Valid::assume_valid(schema);
    let query = std::fs::read_to_string(root.join("src/forge/github/survey.graphql")).unwrap();
    let checked = ExecutableDocument::parse_and_validate(&schema, query, "survey.graphql");
    checked.map_err(|error| error.errors.to_string()).unwrap();
}
