//! GitHub's dialect.

use std::path::PathBuf;

use async_trait::async_trait;
use refward::forge::{Access, Forge};
use secrecy::SecretString;
use serde_json::json;

use super::{Dialect, Letter, Made, Said};
use crate::support::fake_github::hooks::signature;
use crate::support::fake_github::{FakeGithub, Repo, Token, Work};
use crate::{github, headers};

pub struct GithubHost {
    host: FakeGithub,
    token: SecretString,
}

impl GithubHost {
    pub async fn new() -> Self {
        let host = FakeGithub::start().await;
        // No push looks recent, so that marks are told.
        host.move_clock(-120);
        host.org("acme");
        let token = host.token(Token::classic("mona"));
        Self { host, token }
    }
}

struct GithubRepo {
    repo: Repo,
    work: Work,
}

#[async_trait]
impl Dialect for GithubHost {
    fn forge(&self) -> Box<dyn Forge> {
        github()
    }

    fn access(&self) -> Access {
        self.host.access("acme", &self.token)
    }

    fn stranger(&self) -> Access {
        self.host.access("acme", &"ghp_unknown".into())
    }

    fn full_name(&self, name: &str) -> String {
        format!("acme/{name}")
    }

    async fn makes(&self, name: &str) -> Box<dyn Made> {
        let repo = self.host.org("acme").repo(name).await;
        let work = repo.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        Box::new(GithubRepo { repo, work })
    }

    fn told_id(&self) -> String {
        "42".to_owned()
    }

    fn letter(&self, number: u64, said: Said, secret: &str) -> Letter {
        let (event, payload) = match said {
            Said::Pushed => (
                "push",
                json!({
                    "ref": "refs/heads/main",
                    "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
                    "after": "0000000000000000000000000000000000000000",
                    "forced": false,
                    "repository": { "id": 42, "full_name": "acme/api", "private": true, "pushed_at": 1_557_933_591 },
                    "sender": { "login": "mona" },
                }),
            ),
            Said::Renamed => {
                let repository = json!({ "id": "42", "full_name": "acme/new", "archived": false });
                ("repository", json!({ "action": "renamed", "repository": repository }))
            }
            Said::Unheard => {
                ("teleported", json!({ "action": "twice", "repository": { "id": 42, "full_name": "acme/api" } }))
            }
        };
        let body = payload.to_string();
        let headers = headers(&[
            ("content-type", "application/json; charset=utf-8"),
            ("x-github-event", event),
            ("x-github-delivery", &format!("72d3162e-cc78-11e3-81ab-{number:012}")),
            ("x-hub-signature-256", &signature(secret, body.as_bytes())),
        ]);
        Letter { key: None, headers, body: body.into() }
    }

    fn proofs(&self) -> &'static [&'static str] {
        &["x-hub-signature-256"]
    }

    fn signs_bodies(&self) -> bool {
        true
    }
}

#[async_trait]
impl Made for GithubRepo {
    fn id(&self) -> String {
        self.repo.id.to_string()
    }

    fn folder(&self) -> PathBuf {
        self.repo.folder()
    }

    async fn push(&self, branch: &str) {
        self.work.commit(branch).await;
        self.work.push(&[&format!("HEAD:refs/heads/{branch}")]).await;
    }

    fn rename(&self, name: &str) {
        self.repo.rename(name);
    }

    fn disable(&self, _: bool) -> bool {
        false
    }

    fn delete(&self) {
        self.repo.delete();
    }
}
