//! The device flow: somebody types a code on a page of the host, and the App that showed it to them learns who they are.
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app>

use std::collections::VecDeque;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::reply::play;
use super::state::{Fault, State};
use super::tokens::Token;
use super::{AppHandle, FakeGithub};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What whoever asks too soon has to wait longer from then on.
const SLOWER: i64 = 5;

/// Sign-ins that were begun.
pub struct Devices {
    begun: Vec<Begun>,
    interval: i64,
    lasts: TimeDelta,
    faults: VecDeque<Fault>,
}

impl Default for Devices {
    fn default() -> Self {
        Self { begun: Vec::new(), interval: 5, lasts: TimeDelta::minutes(15), faults: VecDeque::new() }
    }
}

struct Begun {
    device_code: String,
    user_code: String,
    client_id: String,
    until: DateTime<Utc>,
    interval: i64,
    asked: Option<DateTime<Utc>>,
    answer: Option<Answer>,
}

enum Answer {
    Approved(String),
    Denied,
    /// The App has its token.
    Used,
}

impl AppHandle {
    /// Ticks “Enable Device Flow”, which no manifest can do.
    #[must_use]
    pub fn enable_device_flow(self) -> Self {
        self.change(|app| app.device_flow = true)
    }
}

impl FakeGithub {
    /// Somebody types the code, and confirms that this is they.
    pub fn signs_in(&self, login: &str, user_code: &str) {
        self.user(login);
        self.answers(user_code, Answer::Approved(login.to_owned()));
    }

    /// Somebody types the code, and presses Cancel.
    pub fn cancels_sign_in(&self, user_code: &str) {
        self.answers(user_code, Answer::Denied);
    }

    /// How many seconds an App has to wait between two questions. GitHub's number is 5.
    pub fn sign_in_interval(&self, seconds: i64) {
        self.state().devices.interval = seconds;
    }

    /// The newest code that is waiting to be typed.
    pub fn user_code(&self) -> Option<String> {
        let state = self.state();
        let waiting = state.devices.begun.iter().rev().find(|begun| begun.answer.is_none());
        waiting.map(|begun| begun.user_code.clone())
    }

    /// Lets the next `times` questions of Apps about sign-ins fail.
    pub fn fail_sign_in(&self, times: usize, fault: &Fault) {
        self.state().devices.faults.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Every device code and every person's token so far.
    pub fn sign_in_secrets(&self) -> Vec<String> {
        let state = self.state();
        let codes = state.devices.begun.iter().map(|begun| begun.device_code.clone());
        codes.chain(state.tokens.keys().filter(|token| token.starts_with("ghu_")).cloned()).collect()
    }

    fn answers(&self, user_code: &str, answer: Answer) {
        let mut state = self.state();
        let now = state.now();
        let begun = state.devices.begun.iter_mut().find(|begun| begun.user_code == user_code && begun.until > now);
        begun.expect("the page does not know this code").answer = Some(answer);
    }
}

pub fn configure(github: &FakeGithub) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let route = |respond: Respond| {
        let github = github.clone();
        let answer =
            move |request: HttpRequest, body: Bytes| std::future::ready(answer(&github, &request, &body, respond));
        web::post().to(answer)
    };
    let (begin, poll) = (route(begin), route(poll));
    move |app| {
        app.route("/login/device/code", begin).route("/login/oauth/access_token", poll);
    }
}

/// Answers to the fields of a form.
type Respond = fn(&mut State, &dyn Fn(&str) -> String) -> Result<Value, Refusal>;

/// Status, word, and what else is said.
type Refusal = (u16, &'static str, Value);

fn answer(github: &FakeGithub, request: &HttpRequest, body: &[u8], respond: Respond) -> HttpResponse {
    let place = github.note(request, Value::Null);
    let mut state = github.state();
    let field = |name: &str| {
        let mut fields = url::form_urlencoded::parse(body);
        fields.find(|(key, _)| key == name).map_or_else(String::new, |(_, value)| value.into_owned())
    };
    let accept = request.headers().get("accept").and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let fault = state.devices.faults.pop_front();
    let response = match fault {
        Some(fault) => play(&fault),
        // GitHub answers with a form then, which is no use to us.
        None if !accept.contains("application/json") => HttpResponse::Ok().body("error=not_json"),
        None => match respond(&mut state, &field) {
            Ok(body) => HttpResponse::Ok().json(body),
            Err((status, word, mut body)) => {
                body["error"] = word.into();
                body["error_description"] = format!("what {word} means").into();
                body["error_uri"] = "https://docs.github.com".into();
                HttpResponse::build(status.try_into().unwrap()).json(body)
            }
        },
    };
    drop(state);
    github.noted(place, response.status());
    response
}

fn begin(state: &mut State, field: &dyn Fn(&str) -> String) -> Result<Value, Refusal> {
    let client_id = field("client_id");
    let app = state.apps.registered.iter().find(|app| app.client_id == client_id);
    if !app.ok_or((404, "Not Found", json!({})))?.device_flow {
        return Err((400, "device_flow_disabled", json!({})));
    }
    let (number, until) = (state.number(), state.now() + state.devices.lasts);
    let (device_code, user_code) = (format!("{number:d>40}"), format!("WDJB-{:04X}", number % 0x1_0000));
    let interval = state.devices.interval;
    let body = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": format!("{}/login/device", state.host),
        "expires_in": state.devices.lasts.num_seconds(),
        "interval": interval,
    });
    let begun = Begun { device_code, user_code, client_id, until, interval, asked: None, answer: None };
    state.devices.begun.push(begun);
    Ok(body)
}

fn poll(state: &mut State, field: &dyn Fn(&str) -> String) -> Result<Value, Refusal> {
    if field("grant_type") != GRANT_TYPE {
        return Err((200, "unsupported_grant_type", json!({})));
    }
    let (now, code, client_id) = (state.now(), field("device_code"), field("client_id"));
    let unused = |begun: &&mut Begun| begun.device_code == code && !matches!(begun.answer, Some(Answer::Used));
    let begun = state.devices.begun.iter_mut().find(unused);
    let begun = begun.ok_or((200, "incorrect_device_code", json!({})))?;
    if begun.client_id != client_id {
        return Err((200, "incorrect_client_credentials", json!({})));
    }
    if begun.until <= now {
        return Err((200, "expired_token", json!({})));
    }
    let soon = begun.asked.replace(now).is_some_and(|asked| now - asked < TimeDelta::seconds(begun.interval));
    if soon {
        begun.interval += SLOWER;
        return Err((200, "slow_down", json!({ "interval": begun.interval })));
    }
    match &begun.answer {
        None | Some(Answer::Used) => Err((200, "authorization_pending", json!({}))),
        Some(Answer::Denied) => Err((200, "access_denied", json!({}))),
        Some(Answer::Approved(login)) => {
            let login = login.clone();
            begun.answer = Some(Answer::Used);
            let text = format!("ghu_{:0>36}", state.number());
            // It sees nothing private: the App that it is of was given no repository by this person.
            let token = Token { chosen: Some(Vec::new()), ..Token::fine_grained(&login, "") };
            state.tokens.insert(text.clone(), token);
            Ok(json!({ "access_token": text, "token_type": "bearer", "scope": "", "expires_in": 28800 }))
        }
    }
}
