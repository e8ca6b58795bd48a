//! The REST API, below `/api/v3`.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chrono::Utc;
use serde_json::{Value, json};

use super::FakeGithub;
use super::state::{Fault, Repository, Seen, State, Token, id_of};

/// When a used up limit begins anew.
pub const RESET_AFTER: i64 = 1800;

pub fn answer(github: &FakeGithub, request: &HttpRequest) -> HttpResponse {
    let base = format!("{}api/v3", github.url());
    let mut state = github.state();
    state.seen.push(note(request));
    if let Some(fault) = state.api_faults.pop_front() {
        return play(&fault);
    }
    let path = request.path().strip_prefix("/api/v3").unwrap_or_default().to_owned();
    if state.forgotten.contains(&path) {
        return message(&state, None, 404, "Not Found").finish_json();
    }
    let Some(token) = bearer(request.headers()).and_then(|text| state.valid_token(text)).cloned() else {
        return message(&state, None, 401, "Bad credentials").finish_json();
    };
    if state.remaining == Some(0) {
        let text = format!("API rate limit exceeded for user {}.", token.user);
        return message(&state, Some(&token), 403, &text).finish_json();
    }
    state.remaining = state.remaining.map(|remaining| remaining - 1);
    route(&state, &token, &base, &path, request.query_string()).finish_json()
}

/// An answer being made.
struct Reply {
    builder: HttpResponseBuilder,
    body: Value,
}

impl Reply {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.builder.insert_header((name, value));
        self
    }

    fn finish_json(mut self) -> HttpResponse {
        self.builder.content_type("application/json; charset=utf-8").body(self.body.to_string())
    }
}

fn route(state: &State, token: &Token, base: &str, path: &str, query: &str) -> Reply {
    let not_found = || message(state, Some(token), 404, "Not Found");
    let of_owner = |login: &str| -> Vec<&Repository> {
        let mine = state.repositories.iter().filter(|repository| repository.owner.eq_ignore_ascii_case(login));
        mine.filter(|repository| token.sees(repository)).collect()
    };
    let account = |login: &str, organization: bool| {
        let mut known = state.accounts.iter();
        known
            .find(|(name, kind)| name.eq_ignore_ascii_case(login) && kind.organization == organization)
            .map(|(name, _)| name)
    };
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match segments[..] {
        ["meta"] => ok(state, token, json!({ "installed_version": state.version })),
        ["user"] => ok(state, token, json!({ "login": token.user, "id": id_of(&token.user), "type": "User" })),
        ["user", "repos"] => page(state, token, &format!("{base}/user/repos"), query, &of_owner(&token.user)),
        ["orgs", login, "repos"] => match account(login, true) {
            Some(_) if token.sso_required => sso(state, token, login),
            // The links of later pages name the organization by its number.
            Some(name) => {
                page(state, token, &format!("{base}/organizations/{}/repos", id_of(name)), query, &of_owner(name))
            }
            None => not_found(),
        },
        ["organizations", id, "repos"] => match state.accounts.keys().find(|name| id_of(name).to_string() == id) {
            Some(name) => page(state, token, &format!("{base}/organizations/{id}/repos"), query, &of_owner(name)),
            None => not_found(),
        },
        ["users", login, "repos"] if account(login, false).is_none() => not_found(),
        ["users", login, "repos"] => {
            let public: Vec<&Repository> =
                of_owner(login).into_iter().filter(|repository| !repository.private).collect();
            page(state, token, &format!("{base}/users/{login}/repos"), query, &public)
        }
        ["repositories", id] => {
            let mut visible = state.repositories.iter().filter(|repository| token.sees(repository));
            visible
                .find(|repository| repository.id.to_string() == id)
                .map_or_else(not_found, |found| ok(state, token, found.json()))
        }
        ["repos", owner, name, ref rest @ ..] => {
            let full_name = format!("{owner}/{name}");
            if let Some(moved) = state.by_former_name(&full_name).filter(|repository| token.sees(repository)) {
                return message(state, Some(token), 301, "Moved Permanently")
                    .header("location", &format!("{base}/repositories/{}", moved.id));
            }
            let Some(found) = state.by_name(&full_name).filter(|repository| token.sees(repository)) else {
                return not_found();
            };
            match rest {
                [] => ok(state, token, found.json()),
                ["branches"] if !token.contents => {
                    message(state, Some(token), 403, "Resource not accessible by personal access token")
                        .header("x-accepted-github-permissions", "contents=read")
                }
                ["branches"] => ok(state, token, json!([])),
                _ => not_found(),
            }
        }
        _ => not_found(),
    }
}

fn sso(state: &State, token: &Token, login: &str) -> Reply {
    let link = format!("required; url=https://github.com/orgs/{login}/sso?authorization_request=A1");
    message(state, Some(token), 403, "Resource protected by organization SAML enforcement.")
        .header("x-github-sso", &link)
}

fn page(state: &State, token: &Token, link: &str, query: &str, all: &[&Repository]) -> Reply {
    let number = |name: &str, default: usize| {
        let mut fields = url::form_urlencoded::parse(query.as_bytes());
        fields.find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
    };
    let (page, size) = (number("page", 1).max(1), number("per_page", 30).min(100));
    let shown: Vec<Value> = all.iter().skip((page - 1) * size).take(size).map(|repository| repository.json()).collect();
    let reply = ok(state, token, Value::Array(shown));
    let last = all.len().div_ceil(size).max(1);
    if last == 1 {
        return reply;
    }
    let to = |page: usize, relation: &str| format!("<{link}?per_page={size}&type=all&page={page}>; rel=\"{relation}\"");
    let mut links = vec![];
    if page > 1 {
        links.extend([to(page - 1, "prev"), to(1, "first")]);
    }
    if page < last {
        links.extend([to(page + 1, "next"), to(last, "last")]);
    }
    reply.header("link", &links.join(", "))
}

fn ok(state: &State, token: &Token, body: Value) -> Reply {
    Reply { builder: builder(state, Some(token), 200), body }
}

fn message(state: &State, token: Option<&Token>, status: u16, text: &str) -> Reply {
    let body =
        json!({ "message": text, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
    Reply { builder: builder(state, token, status), body }
}

/// The headers that come with every answer.
fn builder(state: &State, token: Option<&Token>, status: u16) -> HttpResponseBuilder {
    let mut builder = HttpResponse::build(StatusCode::from_u16(status).unwrap());
    builder.insert_header(("x-github-request-id", "0000:0001"));
    builder.insert_header(("x-github-api-version-selected", "2022-11-28"));
    if let Some(version) = &state.version {
        builder.insert_header(("x-github-enterprise-version", format!("enterprise-server@{version}")));
    }
    if let Some(remaining) = state.remaining {
        builder.insert_header(("x-ratelimit-limit", "5000"));
        builder.insert_header(("x-ratelimit-remaining", remaining.to_string()));
        builder.insert_header(("x-ratelimit-used", 5000_u64.saturating_sub(remaining).to_string()));
        builder.insert_header(("x-ratelimit-reset", (Utc::now().timestamp() + RESET_AFTER).to_string()));
        builder.insert_header(("x-ratelimit-resource", "core"));
    }
    if let Some(scopes) = token.and_then(|token| token.scopes.as_deref()) {
        builder.insert_header(("x-oauth-scopes", scopes));
        builder.insert_header(("x-accepted-oauth-scopes", ""));
    }
    if let Some(expires) = token.and_then(|token| token.expires.as_deref()) {
        builder.insert_header(("github-authentication-token-expiration", expires));
    }
    builder
}

pub fn play(fault: &Fault) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(fault.status).unwrap());
    for (name, value) in &fault.headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    response.body(fault.body.clone())
}

pub fn note(request: &HttpRequest) -> Seen {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Seen { path: request.uri().to_string(), headers: headers.collect() }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("token "))
}
