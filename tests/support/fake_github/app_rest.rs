//! The part of the REST API that an App speaks: `/app…`, and which installation is where.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use url::Url;

use super::FakeGithub;
use super::apps::{App, Installation};
use super::deliveries;
use super::installations::covered;
use super::reply::{Call, Reply, answer, done, message, not_found, ok, page};
use super::state::State;
use super::tokens::{Grant, Permissions, Token, rank};

/// The most repositories that a token can be narrowed to.
const MAX_REPOSITORIES: usize = 500;

/// Is it for Apps that prove themselves by an assertion?
pub fn is_for_apps(segments: &[&str]) -> bool {
    matches!(
        segments,
        ["app", ..] | ["orgs" | "users" | "repositories", _, "installation"] | ["repos", _, _, "installation"]
    )
}

pub fn route(github: &FakeGithub, call: &Call, segments: &[&str]) -> Reply {
    let authenticated = github.state().speaking_as(call);
    let app = match authenticated {
        Ok(app) => app,
        Err(refusal) => return refusal,
    };
    if let ["app", "hook", "deliveries", below @ ..] = segments {
        return deliveries::route(github, app, call, below);
    }
    if let ["app", "installations", id, rest @ ..] = segments {
        let Some(id) = installation_of(&github.state(), app, id) else { return not_found() };
        return installation(github, call, app, id, rest);
    }
    let mut state = github.state();
    match (call.method, segments) {
        ("GET", ["app"]) => ok(state.app_json(state.apps.app(app).expect("it was authenticated"))),
        ("GET", ["app", "installations"]) => installations(&state, app, call),
        ("GET", ["app", "installation-requests"]) => requests(&state, app, call),
        ("GET", ["app", "hook", "config"]) => ok(hook_json(state.apps.app_mut(app))),
        ("PATCH", ["app", "hook", "config"]) => configure_hook(state.apps.app_mut(app), &call.body),
        ("GET", [kind @ ("orgs" | "users"), login, _]) => match state.account(login) {
            Some((name, account)) if account.organization == (*kind == "orgs") => on_account(&state, app, name),
            _ => not_found(),
        },
        ("GET", ["repositories", id, _]) => of_repository(&state, app, id.parse().ok()),
        ("GET", ["repos", owner, name, _]) => on_repository(&state, app, &format!("{owner}/{name}")),
        _ => not_found(),
    }
}

fn installation_of(state: &State, app: u64, id: &str) -> Option<u64> {
    let id = id.parse().ok()?;
    state.apps.installation(id).filter(|found| found.app == app).map(|found| found.id)
}

fn installation(github: &FakeGithub, call: &Call, app: u64, id: u64, rest: &[&str]) -> Reply {
    match (call.method, rest) {
        ("GET", []) => {
            let state = github.state();
            ok(state.installation_json(state.apps.installation(id).expect("it was just found")))
        }
        ("DELETE", []) => {
            github.uninstall(id);
            done()
        }
        ("PUT", ["suspended"]) => {
            let owner = github.state().apps.app(app).expect("it was authenticated").owner.clone();
            github.suspend_as(id, &owner);
            done()
        }
        ("DELETE", ["suspended"]) => {
            github.unsuspend(id);
            done()
        }
        ("POST", ["access_tokens"]) => mint(&mut github.state(), app, id, call).unwrap_or_else(|refusal| refusal),
        _ => not_found(),
    }
}

fn installations(state: &State, app: u64, call: &Call) -> Reply {
    let since = call.query("since").and_then(|since| since.parse::<DateTime<Utc>>().ok());
    let asked =
        call.query("outdated").is_some().then(|| &state.apps.app(app).expect("it was authenticated").permissions);
    let changed = |found: &&Installation| {
        found.app == app
            && since.is_none_or(|since| found.updated_at >= since)
            && asked.is_none_or(|asked| found.permissions != *asked)
    };
    let all: Vec<&Installation> = state.apps.installations.iter().filter(changed).collect();
    let address = format!("{}/api/v3/app/installations", state.host);
    let (shown, links) = page(call, &address, &all, |found| state.installation_json(found));
    ok(shown.into()).linked(links)
}

fn requests(state: &State, app: u64, call: &Call) -> Reply {
    let all: Vec<_> = state.apps.requests.iter().filter(|request| request.app == app).collect();
    let (shown, links) = page(call, &format!("{}/api/v3/app/installation-requests", state.host), &all, |request| {
        json!({
            "id": request.id,
            "node_id": format!("Q_{}", request.id),
            "account": state.account_json(&request.account),
            "requester": state.account_json(&request.requester),
            "created_at": request.created_at,
        })
    });
    ok(shown.into()).linked(links)
}

fn on_account(state: &State, app: u64, login: &str) -> Reply {
    let mut installations = state.apps.installations.iter();
    let found = installations.find(|found| found.app == app && found.account == login);
    found.map_or_else(not_found, |found| ok(state.installation_json(found)))
}

fn on_repository(state: &State, app: u64, full_name: &str) -> Reply {
    if let Some(moved) = state.by_former_name(full_name) {
        let location = format!("{}/api/v3/repositories/{}/installation", state.host, moved.id);
        return message(301, "Moved Permanently").header("location", &location);
    }
    of_repository(state, app, state.by_name(full_name).map(|repository| repository.id))
}

fn of_repository(state: &State, app: u64, id: Option<u64>) -> Reply {
    let mut installations = state.apps.installations.iter();
    let found =
        installations.find(|found| found.app == app && id.is_some_and(|id| covered(state, found).contains(&id)));
    found.map_or_else(not_found, |found| ok(state.installation_json(found)))
}

fn hook_json(app: &App) -> Value {
    json!({
        "content_type": if app.hook.form { "form" } else { "json" },
        "insecure_ssl": "0",
        "secret": app.hook.secret.as_ref().map(|_| "********"),
        "url": app.hook.url,
    })
}

fn configure_hook(app: &mut App, body: &Value) -> Reply {
    if let Some(url) = body["url"].as_str() {
        match url.parse::<Url>() {
            Ok(url) => app.hook.url = Some(url),
            Err(_) => return message(422, "Validation Failed"),
        }
    }
    if let Some(secret) = body["secret"].as_str() {
        app.hook.secret = Some(secret.to_owned());
    }
    if let Some(kind) = body["content_type"].as_str() {
        app.hook.form = kind == "form";
    }
    ok(hook_json(app))
}

fn mint(state: &mut State, app: u64, id: u64, call: &Call) -> Result<Reply, Reply> {
    let installation = state.apps.installation(id).expect("it was just found");
    if installation.suspended.is_some() {
        return Err(message(403, "This installation has been suspended"));
    }
    let permissions = narrowed(&installation.permissions, &call.body["permissions"])?;
    let repositories = chosen(state, installation, &call.body)?;
    let account = installation.account.clone();
    let selected = repositories.is_some() || installation.chosen.is_some();
    let expires_at = state.now() + state.apps.token_life;
    let named: Vec<Value> = {
        let given = state.repositories.iter().filter(|found| repositories.iter().flatten().any(|id| *id == found.id));
        given.map(|repository| state.repository_json(repository)).collect()
    };
    let grant = Grant {
        installation: id,
        repositories: repositories.clone(),
        permissions: permissions.clone(),
        expires_at,
        unknown_for: state.apps.replica_lag,
    };
    let bot = format!("{}[bot]", state.apps.app(app).expect("it was authenticated").slug);
    let token = Token { grant: Some(grant), ..Token::fine_grained(&bot, &account) };
    let classic = call.header("x-github-stateless-s2s-token") == Some("disabled");
    let number = state.number();
    let text = if classic { format!("ghs_{number:0>36}") } else { format!("ghs_{app}_{}", opaque(number)) };
    state.tokens.insert(text.clone(), token);
    let mut body = json!({
        "token": text,
        "expires_at": expires_at,
        "permissions": permissions,
        "repository_selection": if selected { "selected" } else { "all" },
    });
    if repositories.is_some() {
        body["repositories"] = named.into();
    }
    Ok(answer(201, body))
}

/// Looks like a JSON web token and is as long as GitHub's.
fn opaque(number: u64) -> String {
    format!("{:e>36}.{number:A>400}.{:s<76}", "eyJhbGciOiJSUzI1NiJ9", "")
}

/// What was asked for, if the installation has it.
fn narrowed(granted: &Permissions, wanted: &Value) -> Result<Permissions, Reply> {
    let Some(wanted) = wanted.as_object() else { return Ok(granted.clone()) };
    let mut given = Permissions::new();
    for (name, level) in wanted {
        let level = level.as_str().unwrap_or_default();
        if granted.get(name).is_none_or(|granted| rank(granted) < rank(level)) {
            return Err(message(422, "The permissions requested are not granted to this installation."));
        }
        given.insert(name.clone(), level.to_owned());
    }
    // Whatever is asked for, this comes with it.
    given.entry("metadata".to_owned()).or_insert_with(|| "read".to_owned());
    Ok(given)
}

fn chosen(state: &State, installation: &Installation, body: &Value) -> Result<Option<Vec<u64>>, Reply> {
    let missing = || {
        message(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    };
    let listed = |field: &str| body[field].as_array().cloned();
    let wanted = match (listed("repository_ids"), listed("repositories")) {
        (None, None) => return Ok(None),
        (ids, names) => ids.into_iter().chain(names).flatten().collect::<Vec<Value>>(),
    };
    if wanted.is_empty() || wanted.len() > MAX_REPOSITORIES {
        return Err(message(422, "The number of repositories must be between 1 and 500."));
    }
    let covered = covered(state, installation);
    let find = |wanted: &Value| {
        let mut within = state.repositories.iter().filter(|repository| covered.contains(&repository.id));
        within.find(|found| wanted == &json!(found.id) || wanted.as_str() == Some(&found.name)).map(|found| found.id)
    };
    wanted.iter().map(find).collect::<Option<Vec<u64>>>().ok_or_else(missing).map(Some)
}
