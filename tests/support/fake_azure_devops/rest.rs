//! The API: who calls, whether that is allowed, and which part answers.

use actix_web::HttpRequest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::FakeAzureDevops;
use super::errors;
use super::reply::{self, Body, Call, Reply, list, ok};
use super::sign_in::Caller;
use super::state::{Kind, State};
use super::{hooks, openapi, people, projects, repositories, security};

/// Resources that stayed previews: whoever calls them must say that it knows.
const PREVIEWS: &[&str] = &["connectiondata", "resourceareas"];

/// What `OPTIONS _apis` tells of.
const RESOURCES: &[(&str, &str, &str)] = &[
    ("core", "projects", "_apis/{resource}/{*projectId}"),
    ("git", "repositories", "{project}/_apis/{area}/{resource}/{repositoryId}"),
    ("git", "refs", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{*filter}"),
    ("git", "pushes", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pushId}"),
    ("git", "pullRequests", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pullRequestId}"),
    ("hooks", "subscriptions", "_apis/{area}/{resource}/{subscriptionId}"),
    ("hooks", "publishers", "_apis/{area}/{resource}/{publisherId}"),
    ("wit", "fields", "{project}/_apis/{area}/{resource}/{fieldNameOrRefName}"),
    ("build", "definitions", "{project}/_apis/{area}/{resource}/{definitionId}"),
    ("wiki", "wikis", "{project}/_apis/{area}/{resource}/{wikiIdentifier}"),
];

/// Which scopes open which part; one of them is enough.
fn scopes(call: &Call, rest: &[&str]) -> &'static [&'static str] {
    let reads = call.method == "GET";
    match rest {
        ["projects", ..] if reads => &["vso.project", "vso.profile"],
        ["projects"] | ["projects", _] if call.method != "PATCH" => &["vso.project_manage"],
        ["projects", ..] => &["vso.project_write"],
        ["git", "repositories", _, "refs" | "pushes" | "pullrequests", ..] if !reads => &["vso.code_write"],
        ["git", ..] if reads => &["vso.code"],
        ["git", ..] => &["vso.code_manage"],
        ["hooks", ..] => &["vso.hooks_write"],
        ["wit", ..] => &["vso.work"],
        ["build", ..] => &["vso.build"],
        ["wiki", ..] => &["vso.wiki"],
        ["identities", ..] => &["vso.identity"],
        ["graph", ..] => &["vso.graph"],
        _ => &[],
    }
}

/// Answers a request.
pub async fn respond(azure: &FakeAzureDevops, request: &HttpRequest, body: &[u8]) -> Reply {
    let place = azure.note(request, serde_json::from_slice(body).unwrap_or_default());
    let reply = match Call::new(request, body) {
        Some(call) => answered(azure, &call).await,
        None => plain(404, "The page cannot be found."),
    };
    azure.noted(place, actix_web::http::StatusCode::from_u16(reply.status).unwrap());
    reply
}

/// What is no part of the API has its errors in HTML.
fn plain(status: u16, text: &str) -> Reply {
    let page = format!("<!DOCTYPE html><title>{text}</title>");
    Reply { status, headers: vec![], body: Body::Html(page) }.header("x-tfs-serviceerror", &text.replace(' ', "%20"))
}

async fn answered(azure: &FakeAzureDevops, call: &Call) -> Reply {
    let rest: Vec<&str> = call.rest.iter().map(String::as_str).collect();
    let caller = match admitted(azure, call, &rest) {
        Ok(caller) => caller,
        Err(refusal) => return refusal,
    };
    let described = openapi::operation(call).and_then(|described| {
        described.as_ref().map_or(Ok(()), |described| described.check_request(call)).map(|()| described)
    });
    let described = described.unwrap_or_else(|why| {
        azure.violated(why);
        None
    });
    let reply = route(azure, &caller, call, &rest).await.unwrap_or_else(|| {
        azure.violated(format!("{} {}: the double does not know this call", call.method, call.path));
        errors::no_such_call(&call.path, &call.method)
    });
    if let Some(Err(why)) = described.map(|described| described.check_answer(call, &reply)) {
        azure.violated(format!("the double's own answer: {why}"));
    }
    azure.state().admitted(&caller, reply)
}

/// Who calls, if that is allowed.
fn admitted(azure: &FakeAzureDevops, call: &Call, rest: &[&str]) -> Result<Caller, Reply> {
    let mut state = azure.state();
    let state = &mut *state;
    if let Some(fault) = state.api_faults.pop_front() {
        return Err(reply::played(&fault));
    }
    let what = format!("{} {}", call.method, call.path);
    if state.organization(&call.org).is_none() {
        return Err(plain(404, "The resource cannot be found."));
    }
    if state.stopped {
        return Err(errors::stopped(&call.org));
    }
    let suppress = call.header("x-tfs-fedauthredirect").is_some_and(|value| value.eq_ignore_ascii_case("suppress"));
    let Some(caller) = state.caller(&call.org, call.header("authorization")) else {
        return Err(state.sign_in_first(&call.org, &call.method, suppress));
    };
    if let Some(refusal) = state.admit(&caller, &what) {
        return Err(refusal);
    }
    if call.method != "OPTIONS" {
        version(state, call, rest)?;
    }
    let needed = scopes(call, rest);
    if !needed.is_empty() && !needed.iter().any(|scope| caller.holds(scope)) {
        return Err(errors::unauthorized(&caller.person.to_string()));
    }
    Ok(caller)
}

/// The version must be there, not too new, and say that it knows of previews.
fn version(state: &mut State, call: &Call, rest: &[&str]) -> Result<(), Reply> {
    let refusal = match call.api_version() {
        None => errors::no_version(&call.method),
        Some(asked) => {
            let (number, preview) = asked.split_once('-').map_or((asked, None), |(number, rest)| (number, Some(rest)));
            let is_preview = rest.first().is_some_and(|first| PREVIEWS.contains(first));
            match number.parse::<f32>() {
                Ok(known) if known > state.kind.newest().parse::<f32>().unwrap() => {
                    // How a client finds out; no rule is broken.
                    return Err(errors::version_out_of_range(asked, state.kind.newest()));
                }
                Ok(_) if is_preview && preview.is_none() => errors::preview(asked),
                Ok(_) => return Ok(()),
                Err(_) => errors::bad_argument(&format!("The api-version {asked} cannot be read.")),
            }
        }
    };
    let message = refusal.json().map(|body| body["message"].to_string()).unwrap_or_default();
    state.violations.push(format!("{} {}: {message}", call.method, call.path));
    Err(refusal)
}

async fn route(azure: &FakeAzureDevops, caller: &Caller, call: &Call, rest: &[&str]) -> Option<Reply> {
    let project = match &call.project {
        None => None,
        Some(named) => {
            let state = azure.state();
            let found = state.org(&caller.org).project(named).filter(|project| project.state == "wellFormed");
            match found {
                Some(project) => Some(project.id),
                None => return Some(errors::no_project(named)),
            }
        }
    };
    match rest {
        [] if call.method == "OPTIONS" => Some(resources(&azure.state())),
        ["connectiondata"] => Some(connection_data(&azure.state(), caller)),
        ["resourceareas"] => Some(resource_areas(&azure.state(), caller)),
        ["projects" | "operations", ..] => projects::respond(azure, caller, call, rest).await,
        ["git", below @ ..] => repositories::respond(azure, caller, project, call, below).await,
        ["hooks", below @ ..] => hooks::respond(azure, caller, call, below),
        ["identities"] => Some(people::identities(azure, caller, call)),
        ["graph", below @ ..] => people::graph(azure, caller, call, below),
        ["securitynamespaces" | "accesscontrollists" | "permissions", ..] => {
            security::respond(azure, caller, call, rest)
        }
        ["wiki", "wikis"] => Some(wikis(&azure.state(), caller, project)),
        ["wit", "fields" | "workitemtypes"] | ["build", "definitions"] => Some(list(vec![])),
        _ => None,
    }
}

fn resources(state: &State) -> Reply {
    let newest = state.kind.newest();
    let all = RESOURCES.iter().map(|(area, resource, template)| {
        json!({
            "id": Uuid::new_v4(),
            "area": area,
            "resourceName": resource,
            "routeTemplate": template,
            "resourceVersion": 1,
            "minVersion": "1.0",
            "maxVersion": newest,
            "releasedVersion": if state.kind == Kind::Services { "7.1" } else { newest },
        })
    });
    list(all.collect())
}

fn connection_data(state: &State, caller: &Caller) -> Reply {
    let org = state.org(&caller.org);
    let person = org.person(caller.person).expect("whoever calls is known");
    let user = json!({
        "id": person.id,
        "descriptor": person.descriptor(org, &state.kind),
        "subjectDescriptor": person.subject_descriptor(&state.kind),
        "providerDisplayName": person.name,
        "isActive": true,
        "properties": { "Account": { "$type": "System.String", "$value": person.account(&org.name) } },
        "resourceVersion": 2,
        "metaTypeId": 0,
    });
    let hosted = state.kind == Kind::Services;
    ok(json!({
        "authenticatedUser": user,
        "authorizedUser": user,
        "instanceId": org.id,
        "deploymentId": Uuid::from_u128(state.host.len() as u128),
        "deploymentType": if hosted { "hosted" } else { "onPremises" },
        "locationServiceData": {
            "serviceOwner": "00025394-6065-48ca-87d9-7f5672854ef7",
            "defaultAccessMappingMoniker": "PublicAccessMapping",
            "lastChangeId": 1,
            "lastChangeId64": 1,
        },
    }))
}

/// On loopback, and on a Server, everything is in one place.
fn resource_areas(state: &State, caller: &Caller) -> Reply {
    let areas = ["git", "core", "hooks", "wit", "build", "wiki", "policy"];
    let services = ["graph", "ims", "release", "packaging", "memberEntitlementManagement"];
    let hosted = if state.kind == Kind::Services { &services[..] } else { &services[1..4] };
    let place = format!("{}/{}/", state.host, caller.org);
    let all =
        areas.iter().chain(hosted).map(|name| json!({ "id": Uuid::new_v4(), "name": name, "locationUrl": place }));
    list(all.collect())
}

fn wikis(state: &State, caller: &Caller, project: Option<Uuid>) -> Reply {
    let org = state.org(&caller.org);
    let found = org.repositories.iter().filter(|known| {
        let here = project.is_none_or(|project| known.project == project) && org.is_open(known.project);
        known.hidden && here && known.deleted.is_none() && repositories::sees(org, caller, known)
    });
    let all = found.map(|known| {
        json!({
            "id": known.id,
            "name": known.name,
            "type": "projectWiki",
            "projectId": known.project,
            "repositoryId": known.id,
            "mappedPath": "/",
            "url": format!("{}/{}/{}/_apis/wiki/wikis/{}", state.host, org.name, known.project, known.id),
            "remoteUrl": state.web_address(org, known),
            "versions": [{ "version": "wikiMaster" }],
        })
    });
    list(all.collect::<Vec<Value>>())
}
