//! References and pushes.

use serde_json::{Value, json};
use uuid::Uuid;

use super::FakeAzureDevops;
use super::errors;
use super::events::What;
use super::policies;
use super::pulls;
use super::reply::{Call, Reply, list, ok, page, skip};
use super::repo::Repo;
use super::sign_in::Caller;
use super::state::{NOTHING, PushState, RefUpdate, State, put};
use crate::support::shell::git_command;

/// Every reference: its name, what it points to, and for annotated tags what that points to in the end.
pub fn read(repo: &Repo) -> Vec<(String, String, Option<String>)> {
    if repo.change(|repository| repository.paper) {
        return Vec::new();
    }
    let format = "--format=%(refname) %(objectname) %(*objectname)";
    let output = git_command(&repo.path(), &["for-each-ref", format]).output().unwrap();
    let parsed = |line: &str| {
        let mut parts = line.split(' ').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next().filter(|peeled| !peeled.is_empty())))
    };
    String::from_utf8(output.stdout).unwrap().lines().filter_map(parsed).collect()
}

/// Makes a branch the one that is shown.
pub fn point_head(repo: &Repo, branch: &str) {
    git_command(&repo.path(), &["symbolic-ref", "HEAD", branch]).output().unwrap();
    repo.change(|repository| repository.default_branch = Some(branch.to_owned()));
}

/// After a change: which branch is the default one, and how much there is. The first branch that is pushed is shown.
pub fn look_again(repo: &Repo) {
    let head = git_command(&repo.path(), &["symbolic-ref", "HEAD"]).output().unwrap().stdout;
    let head = String::from_utf8(head).unwrap().trim().to_owned();
    let refs = read(repo);
    let mut branches = refs.iter().map(|(name, ..)| name).filter(|name| name.starts_with("refs/heads/"));
    if branches.clone().any(|name| *name == head) {
        repo.change(|repository| repository.default_branch = Some(head));
    } else if let Some(first) = branches.next().filter(|_| repo.change(|it| it.default_branch.is_none())) {
        point_head(repo, first);
    }
    let size = folder_size(&repo.path().join("objects"));
    repo.change(|repository| repository.size = size);
}

fn folder_size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => folder_size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

impl FakeAzureDevops {
    /// Somebody changed references; whoever wants to hear of it does.
    pub(super) fn record_push(&self, repo: &Repo, by: Uuid, updates: &[RefUpdate]) {
        look_again(repo);
        let push_id = {
            let mut state = self.state();
            let (id, at) = (state.number(), state.now());
            let repository = state.org_mut(&repo.org).by_id(repo.id);
            for update in updates {
                if update.old == NOTHING {
                    repository.creators.insert(update.name.clone(), by);
                }
            }
            repository.pushes.push(PushState { id, by, at, updates: updates.to_owned() });
            id
        };
        let push = What::Push { push_id, updates: updates.to_owned() };
        self.announce(&repo.org, repo.project, Some(repo.id), by, push);
        pulls::pushed_to(repo, updates);
    }
}

/// `refs`.
pub fn respond(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, call: &Call) -> Option<Reply> {
    match call.method.as_str() {
        "GET" => Some(all(azure, caller, repo, call)),
        "POST" => Some(update(azure, caller, repo, call)),
        "PATCH" => Some(lock(azure, caller, repo, call)),
        _ => None,
    }
}

fn all(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, call: &Call) -> Reply {
    let refs = read(repo);
    let state = azure.state();
    let org = state.org(&caller.org);
    let repository = org.find(repo.id).expect("it was found");
    let base = format!("{}/{}/{}/_apis/git/repositories/{}/refs", state.host, org.name, repo.project, repo.id);
    let begins = format!("refs/{}", call.query("filter").unwrap_or_default());
    let contains = call.query("filterContains").unwrap_or_default();
    let wanted = refs.iter().filter(|(name, ..)| name.starts_with(&begins) && name.contains(contains));
    let shown = wanted.map(|(name, id, peeled)| {
        let filter: String =
            url::form_urlencoded::byte_serialize(name.trim_start_matches("refs/").as_bytes()).collect();
        let mut json = json!({ "name": name, "objectId": id, "url": format!("{base}?filter={filter}") });
        let by = repository.creators.get(name).map(|by| state.identity_ref(org, *by));
        put(&mut json, "creator", by);
        put(&mut json, "peeledObjectId", peeled.clone().filter(|_| call.says("peelTags")).map(Value::from));
        if let Some(by) = repository.locks.get(name) {
            json["isLocked"] = true.into();
            json["isLockedBy"] = state.identity_ref(org, *by);
        }
        json
    });
    let shown = shown.collect();
    page(&state, call, shown, 1000)
}

/// Changes references without a push of git's.
fn update(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, call: &Call) -> Reply {
    let (mut done, mut results) = (Vec::new(), Vec::new());
    for wish in call.body.as_array().into_iter().flatten() {
        let text = |name: &str| wish[name].as_str().unwrap_or_default().to_owned();
        let change = RefUpdate { name: text("name"), old: text("oldObjectId"), new: text("newObjectId") };
        let status = try_update(azure, caller, repo, &change);
        results.push(json!({
            "repositoryId": repo.id,
            "name": change.name,
            "oldObjectId": change.old,
            "newObjectId": change.new,
            "isLocked": false,
            "updateStatus": status,
            "success": status == "succeeded",
        }));
        if status == "succeeded" {
            done.push(change);
        }
    }
    if !done.is_empty() {
        azure.record_push(repo, caller.person, &done);
    }
    list(results)
}

fn try_update(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, change: &RefUpdate) -> &'static str {
    let now = read(repo).into_iter().find(|(name, ..)| *name == change.name).map(|(_, id, _)| id);
    if now.as_deref().unwrap_or(NOTHING) != change.old {
        return "staleOldObjectId";
    }
    let forced = is_forced(repo, change);
    let refusal = {
        let state = azure.state();
        let org = state.org(&caller.org);
        policies::refusal(org, org.find(repo.id).expect("it was found"), caller.person, change, forced)
    };
    match refusal {
        Some(text) if text.contains("ForcePush") => return "forcePushRequired",
        Some(text) if text.contains("CreateBranch") => return "createBranchPermissionRequired",
        Some(text) if text.contains("TF402467") => return "locked",
        Some(text) if text.contains("TF402455") => return "rejectedByPolicy",
        Some(_) => return "writePermissionRequired",
        None => (),
    }
    let output = if change.new == NOTHING {
        git_command(&repo.path(), &["update-ref", "-d", &change.name]).output()
    } else {
        git_command(&repo.path(), &["update-ref", &change.name, &change.new]).output()
    };
    if output.unwrap().status.success() { "succeeded" } else { "unresolvableToCommit" }
}

/// Would commits be lost?
pub fn is_forced(repo: &Repo, change: &RefUpdate) -> bool {
    if change.old == NOTHING || change.new == NOTHING {
        return false;
    }
    let arguments = ["merge-base", "--is-ancestor", &change.old, &change.new];
    !git_command(&repo.path(), &arguments).output().unwrap().status.success()
}

fn lock(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, call: &Call) -> Reply {
    let name = format!("refs/{}", call.query("filter").unwrap_or_default());
    let Some((_, id, _)) = read(repo).into_iter().find(|(known, ..)| *known == name) else {
        return errors::bad_argument(&format!("TF401035: The object '{name}' does not exist."));
    };
    let locked = call.body["isLocked"] == true;
    repo.change(|repository| {
        if locked { repository.locks.insert(name.clone(), caller.person) } else { repository.locks.remove(&name) }
    });
    let state = azure.state();
    ok(json!({ "name": name, "objectId": id, "isLocked": locked, "url": format!("{}/refs", state.host) }))
}

/// `pushes` and `pushes/ID`, latest first.
pub fn pushes(state: &State, caller: &Caller, repo: &Repo, call: &Call, rest: &[&str]) -> Option<Reply> {
    if call.method != "GET" {
        return None;
    }
    let org = state.org(&caller.org);
    let repository = org.find(repo.id)?;
    let show = |push: &PushState, updates: bool| {
        let api = format!("{}/{}/_apis/git/repositories/{}/pushes/{}", state.host, org.name, repo.id, push.id);
        let mut json = json!({
            "pushId": push.id,
            "date": push.at,
            "pushedBy": state.identity_ref(org, push.by),
            "repository": state.repository_json(org, repository, false),
            "url": api,
        });
        let told = push.updates.iter().map(|update| {
            json!({
                "repositoryId": repo.id,
                "name": update.name,
                "oldObjectId": update.old,
                "newObjectId": update.new,
            })
        });
        put(&mut json, "refUpdates", updates.then(|| told.collect()));
        json
    };
    let time = |name: &str| call.query(name)?.parse::<chrono::DateTime<chrono::Utc>>().ok();
    let (from, to) = (time("searchCriteria.fromDate"), time("searchCriteria.toDate"));
    match rest {
        [] => {
            let is_wanted = |push: &&PushState| {
                let named = call.query("searchCriteria.refName");
                from.is_none_or(|from| push.at >= from)
                    && to.is_none_or(|to| push.at <= to)
                    && named.is_none_or(|name| push.updates.iter().any(|update| update.name == name))
            };
            let updates = call.says("searchCriteria.includeRefUpdates");
            let found = repository.pushes.iter().rev().filter(is_wanted).map(|push| show(push, updates));
            Some(skip(call, found.collect(), 100))
        }
        [id] => {
            let found = repository.pushes.iter().find(|push| push.id.to_string() == *id);
            Some(found.map_or_else(
                || errors::bad_argument(&format!("TF401021: The push {id} does not exist.")),
                |push| ok(show(push, true)),
            ))
        }
        _ => None,
    }
}
