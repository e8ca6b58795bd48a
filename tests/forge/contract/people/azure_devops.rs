//! Azure DevOps' people, who sign in at Entra.

use async_trait::async_trait;
use refward::forge::{Access, Forge, OauthClient, Rights, azure_devops};

use super::Town;
use crate::support::fake_azure_devops::{FakeAzureDevops, Person, Repo};
use crate::support::fake_entra::{Application, FakeEntra};
use crate::{client, net};

/// Everybody who comes here.
const PEOPLE: [&str; 2] = ["lisa", "mia"];

pub struct AzureTown {
    azure: FakeAzureDevops,
    entra: FakeEntra,
    app: Application,
    /// All may read the second one.
    repositories: [Repo; 2],
}

impl AzureTown {
    pub async fn new() -> Self {
        let (azure, entra) = (FakeAzureDevops::start().await, FakeEntra::start().await);
        let org = azure.org("acme");
        org.joins(entra.tenant());
        let project = org.project("project");
        let repositories = [project.repo("api").await, project.repo("web").await];
        for name in PEOPLE {
            org.person(name).is_object(entra.user(name)).may(&repositories[1], &["GenericRead"]);
        }
        let app = entra.application("Refward");
        app.public_client_flows();
        Self { azure, entra, app, repositories }
    }

    /// Whatever they are called in the directory by now.
    fn person(&self, login: &str) -> Person {
        let (org, object) = (self.azure.org("acme"), self.entra.user(login));
        PEOPLE.map(|name| org.person(name)).into_iter().find(|person| person.origin_id == object).unwrap()
    }
}

#[async_trait]
impl Town for AzureTown {
    fn forge(&self) -> Box<dyn Forge> {
        azure_devops::connect(net(client()))
    }

    fn access(&self) -> Access {
        self.azure.access("acme", &self.azure.full_pat("acme"))
    }

    fn client(&self) -> OauthClient {
        self.app.client()
    }

    fn repositories(&self) -> [String; 2] {
        [&self.repositories[0], &self.repositories[1]].map(|repo| repo.id().to_string())
    }

    fn signs_in(&self, login: &str, user_code: &str) {
        self.entra.signs_in(login, user_code);
    }

    fn refuses(&self, user_code: &str) {
        self.entra.cancels_sign_in(user_code);
    }

    fn time_passes(&self) {
        self.entra.move_clock(5);
    }

    fn gives(&self, login: &str, rights: Rights) {
        let permissions: &[&str] = match rights {
            Rights::None => &[],
            Rights::Read => &["GenericRead"],
            Rights::Write => &["GenericRead", "GenericContribute"],
            Rights::Admin => &["GenericRead", "GenericContribute", "ManagePermissions"],
        };
        let person = self.person(login);
        person.may_nothing().may(&self.repositories[1], &["GenericRead"]);
        person.may(&self.repositories[0], permissions);
    }

    fn renames(&self, login: &str, to: &str) {
        self.entra.renames(login, to);
    }

    fn deletes(&self, login: &str) {
        self.person(login).leaves();
    }
}
