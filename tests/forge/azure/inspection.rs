//! What `connect` tells about a credential.

use refward::forge::Inspection;
use secrecy::SecretString;

use super::{SCOPES, azure, steady};
use crate::support::fake_azure_devops::{FakeAzureDevops, License, ServiceHooks};
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
    insta::assert_snapshot!(inspect(&host, &host.full_pat("acme")).await, @"");
}

#[tokio::test]
async fn a_server_is_known_by_its_year() {
    let host = acme(FakeAzureDevops::server("7.0").await).await;
    insta::assert_snapshot!(inspect(&host, &host.pat("mona", "acme", SCOPES)).await, @"");
    let mut all = Vec::new();
    for version in ["4.1", "5.0", "5.1", "6.0", "7.1", "7.2"] {
        let host = acme(FakeAzureDevops::server(version).await).await;
        let told = inspect(&host, &host.full_pat("acme")).await;
        all.push(told.lines().next().unwrap().to_owned());
    }
    insta::assert_snapshot!(all.join("\n"), @"");
}

#[tokio::test]
async fn scopes_that_were_not_ticked() {
    let host = acme(FakeAzureDevops::start().await).await;
    insta::assert_snapshot!(inspect(&host, &host.pat("mona", "acme", &["vso.code", "vso.project"])).await, @"");
    insta::assert_snapshot!(inspect(&host, &host.pat("mona", "acme", &["vso.work"])).await, @"");
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
    insta::assert_snapshot!(inspect(&host, &host.pat("lisa", "acme", SCOPES)).await, @"");
}

#[tokio::test]
async fn a_stakeholder_sees_no_code() {
    let host = acme(FakeAzureDevops::start().await).await;
    let acme = host.org("acme");
    acme.person("lisa").administers().member(License::Stakeholder);
    insta::assert_snapshot!(inspect(&host, &host.pat("lisa", "acme", SCOPES)).await, @"");
}

#[tokio::test]
async fn a_token_that_is_none() {
    let host = acme(FakeAzureDevops::start().await).await;
    insta::assert_snapshot!(inspect(&host, &"nonsense".into()).await, @"");
}
