//! A stateful double of Azure DevOps, Services or Server, on loopback: organizations, projects, repositories, tokens,
//! identities and what they may, paging, throttling, faults, and git. What it can do is told in `tests/README.md`.
//!
//! ```ignore
//! let azure = FakeAzureDevops::start().await;
//! let repo = azure.org("acme").project("Prój eñt").repo("My Repo").await;
//! let pat = azure.pat("mona", "acme", &["vso.code", "vso.project"]);
//! let work = repo.work().await;
//! work.commit("one").await;
//! work.push(&["main"]).await;
//! ```

mod errors;
pub mod events;
mod git;
pub mod hooks;
mod limits;
pub mod openapi;
mod packets;
mod people;
mod policies;
mod projects;
mod pulls;
mod refs;
pub mod reply;
mod repo;
mod repositories;
mod rest;
mod security;
mod sign_in;
pub mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::middleware::from_fn;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use chrono::TimeDelta;
use refward::cli::demo::git_server::GitServer;
use refward::forge::Access;
use secrecy::SecretString;
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

pub use errors::fault;
pub use people::{License, Person};
pub use projects::Project;
pub use pulls::Pull;
pub use repo::Repo;
pub use security::{Secured, ServiceHooks, bit};
pub use sign_in::{BearerIdentity, Bearers, Caller, SignIn};
use state::{Kind, Organization, State};

use crate::support::fake_github::{Fault, Fetches, Seen, Work};

/// The double. It stops when the last clone of it is gone and the test's runtime ends. A test that broke rules of Azure
/// DevOps' fails when it is dropped.
#[derive(Clone)]
pub struct FakeAzureDevops {
    inner: Arc<Inner>,
    /// `None`: a clone that the double itself keeps.
    judge: Option<Arc<Judge>>,
}

struct Judge(Arc<Inner>);

impl Drop for Judge {
    fn drop(&mut self) {
        let broken = self.0.state.lock().map(|state| state.violations.clone()).unwrap_or_default();
        let broken = broken.join("\n");
        assert!(broken.is_empty() || std::thread::panicking(), "rules of Azure DevOps' were broken:\n{broken}");
    }
}

pub(crate) struct Inner {
    root: TempDir,
    url: Url,
    state: Mutex<State>,
    fetches: Fetches,
    calls: Fetches,
}

impl FakeAzureDevops {
    /// Azure DevOps Services, on a free port.
    pub async fn start() -> Self {
        Self::launch(Kind::Services).await
    }

    /// Azure DevOps Server, and the highest api-version that it knows.
    pub async fn server(version: &str) -> Self {
        Self::launch(Kind::Server(version.to_owned())).await
    }

    #[expect(clippy::unused_async, reason = "must be called within a runtime, which this makes sure of")]
    async fn launch(kind: Kind) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("http://{}", listener.local_addr().unwrap());
        let (root, url) = (TempDir::new().unwrap(), host.parse().unwrap());
        let (fetches, calls) = (Fetches::default(), Fetches::default());
        let inner = Inner { root, url, state: Mutex::new(State::new(host, kind)), fetches, calls };
        let azure = Self { inner: Arc::new(inner), judge: None };

        let pushed = azure.clone();
        let git = GitServer::new(azure.inner.root.path()).on_push(move |push| pushed.pushed(&push));
        let git = Arc::new(git);
        let double = azure.clone();
        let server = HttpServer::new(move || {
            let (api, before_git) = (double.clone(), double.clone());
            let answer = move |request: HttpRequest, body: Bytes| {
                let api = api.clone();
                async move { api.serve(&request, &body).await }
            };
            let before = from_fn(move |request, next| git::before(before_git.clone(), request, next));
            App::new()
                .app_data(web::PayloadConfig::new(usize::MAX))
                .configure(git.clone().configure())
                .default_service(web::to(answer))
                .wrap(before)
        });
        let server = server.workers(2).disable_signals().shutdown_timeout(0).listen(listener).unwrap();
        tokio::spawn(server.run());
        let judge = Some(Arc::new(Judge(azure.inner.clone())));
        Self { judge, ..azure }
    }

    /// A clone for the double's own use, which is not waited for.
    pub fn unjudged(&self) -> Self {
        Self { inner: self.inner.clone(), judge: None }
    }

    /// The address of an organization, or of a collection.
    pub fn url(&self, org: &str) -> Url {
        self.inner.url.join(org).unwrap()
    }

    /// The address of the whole.
    pub fn host(&self) -> &Url {
        &self.inner.url
    }

    /// An organization; made when it is first asked for.
    pub fn org(&self, name: &str) -> Org {
        let mut state = self.state();
        if state.organization(name).is_none() {
            state.organizations.push(Organization::new(name));
        }
        Org { azure: self.clone(), name: name.to_owned() }
    }

    /// What a connection to one organization holds.
    pub fn access(&self, org: &str, token: &SecretString) -> Access {
        Access::with_token(self.url(org), org, token.clone())
    }

    /// How long pages are at most, whatever is asked for.
    pub fn page_size(&self, most: usize) {
        self.state().page_size = Some(most);
    }

    /// Before every page comes one with nothing on it but the token that leads on.
    pub fn empty_pages(&self) {
        self.state().empty_pages = true;
    }

    /// The host's clock goes that much before ours.
    pub fn clock_ahead(&self, by: TimeDelta) {
        self.state().clock_ahead = by;
    }

    /// Every organization is stopped (TF24668), or runs again.
    pub fn stopped(&self, stopped: bool) {
        self.state().stopped = stopped;
    }

    /// Lets the next `times` API calls fail.
    pub fn fail(&self, times: usize, fault: &Fault) {
        self.state().api_faults.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Lets the next `times` git requests fail.
    pub fn fail_git(&self, times: usize, fault: &Fault) {
        self.state().git_faults.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Keeps whoever asks for objects waiting until [`Self::let_fetches_go`]. They know the references by then.
    pub fn hold_fetches(&self) {
        self.inner.fetches.hold();
    }

    /// Waits until a request is kept waiting.
    pub async fn fetch_is_held(&self) {
        self.inner.fetches.is_held().await;
    }

    /// Whatever was kept waiting goes on.
    pub fn let_fetches_go(&self) {
        self.inner.fetches.let_go();
    }

    /// Keeps API calls waiting until [`Self::let_calls_go`].
    pub fn hold_calls(&self) {
        self.inner.calls.hold();
    }

    /// Waits until a call is kept waiting.
    pub async fn call_is_held(&self) {
        self.inner.calls.is_held().await;
    }

    /// Whatever was kept waiting goes on.
    pub fn let_calls_go(&self) {
        self.inner.calls.let_go();
    }

    /// Every request so far, git's included.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Every rule that was broken so far. A test fails at its end if there is one, unless it forgives.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Takes them back, for a test that breaks rules on purpose.
    pub fn forgive_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.state().violations)
    }

    /// A rule was broken.
    pub(super) fn violated(&self, rule: String) {
        self.state().violations.push(rule);
    }

    /// A call of the API, or of nothing.
    async fn serve(&self, request: &HttpRequest, body: &Bytes) -> HttpResponse {
        self.inner.calls.pass().await;
        let latency = self.state().limits.latency;
        tokio::time::sleep(latency).await;
        let reply = rest::respond(self, request, body).await;
        reply.finish()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }
}

/// An organization, or a collection.
#[derive(Clone)]
pub struct Org {
    azure: FakeAzureDevops,
    name: String,
}

impl Org {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn url(&self) -> Url {
        self.azure.url(&self.name)
    }

    /// The instance: what `connectionData` calls it.
    pub fn id(&self) -> Uuid {
        self.azure.state().org(&self.name).id
    }

    /// The directory behind it.
    pub fn tenant(&self) -> Uuid {
        self.azure.state().org(&self.name).tenant
    }

    /// Another directory is behind it from now on.
    pub fn joins(&self, tenant: Uuid) {
        self.azure.state().org_mut(&self.name).tenant = tenant;
    }

    /// A project; made when it is first asked for.
    pub fn project(&self, name: &str) -> Project {
        Project::named(self, name)
    }
}
