//! Calls of the API.

use serde_json::Value;

use super::{Visitor, names};
use crate::support::fake_azure_devops::FakeAzureDevops;

#[tokio::test]
async fn projects_repositories_and_references_are_listed() {
    let azure = FakeAzureDevops::start().await;
    let project = azure.org("acme").project("Prój eñt");
    let repo = project.repo("My Repo").await;
    let work = repo.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let visitor = Visitor::new(&azure, azure.pat("mona", "acme", &["vso.code", "vso.project"]));

    assert_eq!(names(&visitor.list("_apis/projects").await), ["Prój eñt"]);
    let repositories = visitor.list("_apis/git/repositories").await;
    assert_eq!(names(&repositories), ["My Repo"]);
    assert_eq!(repositories[0]["defaultBranch"], "refs/heads/main");
    let refs = visitor.list(&format!("{}/_apis/git/repositories/my%20repo/refs", project.id())).await;
    assert_eq!(names(&refs), ["refs/heads/main"]);
    assert_eq!(refs[0]["objectId"].as_str().unwrap(), repo.tip("main").await);
    let me: Value = visitor.get("_apis/connectionData?api-version=7.1-preview").await.json().await.unwrap();
    assert_eq!(me["deploymentType"], "hosted");
}
