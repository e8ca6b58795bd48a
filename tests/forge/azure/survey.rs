//! What has become of repositories that are not listed any more, and what a look costs.

use refward::domain::{Availability, Kind};
use refward::forge::{Access, Credential, CredentialKind, Forge, Scope, Survey};

use super::{SCOPES, azure};
use crate::support::fake_azure_devops::{FakeAzureDevops, License, Project};

async fn acme() -> (FakeAzureDevops, Project, Access) {
    let host = FakeAzureDevops::start().await;
    let project = host.org("acme").project("Web");
    project.repo("api").await;
    host.org("acme").project("Shop").repo("till").await;
    let access = host.access("acme", &host.pat("mona", "acme", SCOPES));
    (host, project, access)
}

async fn survey(azure: &dyn Forge, access: &Access) -> Survey {
    azure.survey(access).await.unwrap()
}

fn told(survey: &Survey) -> Vec<(&str, Availability)> {
    let one = |surveyed: &'_ refward::forge::Surveyed| surveyed.availability;
    let mut all: Vec<_> =
        survey.repositories.iter().map(|surveyed| (surveyed.repository.full_name.as_str(), one(surveyed))).collect();
    all.sort_unstable_by_key(|(name, _)| *name);
    all
}

#[tokio::test]
async fn after_the_first_look_two_requests_tell_of_everything() {
    let (_host, _, access) = acme().await;
    let azure = azure();
    let first = survey(azure.as_ref(), &access).await;
    // What runs there, all repositories, the projects that are deleted and those that are not, a recycle bin for each of these.
    assert_eq!(first.requests, 6);
    let second = survey(azure.as_ref(), &access).await;
    assert_eq!((second.requests, &second.repositories), (2, &first.repositories));
}

#[tokio::test]
async fn a_deleted_repository_is_in_the_recycle_bin_until_that_is_emptied() {
    use Availability::{Open, Recycled};
    let (_host, project, access) = acme().await;
    let old = project.repo("old").await;
    let azure = azure();
    survey(azure.as_ref(), &access).await;
    old.delete();
    for _ in 0..2 {
        let found = survey(azure.as_ref(), &access).await;
        assert_eq!(told(&found), [("Shop/till", Open), ("Web/api", Open), ("Web/old", Recycled)]);
        assert_eq!(found.requests, 3, "only one project's bin was looked into");
    }
    // Whoever begins anew finds it too.
    assert_eq!(told(&survey(super::azure().as_ref(), &access).await).len(), 3);
    old.undelete();
    assert_eq!(told(&survey(azure.as_ref(), &access).await)[2], ("Web/old", Open));
    old.delete();
    survey(azure.as_ref(), &access).await;
    old.destroy();
    assert_eq!(told(&survey(azure.as_ref(), &access).await), [("Shop/till", Open), ("Web/api", Open)]);
}

#[tokio::test]
async fn a_deleted_project_is_told_of_with_all_that_belonged_to_it() {
    use Availability::Open;
    let (_host, project, access) = acme().await;
    let scope = Scope { id: project.id().to_string(), name: "Web".to_owned() };
    let azure = azure();
    survey(azure.as_ref(), &access).await;
    project.delete();
    for _ in 0..2 {
        let found = survey(azure.as_ref(), &access).await;
        assert_eq!(told(&found), [("Shop/till", Open)]);
        assert_eq!(found.recycled, std::slice::from_ref(&scope));
    }
    // Whoever begins anew is told the same.
    assert_eq!(survey(super::azure().as_ref(), &access).await.recycled, [scope]);
    project.undelete();
    let found = survey(azure.as_ref(), &access).await;
    assert_eq!(told(&found), [("Shop/till", Open), ("Web/api", Open)]);
    assert_eq!(found.recycled, []);
}

#[tokio::test]
async fn who_sees_nothing_any_more_is_told_why_instead_of_that_everything_is_gone() {
    let (host, _, access) = acme().await;
    let azure = azure();
    survey(azure.as_ref(), &access).await;
    host.org("acme").person("mona").member(License::Stakeholder);
    let error = azure.survey(&access).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    insta::assert_snapshot!(super::steady(&host, &crate::told(&error)), @"
    Misconfigured: listing the repositories of `acme`: the credential sees no repository of `acme` any more
    → it has lost the permission Read or, with the access level Stakeholder, the sight of all code: http://127.0.0.1:PORT/acme/_settings/users
    ");
}

#[tokio::test]
async fn another_credential_of_the_pool_takes_over_and_says_that_it_may_see_less() {
    let (host, _, access) = acme().await;
    let azure = azure();
    let other = host.pat("lisa", "acme", SCOPES);
    let kind = CredentialKind::Token(other);
    let spare = Credential { label: "spare".to_owned(), who: "user lisa".to_owned(), kind };
    let mut pool = Access { credentials: [access.credentials.clone(), vec![spare]].concat(), ..access.clone() };
    assert!(survey(azure.as_ref(), &pool).await.complete);
    pool.credentials[0].kind = CredentialKind::Token("revoked".into());
    let found = survey(azure.as_ref(), &pool).await;
    assert_eq!((found.repositories.len(), found.complete), (2, false));
}

#[tokio::test]
async fn what_another_credential_has_not_seen_is_not_forgotten() {
    let (host, project, access) = acme().await;
    let old = project.repo("old").await;
    let azure = azure();
    survey(azure.as_ref(), &access).await;
    old.delete();
    let found = survey(azure.as_ref(), &access).await;
    assert_eq!(told(&found)[2], ("Web/old", Availability::Recycled));
    host.org("acme").person("lisa").may(&host.org("acme").project("Shop"), &["GenericRead"]);
    let kind = CredentialKind::Token(host.pat("lisa", "acme", SCOPES));
    let spare = Credential { label: "spare".to_owned(), who: "user lisa".to_owned(), kind };
    let less = Access { credentials: vec![spare], ..access.clone() };
    assert_eq!(told(&survey(azure.as_ref(), &less).await), [("Shop/till", Availability::Open)]);
    assert_eq!(survey(azure.as_ref(), &access).await.repositories, found.repositories, "as it was before");
}

#[tokio::test]
async fn whether_an_address_answers() {
    let host = FakeAzureDevops::start().await;
    let reached = azure().reach(&host.org("acme").url()).await.unwrap();
    assert!(reached.iter().all(|reached| reached.outcome.is_ok()), "{reached:?}");
    let reached = azure().reach(&"http://127.0.0.1:1/acme".parse().unwrap()).await.unwrap();
    assert!(reached.iter().all(|reached| reached.outcome.is_err()), "{reached:?}");
    let reached = azure().reach(&host.url("nobody")).await.unwrap();
    assert!(reached.iter().all(|reached| reached.outcome.is_err()), "{reached:?}");
}
