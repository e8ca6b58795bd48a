//! Calls and answers of the API.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::FakeAzureDevops;
use super::state::State;
use crate::support::fake_github::{Fault, Seen};

/// A call of the API: `/ORG/[PROJECT/]_apis/REST`.
pub struct Call {
    pub method: String,
    /// As it came, decoded.
    pub path: String,
    pub org: String,
    pub project: Option<String>,
    /// What follows `_apis`, in lower case: paths don't care.
    pub rest: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    /// Null if there is none.
    pub body: Value,
}

impl Call {
    /// `None`: it is no call of the API.
    pub fn new(request: &HttpRequest, body: &[u8]) -> Option<Self> {
        let raw = request.uri().path();
        let segments = segments(raw);
        let place = segments.iter().position(|segment| segment.eq_ignore_ascii_case("_apis"))?;
        let (org, project) = match &segments[..place] {
            [org] => (org.clone(), None),
            [org, project] => (org.clone(), Some(project.clone())),
            _ => return None,
        };
        let rest = segments[place + 1..].iter().filter(|part| !part.is_empty()).map(|part| part.to_lowercase());
        let query = url::form_urlencoded::parse(request.query_string().as_bytes());
        Some(Self {
            method: request.method().to_string(),
            path: format!("/{}", segments.join("/")),
            org,
            project,
            rest: rest.collect(),
            query: query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            headers: request.headers().clone(),
            body: serde_json::from_slice(body).unwrap_or_default(),
        })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn number(&self, name: &str) -> Option<usize> {
        self.query(name)?.parse().ok()
    }

    pub fn says(&self, name: &str) -> bool {
        self.query(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// `7.1`, `7.1-preview.1`, …: from the query, or from `Accept`.
    pub fn api_version(&self) -> Option<&str> {
        let accepted = || self.header("accept")?.split(';').find_map(|part| part.trim().strip_prefix("api-version="));
        self.query("api-version").or_else(accepted)
    }
}

/// The parts of a path. Servers have their collections below `tfs`, too.
pub fn segments(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    if parts[0].eq_ignore_ascii_case("tfs") {
        parts.remove(0);
    }
    parts
}

/// A part of a path, without the percent signs.
fn decoded(part: &str) -> String {
    // A form's `+` would be a space, and its `&` and `=` an end; a path's are not.
    let part = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let mut fields = url::form_urlencoded::parse(part.as_bytes());
    fields.next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

/// What is in an answer.
#[derive(Clone, Debug)]
pub enum Body {
    Nothing,
    Json(Value),
    Html(String),
    Text(String),
}

pub fn ok(body: Value) -> Reply {
    answer(200, body)
}

pub fn answer(status: u16, body: Value) -> Reply {
    Reply { status, headers: Vec::new(), body: Body::Json(body) }
}

pub fn done() -> Reply {
    Reply { status: 204, headers: Vec::new(), body: Body::Nothing }
}

/// Lists come in a wrapper, whatever the specification says.
pub fn list(values: Vec<Value>) -> Reply {
    let mut wrapped = json!({ "count": values.len() });
    wrapped["value"] = values.into();
    ok(wrapped)
}

/// An answer that comes instead of the right one.
pub fn played(fault: &Fault) -> Reply {
    let body = match serde_json::from_str(&fault.body) {
        Ok(json) => Body::Json(json),
        Err(_) => Body::Html(fault.body.clone()),
    };
    let headers = fault.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    Reply { status: fault.status, headers: headers.cloned().collect(), body }
}

impl Reply {
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The JSON in it, if it is.
    pub fn json(&self) -> Option<&Value> {
        match &self.body {
            Body::Json(body) => Some(body),
            _ => None,
        }
    }

    pub fn finish(self) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap());
        for (name, value) in self.headers {
            response.append_header((name, value));
        }
        match self.body {
            Body::Nothing => response.finish(),
            Body::Json(body) => response.content_type("application/json; charset=utf-8").body(body.to_string()),
            Body::Text(text) => response.content_type("text/plain; charset=utf-8").body(text),
            Body::Html(text) => response.content_type("text/html; charset=utf-8").body(text),
        }
    }
}

/// A token that leads to an empty page before the one that it means.
const EMPTY: usize = 1_000_000_000;

/// One page of `all`, the size of which the double's owner or the call decides. The only sign of an end is that no
/// continuation token comes.
pub fn page(state: &State, call: &Call, mut all: Vec<Value>, default: usize) -> Reply {
    let asked_for = call.number("continuationToken");
    let start = asked_for.unwrap_or(if state.empty_pages { EMPTY } else { 0 });
    if let Some(start) = start.checked_sub(EMPTY) {
        return list(vec![]).header("x-ms-continuationtoken", &start.to_string());
    }
    let asked = call.number("$top").unwrap_or(default);
    let size = state.page_size.map_or(asked, |most| asked.min(most)).max(1);
    let end = (start + size).min(all.len());
    let is_last = end == all.len();
    let reply = list(all.drain(start.min(end)..end).collect());
    if is_last {
        return reply;
    }
    let next = if state.empty_pages { EMPTY + end } else { end };
    reply.header("x-ms-continuationtoken", &next.to_string())
}

/// A part of `all` as those calls give it that count what to skip.
pub fn skip(call: &Call, all: Vec<Value>, default: usize) -> Reply {
    let (skip, top) = (call.number("$skip").unwrap_or(0), call.number("$top").unwrap_or(default));
    list(all.into_iter().skip(skip).take(top).collect())
}

impl FakeAzureDevops {
    /// Writes a request down; gives its place.
    pub(super) fn note(&self, request: &HttpRequest, body: Value) -> usize {
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let (method, path) = (request.method().to_string(), request.uri().to_string());
        let seen = Seen { method, path, headers: headers.collect(), body, status: None };
        let mut state = self.state();
        state.seen.push(seen);
        state.seen.len() - 1
    }

    /// Writes down how it was answered.
    pub(super) fn noted(&self, place: usize, status: StatusCode) {
        self.state().seen[place].status = Some(status.as_u16());
    }
}
