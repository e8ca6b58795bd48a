//! Azure DevOps' dialect.

use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use refward::forge::{Access, Forge, azure_devops};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::{Dialect, Letter, Made, Said};
use crate::support::fake_azure_devops::{FakeAzureDevops, Repo};
use crate::support::fake_github::Work;
use crate::{client, headers, net};

const PROJECT: &str = "Prój eñt";
const TOLD: &str = "33333333-0000-4000-8000-000000000001";

pub struct AzureHost {
    azure: FakeAzureDevops,
    token: SecretString,
}

impl AzureHost {
    pub async fn new() -> Self {
        let azure = FakeAzureDevops::start().await;
        azure.org("acme").project(PROJECT);
        let token = azure.full_pat("acme");
        Self { azure, token }
    }
}

struct AzureRepo {
    repo: Repo,
    work: Work,
}

#[async_trait]
impl Dialect for AzureHost {
    fn forge(&self) -> Box<dyn Forge> {
        azure_devops::connect(net(client()))
    }

    fn access(&self) -> Access {
        self.azure.access("acme", &self.token)
    }

    fn stranger(&self) -> Access {
        self.azure.access("acme", &"unknown".into())
    }

    fn full_name(&self, name: &str) -> String {
        format!("{PROJECT}/{name}")
    }

    async fn makes(&self, name: &str) -> Box<dyn Made> {
        let repo = self.azure.org("acme").project(PROJECT).repo(name).await;
        let work = repo.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        Box::new(AzureRepo { repo, work })
    }

    fn told_id(&self) -> String {
        TOLD.to_owned()
    }

    /// To a hook of its own.
    fn letter(&self, number: u64, said: Said, secret: &str) -> Letter {
        let key = Uuid::new_v4().simple().to_string();
        let password = BASE64_STANDARD.encode(format!("refward:{}", derived(secret, PASSWORD, &key)));
        let headers = headers(&[
            ("content-type", "application/json; charset=utf-8"),
            ("authorization", &format!("Basic {password}")),
            ("x-refward-hook", &derived(secret, HEADER, &key)),
        ]);
        Letter { key: Some(key), headers, body: envelope(number, said).to_string().into() }
    }

    fn proofs(&self) -> &'static [&'static str] {
        &["authorization", "x-refward-hook"]
    }

    fn signs_bodies(&self) -> bool {
        false
    }
}

// Hooks of last year have what was derived then: these never change.
const PASSWORD: &str = "refward service hook password\0";
const HEADER: &str = "refward service hook header\0\0\0";

fn derived(secret: &str, purpose: &str, key: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(purpose.as_bytes());
    mac.update(key.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn envelope(number: u64, said: Said) -> Value {
    let project = json!({ "id": "22222222-0000-4000-8000-000000000001", "name": PROJECT });
    let repository = |name: &str| json!({ "id": TOLD, "name": name, "project": project });
    let mona = json!({ "displayName": "mona", "uniqueName": "mona@acme.example" });
    let (event, resource) = match said {
        Said::Pushed => (
            "git.push",
            json!({
                "refUpdates": [{
                    "name": "refs/heads/main",
                    "oldObjectId": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
                    "newObjectId": "0000000000000000000000000000000000000000",
                }],
                "repository": repository("api"),
                "pushedBy": mona,
                "pushId": 42,
                "date": "2019-05-15T15:19:51Z",
            }),
        ),
        Said::Renamed => (
            "git.repo.renamed",
            json!({ "oldName": "api", "newName": "new", "repository": repository("new"), "initiatedBy": mona }),
        ),
        Said::Unheard => ("git.repo.teleported", json!({ "repository": repository("api") })),
    };
    json!({
        "subscriptionId": "55555555-0000-4000-8000-000000000001",
        "notificationId": number,
        "id": format!("66666666-0000-4000-8000-{number:012}"),
        "eventType": event,
        "publisherId": "tfs",
        "resource": resource,
        "resourceContainers": { "project": { "id": project["id"] } },
        "createdDate": "2019-05-15T15:19:51Z",
    })
}

#[async_trait]
impl Made for AzureRepo {
    fn id(&self) -> String {
        self.repo.id().to_string()
    }

    fn folder(&self) -> PathBuf {
        self.repo.path()
    }

    async fn push(&self, branch: &str) {
        self.work.commit(branch).await;
        self.work.push(&[&format!("HEAD:refs/heads/{branch}")]).await;
    }

    fn rename(&self, name: &str) {
        self.repo.rename(name);
    }

    fn disable(&self, disabled: bool) -> bool {
        if disabled {
            self.repo.disable();
        } else {
            self.repo.enable();
        }
        true
    }

    fn delete(&self) {
        self.repo.delete();
    }
}
