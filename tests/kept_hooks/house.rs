//! A service with a connection to an organization that has two projects, and a repository in one of them.

use std::net::TcpListener;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use refward::catalog::{ConnectionSettings, NewConnection, NewCredential, Seen, Source, StoredHook};
use refward::config::Settings;
use refward::domain::{Availability, ConnectionId, RemoteRepository, RepoId, Seq};
use refward::forge::azure_devops::SLUG;
use refward::jobs::{self, Job, run_now};
use refward::ops::accept::{Receiver, StoredSecrets};
use refward::services::Services;
use refward::web::{self, Running, State};
use secrecy::SecretString;

use crate::support::fake_azure_devops::{FakeAzureDevops, Repo};
use crate::support::world::World;

/// What hooks there are of a project.
pub const EVENTS: usize = 16;

pub struct House {
    pub services: Arc<Services>,
    pub connection: ConnectionId,
    pub api: RepoId,
    pub url: String,
    _server: Running,
    world: World,
}

impl House {
    /// In `acme`, where `Web/api` is backed up.
    pub async fn new(azure: &FakeAzureDevops, api: &Repo) -> Self {
        Self::with(azure, api, azure.full_pat("acme"), ConnectionSettings { auto_add: true, ..Default::default() })
            .await
    }

    pub async fn with(azure: &FakeAzureDevops, api: &Repo, pat: SecretString, wanted: ConnectionSettings) -> Self {
        let world = World::new().await;
        let mut settings = Settings::load(&world.folder().join("refward.toml")).unwrap();
        // Where the service will listen has to be known before it does.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let url = format!("http://{listen}");
        settings.server.public_url.clone_from(&url);
        let services = Services::open(settings).await.unwrap();
        let secrets = StoredSecrets::watch(services.clone()).await.unwrap();
        let state = State {
            receiver: Receiver::start(services.catalog.clone(), services.forges.clone(), secrets),
            checks: vec![],
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            setup: None,
            desk: None,
            downloads: None,
            max_body: 64 << 10,
        };
        let server = web::start(&listen, state, &services.settings.server).unwrap();
        let new = NewConnection {
            forge: SLUG.into(),
            name: "acme".into(),
            url: azure.url("acme").to_string(),
            owner: "acme".into(),
            settings: wanted,
            credential: NewCredential {
                label: "token".into(),
                source: Source::Token(services.credentials.seal(&pat).unwrap()),
                main: true,
                enabled: true,
            },
            webhook_secret: None,
        };
        let connection = services.catalog.add_connection(new).await.unwrap();
        let mut house = Self { services, connection, api: dummy(), url, _server: server, world };
        house.api = house.lists(api).await;
        house
    }

    /// A survey has seen a repository.
    pub async fn lists(&self, repo: &Repo) -> RepoId {
        let catalog = &self.services.catalog;
        let connection = catalog.connection_by_id(self.connection).await.unwrap().unwrap();
        let host = connection.host().unwrap();
        let id = RepoId::derive(SLUG, &host, &repo.id().to_string());
        let remote = RemoteRepository {
            forge_id: repo.id().to_string(),
            full_name: repo.full_name(),
            private: true,
            archived: false,
            default_branch: None,
        };
        catalog.upsert_repository(&connection, &host, &id, &remote, true).await.unwrap();
        let seen = Seen {
            id: id.clone(),
            visibility: None,
            mark: None,
            availability: Availability::Open,
            scope: Some(repo.project_id().to_string()),
            changed: false,
            turned: false,
        };
        catalog.record_seen(&[seen], vec![]).await.unwrap();
        id
    }

    pub async fn keeps(&self) {
        jobs::keep_hooks(&self.services, self.connection).await.unwrap();
    }

    /// The same deployment after somebody has taken its public address out of the settings.
    pub async fn without_address(&self) -> Arc<Services> {
        Services::open(Settings::load(&self.world.folder().join("refward.toml")).unwrap()).await.unwrap()
    }

    /// Backed up, if anything asks for it; gives what was asked for.
    pub async fn works(&self) -> Vec<String> {
        let asked: Vec<String> = self.services.catalog.jobs().await.unwrap().into_iter().map(|job| job.kind).collect();
        if asked.iter().any(|kind| kind == "sync_repo") {
            run_now(&self.services, &Job::SyncRepo(self.api.clone())).await.unwrap();
        }
        asked
    }

    /// How many snapshots there are.
    pub async fn snapshots(&self) -> u64 {
        let known = self.services.catalog.repositories().await.unwrap();
        known.iter().find(|known| known.id == self.api).unwrap().last_seq.map_or(0, Seq::get)
    }

    pub async fn pushes_heard(&self) -> usize {
        self.services.catalog.pending_events(&self.api).await.unwrap().len()
    }

    pub async fn hooks(&self) -> Vec<StoredHook> {
        self.services.catalog.hooks(Some(self.connection)).await.unwrap()
    }

    pub async fn hook(&self, event: &str) -> StoredHook {
        let all = self.hooks().await;
        all.into_iter().find(|hook| hook.event == event).expect("there is a hook for this event")
    }

    /// The texts of the alarms that stand, with moments left out.
    pub async fn alarms(&self) -> Vec<String> {
        jobs::watch(&self.services).await.unwrap();
        let standing = self.services.catalog.alarms().await.unwrap().into_iter();
        standing.map(|alarm| format!("{}: {}", alarm.kind, without_moments(&alarm.text.unwrap()))).collect()
    }
}

fn dummy() -> RepoId {
    RepoId::derive(SLUG, "", "")
}

fn without_moments(text: &str) -> String {
    let is_time = |word: &&str| !word.starts_with(|c: char| c.is_ascii_digit()) && !word.starts_with("UTC");
    let words = text.split(' ').filter(is_time);
    words.collect::<Vec<_>>().join(" ")
}
