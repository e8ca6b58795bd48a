//! A world with one repository in it, and proxies wherever two of its parts talk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use crate::support::fake_github::{FakeGithub, Repo, Token, Work};
use crate::support::faults::Proxy;
use crate::support::s3::S3;
use crate::support::shell::git;
use crate::support::world::{Service, World, eventually};

/// The repository of all stories.
pub const REPO: &str = "acme/api";

/// What its webhooks are signed with.
pub const SECRET: &str = "a secret that nobody guesses";

/// A deployment connected to a forge that has one repository with one commit.
pub struct Stage {
    pub world: World,
    pub github: FakeGithub,
    pub repo: Repo,
    pub work: Work,
    /// Between the service and the forge.
    pub forge: Proxy,
    /// Between the service and the store, where the vault is not a folder.
    store: Option<Proxy>,
    vault: PathBuf,
}

impl Stage {
    /// With SQLite and a local vault.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings besides.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let mut world = World::bare().await;
        for (key, value) in settings {
            world.set(key, value);
        }
        let vault = settings.iter().find(|(key, _)| *key == "vault.url").map(|(_, url)| &url["file://".len()..]);
        let vault = vault.map_or_else(|| world.folder().join("vault"), PathBuf::from);
        Self::raise(world, None, vault).await
    }

    /// With the vault on S3.
    pub async fn on_s3() -> Self {
        Self::on(S3::start().await, World::bare().await, |_| ()).await
    }

    /// With the vault on an S3 store that does not know "only if it is not there".
    pub async fn on_careless_s3() -> Self {
        let mut world = World::bare().await;
        world.set("vault.options.aws_skip_signature", "true");
        Self::on(S3::start_with(None).await, world, |proxy| proxy.drop_header("if-none-match")).await
    }

    async fn on(s3: S3, mut world: World, behave: impl FnOnce(&Proxy)) -> Self {
        let [(_, endpoint), ..] = s3.options();
        let proxy = Proxy::before(&endpoint.parse().unwrap()).await;
        behave(&proxy);
        world.set("vault.url", "s3://bucket");
        for (name, value) in crate::support::s3::options(proxy.url().as_str().trim_end_matches('/')) {
            world.set(&format!("vault.options.{name}"), &value);
        }
        let vault = s3.dir.path().join("bucket");
        world.s3 = Some(s3);
        Self::raise(world, Some(proxy), vault).await
    }

    async fn raise(mut world: World, store: Option<Proxy>, vault: PathBuf) -> Self {
        for (key, value) in [("lease", "5s"), ("retry_first", "300ms"), ("retry_longest", "1s")] {
            world.set(&format!("workers.{key}"), value);
        }
        let github = world.github.clone();
        let repo = github.org("acme").repo("api").await;
        let work = repo.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        let forge = Proxy::before(github.url()).await;
        let stage = Self { world, github, repo, work, forge, store, vault };
        stage.world.ok(&["init", "--dir", &stage.world.path("backup")]).await;
        stage.connect().await;
        stage
    }

    async fn connect(&self) {
        let token = self.github.token(Token::classic("mona"));
        let token = self.world.secret_file("token", token.expose_secret());
        let secret = self.world.secret_file("secret", SECRET);
        let who = ["connect", "github", "--name", "acme", "--owner", "acme", "--url", self.forge.url().as_str()];
        self.world.ok(&[&who[..], &["--token-file", &token, "--webhook-secret-file", &secret]].concat()).await;
        // Nobody listens there, until a service is up.
        self.github.hook("acme", "http://127.0.0.1:1/".parse().unwrap(), SECRET);
    }

    /// The proxy before the store.
    pub fn store(&self) -> &Proxy {
        self.store.as_ref().unwrap()
    }

    /// A file of the installation.
    pub fn file(&self, name: &str) -> PathBuf {
        self.world.folder().join(name)
    }

    /// The folder that the vault is.
    pub fn vault(&self) -> &Path {
        &self.vault
    }

    /// The object of a snapshot.
    pub fn object(&self, seq: u64) -> PathBuf {
        let folders = std::fs::read_dir(self.vault.join("repos")).unwrap();
        let folder = folders.map(|entry| entry.unwrap().path()).next().unwrap();
        folder.join(object(seq))
    }

    /// Starts the service and waits for the first snapshot.
    pub async fn running(&self) -> Service {
        let service = self.world.serve().await;
        self.settled(Some(1)).await;
        service
    }

    /// Starts all of the service a second time; the webhooks go on to the first.
    pub async fn serve_beside(&self) -> Service {
        let service = self.world.start(&["--listen", "127.0.0.1:0"]);
        service.logged("listening").await;
        service
    }

    /// Starts workers alone: what they do, somebody has asked for before.
    pub fn workers(&self) -> Service {
        self.world.start(&["--role", "worker"])
    }

    /// Commits and pushes something new.
    pub async fn push(&self, message: &str) {
        self.work.commit(message).await;
        self.work.push(&["main"]).await;
    }

    /// Commits and pushes so many bytes that do not compress.
    pub async fn push_bytes(&self, length: usize) {
        let folder = PathBuf::from(self.work.git(&["rev-parse", "--show-toplevel"]).await);
        std::fs::write(folder.join("large.bin"), noise(length)).unwrap();
        self.push(&format!("{length} bytes")).await;
    }

    /// Tells the service of what was pushed since [`FakeGithub::hold`].
    pub async fn tell(&self) {
        self.github.release(|_| ()).await;
    }

    /// How the repository stands.
    pub async fn status(&self) -> Value {
        self.world.status(REPO).await
    }

    /// Waits until the repository stands so.
    pub async fn until(&self, what: &str, stands: impl Fn(&Value) -> bool) -> Value {
        let last = std::cell::RefCell::new(Value::Null);
        let look = async || {
            let status = self.status().await;
            last.replace(status.clone());
            Some(status).filter(&stands)
        };
        eventually(look, || format!("{what}: {}", last.borrow())).await
    }

    /// Waits until the last attempt failed with an error that names the repository and says this.
    pub async fn fails_with(&self, words: &str) -> Value {
        // The error is kept before the job is put back.
        let says = |status: &Value| {
            let failed = status["last_error"].as_str().is_some_and(|error| error.contains(words));
            failed && !status["next_attempt"].is_null()
        };
        let status = self.until(words, says).await;
        let error = status["last_error"].as_str().unwrap();
        assert!(error.starts_with(&format!("backing up {REPO}: ")), "{error}");
        assert_eq!(status["state"], "failing");
        status
    }

    /// Waits until everything that the server has is in a snapshot; there are exactly so many then, without a gap.
    pub async fn settled(&self, snapshots: Option<u64>) {
        let server = self.server().await;
        self.until("everything is in a snapshot", |status| {
            let quiet = status["lag_ms"].is_null() && status["last_error"].is_null() && status["queue"] == "idle";
            quiet && status["last_snapshot"]["seq"].as_u64() >= snapshots.or(Some(1))
        })
        .await;
        let as_the_server = async || (self.held().await == server).then_some(());
        eventually(as_the_server, || "the newest snapshot to be as the server".to_owned()).await;
        let listed = self.world.snapshots(REPO).await;
        let seqs: Vec<u64> = listed.iter().map(|snapshot| snapshot["seq"].as_u64().unwrap()).collect();
        let expected = 1..=snapshots.unwrap_or(seqs.len() as u64);
        assert_eq!(seqs, expected.collect::<Vec<_>>(), "{listed:#?}");
    }

    /// [`Self::settled`]; besides, nothing in the vault is double or damaged, and what is restored is what the server has.
    pub async fn whole(&self, snapshots: Option<u64>) {
        self.settled(snapshots).await;
        let verified = self.world.ok(&["verify", "--read-data", "--drill"]).await;
        assert_eq!(verified[0]["findings"], json!([]));
        assert_eq!(verified[0]["drilled"], true);
        self.world.matches(&self.repo).await;
    }

    /// The references that the server has.
    pub async fn server(&self) -> BTreeMap<String, String> {
        let listed = git(&self.repo.folder(), &["for-each-ref", "--format=%(refname) %(objectname)"]).await;
        let pair = |line: &str| line.split_once(' ').map(|(name, id)| (name.to_owned(), id.to_owned()));
        listed.lines().filter_map(pair).collect()
    }

    /// The references that the newest snapshot has.
    async fn held(&self) -> BTreeMap<String, String> {
        let ran = self.world.refward(&["--json", "refs", REPO]).await;
        let mut held: BTreeMap<String, String> = serde_json::from_str(&ran.stdout).unwrap_or_default();
        held.remove("HEAD");
        held
    }
}

/// The name of a snapshot's object in its folder.
pub fn object(seq: u64) -> String {
    format!("{seq:010}.tar.gz.age")
}

/// A file's address.
pub fn file_url(path: &Path) -> String {
    Url::from_file_path(path).unwrap().to_string()
}

/// Bytes that do not compress.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ length as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(|| next().to_le_bytes()).flatten().take(length).collect()
}
