//! A forge of many small repositories that are all alike, for those who take it for GitHub and for those who take it for
//! Azure DevOps. It answers from memory, so that what is measured is the cost of the one who asks. What it answers to git has
//! been said by git once, to the same question.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Runtime;
use url::Url;

use super::azure::{self, ORGANIZATION, Organization};
use super::{Result, git, text_of};

/// The account that all repositories belong to.
pub const OWNER: &str = "bench";

/// As many as GitHub puts on a page at most.
const PAGE: usize = 100;

/// Repositories of a project, where there are projects.
const IN_A_PROJECT: usize = 100;

/// What git speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Version {
    Zero,
    Two,
}

/// A running forge on loopback.
pub struct Stub {
    /// Where to connect, for GitHub's adapter.
    pub url: Url,
    /// Where to connect, for that of Azure DevOps.
    pub organization: Url,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    repositories: usize,
    organization: Organization,
    git_folder: PathBuf,
    said: Mutex<HashMap<(Version, Bytes), Bytes>>,
    rest: AtomicU64,
    graphql: AtomicU64,
    info_refs: AtomicU64,
    upload_pack: AtomicU64,
}

/// How often each thing was asked for.
#[derive(Clone, Copy)]
pub struct Requests {
    /// REST calls.
    pub rest: u64,
    /// Queries.
    pub graphql: u64,
    /// `GET …/info/refs`.
    pub info_refs: u64,
    /// `POST …/git-upload-pack`: `ls-refs` and `fetch`.
    pub upload_pack: u64,
}

impl Stub {
    /// Serves `repositories` repositories with some branches and tags; `folder` holds the one that all are copies of.
    pub fn start(folder: &Path, repositories: usize) -> Result<Self> {
        let git_folder = folder.join("template.git");
        make_template(&git_folder)?;
        let shared = Arc::new(Shared {
            repositories,
            organization: organization(repositories),
            git_folder,
            said: Mutex::default(),
            rest: AtomicU64::new(0),
            graphql: AtomicU64::new(0),
            info_refs: AtomicU64::new(0),
            upload_pack: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let state = web::Data::from(shared.clone());
        let address = runtime.block_on(async {
            let app = move || {
                App::new()
                    .app_data(state.clone())
                    .route("/api/graphql", web::post().to(query))
                    .route("/api/v3/user", web::get().to(user))
                    .route("/api/v3/orgs/{owner}/repos", web::get().to(list))
                    .route("/{owner}/{name}/info/refs", web::get().to(info_refs))
                    .route("/{owner}/{name}/git-upload-pack", web::post().to(upload_pack))
                    .route("/{organization}/{project}/_git/{name}/info/refs", web::get().to(old_info_refs))
                    .route("/{organization}/{project}/_git/{name}/git-upload-pack", web::post().to(old_upload_pack))
                    .default_service(web::to(azure_api))
            };
            let server =
                HttpServer::new(app).workers(2).tcp_nodelay(true).disable_signals().bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = server.addrs()[0];
            tokio::spawn(server.run());
            Ok::<_, std::io::Error>(address)
        })?;
        let url: Url = format!("http://{address}/").parse()?;
        Ok(Self { organization: url.join(ORGANIZATION)?, url, shared, _runtime: runtime })
    }

    /// Since the last time that this was asked.
    pub fn requests(&self) -> Requests {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let Shared { rest, graphql, info_refs, upload_pack, .. } = &*self.shared;
        Requests {
            rest: take(rest),
            graphql: take(graphql),
            info_refs: take(info_refs),
            upload_pack: take(upload_pack),
        }
    }
}

/// The full name of a repository of the stub; its id is `number + 1`.
pub fn full_name(number: usize) -> String {
    format!("{OWNER}/repository-{number}")
}

/// The same repository as Azure DevOps calls it.
pub fn full_name_in_project(number: usize) -> String {
    format!("project-{}/repository-{number}", number / IN_A_PROJECT)
}

fn organization(repositories: usize) -> Organization {
    let name = |number: usize| format!("repository-{number}");
    let project = |first: usize| {
        let last = (first + IN_A_PROJECT).min(repositories);
        (format!("project-{}", first / IN_A_PROJECT), (first..last).map(name).collect())
    };
    Organization((0..repositories).step_by(IN_A_PROJECT).map(project).collect())
}

fn make_template(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    text_of(git(folder).args(["init", "--quiet", "--bare", "--initial-branch=main", "."]))?;
    let tree = text_of(git(folder).args(["mktree"]))?;
    let name = ["-c", "user.name=Bench", "-c", "user.email=bench@example.com"];
    let commit = text_of(git(folder).args(name).args(["commit-tree", "-m", "A commit", tree.trim()]))?;
    let branches = (0..10).map(|number| format!("refs/heads/topic-{number}"));
    let tags = (0..10).map(|number| format!("refs/tags/v{number}"));
    for name in branches.chain(tags).chain(["refs/heads/main".to_owned()]) {
        text_of(git(folder).args(["update-ref", &name, commit.trim()]))?;
    }
    Ok(())
}

async fn user(shared: web::Data<Shared>) -> HttpResponse {
    shared.rest.fetch_add(1, Ordering::Relaxed);
    HttpResponse::Ok().json(json!({ "login": "bench-robot" }))
}

async fn list(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    shared.rest.fetch_add(1, Ordering::Relaxed);
    let page = request.query_string().split('&').find_map(|pair| pair.strip_prefix("page=")?.parse().ok()).unwrap_or(1);
    let numbers = ((page - 1) * PAGE).min(shared.repositories)..(page * PAGE).min(shared.repositories);
    let repositories: Vec<Value> = numbers.clone().map(describe).collect();
    let mut response = HttpResponse::Ok();
    if numbers.end < shared.repositories {
        let (host, path) = (request.connection_info().host().to_owned(), request.path());
        let next = format!("<http://{host}{path}?per_page={PAGE}&page={}>; rel=\"next\"", page + 1);
        response.insert_header(("link", next));
    }
    response.json(repositories)
}

fn describe(number: usize) -> Value {
    let full_name = full_name(number);
    json!({
        "id": number + 1,
        "name": full_name.trim_start_matches("bench/"),
        "full_name": full_name,
        "private": true,
        "archived": false,
        "default_branch": "main",
    })
}

/// Answers the one query that there is.
async fn query(question: web::Json<Value>, shared: web::Data<Shared>) -> HttpResponse {
    shared.graphql.fetch_add(1, Ordering::Relaxed);
    let first = question["variables"]["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let numbers = first..(first + PAGE).min(shared.repositories);
    let page = json!({ "hasNextPage": numbers.end < shared.repositories, "endCursor": numbers.end.to_string() });
    let nodes: Vec<Value> = numbers.map(describe_node).collect();
    let repositories = json!({ "pageInfo": page, "nodes": nodes });
    HttpResponse::Ok().json(json!({ "data": { "repositoryOwner": { "repositories": repositories } } }))
}

fn describe_node(number: usize) -> Value {
    json!({
        "databaseId": number + 1,
        "nameWithOwner": full_name(number),
        "isPrivate": true,
        "isArchived": false,
        "visibility": "PRIVATE",
        "pushedAt": "2026-01-01T00:00:00Z",
        "defaultBranchRef": { "name": "main", "target": { "oid": "0".repeat(40) } },
        "branches": { "totalCount": 11 },
        "tags": { "totalCount": 10 },
        "pullRequests": { "nodes": [] },
    })
}

async fn info_refs(shared: web::Data<Shared>) -> HttpResponse {
    shared.advertise(Version::Two).await
}

async fn upload_pack(shared: web::Data<Shared>, question: Bytes) -> HttpResponse {
    shared.answer(Version::Two, question).await
}

async fn old_info_refs(shared: web::Data<Shared>) -> HttpResponse {
    shared.advertise(Version::Zero).await
}

async fn old_upload_pack(shared: web::Data<Shared>, question: Bytes) -> HttpResponse {
    shared.answer(Version::Zero, question).await
}

async fn azure_api(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    shared.rest.fetch_add(1, Ordering::Relaxed);
    shared.organization.answer(&request)
}

impl Shared {
    async fn advertise(&self, version: Version) -> HttpResponse {
        self.info_refs.fetch_add(1, Ordering::Relaxed);
        let mut answer = b"001e# service=git-upload-pack\n0000".to_vec();
        answer.extend_from_slice(&self.ask_git(version, "--http-backend-info-refs", &Bytes::new()).await);
        if version == Version::Zero {
            answer = azure::with_capabilities(&answer);
        }
        HttpResponse::Ok().content_type("application/x-git-upload-pack-advertisement").body(answer)
    }

    async fn answer(&self, version: Version, question: Bytes) -> HttpResponse {
        self.upload_pack.fetch_add(1, Ordering::Relaxed);
        let answer = self.ask_git(version, "--stateless-rpc", &question).await;
        HttpResponse::Ok().content_type("application/x-git-upload-pack-result").body(answer)
    }

    /// What git says, or has said to the same.
    async fn ask_git(&self, version: Version, way: &str, question: &Bytes) -> Bytes {
        let lock = || self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (version, question.clone());
        if let Some(answer) = lock().get(&key) {
            return answer.clone();
        }
        let mut command = tokio::process::Command::from(git(&self.git_folder));
        command.args(["upload-pack", way, "."]);
        if version == Version::Two {
            command.env("GIT_PROTOCOL", "version=2");
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git has just made the repository");
        let mut input = child.stdin.take().expect("was asked for");
        input.write_all(question).await.expect("git reads a question of a few hundred bytes");
        drop(input);
        let answer = Bytes::from(child.wait_with_output().await.expect("git answers").stdout);
        lock().insert(key, answer.clone());
        answer
    }
}
