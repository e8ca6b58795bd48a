//! What every forge that tells of people promises about them.

#[path = "people/azure_devops.rs"]
mod azure_devops;
#[path = "people/github.rs"]
mod github;

use async_trait::async_trait;
use refward::forge::{Access, Forge, ForgeUser, OauthClient, Place, Polled, Rights};

/// A host of a forge that tells of people, with one private and one public repository.
#[async_trait]
trait Town {
    fn forge(&self) -> Box<dyn Forge>;
    /// What we ask with, of the owner of both.
    fn access(&self) -> Access;
    /// A client of ours that people can sign in with.
    fn client(&self) -> OauthClient;
    /// The ids of the private and of the public repository.
    fn repositories(&self) -> [String; 2];
    /// A user of this name signs in with the code.
    fn signs_in(&self, login: &str, user_code: &str);
    fn refuses(&self, user_code: &str);
    /// As long as the forge wants us to wait.
    fn time_passes(&self);
    /// So much and no more in the private one.
    fn gives(&self, login: &str, rights: Rights);
    fn renames(&self, login: &str, to: &str);
    fn deletes(&self, login: &str);
}

async fn signed_in(town: &dyn Town, login: &str) -> ForgeUser {
    let forge = town.forge();
    let people = forge.people().unwrap();
    let code = people.begin(&town.client()).await.unwrap();
    let poll = async || {
        town.time_passes();
        people.poll(&town.client(), &code.device_code).await.unwrap()
    };
    assert!(matches!(poll().await, Polled::Waiting { .. }));
    town.signs_in(login, &code.user_code);
    match poll().await {
        Polled::Done(user) => user,
        other => panic!("{other:?}"),
    }
}

async fn people_keep_the_contract(town: &dyn Town) {
    let (forge, access) = (town.forge(), town.access());
    let people = forge.people().unwrap();
    let [private, public] = town.repositories();
    let may = async |user: &ForgeUser, id: &str| {
        let place = Place { forge_id: id, full_name: "acme/called-otherwise-by-now" };
        people.rights(&access, place, user).await
    };

    let lisa = signed_in(town, "lisa").await;
    assert!(lisa.login.starts_with("lisa"), "{lisa:?}");
    assert_eq!(signed_in(town, "lisa").await, lisa, "somebody is the same whenever they sign in");
    assert_ne!(signed_in(town, "mia").await.id, lisa.id);

    let code = people.begin(&town.client()).await.unwrap();
    town.refuses(&code.user_code);
    town.time_passes();
    let refused = people.poll(&town.client(), &code.device_code).await.unwrap();
    assert_eq!(refused, Polled::Denied);

    assert_eq!((may(&lisa, &private).await.unwrap(), may(&lisa, &public).await.unwrap()), (Rights::None, Rights::Read));
    for rights in [Rights::Read, Rights::Write, Rights::Admin, Rights::Write, Rights::None, Rights::Write] {
        town.gives("lisa", rights);
        assert_eq!(may(&lisa, &private).await.unwrap(), rights, "what was given a moment ago");
    }
    town.renames("lisa", "elisabeth");
    assert_eq!(
        may(&lisa, &private).await.unwrap(),
        Rights::Write,
        "people keep their rights when they rename themselves"
    );
    assert_eq!(signed_in(town, "elisabeth").await.id, lisa.id);
    assert!(may(&lisa, "4711").await.is_err(), "nobody may do anything where nothing is");
    town.deletes("elisabeth");
    assert_eq!(may(&lisa, &private).await.unwrap(), Rights::None);
}

#[tokio::test]
async fn githubs_people_keep_the_contract() {
    people_keep_the_contract(&github::GithubTown::new().await).await;
}

#[tokio::test]
async fn azure_devops_people_keep_the_contract() {
    people_keep_the_contract(&azure_devops::AzureTown::new().await).await;
}
