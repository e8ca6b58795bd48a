//! A stateful double of GitHub, as a GitHub Enterprise Server on loopback: accounts, repositories, tokens, Apps, paging,
//! limits, faults, git, GraphQL and webhooks. What it can do is told in `tests/README.md`.
//!
//! ```ignore
//! let github = FakeGithub::start().await;
//! let api = github.org("acme").repo("api").await;
//! let token = github.token(Token::classic("mona"));
//! github.hook("acme", receiver, "s3cret");
//! let work = api.work().await;
//! work.commit("one").await;
//! work.push(&["main"]).await;
//! ```

mod app_handle;
mod app_rest;
pub mod apps;
mod assertions;
mod deliveries;
mod device;
mod fetches;
mod git;
mod graphql;
pub mod hooks;
mod installations;
mod keys;
mod limits;
mod manifests;
mod objects;
pub mod openapi;
pub mod reply;
mod resolver;
mod rest;
mod rights;
mod rules;
mod state;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::middleware::from_fn;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use refward::cli::demo::git_server::GitServer;
use refward::forge::Access;
use secrecy::SecretString;
use tempfile::TempDir;
use url::Url;

pub use app_handle::AppHandle;
pub use deliveries::Attempt;
pub use fetches::Fetches;
pub use git::{Repo, Work};
pub use graphql::Trouble;
pub use hooks::Sent;
pub use installations::{Covers, Landing};
use reply::Call;
pub use rights::Team;
use state::State;
pub use state::{Fault, Seen};
pub use tokens::Token;

/// The double. It stops when the last clone of it is gone and the test's runtime ends. A test that broke rules of GitHub's
/// fails when it is dropped.
#[derive(Clone)]
pub struct FakeGithub {
    inner: Arc<Inner>,
    /// `None`: a clone that the double itself keeps.
    judge: Option<Arc<Judge>>,
}

struct Judge(Arc<Inner>);

impl Drop for Judge {
    fn drop(&mut self) {
        let broken = self.0.state.lock().map(|state| state.violations.clone()).unwrap_or_default();
        let broken = broken.join("\n");
        assert!(broken.is_empty() || std::thread::panicking(), "rules of GitHub's were broken:\n{broken}");
    }
}

pub(crate) struct Inner {
    pub root: TempDir,
    pub url: Url,
    pub state: Mutex<State>,
    pub http: reqwest::Client,
    pub fetches: Fetches,
    pub calls: Fetches,
}

impl FakeGithub {
    /// On a free port.
    #[expect(clippy::unused_async, reason = "must be called within a runtime, which this makes sure of")]
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let (fetches, calls) = (Fetches::default(), Fetches::default());
        let inner = Inner { root: TempDir::new().unwrap(), url, state: Mutex::default(), http, fetches, calls };
        let github = Self { inner: Arc::new(inner), judge: None };
        github.url().as_str().trim_end_matches('/').clone_into(&mut github.state().host);

        let (gate, pushed) = (github.clone(), github.clone());
        let git = GitServer::new(github.inner.root.path())
            .gate(move |visit| gate.state().may(visit))
            .on_push(move |push| pushed.announce(&push));
        let git = Arc::new(git);
        let double = github.clone();
        let server = HttpServer::new(move || {
            let (api, before_git) = (double.clone(), double.clone());
            let answer = move |request: HttpRequest, body: Bytes| {
                let api = api.clone();
                async move { api.serve(&request, &body).await }
            };
            let before = from_fn(move |request, next| git::before(before_git.clone(), request, next));
            App::new()
                .service(web::scope("/api").default_service(web::to(answer)))
                .configure(manifests::configure(&double))
                .configure(device::configure(&double))
                .service(web::scope("").wrap(before).configure(git.clone().configure()))
        });
        let server = server.workers(2).disable_signals().shutdown_timeout(0).listen(listener).unwrap();
        tokio::spawn(server.run());
        let judge = Some(Arc::new(Judge(github.inner.clone())));
        Self { judge, ..github }
    }

    /// A clone for the double's own use, which is not waited for.
    fn unjudged(&self) -> Self {
        Self { inner: self.inner.clone(), judge: None }
    }

    /// An API call.
    async fn serve(&self, request: &HttpRequest, body: &Bytes) -> HttpResponse {
        let call = Call::new(request, body);
        let place = self.note(request, call.body.clone());
        let (_visitor, refusal) = self.enter().await;
        let response = match refusal {
            Some(refusal) => refusal.finish(&self.state()),
            None if call.path == "/graphql" => graphql::respond(self, &call),
            None => rest::respond(self, &call),
        };
        self.noted(place, response.status());
        response
    }

    /// Its web address.
    pub fn url(&self) -> &Url {
        &self.inner.url
    }

    /// An organization; made when it is first asked for.
    pub fn org(&self, login: &str) -> Owner {
        self.account(login, true)
    }

    /// A user; made when it is first asked for.
    pub fn user(&self, login: &str) -> Owner {
        self.account(login, false)
    }

    /// A repository that is there, by `OWNER/NAME`.
    pub fn repo(&self, full_name: &str) -> Repo {
        Repo::named(self, full_name)
    }

    fn account(&self, login: &str, organization: bool) -> Owner {
        self.state().add_account(login, organization);
        Owner { github: self.clone(), login: login.to_owned() }
    }

    /// Issues a token.
    pub fn token(&self, token: Token) -> SecretString {
        self.user(&token.user);
        self.state().issue(token).into()
    }

    /// Revokes it.
    pub fn revoke(&self, token: &SecretString) {
        use secrecy::ExposeSecret;
        self.state().tokens.remove(token.expose_secret());
    }

    /// What a connection to one owner holds.
    pub fn access(&self, owner: &str, token: &SecretString) -> Access {
        Access::with_token(self.url().clone(), owner, token.clone())
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

    /// Calls that this host does not know, such as `/user`.
    pub fn forget(&self, path: &str) {
        self.state().forgotten.push(path.to_owned());
    }

    /// The version that it says it runs; `None`: it does not say.
    pub fn version(&self, version: Option<&str>) {
        self.state().version = version.map(str::to_owned);
    }

    /// Every request so far, git's included.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }
}

/// An organization or user.
pub struct Owner {
    github: FakeGithub,
    login: String,
}

impl Owner {
    /// A new private repository without commits.
    pub async fn repo(&self, name: &str) -> Repo {
        Repo::create(&self.github, &self.login, name, true).await
    }

    /// A new public one.
    pub async fn public_repo(&self, name: &str) -> Repo {
        Repo::create(&self.github, &self.login, name, false).await
    }

    /// So many private repositories `repo-0`, … that exist in listings alone.
    pub fn paper_repos(&self, count: usize) {
        let mut state = self.github.state();
        for index in 0..count {
            state.add_repository(&self.login, &format!("repo-{index}"), true);
        }
    }
}
