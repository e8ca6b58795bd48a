//! GraphQL: how an owner's repositories stand.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::token;
use crate::client;
use crate::support::fake_github::{Covers, FakeGithub, Fault, Token, Trouble};

const QUERY: &str = r#"query($owner: String!, $cursor: String) {
  repositoryOwner(login: $owner) {
    repositories(first: 100, after: $cursor, ownerAffiliations: OWNER) {
      pageInfo { hasNextPage endCursor }
      nodes {
        databaseId id nameWithOwner isPrivate isArchived isDisabled visibility pushedAt
        defaultBranchRef { name target { oid } }
        branches: refs(refPrefix: "refs/heads/", first: 1) { totalCount }
        tags: refs(refPrefix: "refs/tags/", first: 1) { totalCount }
        pullRequests(first: 1, orderBy: { field: UPDATED_AT, direction: DESC }) { nodes { updatedAt } }
      }
    }
  }
  rateLimit { cost remaining limit resetAt }
}"#;

async fn ask(host: &FakeGithub, token: &str, query: &str, cursor: Option<&str>) -> (u16, Value) {
    let body = json!({ "query": query, "variables": { "owner": "acme", "cursor": cursor } }).to_string();
    let request = client().post(host.url().join("api/graphql").unwrap()).bearer_auth(token).body(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

fn repositories(answer: &Value) -> &Value {
    &answer["data"]["repositoryOwner"]["repositories"]
}

#[tokio::test]
async fn how_repositories_stand() {
    let host = FakeGithub::start().await;
    let acme = host.org("acme");
    let api = acme.repo("api").await;
    acme.paper_repos(120);
    let token = host.token(Token::classic("mona"));
    let first = async || {
        let (status, answer) = ask(&host, token.expose_secret(), QUERY, None).await;
        assert_eq!((status, &answer["errors"]), (200, &Value::Null));
        answer
    };
    let before = first().await;
    let empty = &repositories(&before)["nodes"][0];
    assert_eq!((&empty["nameWithOwner"], &empty["defaultBranchRef"]), (&json!("acme/api"), &Value::Null));
    assert_eq!(before["data"]["rateLimit"], Value::Null);
    assert_eq!(repositories(&before)["nodes"].as_array().unwrap().len(), 100);
    let cursor = repositories(&before)["pageInfo"]["endCursor"].as_str();
    let (_, second) = ask(&host, token.expose_secret(), QUERY, cursor).await;
    assert_eq!(repositories(&second)["nodes"].as_array().unwrap().len(), 21);
    assert_eq!(repositories(&second)["pageInfo"]["hasNextPage"], false);

    let work = api.work().await;
    let commit = work.commit("one").await;
    work.push(&["main", "HEAD:more", "HEAD:refs/tags/v1"]).await;
    api.pull_request_changes();
    let after = first().await;
    let pushed = &repositories(&after)["nodes"][0];
    assert_eq!(pushed["defaultBranchRef"], json!({ "name": "main", "target": { "oid": commit } }));
    assert_eq!((&pushed["branches"]["totalCount"], &pushed["tags"]["totalCount"]), (&json!(2), &json!(1)));
    assert!(pushed["pushedAt"].as_str() > empty["pushedAt"].as_str());
    assert!(pushed["pullRequests"]["nodes"][0]["updatedAt"].is_string());
    // Within the same second, and a tag alone.
    work.push(&["HEAD:refs/tags/v2"]).await;
    let again = first().await;
    assert!(repositories(&again)["nodes"][0]["pushedAt"].as_str() > pushed["pushedAt"].as_str());
}

#[tokio::test]
async fn ten_thousand_repositories_in_a_hundred_questions() {
    let host = FakeGithub::start().await;
    host.org("acme").paper_repos(10_000);
    let token = host.token(Token::classic("mona"));
    let (mut cursor, mut ids) = (None, std::collections::BTreeSet::new());
    loop {
        let (_, answer) = ask(&host, token.expose_secret(), QUERY, cursor.as_deref()).await;
        let page = repositories(&answer);
        ids.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["databaseId"].as_u64().unwrap()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        cursor = page["pageInfo"]["endCursor"].as_str().map(str::to_owned);
    }
    assert_eq!((ids.len(), host.seen().len()), (10_000, 100));
}

#[tokio::test]
async fn points_and_permissions() {
    let host = FakeGithub::start().await;
    host.org("acme").repo("api").await;
    let app = host.app("acme").permissions(&[("metadata", "read")]);
    let installation = host.install(&app.slug(), "acme", Covers::All, None).id();
    let token = token(&host, &app, installation, Value::Null).await;
    host.limit_graphql(Some(4));
    let (status, answer) = ask(&host, &token, QUERY, None).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&answer["data"]["rateLimit"]["cost"], &answer["data"]["rateLimit"]["remaining"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(answer["errors"][0]["type"], "FORBIDDEN");
    assert_eq!(repositories(&answer)["nodes"][0]["nameWithOwner"], "acme/api");
    ask(&host, &token, QUERY, None).await;
    let (status, answer) = ask(&host, &token, QUERY, None).await;
    assert_eq!((status, &answer["errors"][0]["type"]), (200, &json!("RATE_LIMITED")));
}

#[tokio::test]
async fn what_can_go_wrong() {
    let host = FakeGithub::start().await;
    host.org("acme").repo("api").await;
    let token = host.token(Token::classic("mona"));
    let ask = async |query: &str| ask(&host, token.expose_secret(), query, None).await;
    host.fail_graphql(1, &Trouble::Http(Fault::html(502)));
    assert_eq!(ask(QUERY).await.0, 502);
    host.fail_graphql(1, &Trouble::Refused("RESOURCE_LIMITS_EXCEEDED"));
    let (status, answer) = ask(QUERY).await;
    assert_eq!((status, &answer["data"]), (200, &Value::Null));
    assert_eq!(answer["errors"][0]["type"], "RESOURCE_LIMITS_EXCEEDED");
    host.fail_graphql(1, &Trouble::Partial("pushedAt"));
    let (_, answer) = ask(QUERY).await;
    assert_eq!(repositories(&answer)["nodes"][0]["pushedAt"], Value::Null);
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1);

    assert!(ask("{ viewer { shoeSize } }").await.1["errors"][0]["message"].as_str().unwrap().contains("shoeSize"));
    assert!(host.forgive_violations()[0].contains("shoeSize"));
    let unpaged = r#"{ repositoryOwner(login: "acme") { repositories { totalCount } } }"#;
    assert_eq!(ask(unpaged).await.1["errors"][0]["type"], "MISSING_PAGINATION_BOUNDARIES");
    let greedy = r#"{ repositoryOwner(login: "acme") { repositories(first: 101) { totalCount } } }"#;
    assert_eq!(ask(greedy).await.1["errors"][0]["type"], "EXCESSIVE_PAGINATION");
    host.without_graphql();
    assert_eq!(ask(QUERY).await.0, 404);
}
