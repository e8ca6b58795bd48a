//! Answers of the API, and what every one of them has.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};

use super::FakeGithub;
use super::state::{Fault, Seen, State};

/// A call of the API.
pub struct Call<'a> {
    pub method: &'a str,
    /// Without `/api/v3`; that of GraphQL is `/graphql`.
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// Null if there is none.
    pub body: Value,
}

impl<'a> Call<'a> {
    pub fn new(request: &'a HttpRequest, body: &[u8]) -> Self {
        let path = request.path().strip_prefix("/api").unwrap_or_default();
        Self {
            method: request.method().as_str(),
            path: path.strip_prefix("/v3").unwrap_or(path),
            query: request.query_string(),
            headers: request.headers(),
            body: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn query(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.query.as_bytes());
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub fn number(&self, name: &str, default: usize) -> usize {
        self.query(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// What the caller shows that it is.
    pub fn bearer(&self) -> Option<&str> {
        let value = self.header("authorization")?;
        value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("token "))
    }
}

/// An answer.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// `None`: nothing at all.
    pub body: Option<Value>,
}

pub fn ok(body: Value) -> Reply {
    answer(200, body)
}

pub fn answer(status: u16, body: Value) -> Reply {
    Reply { status, headers: Vec::new(), body: Some(body) }
}

pub fn done() -> Reply {
    Reply { status: 204, headers: Vec::new(), body: None }
}

pub fn message(status: u16, text: &str) -> Reply {
    let body =
        json!({ "message": text, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
    answer(status, body)
}

pub fn not_found() -> Reply {
    message(404, "Not Found")
}

/// One page of `all`, and links to the others at `address`.
pub fn page<T>(
    call: &Call,
    address: &str,
    all: &[T],
    mut show: impl FnMut(&T) -> Value,
) -> (Vec<Value>, Option<String>) {
    let (page, size) = (call.number("page", 1).max(1), call.number("per_page", 30).clamp(1, 100));
    let shown = all.iter().skip((page - 1) * size).take(size).map(&mut show).collect();
    let last = all.len().div_ceil(size).max(1);
    if last == 1 {
        return (shown, None);
    }
    let others: String = url::form_urlencoded::parse(call.query.as_bytes())
        .filter(|(key, _)| key != "page")
        .map(|(k, v)| format!("{k}={v}&"))
        .collect();
    let to = |page: usize, relation: &str| format!("<{address}?{others}page={page}>; rel=\"{relation}\"");
    let mut links = vec![];
    if page > 1 {
        links.extend([to(page - 1, "prev"), to(1, "first")]);
    }
    if page < last {
        links.extend([to(page + 1, "next"), to(last, "last")]);
    }
    (shown, Some(links.join(", ")))
}

impl Reply {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn linked(self, links: Option<String>) -> Self {
        match links {
            Some(links) => self.header("link", &links),
            None => self,
        }
    }

    /// With the headers that come with every answer.
    pub fn finish(self, state: &State) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap());
        common(state, &mut response);
        for (name, value) in self.headers {
            response.insert_header((name, value));
        }
        match self.body {
            Some(body) => response.content_type("application/json; charset=utf-8").body(body.to_string()),
            None => response.finish(),
        }
    }
}

fn common(state: &State, response: &mut HttpResponseBuilder) {
    response.insert_header(("x-github-request-id", "0000:0001"));
    response.insert_header(("x-github-api-version-selected", "2022-11-28"));
    response.insert_header((header::DATE, state.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
    if let Some(version) = &state.version {
        response.insert_header(("x-github-enterprise-version", format!("enterprise-server@{version}")));
    }
}

/// An answer that comes instead of the right one.
pub fn play(fault: &Fault) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(fault.status).unwrap());
    for (name, value) in &fault.headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    response.body(fault.body.clone())
}

impl FakeGithub {
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
