//! An installation with a forge in front of it and proxies in between.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use crate::doubles::{PATIENCE, Proxy, S3, eventually};
use crate::support::fake_github::{FakeGithub, Repo, Token, Work};
use crate::support::shell::git;

/// What the webhooks are signed with.
const SECRET: &str = "a secret that nobody guesses";

/// The repository of all stories.
pub const REPO: &str = "acme/api";

/// An installation of refward, connected to a forge that has one repository with one commit.
pub struct Stage {
    pub dir: TempDir,
    pub github: FakeGithub,
    pub repo: Repo,
    pub work: Work,
    /// Between the service and the forge.
    pub forge: Proxy,
    /// Between the forge and the service.
    pub hooks: Proxy,
    /// The store and the proxy before it, where the vault is not a folder.
    pub store: Option<(S3, Proxy)>,
    env: Vec<(String, String)>,
    logs: AtomicUsize,
}

impl Stage {
    /// With a local vault.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings besides.
    pub async fn with(env: &[(&str, &str)]) -> Self {
        Self::raise(None, env).await
    }

    /// With the vault on S3.
    pub async fn on_s3() -> Self {
        let s3 = S3::start().await;
        let proxy = Proxy::before(s3.url()).await;
        Self::on_store(s3, proxy).await
    }

    /// With the vault on S3 behind this proxy.
    pub async fn on_store(s3: S3, proxy: Proxy) -> Self {
        Self::raise(Some((s3, proxy)), &[]).await
    }

    async fn raise(store: Option<(S3, Proxy)>, env: &[(&str, &str)]) -> Self {
        let github = FakeGithub::start().await;
        let repo = github.org("acme").repo("api").await;
        let work = repo.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        let forge = Proxy::before(github.url()).await;
        // To nowhere, until a service is up.
        let hooks = Proxy::before(&"http://127.0.0.1:1/".parse().unwrap()).await;
        let quick = [("LEASE", "5s"), ("RETRY_FIRST", "300ms"), ("RETRY_LONGEST", "1s")];
        let quick = quick.map(|(name, value)| (format!("REFWARD__WORKERS__{name}"), value.to_owned()));
        let given = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let store_env = store.iter().flat_map(|(_, proxy)| S3::settings(proxy.url()));
        let store_env = store_env.map(|(name, value)| (name.to_owned(), value));
        let env = quick.into_iter().chain(store_env).chain(given).collect();
        let dir = TempDir::new().unwrap();
        let stage = Self { dir, github, repo, work, forge, hooks, store, env, logs: AtomicUsize::new(0) };
        stage.ok(&["init", "--dir", &stage.path("installation")]).await;
        stage.connect().await;
        stage
    }

    async fn connect(&self) {
        let token = self.github.token(Token::classic("mona"));
        std::fs::write(self.path("token"), token.expose_secret()).unwrap();
        std::fs::write(self.path("secret"), SECRET).unwrap();
        let (token, secret) = (self.path("token"), self.path("secret"));
        let credentials = ["--token-file", &token, "--webhook-secret-file", &secret];
        let connect = ["connect", "github", "--name", "acme", "--owner", "acme", "--url", self.forge.url().as_str()];
        self.ok(&[&connect[..], &credentials].concat()).await;
        self.github.hook("acme", self.hooks.url().join("hooks/github").unwrap(), SECRET);
    }

    /// A path in the stage's own folder.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// A path in the installation.
    pub fn installed(&self, name: &str) -> PathBuf {
        self.dir.path().join("installation").join(name)
    }

    /// Where the vault's objects lie.
    pub fn vault(&self) -> PathBuf {
        self.store.as_ref().map_or_else(|| self.installed("vault"), |(s3, _)| s3.folder())
    }

    /// The object of a snapshot.
    pub fn object(&self, seq: u64) -> PathBuf {
        let folders = std::fs::read_dir(self.vault().join("repos")).unwrap();
        let folder = folders.map(|entry| entry.unwrap().path()).next().unwrap();
        folder.join(format!("{seq:010}.tar.gz.age"))
    }

    /// The proxy before the store.
    pub fn before_store(&self) -> &Proxy {
        &self.store.as_ref().unwrap().1
    }

    /// The binary with the stage's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refward"));
        self.furnish(command.args(arguments));
        command
    }

    /// The stage's settings for a command that runs the binary.
    pub fn furnish(&self, command: &mut Command) {
        command
            .current_dir(self.dir.path())
            .env("REFWARD_CONFIG", self.installed("refward.toml"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .stdin(Stdio::null());
    }

    /// Runs a command.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments)).await
    }

    /// Runs a command that must succeed; what it printed.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments).await;
        assert_eq!(ran.code, Some(0), "refward {arguments:?}: {}", ran.err);
        ran.out
    }

    /// The answer of a command that must succeed.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[&["--json"], arguments].concat()).await).unwrap()
    }

    /// How the repository stands.
    pub async fn status(&self) -> Value {
        self.json(&["status"]).await[0].take()
    }

    /// Waits until the repository stands so.
    pub async fn until(&self, what: &str, stands: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.status().await).filter(&stands)).await
    }

    /// Waits until the last attempt failed with an error that names the repository and says this.
    pub async fn fails_with(&self, words: &str) -> Value {
        let says = |status: &Value| status["last_error"].as_str().is_some_and(|error| error.contains(words));
        let status = self.until(words, says).await;
        let error = status["last_error"].as_str().unwrap();
        assert!(error.starts_with(&format!("backing up {REPO}: ")), "{error}");
        assert_eq!(status["state"], "failing");
        status
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

    /// Lets the forge tell nobody of a push until `world` is as it shall be when they hear of it.
    pub async fn push_into(&self, world: impl AsyncFnOnce()) {
        self.github.hold();
        self.push(&uuid::Uuid::new_v4().to_string()).await;
        world().await;
        self.github.release(|_| ()).await;
    }

    /// Starts all of the service.
    pub async fn serve(&self) -> Service {
        let service = self.spawn(&[]).await;
        self.hooks.lead_to(&service.url);
        service
    }

    /// Starts a part of it that listens; the forge's webhooks go there.
    pub async fn serve_web(&self) -> Service {
        let service = self.spawn(&["--role", "web"]).await;
        self.hooks.lead_to(&service.url);
        service
    }

    /// Starts all of it a second time; the forge's webhooks go on to the first.
    pub async fn serve_beside(&self) -> Service {
        self.spawn(&[]).await
    }

    /// Starts workers alone: what they do, somebody has asked for before.
    pub fn serve_workers(&self) -> Service {
        self.launch(&["--role", "worker"])
    }

    async fn spawn(&self, arguments: &[&str]) -> Service {
        let mut service = self.launch(&[&["--listen", "127.0.0.1:0"], arguments].concat());
        let address = eventually("the service listens", async || {
            assert!(service.child.try_wait().unwrap().is_none(), "the service has ended: {}", service.log());
            let log = service.log();
            let line = log.lines().find(|line| line.contains("\"listening\""))?;
            Some(serde_json::from_str::<Value>(line).unwrap()["address"].as_str().unwrap().to_owned())
        });
        service.url = format!("http://{}/", address.await).parse().unwrap();
        service
    }

    fn launch(&self, arguments: &[&str]) -> Service {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let log = self.dir.path().join(format!("serve-{number}.log"));
        let mut command = self.command(&[&["--json", "serve"], arguments].concat());
        let child = command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        Service { child, log, url: Url::parse("http://127.0.0.1:1/").unwrap() }
    }

    /// Waits until everything is in a snapshot, then checks that nothing is lost, double or damaged, that what is
    /// restored is what the server has, and that there are exactly so many snapshots.
    pub async fn is_whole(&self, snapshots: usize) {
        self.settled(Some(snapshots)).await;
        self.proven().await;
    }

    /// [`Self::is_whole`] with however many snapshots it took.
    pub async fn is_whole_somehow(&self) {
        self.settled(None).await;
        self.proven().await;
    }

    /// Waits until everything that the server has is in a snapshot.
    pub async fn settled(&self, snapshots: Option<usize>) {
        let server = self.server().await;
        self.until("everything is in a snapshot", |status| {
            let quiet = status["lag_ms"].is_null() && status["last_error"].is_null() && status["queue"] == "idle";
            let seq = status["last_snapshot"]["seq"].as_u64().unwrap_or(0);
            quiet && snapshots.is_none_or(|count| seq >= count as u64)
        })
        .await;
        eventually("the newest snapshot is as the server", async || (self.held().await == server).then_some(())).await;
        let listed = self.json(&["snapshots", REPO]).await;
        let seqs: Vec<u64> = listed.as_array().unwrap().iter().map(|one| one["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        assert!(snapshots.is_none_or(|count| count == seqs.len()), "{snapshots:?} expected: {listed:#}");
    }

    async fn proven(&self) {
        let verified = self.json(&["verify", "--read-data", "--drill"]).await;
        assert_eq!(verified[0]["findings"], serde_json::json!([]));
        assert_eq!(verified[0]["drilled"], true);
        let target = self.path(&format!("restored-{}", uuid::Uuid::new_v4()));
        self.ok(&["restore", REPO, "--to-dir", &target, "--bare"]).await;
        assert_eq!(refs(Path::new(&target)).await, self.server().await);
    }

    /// What the server has.
    pub async fn server(&self) -> BTreeMap<String, String> {
        refs(&self.repo.folder()).await
    }

    async fn held(&self) -> BTreeMap<String, String> {
        let ran = self.run(&["--json", "refs", REPO]).await;
        let mut held: BTreeMap<String, String> = serde_json::from_str(&ran.out).unwrap_or_default();
        held.remove("HEAD");
        held
    }

    /// Every delivery that the service said it has stored.
    pub fn accepted(&self) -> usize {
        self.github.deliveries().iter().filter(|sent| sent.status == Some(202)).count()
    }
}

async fn refs(folder: &Path) -> BTreeMap<String, String> {
    let listed = git(folder, &["for-each-ref", "--format=%(refname) %(objectname)"]).await;
    let pair = |line: &str| line.split_once(' ').map(|(name, id)| (name.to_owned(), id.to_owned()));
    listed.lines().filter_map(pair).collect()
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

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Runs it to its end, off the async threads.
    pub async fn of(mut command: Command) -> Self {
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = tokio::time::timeout(PATIENCE, output).await.expect("the command does not end").unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// A running service; killed when dropped.
pub struct Service {
    child: Child,
    log: PathBuf,
    pub url: Url,
}

impl Service {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// kill -9
    pub fn kill(self) {}
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
