//! Registering Apps from a manifest, and installing them from their link: GitHub's pages, and the person at the browser.

use std::collections::HashMap;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use url::Url;

use super::FakeGithub;
use super::apps::App;
use super::installations::Covers;
use super::keys;
use super::reply::{Reply, answer, message, not_found};
use super::state::State;
use super::tokens::rank;

/// The longest name of an App.
const MAX_NAME: usize = 34;

/// How long a code is good.
const CODE_LIFE: TimeDelta = TimeDelta::hours(1);

/// Permissions, and the events that Apps with them may be told of.
const PERMISSIONS: &[(&str, &[&str])] = &[
    ("metadata", &["repository", "public", "label", "fork", "star", "watch"]),
    ("contents", &["push", "create", "delete", "release", "commit_comment", "gollum", "repository_dispatch"]),
    ("issues", &["issues", "issue_comment", "milestone", "sub_issues", "issue_dependencies"]),
    (
        "pull_requests",
        &[
            "pull_request",
            "pull_request_review",
            "pull_request_review_comment",
            "pull_request_review_thread",
            "milestone",
        ],
    ),
    ("discussions", &["discussion", "discussion_comment"]),
    (
        "administration",
        &["branch_protection_rule", "branch_protection_configuration", "repository_ruleset", "security_and_analysis"],
    ),
    ("members", &["member", "membership", "team", "team_add", "organization"]),
    ("deployments", &["deploy_key", "deployment", "deployment_status"]),
    ("pages", &["page_build"]),
    ("organization_custom_properties", &["custom_property", "custom_property_values"]),
    ("repository_custom_properties", &["custom_property_values"]),
    ("actions", &["workflow_run", "workflow_job", "workflow_dispatch"]),
    ("checks", &["check_run", "check_suite"]),
    ("statuses", &["status"]),
    ("workflows", &[]),
    ("environments", &[]),
    ("secrets", &[]),
    ("repository_hooks", &["meta"]),
    ("organization_administration", &["repository_ruleset"]),
    ("organization_hooks", &["meta"]),
    ("organization_projects", &[]),
    ("vulnerability_alerts", &[]),
    ("security_events", &[]),
    ("secret_scanning_alerts", &[]),
];

/// Confirmed manifests that were not yet converted, by code.
#[derive(Default)]
pub struct Manifests {
    waiting: HashMap<String, Waiting>,
}

struct Waiting {
    manifest: Value,
    owner: String,
    since: DateTime<Utc>,
}

pub fn configure(github: &FakeGithub) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let (on_post, on_get) = (github.clone(), github.clone());
    let register = move |request: HttpRequest, body: Bytes| std::future::ready(register(&on_post, &request, &body));
    let install = move |request: HttpRequest| std::future::ready(install(&on_get, &request));
    move |app| {
        app.route("/settings/apps/new", web::post().to(register.clone()))
            .route("/organizations/{org}/settings/apps/new", web::post().to(register))
            .route("/github-apps/{slug}/installations/new", web::get().to(install));
    }
}

/// The form arrives, and the person at the browser confirms it without changes.
fn register(github: &FakeGithub, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    let place = github.note(request, Value::Null);
    let field = |text: &[u8], name: &str| {
        url::form_urlencoded::parse(text).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let mut state = github.state();
    let owner = request.match_info().get("org").unwrap_or(&state.apps.signed_in).to_owned();
    let manifest = field(body, "manifest").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let response = match state.account(&owner).is_some().then(|| troubles(&state, &manifest)) {
        None => HttpResponse::NotFound().body("<!DOCTYPE html><title>Page not found</title>"),
        Some(Err(why)) => {
            let page = format!("<!DOCTYPE html><title>GitHub</title><p>Invalid GitHub App configuration: {why}</p>");
            HttpResponse::UnprocessableEntity().content_type("text/html; charset=utf-8").body(page)
        }
        Some(Ok(mut back)) => {
            let code = format!("{:x>40}", state.number());
            back.query_pairs_mut().append_pair("code", &code);
            if let Some(given) = field(request.query_string().as_bytes(), "state") {
                back.query_pairs_mut().append_pair("state", &given);
            }
            let since = state.now();
            state.manifests.waiting.insert(code, Waiting { manifest, owner, since });
            found(&back)
        }
    };
    drop(state);
    github.noted(place, response.status());
    response
}

/// Where the browser goes back to, or what is wrong with the manifest.
fn troubles(state: &State, manifest: &Value) -> Result<Url, String> {
    let address = |value: &Value, name: &str| {
        let text = value.as_str().ok_or(format!("{name} is missing"))?;
        text.parse::<Url>().map_err(|error| format!("{name}: {error}"))
    };
    let name = manifest["name"].as_str().unwrap_or_default();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(format!("name must have 1 to {MAX_NAME} characters"));
    }
    if state.apps.registered.iter().any(|app| app.name.eq_ignore_ascii_case(name)) {
        return Err("name is already taken".to_owned());
    }
    address(&manifest["url"], "url")?;
    address(&manifest["hook_attributes"]["url"], "hook_attributes.url")?;
    let granted = manifest["default_permissions"].as_object().cloned().unwrap_or_default();
    for (name, level) in &granted {
        if PERMISSIONS.iter().all(|(known, _)| known != name) || rank(level.as_str().unwrap_or_default()) == 0 {
            return Err(format!("default_permissions: {name} is not a permission, or {level} not a level"));
        }
    }
    for event in manifest["default_events"].as_array().into_iter().flatten() {
        let event = event.as_str().unwrap_or_default();
        let mut opening = PERMISSIONS.iter().filter(|(_, events)| events.contains(&event)).peekable();
        if opening.peek().is_none() {
            return Err(format!("default_events: {event} is not an event of Apps"));
        }
        if !opening.any(|(permission, _)| granted.contains_key(*permission)) {
            return Err(format!("default_events: {event} needs a permission that is not asked for"));
        }
    }
    address(&manifest["redirect_url"], "redirect_url")
}

/// `POST /app-manifests/{code}/conversions`: once, within the hour, by whoever has the code.
pub fn convert(github: &FakeGithub, code: &str) -> Reply {
    let mut state = github.state();
    let Some(Waiting { manifest, owner, since }) = state.manifests.waiting.remove(code) else { return not_found() };
    if state.now() - since > CODE_LIFE {
        return not_found();
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let app = state.register(&owner, manifest["name"].as_str().unwrap_or_default());
    app.homepage = text(&manifest["url"]).unwrap_or_default();
    app.description = text(&manifest["description"]);
    app.setup_url = text(&manifest["setup_url"]);
    app.setup_on_update = manifest["setup_on_update"] == true;
    app.permissions = serde_json::from_value(manifest["default_permissions"].clone()).unwrap_or_default();
    app.permissions.entry("metadata".to_owned()).or_insert_with(|| "read".to_owned());
    app.events = serde_json::from_value(manifest["default_events"].clone()).unwrap_or_default();
    let active = manifest["hook_attributes"]["active"] != false;
    app.hook.url = text(&manifest["hook_attributes"]["url"]).filter(|_| active).and_then(|url| url.parse().ok());
    let (id, client_id, secret, key) = (app.id, app.client_id.clone(), app.hook.secret.clone(), app.keys[0]);
    let Some(app) = state.apps.app(id) else { return message(500, "the App is gone") };
    let mut body = state.app_json(app);
    body["client_id"] = client_id.into();
    body["client_secret"] = format!("{id:0>40}").into();
    body["webhook_secret"] = json!(secret);
    body["pem"] = keys::pair(key).private_pem.as_str().into();
    let ping = ping(app);
    github.send_to_app(&mut state, id, "ping", ping);
    answer(201, body)
}

/// The first thing that a hook hears.
fn ping(app: &App) -> Value {
    let config = json!({ "content_type": "json", "insecure_ssl": "0", "secret": "********", "url": app.hook.url });
    json!({
        "zen": "Keep it logically awesome.",
        "hook_id": app.hook.id,
        "hook": {
            "type": "App",
            "id": app.hook.id,
            "name": "web",
            "active": true,
            "events": app.events,
            "config": config,
            "app_id": app.id,
            "created_at": app.created_at,
            "updated_at": app.created_at,
        },
    })
}

/// Whoever opens the link installs the App on its owner's account, or on that with the number `target_id`.
fn install(github: &FakeGithub, request: &HttpRequest) -> HttpResponse {
    let place = github.note(request, Value::Null);
    let field = |name: &str| {
        let mut fields = url::form_urlencoded::parse(request.query_string().as_bytes());
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let slug = request.match_info()["slug"].to_owned();
    let account = {
        let state = github.state();
        let owner = state.apps.by_slug(&slug).map(|app| app.owner.clone());
        let target = field("target_id").and_then(|id| id.parse().ok());
        target.and_then(|id| state.account_by_id(id)).map(|(login, _)| login.to_owned()).or(owner)
    };
    let response = match account {
        None => HttpResponse::NotFound().body("<!DOCTYPE html><title>Page not found</title>"),
        Some(account) => match github.install(&slug, &account, Covers::All, field("state").as_deref()).redirect {
            Some(redirect) => found(&redirect),
            None => HttpResponse::Ok().body("<!DOCTYPE html><title>Installed GitHub App</title>"),
        },
    };
    github.noted(place, response.status());
    response
}

fn found(target: &Url) -> HttpResponse {
    HttpResponse::Found().insert_header((header::LOCATION, target.as_str())).finish()
}
