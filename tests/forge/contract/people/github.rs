//! GitHub's people.

use async_trait::async_trait;
use refward::forge::{Access, Forge, OauthClient, Rights};

use super::Town;
use crate::github;
use crate::support::fake_github::{AppHandle, FakeGithub, Repo, Token};

pub struct GithubTown {
    host: FakeGithub,
    app: AppHandle,
    repositories: [Repo; 2],
}

impl GithubTown {
    pub async fn new() -> Self {
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
