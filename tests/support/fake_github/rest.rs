//! The REST API, below `/api/v3`.

use actix_web::HttpResponse;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::FakeGithub;
use super::app_rest;
use super::limits;
use super::manifests;
use super::openapi;
use super::reply::{Call, Reply, done, message, not_found, ok, page, play};
use super::rights;
use super::state::{Repository, State};
use super::tokens::Token;

pub fn respond(github: &FakeGithub, call: &Call) -> HttpResponse {
    let enterprise = github.state().version.is_some();
    let described = openapi::description(enterprise);
    if let Some(Err(why)) = described.map(|described| described.check_request(call)) {
        github.state().violations.push(why);
    }
    let fault = github.state().api_faults.pop_front();
    if let Some(fault) = fault {
        return play(&fault);
    }
    let reply = decide(github, call);
    let mut state = github.state();
    if let Some(Err(why)) = described.map(|described| described.check_answer(call.method, call.path, &reply)) {
        state.violations.push(why);
    }
    reply.finish(&state)
}

fn decide(github: &FakeGithub, call: &Call) -> Reply {
    if github.state().forgotten.iter().any(|forgotten| forgotten == call.path) {
        return not_found();
    }
    let segments: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    if let ("POST", ["app-manifests", code, "conversions"]) = (call.method, &segments[..]) {
        return manifests::convert(github, code);
    }
    if app_rest::is_for_apps(&segments) {
        return app_rest::route(github, call, &segments);
    }
    let mut state = github.state();
    let Some(token) = call.bearer().and_then(|text| state.present(text)) else {
        return message(401, "Bad credentials");
    };
    let points = if call.method == "GET" { 1 } else { 5 };
    if let Some(refusal) = state.too_fast(&token, points) {
        return refusal;
    }
    if call.path == "/rate_limit" {
        return limits::rate_limit(&mut state, &token);
    }
    let reply = if state.left(&token, "core").is_some_and(|left| left.remaining == 0) {
        state.exceeded(&token)
    } else {
        let reply = route(&mut state, &token, call, &segments);
        let reply = conditional(call, reply);
        if reply.status != 304 {
            state.charge(&token, "core", 1);
        }
        reply
    };
    told_of_the_token(&mut state, &token, reply)
}

/// Whoever has the same answer already gets it no second time. Only with the same token: the mark is bound to it.
fn conditional(call: &Call, reply: Reply) -> Reply {
    let Some(body) = reply.body.as_ref().filter(|_| call.method == "GET" && reply.status == 200) else { return reply };
    let marked = Sha256::new().chain_update(call.header("authorization").unwrap_or_default());
    let mark = format!("\"{}\"", hex::encode(marked.chain_update(body.to_string()).finalize()));
    let known = call.header("if-none-match").map(|known| known.trim_start_matches("W/"));
    if known == Some(&mark) {
        return Reply { status: 304, headers: vec![("etag".to_owned(), mark)], body: None };
    }
    reply.header("etag", &mark)
}

/// What an answer says of the token that asked.
fn told_of_the_token(state: &mut State, token: &Token, mut reply: Reply) -> Reply {
    if let Some(left) = state.left(token, "core") {
        reply = left.tell(reply);
    }
    if let Some(scopes) = &token.scopes {
        reply = reply.header("x-oauth-scopes", scopes).header("x-accepted-oauth-scopes", "");
    }
    if let Some(expires) = &token.expires {
        reply = reply.header("github-authentication-token-expiration", expires);
    }
    reply
}

fn route(state: &mut State, token: &Token, call: &Call, segments: &[&str]) -> Reply {
    if let ("DELETE", ["installation", "token"]) = (call.method, segments) {
        let text = call.bearer().expect("it was authenticated").to_owned();
        return if state.tokens.remove(&text).is_some() { done() } else { not_found() };
    }
    if call.method != "GET" {
        return not_found();
    }
    let (state, base) = (&*state, format!("{}/api/v3", state.host));
    let of_owner = |login: &str| -> Vec<&Repository> {
        let mine = state.repositories.iter().filter(|repository| repository.owner.eq_ignore_ascii_case(login));
        mine.filter(|repository| token.sees(repository)).collect()
    };
    let list = |address: &str, all: &[&Repository]| {
        let (shown, links) = page(call, address, all, |repository| state.repository_json(repository));
        ok(shown.into()).linked(links)
    };
    match *segments {
        ["meta"] => ok(json!({ "verifiable_password_authentication": true, "installed_version": state.version })),
        ["user", id] if id.parse::<u64>().is_ok() => {
            let found = id.parse().ok().and_then(|id| state.account_by_id(id));
            found.map_or_else(not_found, |(login, _)| ok(user_json(state, login)))
        }
        ["user", ..] if token.grant.is_some() => forbidden(token, ""),
        ["user"] => ok(user_json(state, &token.user)),
        ["users", login] => state.account(login).map_or_else(not_found, |(name, _)| ok(user_json(state, name))),
        ["user", "repos"] => {
            let reply = list(&format!("{base}/user/repos"), &of_owner(&token.user));
            if token.sso_hides.is_empty() { reply } else { reply.header("x-github-sso", &partial(state, token)) }
        }
        ["installation", "repositories"] => installation_repositories(state, token, call),
        ["orgs", login, "repos"] => match state.account(login).filter(|(_, account)| account.organization) {
            Some((name, _)) if token.sso_required || token.sso_hides.iter().any(|hidden| hidden == name) => sso(login),
            // The links of later pages name the organization by its number.
            Some((name, account)) => list(&format!("{base}/organizations/{}/repos", account.id), &of_owner(name)),
            None => not_found(),
        },
        ["organizations", id, "repos"] => match id.parse().ok().and_then(|id| state.account_by_id(id)) {
            Some((name, _)) => list(&format!("{base}/organizations/{id}/repos"), &of_owner(name)),
            None => not_found(),
        },
        ["users", login, "repos"] => match state.account(login).filter(|(_, account)| !account.organization) {
            None => not_found(),
            Some((name, _)) => {
                let public: Vec<&Repository> =
                    of_owner(name).into_iter().filter(|repository| !repository.private).collect();
                list(&format!("{base}/users/{login}/repos"), &public)
            }
        },
        ["repositories", id, ref rest @ ..] => {
            let found = id.parse().ok().and_then(|id| state.repository(id));
            found.map_or_else(not_found, |found| repository(state, token, &found.full_name(), rest))
        }
        ["repos", owner, name, ref rest @ ..] => repository(state, token, &format!("{owner}/{name}"), rest),
        _ => not_found(),
    }
}

fn repository(state: &State, token: &Token, full_name: &str, rest: &[&str]) -> Reply {
    if let Some(moved) = state.by_former_name(full_name).filter(|repository| token.sees(repository)) {
        let below: String = rest.iter().map(|part| format!("/{part}")).collect();
        let location = format!("{}/api/v3/repositories/{}{below}", state.host, moved.id);
        let mut reply = message(301, "Moved Permanently").header("location", &location);
        reply.body = Some(json!({ "message": "Moved Permanently", "url": location }));
        return reply;
    }
    let Some(found) = state.by_name(full_name).filter(|repository| token.sees(repository)) else {
        return not_found();
    };
    match rest {
        _ if token.sso_required && found.private => sso(&found.owner),
        [] => ok(state.full_repository_json(found)),
        ["branches"] if !token.may("contents", "read") => forbidden(token, "contents=read"),
        ["branches"] => ok(json!([])),
        ["collaborators", login, "permission"] => rights::permission(state, token, found, login),
        _ => not_found(),
    }
}

fn installation_repositories(state: &State, token: &Token, call: &Call) -> Reply {
    let Some(grant) = &token.grant else {
        return message(403, "You must authenticate with an installation access token in order to list repositories.");
    };
    let all: Vec<&Repository> = state.repositories.iter().filter(|repository| token.is_for(repository)).collect();
    let address = format!("{}/api/v3/installation/repositories", state.host);
    let (shown, links) = page(call, &address, &all, |repository| state.repository_json(repository));
    let selection = if grant.repositories.is_some() { "selected" } else { "all" };
    let body = json!({ "total_count": all.len(), "repository_selection": selection, "repositories": shown });
    ok(body).linked(links)
}

fn user_json(state: &State, login: &str) -> Value {
    let mut json = state.account_json(login);
    for unknown in ["name", "company", "blog", "location", "email", "hireable", "bio"] {
        json[unknown] = Value::Null;
    }
    for count in ["public_repos", "public_gists", "followers", "following"] {
        json[count] = 0.into();
    }
    json["created_at"] = "2020-01-01T00:00:00Z".into();
    json["updated_at"] = "2020-01-01T00:00:00Z".into();
    json
}

/// The token is good, but not for this. `needed` says what it would take.
fn forbidden(token: &Token, needed: &str) -> Reply {
    let kind = if token.grant.is_some() { "integration" } else { "personal access token" };
    let reply = message(403, &format!("Resource not accessible by {kind}"));
    if needed.is_empty() { reply } else { reply.header("x-accepted-github-permissions", needed) }
}

/// The organization wants the token authorized first.
fn sso(login: &str) -> Reply {
    let link = format!("required; url=https://github.com/orgs/{login}/sso?authorization_request=A1");
    message(403, "Resource protected by organization SAML enforcement.").header("x-github-sso", &link)
}

/// Some organizations were left out of the answer.
fn partial(state: &State, token: &Token) -> String {
    let hidden = token.sso_hides.iter().filter_map(|login| state.account(login));
    let ids: Vec<String> = hidden.map(|(_, account)| account.id.to_string()).collect();
    format!("partial-results; organizations={}", ids.join(","))
}
