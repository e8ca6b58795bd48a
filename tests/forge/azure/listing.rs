//! Which repositories are found.

use std::collections::BTreeSet;

use refward::domain::{Availability, RemoteRepository};
use refward::forge::{Mark, Scope, Surveyed};

use super::{SCOPES, azure};
use crate::support::fake_azure_devops::FakeAzureDevops;

#[tokio::test]
async fn all_1500_repositories_of_an_organization_on_services_and_on_a_server() {
    for (host, version) in [(FakeAzureDevops::start().await, "7.1"), (FakeAzureDevops::server("7.0").await, "7.0")] {
        let acme = host.org("acme");
        for project in ["Web", "Shop"] {
            acme.project(project).paper_repos(750);
        }
        let token = host.pat("mona", "acme", SCOPES);
        let survey = azure().survey(&host.access("acme", &token)).await.unwrap();
        let ids: BTreeSet<&String> = survey.repositories.iter().map(|surveyed| &surveyed.repository.forge_id).collect();
        assert_eq!(ids.len(), 1_500);
        let seen = host.seen();
        assert_eq!(seen.iter().filter(|seen| seen.path.contains("/acme/_apis/git/repositories")).count(), 1);
        assert_eq!(survey.requests, seen.len() as u64);
        let found_out = seen.iter().position(|seen| seen.path.contains("/git/")).unwrap();
        for seen in &seen {
            assert_eq!(seen.header("authorization").len(), 1, "{}", seen.path);
        }
        for seen in &seen[found_out..] {
            assert_eq!(seen.header("accept"), [format!("application/json;api-version={version}")], "{}", seen.path);
        }
    }
}

#[tokio::test]
async fn what_a_repository_looks_like() {
    let host = FakeAzureDevops::start().await;
    let project = host.org("acme").project("Prój eñt");
    let repo = project.repo("My Repo").await;
    let work = repo.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let wiki = project.wiki().await;
    let token = host.pat("mona", "acme", SCOPES);
    let survey = azure().survey(&host.access("acme", &token)).await.unwrap();
    let scope = Some(Scope { id: project.id().to_string(), name: "Prój eñt".to_owned() });
    let surveyed = |id: String, full_name: &str, default_branch: Option<&str>| Surveyed {
        repository: RemoteRepository {
            forge_id: id,
            full_name: full_name.to_owned(),
            private: true,
            archived: false,
            default_branch: default_branch.map(str::to_owned),
        },
        visibility: Some("private".to_owned()),
        mark: Mark::Untold,
        availability: Availability::Open,
        scope: scope.clone(),
    };
    let expected = [
        surveyed(repo.id().to_string(), "Prój eñt/My Repo", Some("main")),
        surveyed(wiki.id().to_string(), "Prój eñt/Prój eñt.wiki", None),
    ];
    assert_eq!(survey.repositories, expected);
    assert!(survey.complete);
}

#[tokio::test]
async fn what_is_disabled_is_listed_as_that() {
    let host = FakeAzureDevops::start().await;
    let project = host.org("acme").project("Web");
    let (api, old) = (project.repo("api").await, project.repo("old").await);
    old.disable();
    let access = host.access("acme", &host.pat("mona", "acme", SCOPES));
    let azure = azure();
    let survey = azure.survey(&access).await.unwrap();
    let told = |surveyed: &Surveyed| (surveyed.repository.forge_id.clone(), surveyed.availability);
    let listed: Vec<_> = survey.repositories.iter().map(told).collect();
    let id = |repo: &crate::support::fake_azure_devops::Repo| repo.id().to_string();
    assert_eq!(listed, [(id(&api), Availability::Open), (id(&old), Availability::Disabled)]);
    old.enable();
    let survey = azure.survey(&access).await.unwrap();
    assert!(survey.repositories.iter().all(|surveyed| surveyed.availability == Availability::Open));
}

#[tokio::test]
async fn a_renamed_repository_and_a_renamed_project_keep_their_ids() {
    let host = FakeAzureDevops::start().await;
    let project = host.org("acme").project("Web");
    let repo = project.repo("api").await;
    let access = host.access("acme", &host.pat("mona", "acme", SCOPES));
    let azure = azure();
    azure.survey(&access).await.unwrap();
    repo.rename("api v2");
    project.rename("Web Shop");
    let survey = azure.survey(&access).await.unwrap();
    let [only] = survey.repositories.as_slice() else { panic!("{:?}", survey.repositories) };
    let found = (&only.repository.forge_id, only.repository.full_name.as_str(), &only.scope.as_ref().unwrap().name);
    assert_eq!(found, (&repo.id().to_string(), "Web Shop/api v2", &"Web Shop".to_owned()));
}
