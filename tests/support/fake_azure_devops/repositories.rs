//! Calls about repositories, those in the recycle bin included.

use serde_json::{Value, json};
use uuid::Uuid;

use super::FakeAzureDevops;
use super::errors;
use super::events::What;
use super::pulls;
use super::refs;
use super::reply::{Call, Reply, answer, done, list, ok};
use super::repo::Repo;
use super::sign_in::Caller;
use super::state::{Organization, Repository, State, is, put};

impl State {
    pub fn repository_json(&self, org: &Organization, repository: &Repository, links: bool) -> Value {
        let project = org.project_of(repository);
        let api = format!("{}/{}/{}/_apis/git/repositories/{}", self.host, org.name, project.id, repository.id);
        let web = self.web_address(org, repository);
        let mut json = json!({
            "id": repository.id,
            "name": repository.name,
            "url": api,
            "project": self.project_json(org, project),
            "size": repository.size,
            // Services put the organization in front of the host as a user.
            "remoteUrl": web.replacen("://", &format!("://{}@", encoded(&org.name)), 1),
            "sshUrl": format!("git@ssh.dev.azure.com:v3/{}/{}/{}", org.name, project.name, repository.name),
            "webUrl": web,
            "isDisabled": repository.disabled,
            "isInMaintenance": false,
        });
        put(&mut json, "defaultBranch", repository.default_branch.clone().map(Value::from));
        if let Some(parent) = repository.parent.and_then(|parent| org.find(parent)) {
            json["isFork"] = true.into();
            let project = self.project_json(org, org.project_of(parent));
            json["parentRepository"] =
                json!({ "id": parent.id, "name": parent.name, "isFork": false, "project": project });
        }
        if links {
            json["_links"] = json!({ "self": { "href": api } });
        }
        json
    }

    /// Where people and git find it.
    pub fn web_address(&self, org: &Organization, repository: &Repository) -> String {
        let project = encoded(&org.project_of(repository).name);
        format!("{}/{}/{project}/_git/{}", self.host, encoded(&org.name), encoded(&repository.name))
    }

    fn deleted_json(&self, org: &Organization, repository: &Repository) -> Value {
        let by = org.people.first().map(|person| self.identity_ref(org, person.id));
        let mut json = json!({
            "id": repository.id,
            "name": repository.name,
            "project": self.project_json(org, org.project_of(repository)),
            "createdDate": repository.created,
            "deletedDate": repository.deleted,
        });
        put(&mut json, "deletedBy", by);
        json
    }
}

fn encoded(name: &str) -> String {
    let mut url: url::Url = "http://it".parse().unwrap();
    url.path_segments_mut().unwrap().push(name);
    url.path().trim_start_matches('/').to_owned()
}

/// `[PROJECT/]_apis/git/…`; `project` is its id.
pub async fn respond(
    azure: &FakeAzureDevops,
    caller: &Caller,
    project: Option<Uuid>,
    call: &Call,
    rest: &[&str],
) -> Option<Reply> {
    match (call.method.as_str(), rest) {
        ("GET", ["repositories"]) => Some(all(&azure.state(), caller, project, call)),
        ("POST", ["repositories"]) => Some(create(azure, caller, project, call).await),
        ("GET", ["deletedrepositories"]) => {
            // Everything that was ever deleted; the recycle bin has what can be had back.
            Some(recycled(&azure.state(), caller, project?))
        }
        ("GET", ["recyclebin", "repositories"]) => Some(recycled(&azure.state(), caller, project?)),
        (_, ["recyclebin", "repositories", id]) => recycle_bin(azure, caller, project?, call, id),
        (_, ["pullrequests", ..]) => pulls::of_project(azure, caller, project, call, &rest[1..]),
        (_, ["repositories", id, below @ ..]) => {
            let repo = match open(azure, caller, project, id) {
                Ok(repo) => repo,
                // A disabled one can be looked at, and enabled; nothing else.
                Err(reply) => return Some(disabled(azure, caller, project, call, id, below).unwrap_or(reply)),
            };
            match below {
                [] => one(azure, caller, &repo, call),
                ["refs"] => refs::respond(azure, caller, &repo, call),
                ["pushes", rest @ ..] => refs::pushes(&azure.state(), caller, &repo, call, rest),
                ["pullrequests", rest @ ..] => pulls::respond(azure, caller, &repo, call, rest),
                _ => None,
            }
        }
        _ => None,
    }
}

/// May the caller see a repository?
pub fn sees(org: &Organization, caller: &Caller, repository: &Repository) -> bool {
    let licensed = org.person(caller.person).is_some_and(|person| person.license == super::License::Basic);
    let token = format!("repoV2/{}/{}", repository.project, repository.id);
    licensed && org.allows(caller.person, &token, "GenericRead")
}

/// One that answers.
pub fn open(azure: &FakeAzureDevops, caller: &Caller, project: Option<Uuid>, id: &str) -> Result<Repo, Reply> {
    let state = azure.state();
    let org = state.org(&caller.org);
    let found = org.repository(project, id).filter(|known| !known.disabled && sees(org, caller, known));
    let found = found.ok_or_else(|| errors::no_repository(id))?;
    Ok(Repo { azure: azure.unjudged(), org: caller.org.clone(), project: found.project, id: found.id })
}

fn disabled(
    azure: &FakeAzureDevops,
    caller: &Caller,
    project: Option<Uuid>,
    call: &Call,
    id: &str,
    below: &[&str],
) -> Option<Reply> {
    let repo = {
        let state = azure.state();
        let org = state.org(&caller.org);
        let found = org.repository(project, id).filter(|known| known.disabled && sees(org, caller, known))?;
        Repo { azure: azure.unjudged(), org: caller.org.clone(), project: found.project, id: found.id }
    };
    let is_enabling = call.method == "PATCH" && call.body["isDisabled"] == false;
    if below.is_empty() && is_enabling { one(azure, caller, &repo, call) } else { None }
}

fn all(state: &State, caller: &Caller, project: Option<Uuid>, call: &Call) -> Reply {
    let org = state.org(&caller.org);
    let is_wanted = |known: &&Repository| {
        let here = project.is_none_or(|project| known.project == project) && org.is_open(known.project);
        let shown = !known.hidden || call.says("includeHidden");
        here && shown && known.deleted.is_none() && sees(org, caller, known)
    };
    let found = org.repositories.iter().filter(is_wanted);
    list(found.map(|known| state.repository_json(org, known, call.says("includeLinks"))).collect())
}

fn recycled(state: &State, caller: &Caller, project: Uuid) -> Reply {
    let org = state.org(&caller.org);
    let is_there =
        |known: &&Repository| known.project == project && known.deleted.is_some() && sees(org, caller, known);
    list(org.repositories.iter().filter(is_there).map(|known| state.deleted_json(org, known)).collect())
}

fn recycle_bin(azure: &FakeAzureDevops, caller: &Caller, project: Uuid, call: &Call, id: &str) -> Option<Reply> {
    let found = {
        let state = azure.state();
        let org = state.org(&caller.org);
        let mut all = org.repositories.iter();
        let found = all.find(|known| is(known.id, id) && known.project == project && known.deleted.is_some());
        found.map(|known| known.id)
    };
    let Some(found) = found else { return Some(errors::no_repository(id)) };
    let repo = Repo { azure: azure.unjudged(), org: caller.org.clone(), project, id: found };
    match call.method.as_str() {
        "PATCH" if call.body["deleted"] == false => {
            repo.undelete();
            let state = azure.state();
            let org = state.org(&caller.org);
            Some(ok(state.repository_json(org, org.find(found)?, false)))
        }
        "DELETE" => {
            repo.destroy();
            Some(done())
        }
        _ => None,
    }
}

fn one(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, call: &Call) -> Option<Reply> {
    let show = || {
        let state = azure.state();
        let org = state.org(&caller.org);
        org.find(repo.id).map(|known| ok(state.repository_json(org, known, true)))
    };
    match call.method.as_str() {
        "GET" => show(),
        "PATCH" => update(azure, caller, repo, call).or_else(show),
        "DELETE" => {
            if let Some(refusal) = lacks(azure, caller, repo, "DeleteRepository") {
                return Some(refusal);
            }
            repo.delete();
            Some(done())
        }
        _ => None,
    }
}

/// The refusal, if the caller may not do that to a repository.
pub fn lacks(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, permission: &str) -> Option<Reply> {
    let state = azure.state();
    let org = state.org(&caller.org);
    let token = format!("repoV2/{}/{}", repo.project, repo.id);
    let who = org.person(caller.person).map(|person| person.account(&org.name)).unwrap_or_default();
    (!org.allows(caller.person, &token, permission)).then(|| errors::git_needs(permission, &who, "repository"))
}

/// The refusal, if there is one.
fn update(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, call: &Call) -> Option<Reply> {
    if let Some(name) = call.body["name"].as_str() {
        if let Some(refusal) = lacks(azure, caller, repo, "RenameRepository") {
            return Some(refusal);
        }
        if azure.state().org(&caller.org).repository(Some(repo.project), name).is_some_and(|known| known.id != repo.id)
        {
            return Some(errors::name_taken(name));
        }
        repo.rename(name);
    }
    if let Some(disabled) = call.body["isDisabled"].as_bool() {
        if disabled { repo.disable() } else { repo.enable() }
    }
    if let Some(branch) = call.body["defaultBranch"].as_str() {
        if !refs::read(repo).iter().any(|(name, ..)| name == branch) {
            return Some(errors::bad_argument(&format!("TF401019: The branch {branch} does not exist.")));
        }
        refs::point_head(repo, branch);
    }
    None
}

async fn create(azure: &FakeAzureDevops, caller: &Caller, project: Option<Uuid>, call: &Call) -> Reply {
    let Some(name) = call.body["name"].as_str() else { return errors::bad_argument("A repository needs a name.") };
    let named = call.body["project"]["id"].as_str();
    let (project, parent) = {
        let state = azure.state();
        let org = state.org(&caller.org);
        let Some(project) = project.or_else(|| Some(org.project(named?)?.id)) else {
            return errors::no_project(named.unwrap_or_default());
        };
        if org.repository(Some(project), name).is_some() {
            return errors::name_taken(name);
        }
        let who = org.person(caller.person).map(|person| person.account(&org.name)).unwrap_or_default();
        if !org.allows(caller.person, &format!("repoV2/{project}"), "CreateRepository") {
            return errors::git_needs("CreateRepository", &who, "project");
        }
        let parent = call.body["parentRepository"]["id"].as_str().and_then(|id| org.repository(None, id));
        (project, parent.map(|parent| parent.id))
    };
    let id = azure.state().add_repository(&caller.org, project, name);
    let repo = Repo { azure: azure.unjudged(), org: caller.org.clone(), project, id };
    if let Some(parent) = parent {
        repo.fork_from(&Repo { id: parent, ..repo.clone() }).await;
    } else {
        repo.make().await;
        azure.announce(&caller.org, project, Some(id), caller.person, What::RepositoryCreated);
    }
    let state = azure.state();
    let org = state.org(&caller.org);
    answer(201, state.repository_json(org, org.find(id).expect("it was made"), false))
}
