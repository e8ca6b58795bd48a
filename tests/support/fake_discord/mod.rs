//! A stateful double of Discord on loopback: one server with members, roles, channels and messages, and one application with
//! its bot. What people do there is sent to the application's endpoint, signed. Discord's limits and deadlines hold.
//!
//! ```ignore
//! let discord = FakeDiscord::start().await;
//! let (mona, channel) = (discord.member("mona").roles(&["ops"]), discord.channel("backups"));
//! let told = mona.says(&channel, "/refward restore repo:acme/api at:3").await;
//! let plan = told.answer().await;                  // as soon as it says more than "later"
//! let told = mona.presses(&plan, "Confirm").await;
//! channel.says("is restored").await;
//! ```
//!
//! Until the first answer to an interaction has arrived, nothing can be done with its token (10015): who edits before has to
//! come back. Time counts by [`FakeDiscord::late`], [`FakeDiscord::expire_tokens`] and [`FakeDiscord::move_clock`].

mod answers;
mod commands;
mod faults;
mod interactions;
mod letters;
mod limits;
mod members;
mod messages;
pub mod openapi;
mod people;
mod pings;
pub mod reply;
mod rest;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

pub use answers::{Channel, Message, Suggestion, Told};
pub use faults::Fault;
pub use letters::Letter;
pub use members::Member;
use reply::Call;
pub use state::Seen;
use state::{Room, State};

/// The double. It stops when the test's runtime ends. A test that broke rules of Discord's fails when the last clone of it
/// is dropped.
#[derive(Clone)]
pub struct FakeDiscord {
    inner: Arc<Inner>,
    /// `None`: a clone that the double itself keeps.
    judge: Option<Arc<Judge>>,
}

struct Judge(Arc<Inner>);

impl Drop for Judge {
    fn drop(&mut self) {
        let broken = self.0.state.lock().map(|state| state.violations.clone()).unwrap_or_default().join("\n");
        assert!(broken.is_empty() || std::thread::panicking(), "rules of Discord's were broken:\n{broken}");
    }
}

pub(crate) struct Inner {
    url: Url,
    http: reqwest::Client,
    state: Mutex<State>,
}

impl FakeDiscord {
    /// On a free port.
    #[expect(clippy::unused_async, reason = "must be called within a runtime, which this makes sure of")]
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/v10", listener.local_addr().unwrap()).parse().unwrap();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let inner = Arc::new(Inner { url, http, state: Mutex::new(State::new()) });
        let double = Self { inner: inner.clone(), judge: None };
        let server = HttpServer::new(move || {
            let discord = double.clone();
            let answer = move |request: HttpRequest, body: Bytes| {
                let discord = discord.clone();
                async move { discord.serve(&request, &body).await }
            };
            App::new().default_service(web::to(answer))
        });
        let server = server.on_connect(faults::keep_connection).workers(1).disable_signals().shutdown_timeout(0);
        tokio::spawn(server.listen(listener).unwrap().run());
        Self { judge: Some(Arc::new(Judge(inner.clone()))), inner }
    }

    /// A call of the API.
    async fn serve(&self, request: &HttpRequest, body: &Bytes) -> HttpResponse {
        let call = Call::new(request, body);
        let fault = self.state().faults.next();
        let made_up = fault.and_then(Fault::reply);
        let reply = match (fault, made_up) {
            (_, Some(reply)) => {
                self.state().limits.count(&reply);
                Some(reply)
            }
            (None | Some(Fault::Lost), _) => Some(rest::respond(self, &call)),
            _ => None,
        };
        let heard = reply.filter(|_| !matches!(fault, Some(Fault::Lost)));
        let status = heard.as_ref().map_or(0, |reply| reply.status);
        let seen = Seen { method: call.method.clone(), path: call.public_path(), body: call.body.clone(), status };
        self.state().seen.push(seen);
        if let Some(reply) = heard {
            return reply.finish();
        }
        if !matches!(fault, Some(Fault::Hang)) {
            faults::hang_up(request);
        }
        std::future::pending().await
    }

    /// What `discord.api` is set to.
    pub fn url(&self) -> &Url {
        &self.inner.url
    }

    /// The bot's token.
    pub fn token(&self) -> SecretString {
        self.state().token.clone().into()
    }

    /// The application's id.
    pub fn application_id(&self) -> String {
        self.state().application.clone()
    }

    /// The key that interactions are verified with, in hex.
    pub fn public_key(&self) -> String {
        self.state().public_key()
    }

    /// The id of the server that everybody is on.
    pub fn server(&self) -> String {
        self.state().guild.clone()
    }

    /// The id of a role, which is made when it is first asked for.
    pub fn role(&self, name: &str) -> String {
        self.state().role(name)
    }

    /// A channel; made when it is first asked for.
    pub fn channel(&self, name: &str) -> Channel {
        let mut state = self.state();
        let known = state.channels.iter().find(|known| known.name == name).map(|known| known.id.clone());
        let id = known.unwrap_or_else(|| {
            let id = state.new_id();
            state.channels.push(Room { id: id.clone(), name: name.to_owned(), denied: 0 });
            id
        });
        Channel { discord: self.clone(), id, name: name.to_owned() }
    }

    /// Sends interactions there from now on.
    pub fn hook_to(&self, url: &Url) {
        self.state().endpoint = Some(url.clone());
    }

    fn endpoint(&self) -> Url {
        // Nobody listens there.
        self.state().endpoint.clone().unwrap_or_else(|| "http://127.0.0.1:1/hooks/discord".parse().unwrap())
    }

    /// All commands that are registered, those of the server and those of everywhere.
    pub fn commands(&self) -> Vec<Value> {
        self.state().commands.values().flatten().cloned().collect()
    }

    /// A bot's token of another time: what was issued before is worth nothing any more.
    pub fn reset_token(&self) -> SecretString {
        let mut state = self.state();
        state.token = format!("{}.{}", state.bot, uuid::Uuid::new_v4().simple());
        state.token.clone().into()
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Rules that were broken so far.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Takes back what was broken on purpose; gives it.
    pub fn forgive_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.state().violations)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }
}
