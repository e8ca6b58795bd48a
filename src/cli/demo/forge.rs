//! The guided tour's forge: the smallest host that `refward` can be connected to as if it were a GitHub Enterprise
//! Server. It exists so that the tour needs no account and no network; it is not a double for tests and copies none of
//! GitHub's refusals.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use url::Url;
use uuid::Uuid;

use super::git_server::{GitServer, Push, git};
use crate::domain::{Error, ObjectFormat, ObjectId, RefChange, Result};

/// The only person there.
const LOGIN: &str = "you";

/// A running host on loopback. Dropping it stops it.
pub struct DemoForge {
    shared: Arc<Shared>,
    url: Url,
    server: ServerHandle,
}

/// Where webhooks go.
#[derive(Clone)]
pub struct Hook {
    /// The receiver.
    pub url: Url,
    /// What they are signed with.
    pub secret: SecretString,
}

struct Shared {
    root: PathBuf,
    owner: String,
    token: SecretString,
    repositories: Mutex<Vec<String>>,
    hook: Mutex<Option<Hook>>,
    http: reqwest::Client,
}

impl DemoForge {
    /// Serves `owner`'s repositories from `root`, to whoever has `token`, on a free port.
    pub fn start(root: &Path, owner: &str, token: SecretString, http: reqwest::Client) -> Result<Self> {
        let cannot = |error: std::io::Error| Error::misconfigured("cannot start the tour's forge").detail(error);
        std::fs::create_dir_all(root).map_err(cannot)?;
        let shared = Arc::new(Shared {
            root: root.to_path_buf(),
            owner: owner.to_owned(),
            token: token.clone(),
            repositories: Mutex::default(),
            hook: Mutex::default(),
            http,
        });
        let told = shared.clone();
        let git = Arc::new(GitServer::new(root).password(token).on_push(move |push| told.announce(push)));
        let state = web::Data::from(shared.clone());
        let app = move || {
            App::new()
                .app_data(state.clone())
                .route("/api/v3/user", web::get().to(user))
                .route("/api/v3/orgs/{owner}/repos", web::get().to(repositories))
                .configure(git.clone().configure())
        };
        let http = HttpServer::new(app)
            .workers(2)
            .tcp_nodelay(true)
            .disable_signals()
            .bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(cannot)?;
        let address: SocketAddr = http.addrs()[0];
        let running = http.run();
        let server = running.handle();
        tokio::spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(%error, "the tour's forge has stopped");
            }
        });
        let url = format!("http://{address}/").parse().expect("a socket address makes an address");
        Ok(Self { shared, url, server })
    }

    /// The address to connect.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Makes an empty repository; gives its address for git, which wants the token as password.
    pub async fn create_repository(&self, name: &str) -> Result<Url> {
        let folder = self.shared.root.join(&self.shared.owner).join(format!("{name}.git"));
        let cannot = || Error::misconfigured(format!("git cannot make a repository at {}", folder.display()));
        let status = git(&self.shared.root)
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&folder)
            .status()
            .await
            .map_err(|error| cannot().detail(error))?;
        if !status.success() {
            return Err(cannot());
        }
        locked(&self.shared.repositories).push(name.to_owned());
        let path = format!("{}/{name}.git", self.shared.owner);
        self.url
            .join(&path)
            .map_err(|error| Error::bad_request(format!("`{name}` is no repository name")).detail(error))
    }

    /// From now on, every push is told to `hook`.
    pub fn deliver_to(&self, hook: Hook) {
        *locked(&self.shared.hook) = Some(hook);
    }
}

impl Drop for DemoForge {
    fn drop(&mut self) {
        // The order is given at once; what is returned only waits for its end.
        drop(self.server.stop(false));
    }
}

impl Shared {
    fn describe(&self, name: &str) -> Value {
        let id = locked(&self.repositories).iter().position(|known| known == name).map_or(0, |index| index + 1);
        json!({
            "id": id,
            "name": name,
            "full_name": format!("{}/{name}", self.owner),
            "private": true,
            "archived": false,
            "default_branch": "main",
        })
    }

    fn is_known(&self, request: &HttpRequest) -> bool {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        token.as_bytes().ct_eq(self.token.expose_secret().as_bytes()).into()
    }

    fn announce(self: &Arc<Self>, push: Push) {
        let Some(hook) = locked(&self.hook).clone() else { return };
        let forge = self.clone();
        tokio::spawn(async move {
            let name = push.repository.rsplit('/').next().unwrap_or_default();
            let repository = forge.describe(name);
            for change in &push.changes {
                if let Err(error) = send_push(&forge.http, &hook, &repository, change).await {
                    tracing::warn!(error = error.for_log(), "a webhook of the tour was not taken");
                }
            }
        });
    }
}

/// Signs and sends the webhook for one reference, as GitHub would.
pub async fn send_push(http: &reqwest::Client, hook: &Hook, repository: &Value, change: &RefChange) -> Result<()> {
    let body = json!({
        "ref": change.name,
        "before": or_zeroes(change.old),
        "after": or_zeroes(change.new),
        "created": change.old.is_none(),
        "deleted": change.new.is_none(),
        "forced": change.forced,
        "repository": repository,
        "pusher": { "name": LOGIN },
        "sender": { "login": LOGIN },
    })
    .to_string();
    let answer = http
        .post(hook.url.clone())
        .header("content-type", "application/json")
        .header("user-agent", "GitHub-Hookshot/tour")
        .header("x-github-event", "push")
        .header("x-github-delivery", Uuid::new_v4().to_string())
        .header("x-hub-signature-256", signature(&hook.secret, body.as_bytes()))
        .body(body)
        .send()
        .await;
    let cannot = || Error::remote("cannot deliver a webhook");
    let answer = answer.map_err(|error| cannot().detail(error))?;
    if answer.status().is_success() { Ok(()) } else { Err(cannot().detail(answer.status())) }
}

fn signature(secret: &SecretString, body: &[u8]) -> String {
    let key = secret.expose_secret().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn or_zeroes(id: Option<ObjectId>) -> String {
    id.map_or_else(|| "0".repeat(2 * ObjectFormat::Sha1.raw_len()), |id| id.to_string())
}

async fn user(request: HttpRequest, forge: web::Data<Shared>) -> HttpResponse {
    if !forge.is_known(&request) {
        return unknown_token();
    }
    HttpResponse::Ok().json(json!({ "login": LOGIN }))
}

async fn repositories(request: HttpRequest, forge: web::Data<Shared>, owner: web::Path<String>) -> HttpResponse {
    if !forge.is_known(&request) {
        return unknown_token();
    }
    if *owner != forge.owner {
        return HttpResponse::NotFound().json(json!({ "message": "Not Found" }));
    }
    let names = locked(&forge.repositories).clone();
    HttpResponse::Ok().json(names.iter().map(|name| forge.describe(name)).collect::<Vec<_>>())
}

fn unknown_token() -> HttpResponse {
    HttpResponse::Unauthorized().json(json!({ "message": "Bad credentials" }))
}

/// What a thread left behind when it panicked is still a list of names or an address.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
