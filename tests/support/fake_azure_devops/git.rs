//! Git over HTTP as Azure Repos speaks it: protocol v0, with rules of its own; `git http-backend` does the work.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::process::Stdio;

use actix_web::body::{self, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, Uri, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use refward::cli::demo::git_server;
use serde_json::Value;
use uuid::Uuid;

use super::FakeAzureDevops;
use super::errors;
use super::packets::{self, Push};
use super::policies;
use super::refs::{self, is_forced};
use super::reply::{self, Reply, segments};
use super::repo::{Repo, folder_of};
use super::repositories::sees;
use super::sign_in::Caller;
use super::state::{NOTHING, RefUpdate};
use crate::support::shell::git_command;

/// What Azure Repos says that it can: no `ofs-delta`, so deltas name what they are based on, also within a pack.
const FETCHES: &[&str] = &[
    "multi_ack",
    "thin-pack",
    "side-band",
    "side-band-64k",
    "no-progress",
    "multi_ack_detailed",
    "no-done",
    "shallow",
    "allow-tip-sha1-in-want",
    "filter",
];

/// No `atomic`: references of one push are refused one by one.
const PUSHES: &[&str] = &["report-status", "delete-refs", "side-band-64k", "quiet", "ofs-delta"];

/// `/ORG/[PROJECT/]_git/NAME/SERVICE`.
struct Visit {
    org: String,
    /// None: the project that has the repository's name.
    project: Option<String>,
    name: String,
    service: String,
}

impl Visit {
    fn read(path: &str) -> Option<Self> {
        let parts = segments(path);
        let place = parts.iter().position(|part| part == "_git")?;
        let (org, project) = match &parts[..place] {
            [org] => (org.clone(), None),
            [org, project] => (org.clone(), Some(project.clone())),
            _ => return None,
        };
        let name = parts.get(place + 1)?.clone();
        Some(Self { org, project, name, service: parts[place + 2..].join("/") })
    }
}

/// What is git's is answered, or made what the git server expects; all else goes on.
pub async fn before(
    azure: FakeAzureDevops,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(visit) = Visit::read(request.uri().path()) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let place = azure.note(request.request(), Value::Null);
    let body = request.extract::<Bytes>().await?;
    let answer = match admitted(&azure, &request, &visit) {
        Err(refusal) => request.into_response(refusal.finish()),
        Ok((caller, repo)) => served(&azure, request, next, &visit, &caller, &repo, body).await?,
    };
    azure.noted(place, answer.status());
    Ok(answer)
}

fn refuse(status: u16, text: &str) -> Reply {
    Reply { status, headers: vec![], body: reply::Body::Text(text.to_owned()) }
}

/// Who comes, and to which repository.
fn admitted(azure: &FakeAzureDevops, request: &ServiceRequest, visit: &Visit) -> Result<(Caller, Repo), Reply> {
    let mut state = azure.state();
    let state = &mut *state;
    if let Some(fault) = state.git_faults.pop_front() {
        return Err(reply::played(&fault));
    }
    if state.stopped {
        return Err(errors::stopped(&visit.org));
    }
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(caller) = state.caller(&visit.org, header("authorization")) else {
        // Without this, git would never ask anybody.
        let polite = state.sign_in.is_none();
        return Err(state.sign_in_first(&visit.org, "GET", polite));
    };
    let what = format!("git: {} {}", request.method(), request.uri().path());
    if let Some(refusal) = state.admit(&caller, &what) {
        return Err(refusal);
    }
    if !caller.holds("vso.code") {
        return Err(errors::unauthorized(&caller.person.to_string()));
    }
    let org = state.org(&visit.org);
    let project = org.project(visit.project.as_deref().unwrap_or(&visit.name)).map(|project| project.id);
    let found = project.and_then(|project| org.repository(Some(project), &visit.name));
    let Some(found) = found.filter(|known| !known.disabled && sees(org, &caller, known)) else {
        return Err(refuse(404, &errors::no_repository_text(&visit.name)));
    };
    let writes = visit.service == "git-receive-pack" || request.query_string().contains("git-receive-pack");
    let token = format!("repoV2/{}/{}", found.project, found.id);
    if writes && !(caller.holds("vso.code_write") && org.allows(caller.person, &token, "GenericContribute")) {
        let who = org.person(caller.person).map(|person| person.account(&org.name)).unwrap_or_default();
        let text = format!(
            "TF401027: You need the Git 'GenericContribute' permission to perform this action. Details: identity '{who}', \
             scope 'repository'."
        );
        return Err(refuse(403, &text));
    }
    let repo = Repo { azure: azure.unjudged(), org: org.name.clone(), project: found.project, id: found.id };
    Ok((caller, repo))
}

async fn served(
    azure: &FakeAzureDevops,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    visit: &Visit,
    caller: &Caller,
    repo: &Repo,
    mut body: Bytes,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut refused = Vec::new();
    let asked = body.clone();
    let push = Push::read(&asked);
    match visit.service.as_str() {
        "git-upload-pack" => {
            let plain = unpacked(&request, &body);
            let (wants, _) = packets::until_flush(&plain);
            let first = wants.first().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
            if first.starts_with("want ") && first.trim_end().len() > 45 && !first.contains("multi_ack") {
                let why = "TF401041: The Git protocol sent is not as expected (Clients must support multi-ack.).";
                return Ok(request.into_response(refuse(400, why).finish()));
            }
            if let Some(stranger) = stranger(repo, &wants) {
                let told = packets::packet(format!("ERR upload-pack: not our ref {stranger}").as_bytes());
                let answer = HttpResponse::Ok().content_type("application/x-git-upload-pack-result").body(told);
                return Ok(request.into_response(answer));
            }
            azure.inner.fetches.pass().await;
        }
        "git-receive-pack" if !push.commands.is_empty() => {
            refused = refusals(azure, caller, repo, &push);
            if refused.len() == push.commands.len() {
                let report = push.report(None, &refused);
                let answer = HttpResponse::Ok().content_type("application/x-git-receive-pack-result").body(report);
                return Ok(request.into_response(answer));
            }
            if !refused.is_empty() {
                body = push.without(&refused).into();
            }
        }
        _ => (),
    }
    rewrite(&mut request, visit, caller, repo, body);
    let answer = next.call(request).await?;
    if visit.service == "info/refs" && answer.status() == StatusCode::OK {
        let writes = answer.request().query_string().contains("git-receive-pack");
        let known = if writes { PUSHES } else { FETCHES };
        let keep = |capability: &str| known.contains(&capability) || capability.starts_with("symref=");
        return changed(answer, |body| packets::advertising(body, keep)).await;
    }
    if !refused.is_empty() {
        return changed(answer, |body| push.report(Some(body), &refused)).await;
    }
    Ok(answer.map_into_boxed_body())
}

/// The same answer with another body.
async fn changed(
    answer: ServiceResponse<impl MessageBody + 'static>,
    change: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (request, response) = answer.into_parts();
    let (head, old) = response.into_parts();
    let old = body::to_bytes(old).await.map_err(|_| actix_web::error::ErrorInternalServerError("the answer broke"))?;
    let mut response = head.set_body(BoxBody::new(change(&old)));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    Ok(ServiceResponse::new(request, response))
}

/// To where the git server finds it, in the name of whoever comes, and without what Azure Repos ignores.
fn rewrite(request: &mut ServiceRequest, visit: &Visit, caller: &Caller, repo: &Repo, body: Bytes) {
    let path = format!("/{}/{}.git/{}?{}", folder_of(&repo.org), repo.id, visit.service, request.query_string());
    let uri: Uri = path.parse().unwrap();
    request.match_info_mut().get_mut().update(&uri);
    let as_caller = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:x", caller.person)));
    let head = request.head_mut();
    head.uri = uri;
    head.headers.remove("git-protocol");
    head.headers.insert(header::AUTHORIZATION, as_caller.parse().unwrap());
    if head.headers.contains_key(header::CONTENT_LENGTH) {
        head.headers.insert(header::CONTENT_LENGTH, body.len().to_string().parse().unwrap());
    }
    request.set_payload(body.into());
}

/// What is wanted, and is no tip, nor ever was one: it says `allow-tip-sha1-in-want`, and nothing about what is reachable.
fn stranger(repo: &Repo, wants: &[&[u8]]) -> Option<String> {
    let wanted = wants.iter().filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("want ")?.get(..40));
    let now = refs::read(repo).into_iter().flat_map(|(_, id, peeled)| [Some(id), peeled]).flatten();
    let before = repo.change(|repository| repository.pushes.clone());
    let before = before.into_iter().flat_map(|push| push.updates).flat_map(|update| [update.old, update.new]);
    let tips: HashSet<String> = now.chain(before).collect();
    wanted.map(str::to_owned).find(|id| !tips.contains(id))
}

fn unpacked(request: &ServiceRequest, body: &Bytes) -> Vec<u8> {
    if request.headers().get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return body.to_vec();
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
    plain
}

/// What of a push is refused, and why.
fn refusals(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, push: &Push) -> Vec<(String, String)> {
    let limit = azure.state().push_limit;
    if let Some(limit) = limit.filter(|limit| push.pack.len() > *limit) {
        let why = format!(
            "TF402462: The push was rejected because its size is greater than the {limit} byte limit for pushes in this \
             repository."
        );
        return push.commands.iter().map(|command| (command.name.clone(), why.clone())).collect();
    }
    let updates = push.commands.iter().map(|command| {
        let (name, old, new) = (command.name.clone(), command.old.clone(), command.new.clone());
        RefUpdate { name, old, new }
    });
    let mut refused = Vec::new();
    let mut known = false;
    for update in updates {
        let is_change = update.old != NOTHING && update.new != NOTHING;
        if is_change && !known {
            // Whether commits would be lost can be told once they are here.
            keep_pack(repo, push.pack);
            known = true;
        }
        let forced = is_change && is_forced(repo, &update);
        let state = azure.state();
        let org = state.org(&repo.org);
        let repository = org.find(repo.id).expect("it was found");
        refused
            .extend(policies::refusal(org, repository, caller.person, &update, forced).map(|why| (update.name, why)));
    }
    refused
}

fn keep_pack(repo: &Repo, pack: &[u8]) {
    if pack.is_empty() {
        return;
    }
    let mut command = git_command(&repo.path(), &["index-pack", "--stdin", "--fix-thin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(pack).unwrap();
    child.wait().unwrap();
}

impl FakeAzureDevops {
    /// The git server has changed references for somebody.
    pub(super) fn pushed(&self, push: &git_server::Push) {
        let id = push.repository.rsplit('/').next().and_then(|id| id.parse::<Uuid>().ok()).unwrap();
        let by = push.user.as_ref().and_then(|user| user.parse::<Uuid>().ok()).unwrap();
        let found = {
            let state = self.state();
            let mut all = state.organizations.iter().filter_map(|org| Some((org.name.clone(), org.find(id)?.project)));
            all.next()
        };
        let Some((org, project)) = found else { return };
        let repo = Repo { azure: self.unjudged(), org, project, id };
        let text = |id: Option<refward::domain::ObjectId>| id.map_or_else(|| NOTHING.to_owned(), |id| id.to_string());
        let updates = push.changes.iter().map(|change| RefUpdate {
            name: change.name.to_string(),
            old: text(change.old),
            new: text(change.new),
        });
        self.record_push(&repo, by, &updates.collect::<Vec<_>>());
    }

    /// Pushes with larger packs are refused.
    pub fn push_limit(&self, bytes: usize) {
        self.state().push_limit = Some(bytes);
    }
}
