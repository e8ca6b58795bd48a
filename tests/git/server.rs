//! A git server over HTTP: `git http-backend` behind a few lines of CGI, with switches for everything that goes wrong.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use futures_util::StreamExt;
use refward::git::{Client, Credential, Limits, Remote, Session};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use url::Url;

use crate::azure;

/// What the server does differently from a good one.
#[derive(Clone, Debug, Default)]
pub enum Manner {
    #[default]
    Good,
    /// Protocol version 0.
    Old,
    /// It can leave trees and files out.
    Filters,
    /// Like Azure Repos: see [`crate::azure`].
    Azure,
    /// Every answer is this: status, headers, body.
    Answers(u16, Vec<(&'static str, String)>, &'static str),
    /// All is well, but the client is asked to wait that many seconds before its next request.
    Pauses(u64),
    /// Bytes of the client's request are replaced.
    Rewrites(&'static str, &'static str),
    /// Every answer has this status and header.
    Refuses(u16, &'static str, String),
    /// A page instead of git, as a login page or a proxy sends it.
    LoginPage,
    /// `/moved/…` is redirected to `/…`.
    Moves,
    /// The pack's bytes are cut off there, with the connection ending as if all were well.
    Truncates(usize),
    /// The connection breaks there.
    Breaks(usize),
    /// Nothing comes any more from there on.
    Stalls(usize),
    /// One bit of the answer to a fetch is wrong.
    Flips(usize),
    /// The answer to a fetch is followed by this.
    Appends(&'static str),
    /// The answer to a fetch is this pack.
    Sends(Vec<u8>),
}

/// The password, and the token.
pub const SECRET: &str = "secret";

struct State {
    root: PathBuf,
    manner: Mutex<Manner>,
    requests: Mutex<Vec<String>>,
    connections: Mutex<BTreeSet<SocketAddr>>,
}

pub struct Server {
    state: Arc<State>,
    pub url: Url,
    pub scratch: tempfile::TempDir,
}

impl Server {
    /// Serves the repositories below `root`.
    pub fn start(root: &Path) -> Self {
        let state = Arc::new(State {
            root: root.to_owned(),
            manner: Mutex::default(),
            requests: Mutex::default(),
            connections: Mutex::default(),
        });
        let shared = web::Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(64 << 20))
                .default_service(web::to(handle))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let url = Url::parse(&format!("http://{}/", server.addrs()[0])).unwrap();
        tokio::spawn(server.run());
        Self { state, url, scratch: tempfile::tempdir().unwrap() }
    }

    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    pub fn manner(&self) -> Manner {
        self.state.manner.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state.connections.lock().unwrap().len()
    }

    /// `METHOD path` of every request since the last call.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.requests.lock().unwrap())
    }

    pub fn remote(&self, name: &str) -> Remote {
        let credential = Credential::Basic { username: "x".to_owned(), password: SECRET.into() };
        Remote { url: self.url.join(name).unwrap(), credential: Some(Arc::new(credential)) }
    }

    pub fn remote_with_token(&self, name: &str) -> Remote {
        Remote { credential: Some(Arc::new(Credential::Bearer(SECRET.into()))), ..self.remote(name) }
    }

    /// Everything goes to the scratch folder, so that tests see what stays there.
    pub fn client(&self) -> Client {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let limits = Limits {
            memory_scratch: 0,
            scratch_dir: Some(self.scratch.path().to_owned()),
            max_object: 100 << 20,
            threads: 3,
        };
        Client::new(http, &limits)
    }

    pub async fn open(&self, name: &str) -> refward::domain::Result<Session> {
        self.client().open(&self.remote(name)).await
    }
}

async fn handle(request: HttpRequest, body: Bytes, state: web::Data<State>) -> HttpResponse {
    let manner = state.manner.lock().unwrap().clone();
    let path = request.path().to_owned();
    state.requests.lock().unwrap().push(format!("{} {path}", request.method()));
    state.connections.lock().unwrap().extend(request.peer_addr());
    match &manner {
        Manner::Answers(status, headers, body) => {
            let mut response = HttpResponse::build(StatusCode::from_u16(*status).unwrap());
            for (name, value) in headers {
                response.insert_header((*name, value.as_str()));
            }
            return response.body(*body);
        }
        Manner::Azure => {
            if let Some(refusal) = azure::refusal(&request, &body, &state.root) {
                return refusal;
            }
        }
        Manner::Refuses(status, name, value) => {
            return HttpResponse::build(StatusCode::from_u16(*status).unwrap())
                .insert_header((*name, value.as_str()))
                .finish();
        }
        Manner::LoginPage => return HttpResponse::Ok().content_type("text/html").body("<html>Sign in</html>"),
        Manner::Sends(pack) if body.windows(13).any(|bytes| bytes == b"command=fetch") => {
            return HttpResponse::Ok().content_type("application/x-git-upload-pack-result").body(framed(pack));
        }
        Manner::Moves if path.starts_with("/moved/") => {
            let target = request.uri().to_string().replace("/moved/", "/");
            return HttpResponse::MovedPermanently().insert_header(("Location", target)).finish();
        }
        _ => {}
    }
    let answer = run_git(&request, body, &state.root, &manner).await;
    let fetch = path.ends_with("/git-upload-pack") && answer.body.windows(4).any(|bytes| bytes == b"PACK");
    let mut content = answer.body;
    match manner {
        Manner::Azure if path.ends_with("/info/refs") => content = azure::with_capabilities(&content),
        Manner::Pauses(seconds) => {
            let mut response = HttpResponse::build(answer.status);
            return response.insert_header(("retry-after", seconds)).content_type(answer.content_type).body(content);
        }
        Manner::Truncates(at) if fetch => content.truncate(at),
        Manner::Flips(at) if fetch => content[at] ^= 0x10,
        Manner::Appends(text) if fetch => content.extend_from_slice(text.as_bytes()),
        Manner::Stalls(at) if fetch => {
            content.truncate(at);
            let pending = futures_util::stream::pending::<std::io::Result<Bytes>>();
            let stream = futures_util::stream::iter([Ok(Bytes::from(content))]).chain(pending);
            return HttpResponse::Ok().content_type(answer.content_type).streaming(stream);
        }
        Manner::Breaks(at) if fetch => {
            content.truncate(at);
            let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            let stream = futures_util::stream::iter([Ok(Bytes::from(content)), Err(broken)]);
            return HttpResponse::Ok().content_type(answer.content_type).streaming(stream);
        }
        _ => {}
    }
    HttpResponse::build(answer.status).content_type(answer.content_type).body(content)
}

/// A pack in side-band frames.
fn framed(pack: &[u8]) -> Vec<u8> {
    let mut out = b"000dpackfile\n".to_vec();
    for piece in pack.chunks(50) {
        out.extend_from_slice(format!("{:04x}\u{1}", piece.len() + 5).as_bytes());
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"0000");
    out
}

/// A path as it lies on the disk.
pub fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8().unwrap().into_owned()
}

struct Answer {
    status: StatusCode,
    content_type: String,
    body: Vec<u8>,
}

async fn run_git(request: &HttpRequest, mut body: Bytes, root: &Path, manner: &Manner) -> Answer {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Manner::Rewrites(from, to) = manner {
        // Ids and commands are text; tests that rewrite send small, uncompressed requests.
        body = Bytes::from(String::from_utf8_lossy(&body).replace(from, to));
    }
    let mut command = Command::new("git");
    if matches!(manner, Manner::Azure | Manner::Filters) {
        command.args(["-c", "uploadpack.allowFilter=true"]);
    }
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", root)
        .env("REMOTE_USER", "tester")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", request.method().as_str())
        .env("PATH_INFO", decoded(request.path()))
        .env("QUERY_STRING", request.query_string())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if !matches!(manner, Manner::Old | Manner::Azure) {
        command.env("GIT_PROTOCOL", header("git-protocol"));
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut answer =
        Answer { status: StatusCode::OK, content_type: "application/octet-stream".to_owned(), body: Vec::new() };
    let mut line = String::new();
    while out.read_line(&mut line).await.unwrap() > 0 && !line.trim().is_empty() {
        let (name, value) = line.trim().split_once(": ").unwrap();
        match name {
            "Status" => answer.status = value[..3].parse().unwrap(),
            "Content-Type" => value.clone_into(&mut answer.content_type),
            _ => {}
        }
        line.clear();
    }
    out.read_to_end(&mut answer.body).await.unwrap();
    feed.await.unwrap();
    answer
}
