//! A stateful double of Microsoft Entra ID on loopback: one tenant with applications, service principals and users; secrets,
//! certificates and consent; sign-ins in a browser and with a code; tokens that end, and refresh tokens that are renewed.
//!
//! ```ignore
//! let entra = FakeEntra::start().await;
//! let app = entra.application("Refward");
//! let (client, secret) = (app.client(), app.secret());
//! entra.user("mona");
//! azure.accept_bearers(entra.checker());
//! ```

#![expect(clippy::result_large_err, reason = "answers of a server in a test")]

mod application;
mod devices;
mod pages;
mod state;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use chrono::TimeDelta;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

pub use application::Application;
pub use state::Holder;
use state::{Answer, Form, Refresh, State, User};

use super::fake_azure_devops::{BearerIdentity, Bearers};

/// The double. It stops when the test's runtime ends.
#[derive(Clone)]
pub struct FakeEntra {
    inner: Arc<Inner>,
}

struct Inner {
    url: Url,
    state: Mutex<State>,
}

impl FakeEntra {
    /// On a free port, with an empty tenant.
    #[expect(clippy::unused_async, reason = "must be called within a runtime, which this makes sure of")]
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let entra = Self { inner: Arc::new(Inner { url, state: Mutex::new(State::new()) }) };
        let double = entra.clone();
        let server = HttpServer::new(move || {
            let entra = double.clone();
            let answer = move |request: HttpRequest, body: Bytes| std::future::ready(entra.serve(&request, &body));
            App::new().default_service(web::to(answer))
        });
        let server = server.workers(1).disable_signals().shutdown_timeout(0).listen(listener).unwrap();
        tokio::spawn(server.run());
        entra
    }

    /// Its address: what `--authority` takes.
    pub fn url(&self) -> &Url {
        &self.inner.url
    }

    /// The one directory.
    pub fn tenant(&self) -> Uuid {
        self.state().tenant
    }

    /// An application, registered and with a service principal, and without any proof yet.
    pub fn application(&self, name: &str) -> Application {
        Application::register(self, name)
    }

    /// Somebody; made when first asked for. Returns the object id.
    pub fn user(&self, name: &str) -> Uuid {
        let mut state = self.state();
        if let Some(known) = state.users.iter().find(|user| user.name == name) {
            return known.object_id;
        }
        let user = User { object_id: Uuid::new_v4(), name: name.to_owned(), admin: false };
        let id = user.object_id;
        state.users.push(user);
        id
    }

    /// May agree for the whole organization.
    pub fn admin(&self, name: &str) {
        self.user(name);
        self.state().users.iter_mut().filter(|user| user.name == name).for_each(|user| user.admin = true);
    }

    /// Is called otherwise from now on.
    pub fn renames(&self, name: &str, to: &str) {
        self.state().users.iter_mut().filter(|user| user.name == name).for_each(|user| to.clone_into(&mut user.name));
    }

    /// Everything that somebody has signed in for ends, as after a new password.
    pub fn ends_sign_ins(&self, name: &str) {
        let id = self.user(name);
        let mut state = self.state();
        state.refreshes.retain(|_, refresh| refresh.object_id != id);
        state.ended.push(id);
    }

    /// A refresh token is good once from now on, which Entra itself is not so strict about.
    pub fn refreshes_once(&self) {
        self.state().strict = true;
    }

    /// Seconds that a token made from now on lasts.
    pub fn token_life(&self, seconds: i64) {
        self.state().token_life = TimeDelta::seconds(seconds);
    }

    /// Time passes there.
    pub fn move_clock(&self, seconds: i64) {
        self.state().ahead += TimeDelta::seconds(seconds);
    }

    /// The next answers are these: status, and seconds of `Retry-After`.
    pub fn fail(&self, status: u16, retry_after: Option<u32>) {
        self.state().faults.push_back((status, retry_after));
    }

    /// The kinds of grant that tokens were asked for with, oldest first; `device_code` for codes, too.
    pub fn grants(&self) -> Vec<String> {
        self.state().grants.clone()
    }

    /// How many access tokens were made so far.
    pub fn minted(&self) -> usize {
        self.state().tokens.len()
    }

    /// No token is good any more.
    pub fn revoke_tokens(&self) {
        self.state().tokens.values_mut().for_each(|token| token.until = chrono::DateTime::UNIX_EPOCH);
    }

    /// Everything that opens something, to be looked for where it must not be.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.state();
        let all = state.tokens.keys().chain(state.refreshes.keys()).chain(state.codes.keys());
        all.chain(state.begun.iter().map(|begun| &begun.device_code)).cloned().collect()
    }

    /// Who shows this token, now.
    pub fn holder(&self, token: &str) -> Option<Holder> {
        let state = self.state();
        let now = state.now();
        state.tokens.get(token).filter(|token| token.until > now).map(|token| token.holder.clone())
    }

    /// The same, for `FakeAzureDevops::accept_bearers`.
    pub fn checker(&self) -> Bearers {
        let entra = self.clone();
        Arc::new(move |token: &str| {
            let Holder { object_id, tenant, name } = entra.holder(token)?;
            Some(BearerIdentity { object_id, tenant, name, scopes: None })
        })
    }

    /// What somebody's sign-in for an application comes to.
    pub fn signed_in(&self, name: &str, app: &Application) -> SecretString {
        let object_id = self.user(name);
        let mut state = self.state();
        let (token, until) = (format!("1.AX{}", Uuid::new_v4().simple()), state.now() + TimeDelta::days(90));
        state.refreshes.insert(token.clone(), Refresh { client_id: app.id, object_id, until });
        token.into()
    }

    /// Somebody types the code, and agrees.
    pub fn signs_in(&self, name: &str, user_code: &str) {
        let id = self.user(name);
        self.answers(user_code, Answer::Agreed(id));
    }

    /// Somebody types the code, and presses Cancel.
    pub fn cancels_sign_in(&self, user_code: &str) {
        self.answers(user_code, Answer::Declined);
    }

    /// Seconds that have to pass between two questions.
    pub fn sign_in_interval(&self, seconds: i64) {
        self.state().interval = seconds;
    }

    fn serve(&self, request: &HttpRequest, body: &[u8]) -> HttpResponse {
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(match request.method().as_str() {
            "GET" => request.query_string().as_bytes(),
            _ => body,
        })
        .into_owned()
        .collect();
        let form = Form::new(fields);
        let path: Vec<&str> = request.path().split('/').filter(|part| !part.is_empty()).collect();
        let mut state = self.state();
        if let Some((status, retry_after)) = state.faults.pop_front() {
            let mut answer = HttpResponse::build(status.try_into().unwrap());
            if let Some(seconds) = retry_after {
                answer.insert_header(("retry-after", seconds.to_string()));
            }
            return answer.finish();
        }
        let Some((tenant, rest)) = path.split_first() else { return HttpResponse::NotFound().finish() };
        let known = tokens::is_tenant(&state, tenant);
        match (request.method().as_str(), rest) {
            (_, ["oauth2", "v2.0", "token" | "devicecode"]) if !known => {
                tokens::refused(400, "invalid_request", 90_002, &format!("Tenant '{tenant}' not found."))
            }
            ("POST", ["oauth2", "v2.0", "token"]) => {
                let endpoint = format!("{}{}", self.inner.url, request.path().trim_start_matches('/'));
                tokens::token(&mut state, &endpoint, &form)
            }
            ("POST", ["oauth2", "v2.0", "devicecode"]) => devices::begin(&mut state, &self.inner.url, &form),
            ("GET", ["oauth2", "v2.0", "authorize"]) => pages::authorize(&state, tenant, &form),
            ("POST", ["oauth2", "v2.0", "authorize"]) => pages::authorized(&mut state, &form),
            ("GET", ["v2.0", "adminconsent"]) => pages::admin_consent(&state, tenant, &form),
            ("POST", ["v2.0", "adminconsent"]) => pages::admin_consented(&mut state, &form),
            _ => HttpResponse::NotFound().finish(),
        }
    }

    fn answers(&self, user_code: &str, answer: Answer) {
        let mut state = self.state();
        let now = state.now();
        let begun = state.begun.iter_mut().find(|begun| begun.user_code == user_code && begun.until > now);
        begun.expect("the page does not know this code").answer = Some(answer);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }
}
