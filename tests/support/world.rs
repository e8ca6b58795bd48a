//! A deployment as its user has it: the real program, a folder made by `refward init`, and a GitHub to back up.
//!
//! ```ignore
//! let mut world = World::new().await;
//! let api = world.github.org("acme").repo("api").await;
//! world.connect("acme").await;
//! let service = world.serve().await;
//! let work = api.work().await;
//! work.commit("one").await;
//! work.push(&["main"]).await;
//! let snapshot = world.snapshot("acme/api", 1).await;
//! ```
//!
//! Nothing of the machine's configuration reaches the program. Whatever is waited for is a condition, never a time.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use super::fake_azure_devops;
use super::fake_azure_devops::FakeAzureDevops;
use super::fake_discord::FakeDiscord;
use super::fake_github::{AppHandle, FakeGithub, Repo, Token};
use super::postgres;
use super::s3::S3;
use super::shell::git;

/// How long anything may take before a test gives up; long, because test machines are busy.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// How often a condition is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A deployment and the forge it backs up.
pub struct World {
    /// The forge.
    pub github: FakeGithub,
    /// Set where the vault is in an object store.
    pub s3: Option<S3>,
    /// Set where people ask from a chat.
    pub(super) discord: Option<FakeDiscord>,
    /// Set where there is an Azure DevOps to back up, too.
    pub(super) azure: Option<FakeAzureDevops>,
    /// Where the service listens.
    pub(super) listen: String,
    dir: TempDir,
    environment: Vec<(String, String)>,
    hooks: Mutex<Hooks>,
}

/// A repository of a forge's double, whichever.
pub trait OnServer {
    /// What refward calls it.
    fn called(&self) -> String;
    /// Where the server has it.
    fn kept_in(&self) -> PathBuf;
}

impl OnServer for Repo {
    fn called(&self) -> String {
        self.full_name()
    }

    fn kept_in(&self) -> PathBuf {
        self.folder()
    }
}

impl OnServer for fake_azure_devops::Repo {
    fn called(&self) -> String {
        self.full_name()
    }

    fn kept_in(&self) -> PathBuf {
        self.path()
    }
}

/// Webhooks go to where the service was last seen listening.
struct Hooks {
    url: Url,
    secrets: Vec<String>,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1: killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The error that `--json` reports.
    pub fn error(&self) -> Value {
        let line = self.stderr.lines().rfind(|line| line.starts_with("{\"error\""));
        let line = line.unwrap_or_else(|| panic!("no error: {self:?}"));
        serde_json::from_str::<Value>(line).unwrap()["error"].clone()
    }
}

impl World {
    /// SQLite and a local vault, as `refward init` makes them.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with settings of one's own: `("sweep.interval", "1s")`.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let mut world = Self::bare().await;
        for (key, value) in settings {
            world.set(key, value);
        }
        world.init().await;
        world
    }

    /// With its database in PostgreSQL.
    pub async fn on_postgres() -> Self {
        Self::with(&[("database.url", &postgres::new_database().await)]).await
    }

    /// With its vault in S3.
    pub async fn on_s3() -> Self {
        Self::in_bucket_of(S3::start().await).await
    }

    /// With its vault in this S3 server.
    pub async fn in_bucket_of(s3: S3) -> Self {
        let mut world = Self::bare().await;
        world.set("vault.url", "s3://bucket/backups");
        for (name, value) in s3.options() {
            world.set(&format!("vault.options.{name}"), &value);
        }
        world.s3 = Some(s3);
        world.init().await;
        world
    }

    /// Before `refward init`.
    pub async fn bare() -> Self {
        let dir = TempDir::new().unwrap();
        for folder in ["home", "tmp", "secrets"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        // Nobody listens there; deliveries to a service that does not run are lost.
        let url = "http://127.0.0.1:1/hooks/github".parse().unwrap();
        let hooks = Mutex::new(Hooks { url, secrets: Vec::new() });
        let github = FakeGithub::start().await;
        let listen = "127.0.0.1:0".to_owned();
        Self { github, s3: None, discord: None, azure: None, listen, dir, environment: Vec::new(), hooks }
    }

    pub(super) async fn init(&self) {
        self.ok(&["init", "--dir", &self.path("backup")]).await;
    }

    /// Overrides a setting for all commands from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.env(&format!("REFWARD__{}", key.to_uppercase().replace('.', "__")), value);
    }

    /// Sets a variable of the program's environment from now on.
    pub fn env(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Somewhere in the test's own folder. The deployment is in `backup`, the program's temporary files in `tmp`.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// The folder that `refward init` made.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("backup")
    }

    /// Every snapshot in the local vault, by path.
    pub fn objects(&self) -> Vec<PathBuf> {
        files(&self.folder().join("vault/repos"))
    }

    /// A file with a secret in it, outside the deployment's folder.
    pub fn secret_file(&self, name: &str, secret: &str) -> String {
        let path = self.path(&format!("secrets/{name}"));
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        path
    }

    /// Runs the program with this deployment's settings file.
    pub async fn refward(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().await.unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it with `--json`; it must succeed.
    pub async fn ok(&self, arguments: &[&str]) -> Value {
        let ran = self.refward(&[arguments, &["--json"]].concat()).await;
        assert_eq!(ran.code, 0, "refward {arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran.json()
    }

    /// The program, not yet run, in an environment of its own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refward"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("COLUMNS", "100")
            .env("REFWARD_CONFIG", self.path("backup/refward.toml"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs what a person pastes into a shell; it must succeed. Gives all that it says.
    pub async fn paste(&self, command: &Value) -> String {
        let program = self.command(&[]);
        let environment: HashMap<&OsStr, &OsStr> =
            program.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))).collect();
        let folder = Path::new(env!("CARGO_BIN_EXE_refward")).parent().unwrap().display().to_string();
        let path = format!("{folder}:{}", environment[OsStr::new("PATH")].to_str().unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", command.as_str().unwrap()]).current_dir(self.path(""));
        let output = shell.env_clear().envs(environment).env("PATH", path).output().await.unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{command}: {told}");
        told
    }

    /// What was told of this kind, oldest first.
    pub async fn notices(&self, kind: &str) -> Vec<Value> {
        let told = self.ok(&["notices"]).await;
        told.as_array().unwrap().iter().rev().filter(|notice| notice["kind"] == kind).cloned().collect()
    }

    /// Connects an owner under its own name, with a token that may see everything, and hooks its webhooks.
    pub async fn connect(&self, owner: &str) -> Value {
        let token = self.github.token(Token::classic("mona"));
        let ran = self.connect_with(owner, owner, &token, &["--json"]).await;
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        ran.json()
    }

    /// Tries to connect an owner. Its webhooks are hooked if that succeeds.
    pub async fn connect_with(&self, name: &str, owner: &str, token: &SecretString, more: &[&str]) -> Ran {
        let secret = format!("webhook-secret-of-{name}");
        let token_file = self.secret_file(&format!("{name}.token"), token.expose_secret());
        let secret_file = self.secret_file(&format!("{name}.secret"), &secret);
        let url = self.github.url().to_string();
        let arguments = ["connect", "github", "--name", name, "--url", &url, "--owner", owner];
        let files = ["--token-file", &token_file, "--webhook-secret-file", &secret_file];
        let ran = self.refward(&[&arguments[..], &files, more].concat()).await;
        let mut hooks = self.hooks.lock().unwrap();
        hooks.secrets.extend([token.expose_secret().to_owned(), secret.clone()]);
        if ran.code == 0 {
            self.github.hook(owner, hooks.url.clone(), &secret);
        }
        ran
    }

    /// Registers an App with an owner, with what a backup needs, and adds it: `refward apps add`. It is installed nowhere.
    pub async fn app(&self, owner: &str, number: u8) -> AppHandle {
        let url = self.hooks.lock().unwrap().url.clone();
        let app = self.github.app(owner);
        let app = app.permissions(&[("contents", "read"), ("metadata", "read"), ("pull_requests", "read")]);
        let secret = app.webhook_secret().unwrap();
        let app = app.hook(&url, &secret);
        let key_file = self.secret_file(&format!("app-{}.pem", app.id), &app.pem());
        let secret_file = self.secret_file(&format!("app-{}.secret", app.id), &secret);
        self.hooks.lock().unwrap().secrets.extend([app.pem(), secret]);
        let (url, id, client, number) =
            (self.github.url().to_string(), app.id.to_string(), app.client_id(), number.to_string());
        let given = ["apps", "add", "--url", &url, "--owner", owner, "--app-id", &id, "--client-id", &client];
        let more = ["--number", &number, "--key-file", &key_file, "--webhook-secret-file", &secret_file];
        self.ok(&[&given[..], &more[..]].concat()).await;
        app
    }

    /// Remembers a secret that this deployment is given.
    pub(super) fn knows(&self, secret: &SecretString) {
        self.hooks.lock().unwrap().secrets.push(secret.expose_secret().to_owned());
    }

    /// Every token and webhook secret that this deployment was ever given.
    pub fn secrets(&self) -> Vec<String> {
        self.hooks.lock().unwrap().secrets.clone()
    }

    /// Starts the whole service and waits until it listens; from now on it gets the webhooks.
    pub async fn serve(&self) -> Service {
        self.serve_with(&[]).await
    }

    /// The same with further arguments.
    pub async fn serve_with(&self, more: &[&str]) -> Service {
        let service = self.start(&[&["--listen", &self.listen], more].concat());
        let line = service.logged("listening").await;
        let url: Url = format!("http://{}/hooks/github", line["address"].as_str().unwrap()).parse().unwrap();
        *service.address.lock().unwrap() = Some(url.join("/").unwrap());
        self.hook_to(&url);
        if let Some(discord) = &self.discord {
            discord.hook_to(&url.join("discord").unwrap());
        }
        service
    }

    /// Starts `refward serve` without waiting for anything.
    pub fn start(&self, more: &[&str]) -> Service {
        Service::spawn(self.command(&[&["serve", "--json"], more].concat()))
    }

    /// Sends webhooks there from now on.
    pub fn hook_to(&self, url: &Url) {
        self.hooks.lock().unwrap().url = url.clone();
        self.github.hooks_to(url);
    }

    /// The snapshot with this number, as soon as it is there.
    pub async fn snapshot(&self, repo: &str, seq: usize) -> Value {
        let look = async || {
            let ran = self.refward(&["snapshots", repo, "--json"]).await;
            if ran.code != 0 { None } else { ran.json().as_array()?.get(seq - 1).cloned() }
        };
        eventually(look, || format!("snapshot {seq} of {repo}")).await
    }

    /// All snapshots.
    pub async fn snapshots(&self, repo: &str) -> Vec<Value> {
        self.ok(&["snapshots", repo]).await.as_array().unwrap().clone()
    }

    /// How a repository stands.
    pub async fn status(&self, repo: &str) -> Value {
        let status = self.ok(&["status"]).await;
        let mut rows = status["repositories"].as_array().unwrap().iter();
        rows.find(|row| row["repository"] == repo).unwrap_or_else(|| panic!("{repo} has no status")).clone()
    }

    /// Waits until every webhook was answered and every job is done, failed ones aside.
    pub async fn idle(&self) {
        let answered = async || self.github.deliveries().iter().all(|sent| sent.status.is_some()).then_some(());
        eventually(answered, || format!("all webhooks to be answered: {:?}", self.answers())).await;
        self.done().await;
    }

    /// Waits until every job is done, whatever became of the webhooks.
    pub async fn done(&self) {
        let look = async || {
            let rows = self.ok(&["status"]).await["repositories"].take();
            let done = |row: &Value| row["queue"] == "idle" && row["lag_ms"].is_null() && row["state"] != "waiting";
            rows.as_array()?.iter().all(done).then_some(())
        };
        eventually(look, || format!("the service to be idle; deliveries: {:?}", self.answers())).await;
    }

    /// How the service answered each webhook so far.
    pub fn answers(&self) -> Vec<Option<u16>> {
        self.github.deliveries().iter().map(|sent| sent.status).collect()
    }

    /// Restores a bare repository, at a moment or now, checks it with `git fsck`, and gives what git says of its references.
    pub async fn restored(&self, repo: &str, at: Option<&str>) -> Value {
        let scratch = TempDir::new_in(self.dir.path()).unwrap();
        let target = scratch.path().join("restored.git");
        self.restore_to(repo, at, &target).await;
        refs(&target).await
    }

    /// Restores a bare repository to a new folder and checks it with `git fsck`.
    pub async fn restore_to(&self, repo: &str, at: Option<&str>, folder: &Path) {
        let mut arguments = vec!["restore", repo, "--bare", "--to-dir", folder.to_str().unwrap()];
        arguments.extend(at.iter().flat_map(|at| ["--at", at]));
        self.ok(&arguments).await;
        fsck(folder).await;
    }

    /// What the forge's repository holds, told like [`Self::restored`].
    pub async fn server_refs(&self, repo: &impl OnServer) -> Value {
        refs(&repo.kept_in()).await
    }

    /// The newest snapshot, restored, is what the forge has.
    pub async fn matches(&self, repo: &impl OnServer) {
        assert_eq!(self.restored(&repo.called(), None).await, self.server_refs(repo).await, "{}", repo.called());
    }
}

/// A running `refward serve`; killed when dropped.
pub struct Service {
    child: Child,
    address: Mutex<Option<Url>>,
    log: Arc<Mutex<String>>,
}

impl Service {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::default();
        tokio::spawn(read_lines(child.stderr.take().unwrap(), Arc::clone(&log)));
        Self { child, address: Mutex::default(), log }
    }

    /// Its web address with this path.
    pub fn url(&self, path: &str) -> Url {
        self.address.lock().unwrap().as_ref().expect("it does not listen").join(path).unwrap()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it has ended")
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a log line whose `message` or `step` is `word`.
    pub async fn logged(&self, word: &str) -> Value {
        let look = async || {
            let log = self.log();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["message"] == word || line["step"] == word)
        };
        eventually(look, || format!("`{word}` in the log:\n{}", self.log())).await
    }

    /// Asks it to stop and waits until it has; gives its exit code.
    pub async fn stop(mut self) -> i32 {
        self.signal("TERM");
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not stop:\n{}", self.log())).unwrap().code().unwrap_or(-1)
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends it a signal by name: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

async fn read_lines(from: impl AsyncRead + Unpin, into: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = into.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}

/// Looks again and again until there is an answer.
pub async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>, what: impl FnOnce() -> String) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {}", what());
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Every reference of a repository, `HEAD` among them, told like `refward refs --json`.
pub async fn refs(repository: &Path) -> Value {
    let all = git(repository, &["for-each-ref", "--format=%(refname) %(objectname)"]).await;
    let head = std::fs::read_to_string(repository.join("HEAD")).unwrap();
    let pairs = all.lines().map(|line| line.split_once(' ').unwrap()).chain([("HEAD", head.trim())]);
    pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<serde_json::Map<_, _>>().into()
}

/// `git fsck` finds nothing.
pub async fn fsck(repository: &Path) {
    let told = git(repository, &["fsck", "--full", "--no-dangling", "--no-progress"]).await;
    assert_eq!(told, "", "{}", repository.display());
}

/// Every file below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
