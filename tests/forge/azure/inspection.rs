//! What `connect` tells about a credential.

use refward::forge::{Access, CredentialKind, Inspection, Proof};
use secrecy::SecretString;
use uuid::Uuid;

use super::{SCOPES, azure, steady};
use crate::support::fake_azure_devops::{FakeAzureDevops, License, ServiceHooks};
use crate::support::fake_entra::FakeEntra;
use crate::told;

/// An organization with two projects, a repository in each.
async fn acme(host: FakeAzureDevops) -> FakeAzureDevops {
    let acme = host.org("acme");
    acme.project("Web").repo("api").await;
    acme.project("Shop Floor").repo("plc").await;
    host
}

async fn inspect(host: &FakeAzureDevops, token: &SecretString) -> String {
    let text = match azure().inspect(&host.access("acme", token)).await {
        Ok(inspection) => written(&inspection),
        Err(error) => told(&error),
    };
    steady(host, &text)
}

fn written(inspection: &Inspection) -> String {
    let Inspection { host, login, credential, held, missing, .. } = inspection;
    let list = |of: &[String]| of.iter().map(|one| format!("\n  - {one}")).collect::<String>();
    format!(
        "{host}\n{credential} of {}\nheld:{}\nmissing:{}",
        login.as_deref().unwrap_or("?"),
        list(held),
        list(missing)
    )
}

#[tokio::test]
async fn a_token_of_an_administrator_for_everything() {
    let host = acme(FakeAzureDevops::start().await).await;
    insta::assert_snapshot!(inspect(&host, &host.full_pat("acme")).await, @"
    Azure DevOps Services
    personal access token of admin@acme.example
    held:
      - vso.project
      - vso.code
      - vso.work
      - vso.build
      - vso.wiki
      - Git: Read
      - Service hooks: View, Edit, Delete
      - Git: Contribute, Create branch, Create tag
      - Git: Force push
      - Git: Bypass policies when pushing
      - Git: Create repository
    missing:
    ");
}

#[tokio::test]
async fn a_server_is_known_by_its_year() {
    let host = acme(FakeAzureDevops::server("7.0").await).await;
    insta::assert_snapshot!(inspect(&host, &host.pat("mona", "acme", SCOPES)).await, @"
    Azure DevOps Server 2022 (api 7.0)
    personal access token of mona@acme.example
    held:
      - vso.project
      - vso.code
      - vso.work
      - vso.build
      - vso.wiki
      - Git: Read
      - Service hooks: View, Edit, Delete
      - Git: Contribute, Create branch, Create tag
      - Git: Force push
      - Git: Bypass policies when pushing
      - Git: Create repository
    missing:
    ");
    let mut all = Vec::new();
    for version in ["4.1", "5.0", "5.1", "6.0", "7.1", "7.2"] {
        let host = acme(FakeAzureDevops::server(version).await).await;
        let told = inspect(&host, &host.full_pat("acme")).await;
        all.push(told.lines().next().unwrap().to_owned());
    }
    insta::assert_snapshot!(all.join("\n"), @"
    Misconfigured: 127.0.0.1:PORT runs an Azure DevOps Server that is too old
    Azure DevOps Server 2019 (api 5.0)
    Azure DevOps Server 2019.1 (api 5.1)
    Azure DevOps Server 2020 (api 6.0)
    Azure DevOps Server 2022.1 (api 7.1)
    Azure DevOps Server 2022.1 (api 7.1)
    ");
}

#[tokio::test]
async fn scopes_that_were_not_ticked() {
    let host = acme(FakeAzureDevops::start().await).await;
    insta::assert_snapshot!(inspect(&host, &host.pat("mona", "acme", &["vso.code", "vso.project"])).await, @"
    Azure DevOps Services
    personal access token of mona@acme.example
    held:
      - vso.project
      - vso.code
      - Git: Read
      - Service hooks: View, Edit, Delete
      - Git: Contribute, Create branch, Create tag
      - Git: Force push
      - Git: Bypass policies when pushing
      - Git: Create repository
    missing:
      - the scope `vso.work`, without which changes of work items are not told of: open the token at http://127.0.0.1:PORT/acme/_usersSettings/tokens, tick `Work Items: Read`, save
      - the scope `vso.build`, without which builds are not told of: open the token at http://127.0.0.1:PORT/acme/_usersSettings/tokens, tick `Build: Read`, save
      - the scope `vso.wiki`, without which wikis cannot be told apart: open the token at http://127.0.0.1:PORT/acme/_usersSettings/tokens, tick `Wiki: Read`, save
    ");
    insta::assert_snapshot!(inspect(&host, &host.pat("mona", "acme", &["vso.work"])).await, @"
    Azure DevOps Services
    personal access token of mona@acme.example
    held:
      - vso.work
    missing:
      - the scope `vso.project`, without which projects stay hidden: open the token at http://127.0.0.1:PORT/acme/_usersSettings/tokens, tick `Project and Team: Read`, save
      - the scope `vso.code`, without which repositories cannot be fetched: open the token at http://127.0.0.1:PORT/acme/_usersSettings/tokens, tick `Code: Read`, save
      - the scope `vso.wiki`, without which wikis cannot be told apart: open the token at http://127.0.0.1:PORT/acme/_usersSettings/tokens, tick `Wiki: Read`, save
    ");
}

#[tokio::test]
async fn somebody_who_may_read_here_and_not_there() {
    let host = acme(FakeAzureDevops::start().await).await;
    let acme = host.org("acme");
    let lisa = acme.person("lisa");
    lisa.may(&acme.project("Web"), &["GenericRead", "GenericContribute", "CreateBranch", "CreateTag"]);
    lisa.may(
        &ServiceHooks(Some(acme.project("Web").id())),
        &["ViewSubscriptions", "EditSubscriptions", "DeleteSubscriptions"],
    );
    insta::assert_snapshot!(inspect(&host, &host.pat("lisa", "acme", SCOPES)).await, @"
    Azure DevOps Services
    personal access token of lisa@acme.example
    held:
      - vso.project
      - vso.code
      - vso.work
      - vso.build
      - vso.wiki
      - Git: Read (1 of 2 projects)
      - Service hooks: View, Edit, Delete (1 of 2 projects)
      - Git: Contribute, Create branch, Create tag (1 of 2 projects)
    missing:
      - the permission `Git: Read` in `Shop Floor`, without which repositories cannot be fetched: Project settings, Repositories, Security
      - the permission `Service hooks: View, Edit, Delete` in `Shop Floor`, without which pushes are noticed by sweeps alone: make it a Project Administrator, or a member of Project Collection Administrators
    ");
}

#[tokio::test]
async fn a_stakeholder_sees_no_code() {
    let host = acme(FakeAzureDevops::start().await).await;
    let acme = host.org("acme");
    acme.person("lisa").administers().member(License::Stakeholder);
    insta::assert_snapshot!(inspect(&host, &host.pat("lisa", "acme", SCOPES)).await, @"
    Azure DevOps Services
    personal access token of lisa@acme.example
    held:
      - vso.project
      - vso.code
      - vso.work
      - vso.build
      - vso.wiki
      - Git: Read
      - Service hooks: View, Edit, Delete
      - Git: Contribute, Create branch, Create tag
      - Git: Force push
      - Git: Bypass policies when pushing
      - Git: Create repository
    missing:
      - the sight of any repository in 2 projects: its access level is Stakeholder, which hides all code; give it Basic at http://127.0.0.1:PORT/acme/_settings/users
    ");
}

#[tokio::test]
async fn a_service_principal_that_was_never_added_is_elsewhere_or_is_a_member() {
    let host = acme(FakeAzureDevops::start().await).await;
    let (entra, org) = (FakeEntra::start().await, host.org("acme"));
    host.accept_bearers(entra.checker());
    let app = entra.application("Refward");
    let kind = CredentialKind::Client { client: app.client(), proof: Proof::Secret(app.secret()) };
    let access = Access::with(org.url(), "acme", kind);
    let mut all = Vec::new();
    for tenant in [Uuid::from_u128(7), entra.tenant()] {
        org.joins(tenant);
        all.push(told(&azure().inspect(&access).await.unwrap_err()));
    }
    org.principal("Refward", app.object_id).administers();
    all.push(written(&azure().inspect(&access).await.unwrap()));
    let all = steady(&host, &all.join("\n\n")).replace(&app.object_id.to_string(), "PRINCIPAL");
    insta::assert_snapshot!(all, @"
    Misconfigured: the service principal is one of the tenant TENANT; the organization belongs to the tenant 00000000-0000-0000-0000-000000000007
    → register the application in that tenant, and connect with its client id and tenant

    Misconfigured: the service principal is not a member of the organization `acme`; the organization belongs to the tenant TENANT
    → add it by the name of its application, with the access level Basic, at http://127.0.0.1:PORT/acme/_settings/users; it can take a few minutes

    Azure DevOps Services
    service principal of PRINCIPAL
    held:
      - vso.project
      - vso.code
      - vso.work
      - vso.build
      - vso.wiki
      - Git: Read
      - Service hooks: View, Edit, Delete
      - Git: Contribute, Create branch, Create tag
      - Git: Force push
      - Git: Bypass policies when pushing
      - Git: Create repository
    missing:
    ");
}

#[tokio::test]
async fn a_token_that_is_none() {
    let host = acme(FakeAzureDevops::start().await).await;
    insta::assert_snapshot!(inspect(&host, &"nonsense".into()).await, @"
    Misconfigured: 127.0.0.1:PORT refuses the token
    → it is mistyped, expired or revoked, or was made for another organization; make a new one at http://127.0.0.1:PORT/acme/_usersSettings/tokens
    ");
}
