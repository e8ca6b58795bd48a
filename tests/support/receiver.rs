//! A webhook receiver on loopback: somebody's own program that is told of notices.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::world::eventually;

/// The secret that every request must be signed with.
pub const SECRET: &str = "It's a Secret to Everybody";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `X-Refward-Delivery`
    pub id: String,
    /// How it was answered.
    pub status: u16,
    /// Its body.
    pub body: Value,
}

#[derive(Default)]
struct State {
    answers: u16,
    location: Option<String>,
    got: Vec<Delivery>,
    violations: Vec<String>,
}

/// The receiver. What was not signed fails the test when this is dropped.
pub struct Receiver {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// On a free port.
    #[expect(clippy::unused_async, reason = "must be called within a runtime, which this makes sure of")]
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { answers: 204, ..State::default() }));
        let shared = Arc::clone(&state);
        let server = HttpServer::new(move || {
            let state = Arc::clone(&shared);
            let answer = move |request: HttpRequest, body: Bytes| {
                let answer = take(&state, &request, &body);
                async move { answer }
            };
            App::new().default_service(web::to(answer))
        });
        let server = server.workers(1).disable_signals().shutdown_timeout(0).listen(listener).unwrap();
        tokio::spawn(server.run());
        Self { port, state }
    }

    /// For the setting `webhook.url`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/hooks/T0P-S3CRET", self.port)
    }

    /// Answers with this from now on.
    pub fn answers(&self, status: u16) {
        self.state.lock().unwrap().answers = status;
    }

    /// Redirects there from now on.
    pub fn redirects(&self, location: &str) {
        let mut state = self.state.lock().unwrap();
        (state.answers, state.location) = (307, Some(location.to_owned()));
    }

    /// Every request so far.
    pub fn got(&self) -> Vec<Delivery> {
        self.state.lock().unwrap().got.clone()
    }

    /// Every notice of this kind that was taken so far.
    pub fn notices(&self, kind: &str) -> Vec<Value> {
        let taken = self.got().into_iter().filter(|delivery| (200..300).contains(&delivery.status));
        let notices = taken.flat_map(|delivery| delivery.body["notices"].as_array().unwrap().clone());
        notices.filter(|notice| notice["kind"] == kind).collect()
    }

    /// The first notice of this kind, as soon as it was taken.
    pub async fn notice(&self, kind: &str) -> Value {
        let look = async || self.notices(kind).into_iter().next();
        eventually(look, || format!("a notice `{kind}`; there came {:#?}", self.got())).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let violations = std::mem::take(&mut self.state.lock().unwrap().violations);
        assert!(violations.is_empty() || std::thread::panicking(), "webhooks were sent wrongly: {violations:#?}");
    }
}

fn take(state: &Mutex<State>, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(body).finalize();
    let mut state = state.lock().unwrap();
    if header("X-Refward-Signature-256") != format!("sha256={}", hex::encode(mac.into_bytes())) {
        state.violations.push(format!("a signature that does not fit: {request:?}"));
    }
    if request.method() != "POST" || header("Content-Type") != "application/json" {
        state.violations.push(format!("no JSON that is posted: {request:?}"));
    }
    let (id, status) = (header("X-Refward-Delivery"), state.answers);
    state.got.push(Delivery { id, status, body: serde_json::from_slice(body).unwrap() });
    let mut answer = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap());
    if let Some(location) = &state.location {
        answer.insert_header(("Location", location.as_str()));
    }
    answer.finish()
}
