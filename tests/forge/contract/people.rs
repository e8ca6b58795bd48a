//! What every forge that tells of people promises about them.

use async_trait::async_trait;
use refward::forge::{Access, Forge, ForgeUser, OauthClient, Place, Polled, Rights};

use crate::github;
use crate::support::fake_github::{AppHandle, FakeGithub, Repo, Token};

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

struct GithubTown {
    host: FakeGithub,
    app: AppHandle,
    repositories: [Repo; 2],
}

impl GithubTown {
    async fn new() -> Self {
        let host = FakeGithub::start().await;
        let repositories = [host.org("acme").repo("api").await, host.org("acme").public_repo("web").await];
        let app = host.app("acme").enable_device_flow();
        Self { host, app, repositories }
    }
}

#[async_trait]
impl Town for GithubTown {
    fn forge(&self) -> Box<dyn Forge> {
        github()
    }

    fn access(&self) -> Access {
        self.host.access("acme", &self.host.token(Token::classic("mona")))
    }

    fn client(&self) -> OauthClient {
        let authority = self.host.url().clone();
        OauthClient { authority, tenant: String::new(), client_id: self.app.client_id() }
    }

    fn repositories(&self) -> [String; 2] {
        [&self.repositories[0], &self.repositories[1]].map(|repo| repo.id.to_string())
    }

    fn signs_in(&self, login: &str, user_code: &str) {
        self.host.signs_in(login, user_code);
    }

    fn refuses(&self, user_code: &str) {
        self.host.cancels_sign_in(user_code);
    }

    fn time_passes(&self) {
        self.host.move_clock(5);
    }

    fn gives(&self, login: &str, rights: Rights) {
        let role = match rights {
            Rights::None => "none",
            Rights::Read => "read",
            Rights::Write => "write",
            Rights::Admin => "admin",
        };
        self.repositories[0].collaborator(login, role);
    }

    fn renames(&self, login: &str, to: &str) {
        self.host.rename_account(login, to);
    }

    fn deletes(&self, login: &str) {
        self.host.delete_user(login);
    }
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
    assert_eq!(lisa.login, "lisa");
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
    people_keep_the_contract(&GithubTown::new().await).await;
}
