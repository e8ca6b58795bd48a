//! From a chat to a repository of another forge: by whoever may write there, saying what stays behind, in that forge's words.

use chrono::{TimeDelta, Utc};
use refward::catalog::IdentityLink;
use refward::domain::By;
use refward::ops::restores::{Destination, State};

use super::office::{Office, Somebody, told};
use crate::support::fake_azure_devops::{FakeAzureDevops, Repo};

const COPY: &str = "contoso:web/copy";

/// The office, and an empty repository of Azure DevOps beside it.
struct Beyond {
    office: Office,
    azure: FakeAzureDevops,
    copy: Repo,
}

impl Beyond {
    async fn new() -> Self {
        let azure = FakeAzureDevops::start().await;
        let copy = azure.org("contoso").project("web").repo("copy").await;
        let mut office = Office::new().await;
        office.world.gets(azure.clone());
        office.world.connect_azure("contoso").await;
        Self { office, azure, copy }
    }

    /// Somebody is this person over there, and may do that.
    async fn link(&self, who: &Somebody, login: &str, permissions: &[&str]) {
        let org = self.azure.org("contoso");
        let there = org.person(login);
        there.may(&self.copy, permissions);
        let link = IdentityLink {
            person: who.person.clone(),
            forge: "azure-devops".to_owned(),
            host: self.office.services.catalog.resolve(&COPY.parse().unwrap()).await.unwrap().host,
            forge_user: format!("{}/{}", org.tenant(), there.origin_id),
            login: login.to_owned(),
            created_at: Utc::now(),
            expires_at: Utc::now() + TimeDelta::days(1),
        };
        self.office.services.catalog.put_link(&link, &By::cli("root")).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_may_write_over_there_restores_to_it() {
    let beyond = Beyond::new().await;
    let office = &beyond.office;
    let to = || COPY.parse::<Destination>().unwrap();
    let mona = office.restorer("1", "mona").await;
    let stranger = office.asks(&mona, to()).await.unwrap_err();
    assert!(told(&stranger).contains("link"), "{}", told(&stranger));
    beyond.link(&mona, "mona", &["GenericRead"]).await;
    let reader = office.asks(&mona, to()).await.unwrap_err();
    assert!(told(&reader).contains("no right to write to web/copy"), "{}", told(&reader));

    beyond.link(&mona, "mona", &["GenericContribute"]).await;
    let proposal = office.asks(&mona, to()).await.unwrap();
    let left: Vec<&str> = proposal.plan.left_behind.iter().map(|left| left.what.as_str()).collect();
    assert_eq!(
        left,
        ["the choice of main as the default branch", "issues, pull requests, settings, hooks, files in Git LFS"]
    );
    office.confirms(&mona, &proposal).await.unwrap();
    office.works().await.unwrap();
    let done = office.get(&proposal).await;
    assert_eq!(done.state, State::Done, "{:?}", done.error);
    assert_eq!(beyond.copy.tip("main").await, office.good);
    let page = done.receipt.unwrap().page.unwrap();
    assert!(page.contains("/web/_git/copy?version=GBmain"), "{page}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_forge_that_refused() {
    let beyond = Beyond::new().await;
    let office = &beyond.office;
    let mona = office.restorer("1", "mona").await;
    beyond.link(&mona, "mona", &["GenericRead", "GenericContribute"]).await;
    beyond.copy.policy("main", "");
    beyond.azure.org("contoso").admin().may_not(&beyond.copy, &["PolicyExempt"]);
    let proposal = office.asks(&mona, COPY.parse().unwrap()).await.unwrap();
    office.confirms(&mona, &proposal).await.unwrap();
    office.works().await.unwrap();
    let failed = office.get(&proposal).await;
    assert_eq!(failed.state, State::Failed);
    let refused = failed.receipt.unwrap().refused.remove(0);
    assert_eq!(refused.rule.unwrap(), "a branch policy: changes come by pull requests alone");
    assert!(refused.way_out.unwrap().contains("“Bypass policies when pushing” (PolicyExempt)"));
}
