//! A catalog with a connection and a repository, and short ways to fill it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use refward::catalog::{
    Catalog, Commit, Connection, ConnectionSettings, DEFAULT_POOL, NewConnection, NewCredential, Source,
};
use refward::config;
use refward::domain::{
    Head, ObjectFormat, ObjectId, RefChange, RefCounts, RefName, RemoteRepository, RepoId, Seq, Snapshot, Trigger,
};
use tempfile::TempDir;

pub struct World {
    pub catalog: Catalog,
    pub settings: config::Database,
    /// A connection called `acme`.
    pub acme: Connection,
    /// The selected repository `acme/rocket`, number 1 on the forge.
    pub rocket: RepoId,
    _folder: TempDir,
}

/// Of workers that nobody has sorted.
pub fn pools() -> Vec<String> {
    vec![DEFAULT_POOL.to_owned()]
}

impl World {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("refward.db").display());
        Self::at(url, folder).await
    }

    pub async fn postgresql() -> Self {
        let url = crate::postgres::new_database().await;
        Self::at(url, tempfile::tempdir().unwrap()).await
    }

    async fn at(url: String, folder: TempDir) -> Self {
        let settings = config::Database { url, max_connections: 8 };
        let catalog = Catalog::connect(&settings).await.unwrap();
        let acme = connect(&catalog, "acme", "https://github.com/").await;
        let rocket = list(&catalog, &acme, "1", "acme/rocket").await;
        Self { catalog, settings, acme, rocket, _folder: folder }
    }

    /// The catalog as another process sees it.
    pub async fn another_process(&self) -> Catalog {
        Catalog::connect(&self.settings).await.unwrap()
    }

    /// A statement that no function of the catalog makes.
    pub async fn sabotage(&self, statements: &[&str]) {
        use sea_orm::ConnectionTrait;

        let db = sea_orm::Database::connect(&self.settings.url).await.unwrap();
        for statement in statements {
            db.execute_unprepared(statement).await.unwrap();
        }
        db.close().await.unwrap();
    }

    pub fn is_postgresql(&self) -> bool {
        self.settings.url.starts_with("postgres")
    }
}

/// Connects an owner of that name.
pub async fn connect(catalog: &Catalog, name: &str, url: &str) -> Connection {
    let new = NewConnection {
        forge: "github".into(),
        name: name.into(),
        url: url.into(),
        owner: name.into(),
        settings: ConnectionSettings { auto_add: true, ..Default::default() },
        credential: NewCredential {
            label: "token".into(),
            source: Source::Token(b"sealed token".to_vec()),
            main: true,
            enabled: true,
        },
        webhook_secret: Some(b"sealed secret".to_vec()),
    };
    let id = catalog.add_connection(new).await.unwrap();
    catalog.connection_by_id(id).await.unwrap().unwrap()
}

/// Has a connection list a repository, selected.
pub async fn list(catalog: &Catalog, connection: &Connection, forge_id: &str, full_name: &str) -> RepoId {
    let host = connection.host().unwrap();
    let id = RepoId::derive("github", &host, forge_id);
    catalog.upsert_repository(connection, &host, &id, &remote(forge_id, full_name), true).await.unwrap();
    id
}

pub fn remote(forge_id: &str, full_name: &str) -> RemoteRepository {
    RemoteRepository {
        forge_id: forge_id.into(),
        full_name: full_name.into(),
        private: true,
        archived: false,
        default_branch: Some("main".into()),
    }
}

pub fn name(text: &str) -> RefName {
    format!("refs/heads/{text}").parse().unwrap()
}

/// An object id made of a number.
pub fn oid(number: u64) -> ObjectId {
    format!("{number:040x}").parse().unwrap()
}

pub fn change(of: &str, old: Option<u64>, new: Option<u64>) -> RefChange {
    RefChange { name: name(of), old: old.map(oid), new: new.map(oid), forced: false }
}

/// When snapshots in these tests are taken: one per minute.
pub fn minute(seq: u64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    (start + TimeDelta::minutes(i64::try_from(seq).unwrap())).trunc_subsecs(3)
}

pub fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

/// A snapshot that the vault holds.
pub fn snapshot(repo: &RepoId, number: u64, changes: Vec<RefChange>, total: u64) -> Commit {
    Commit {
        repo: repo.clone(),
        snapshot: Snapshot {
            seq: seq(number),
            time: minute(number),
            trigger: Trigger { kind: "webhook".into(), ..Trigger::default() },
            complete: true,
            missing: Vec::new(),
            refs: RefCounts::of(&changes, total),
            objects: 3,
            pack_bytes: 400,
            stored_bytes: 500 + number,
            duration: Duration::from_millis(80),
            labels: Vec::new(),
            leaving_at: None,
        },
        sealed: [u8::try_from(number).unwrap_or(255); 32],
        changes,
        actors: BTreeMap::new(),
        head: Some(Head::Symbolic(name("main"))),
        object_format: ObjectFormat::Sha1,
        fingerprint: Some([7; 32]),
        checkpoint: false,
        handled_events: vec![],
        lag: None,
        finishes: None,
        alarms: vec![],
    }
}
