//! A git smart-HTTP server: `git http-backend` behind an actix handler. Nothing is buffered, so packs may be of any size.
//!
//! It serves bare repositories at `ROOT/OWNER/NAME.git` as `/OWNER/NAME.git` and `/OWNER/NAME`, the way that GitHub does,
//! and allows pushes to everything but `refs/pull/*`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::domain::{Error, ObjectId, RefChange, RefName, RefState, Result};

/// How much of an answer is handed on at a time.
const CHUNK: usize = 64 * 1024;

/// The most that CGI headers may take; git's are a few hundred bytes.
const MAX_HEADERS: usize = 16 * 1024;

/// What our git runs with instead of the machine's configuration.
const CONFIG: &[(&str, &str)] = &[
    ("http.receivepack", "true"),
    ("http.getanyfile", "false"),
    ("receive.hideRefs", "refs/pull"),
    ("receive.autogc", "false"),
    ("uploadpack.allowFilter", "true"),
    ("uploadpack.allowAnySHA1InWant", "true"),
];

/// Who may do what: `Err` with the status to refuse with; 401 asks for a password.
type Gate = Box<dyn Fn(&Visit) -> Result<(), StatusCode> + Send + Sync>;

/// Is told of every push that changed something, before the client gets its last byte.
type OnPush = Box<dyn Fn(Push) + Send + Sync>;

/// A request, as the gate sees it.
pub struct Visit {
    /// `OWNER/NAME`.
    pub repository: String,
    /// It wants to push.
    pub write: bool,
    /// From HTTP basic authentication.
    pub user: Option<String>,
    /// From HTTP basic authentication.
    pub password: Option<SecretString>,
}

/// A push that has happened.
#[derive(Clone, Debug)]
pub struct Push {
    /// `OWNER/NAME`.
    pub repository: String,
    /// The name that it was authenticated with.
    pub user: Option<String>,
    /// What it changed.
    pub changes: Vec<RefChange>,
}

/// Serves the repositories below one folder.
pub struct GitServer {
    root: PathBuf,
    gate: Gate,
    on_push: OnPush,
    // One push at a time: what a push changed is told by comparing the references before and after it.
    pushing: Arc<Mutex<()>>,
}

impl GitServer {
    /// Open to everyone who can connect.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), gate: Box::new(|_| Ok(())), on_push: Box::new(|_| ()), pushing: Arc::default() }
    }

    /// Open to everyone who knows `password`, whatever their name.
    #[must_use]
    pub fn password(self, password: SecretString) -> Self {
        self.gate(move |visit| match &visit.password {
            Some(given) if same(given, &password) => Ok(()),
            _ => Err(StatusCode::UNAUTHORIZED),
        })
    }

    /// Lets `gate` decide.
    #[must_use]
    pub fn gate(mut self, gate: impl Fn(&Visit) -> Result<(), StatusCode> + Send + Sync + 'static) -> Self {
        self.gate = Box::new(gate);
        self
    }

    /// Tells `on_push` what every push changed.
    #[must_use]
    pub fn on_push(mut self, on_push: impl Fn(Push) + Send + Sync + 'static) -> Self {
        self.on_push = Box::new(on_push);
        self
    }

    /// Mounts the server in an actix app or scope.
    pub fn configure(self: Arc<Self>) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
        move |app| {
            for (path, method) in
                [("info/refs", web::get()), ("git-upload-pack", web::post()), ("git-receive-pack", web::post())]
            {
                let server = self.clone();
                let serve = move |request: HttpRequest, body: web::Payload| {
                    let server = server.clone();
                    async move { server.serve(&request, path, body).await }
                };
                app.route(&format!("/{{owner}}/{{name}}/{path}"), method.to(serve));
            }
        }
    }

    async fn serve(self: Arc<Self>, request: &HttpRequest, service: &str, body: web::Payload) -> HttpResponse {
        let (owner, name) = (&request.match_info()["owner"], &request.match_info()["name"]);
        let name = name.strip_suffix(".git").unwrap_or(name);
        if !is_plain_name(owner) || !is_plain_name(name) {
            return HttpResponse::NotFound().finish();
        }
        let write = service == "git-receive-pack" || request.query_string().contains("git-receive-pack");
        let (user, password) = basic_auth(request.headers()).unzip();
        let visit = Visit { repository: format!("{owner}/{name}"), write, user, password };
        if let Err(status) = (self.gate)(&visit) {
            return refuse(status);
        }
        let folder = self.root.join(owner).join(format!("{name}.git"));
        if !folder.is_dir() {
            return refuse(StatusCode::NOT_FOUND);
        }
        let before = match service {
            "git-receive-pack" => Some(Before::of(self.pushing.clone(), folder).await),
            _ => None,
        };
        match self.run(request, service, &visit, body) {
            Ok(cgi) => cgi.respond(Ending { server: self.clone(), visit, before }).await,
            Err(error) => {
                tracing::error!(error = error.for_log(), "cannot run git http-backend");
                HttpResponse::InternalServerError().finish()
            }
        }
    }

    fn run(&self, request: &HttpRequest, service: &str, visit: &Visit, body: web::Payload) -> Result<Cgi> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let mut command = git(&self.root);
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", format!("/{}.git/{service}", visit.repository))
            .env("REQUEST_METHOD", request.method().as_str())
            .env("QUERY_STRING", request.query_string());
        let passed_on = [
            ("GIT_PROTOCOL", header("git-protocol")),
            ("CONTENT_TYPE", header("content-type")),
            ("CONTENT_LENGTH", header("content-length")),
            ("HTTP_CONTENT_ENCODING", header("content-encoding")),
            ("REMOTE_USER", visit.user.as_deref()),
        ];
        for (name, value) in passed_on {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| Error::misconfigured("cannot start git http-backend").detail(error))?;
        let pipe = "was asked for when the process was started";
        actix_web::rt::spawn(feed(body, child.stdin.take().expect(pipe)));
        let mut complaints = BufReader::new(child.stderr.take().expect(pipe)).lines();
        actix_web::rt::spawn(async move {
            while let Ok(Some(line)) = complaints.next_line().await {
                tracing::debug!(line, "git http-backend says");
            }
        });
        let output = BufReader::with_capacity(CHUNK, child.stdout.take().expect(pipe));
        Ok(Cgi { child, output })
    }
}

/// A running CGI program. Dropping it (the client went away) kills git; the processes that git started die by writing
/// into the pipe that closes with it, upload-pack within five seconds by its keep-alive.
struct Cgi {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Cgi {
    async fn respond(mut self, ending: Ending) -> HttpResponse {
        match self.head().await {
            Ok(mut response) => response.streaming(self.body(ending)),
            Err(error) => {
                tracing::error!(error = error.for_log(), "git http-backend did not answer");
                HttpResponse::InternalServerError().finish()
            }
        }
    }

    async fn head(&mut self) -> Result<HttpResponseBuilder> {
        let broken = |why: &str| Error::bug(format!("the answer of git http-backend {why}"));
        let mut response = HttpResponse::Ok();
        let mut limited = (&mut self.output).take(MAX_HEADERS as u64);
        loop {
            let mut line = String::new();
            let read = limited.read_line(&mut line).await.map_err(|error| broken("cannot be read").detail(error))?;
            let line = line.trim_end();
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("status") => {
                    let code = value.trim().split(' ').next().and_then(|code| code.parse().ok());
                    response
                        .status(code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(broken("has no status"))?);
                }
                Some((name, value)) => {
                    response.insert_header((name, value.trim()));
                }
                None if line.is_empty() && read > 0 => return Ok(response),
                None => return Err(broken("ends within its headers")),
            }
        }
    }

    fn body(self, ending: Ending) -> impl Stream<Item = std::io::Result<Bytes>> {
        stream::unfold(Some((self, ending)), |state| async {
            let (mut cgi, ending) = state?;
            let mut chunk = BytesMut::with_capacity(CHUNK);
            match cgi.output.read_buf(&mut chunk).await {
                Ok(0) => {
                    // The exit code says nothing that git has not already told the client.
                    let _ = cgi.child.wait().await;
                    ending.reached().await;
                    None
                }
                Ok(_) => Some((Ok(chunk.freeze()), Some((cgi, ending)))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

/// What is left to do when git has answered.
struct Ending {
    server: Arc<GitServer>,
    visit: Visit,
    before: Option<Before>,
}

impl Ending {
    async fn reached(self) {
        let Some(before) = self.before else { return };
        let changes = before.changes().await;
        if !changes.is_empty() {
            let Visit { repository, user, .. } = self.visit;
            (self.server.on_push)(Push { repository, user, changes });
        }
    }
}

/// The references before a push, and its turn.
struct Before {
    folder: PathBuf,
    state: RefState,
    _turn: OwnedMutexGuard<()>,
}

impl Before {
    async fn of(turn: Arc<Mutex<()>>, folder: PathBuf) -> Self {
        let turn = turn.lock_owned().await;
        Self { state: references(&folder).await, folder, _turn: turn }
    }

    async fn changes(&self) -> Vec<RefChange> {
        let mut changes = references(&self.folder).await.changes_since(&self.state);
        for change in &mut changes {
            if let (Some(old), Some(new)) = (change.old, change.new) {
                change.forced = !is_ancestor(&self.folder, old, new).await;
            }
        }
        changes
    }
}

/// Every reference of a bare repository; what cannot be read is left out.
async fn references(folder: &Path) -> RefState {
    let listed = git(folder).args(["for-each-ref", "--format=%(objectname) %(refname)"]).output().await;
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let entries = listed.split(|byte| *byte == b'\n').filter_map(|line| {
        let (id, name) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        Some((name.parse::<RefName>().ok()?, id.parse::<ObjectId>().ok()?))
    });
    RefState { refs: entries.collect(), ..RefState::default() }
}

async fn is_ancestor(folder: &Path, old: ObjectId, new: ObjectId) -> bool {
    let status = git(folder)
        .args(["merge-base", "--is-ancestor", &old.to_string(), &new.to_string()])
        .stderr(Stdio::null())
        .status()
        .await;
    status.is_ok_and(|status| status.success())
}

/// A git that no configuration of the machine or the user influences, and that does not outlive us.
pub(super) fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_gits(name)) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", CONFIG.len().to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (index, (key, value)) in CONFIG.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{index}"), key).env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    command
}

fn is_gits(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"GIT_")
}

/// Hands the request's body to git. Ends early, closing git's input, when the client goes away or git does not care.
async fn feed(mut body: web::Payload, mut input: ChildStdin) {
    while let Some(Ok(chunk)) = body.next().await {
        if input.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

fn basic_auth(headers: &HeaderMap) -> Option<(String, SecretString)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), SecretString::from(password)))
}

fn refuse(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"git\""));
    }
    response.content_type("text/plain").body(status.canonical_reason().unwrap_or_default())
}

fn same(given: &SecretString, wanted: &SecretString) -> bool {
    given.expose_secret().as_bytes().ct_eq(wanted.expose_secret().as_bytes()).into()
}

/// One folder below another, never a way out of it.
fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !matches!(name, "" | "." | "..") && name.bytes().all(plain)
}
