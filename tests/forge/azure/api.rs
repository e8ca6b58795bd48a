//! How calls are made: pages to their end, and nothing that does not end.

use refward::domain::Kind;
use refward::forge::{Access, CredentialKind, Proof};

use super::{SCOPES, azure};
use crate::support::fake_azure_devops::FakeAzureDevops;
use crate::support::fake_entra::FakeEntra;
use crate::support::fake_github::Fault;

#[tokio::test]
async fn pages_end_where_no_further_one_is_told() {
    let host = FakeAzureDevops::start().await;
    let acme = host.org("acme");
    for name in ["Web", "Shop", "Floor"] {
        acme.project(name).repo("api").await;
    }
    let gone = acme.project("Floor").repo("gone").await;
    gone.delete();
    host.page_size(1);
    let survey = azure().survey(&host.access("acme", &host.pat("mona", "acme", SCOPES))).await.unwrap();
    assert_eq!(survey.repositories.len(), 4, "the last project's recycle bin was found, too");
    let pages = host.seen().iter().filter(|seen| seen.path.contains("/_apis/projects")).count();
    assert_eq!(pages, 3 + 1, "one for each project, and one for those that are deleted");
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_and_answers_without_end_are_left() {
    let host = FakeAzureDevops::start().await;
    let access = host.access("acme", &host.pat("mona", "acme", SCOPES));
    let body = r#"{"deploymentType":"hosted","value":[]}"#.to_owned();
    host.fail(20, &Fault { status: 200, headers: vec![], body }.header("x-ms-continuationtoken", "7"));
    let error = azure().inspect(&access).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Remote { .. }) && error.to_string().contains("circle"), "{error}");
    let host = FakeAzureDevops::start().await;
    let access = host.access("acme", &host.pat("mona", "acme", SCOPES));
    host.fail(1, &Fault { status: 200, headers: vec![], body: " ".repeat((32 << 20) + 1) });
    let error = azure().survey(&access).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Remote { .. }) && error.to_string().contains("without end"), "{error}");
}

#[tokio::test]
async fn a_server_is_asked_what_it_is_once() {
    let host = FakeAzureDevops::server("6.0").await;
    host.org("acme").project("Web").repo("api").await;
    let access = host.access("acme", &host.pat("mona", "acme", SCOPES));
    let azure = azure();
    for _ in 0..3 {
        azure.survey(&access).await.unwrap();
    }
    let seen = host.seen();
    assert_eq!(seen.iter().filter(|seen| seen.method == "OPTIONS").count(), 1);
    assert_eq!(seen.iter().filter(|seen| seen.path.contains("connectionData")).count(), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_is_made_anew_once() {
    let (host, entra) = (FakeAzureDevops::start().await, FakeEntra::start().await);
    host.accept_bearers(entra.checker());
    let (org, app) = (host.org("acme"), entra.application("Refward"));
    org.joins(entra.tenant());
    org.project("Web").repo("api").await;
    let principal = org.principal("Refward", app.object_id);
    principal.administers();
    let kind = CredentialKind::Client { client: app.client(), proof: Proof::Secret(app.secret()) };
    let (azure, access) = (azure(), Access::with(org.url(), "acme", kind));
    azure.survey(&access).await.unwrap();
    assert_eq!(entra.minted(), 1);
    entra.revoke_tokens();
    assert_eq!(azure.survey(&access).await.unwrap().repositories.len(), 1);
    assert_eq!(entra.minted(), 2);
    let asked = host.seen().len();
    principal.leaves();
    assert_eq!(azure.survey(&access).await.unwrap_err().kind(), Kind::Misconfigured);
    assert_eq!(host.seen().len() - asked, 2, "once more with a new token, and no more");
}
