//! Projects: what tests do with them, and the calls.

use std::collections::VecDeque;

use serde_json::{Value, json};
use uuid::Uuid;

use super::errors;
use super::reply::{Call, Reply, answer, ok, page};
use super::sign_in::Caller;
use super::state::{Organization, ProjectState, Repository, State, put, same};
use super::{FakeAzureDevops, Org, Repo};
use crate::support::shell::git;

/// A project. Its name may change; it stays the same.
#[derive(Clone)]
pub struct Project {
    pub(super) org: Org,
    id: Uuid,
}

impl Project {
    pub(super) fn named(org: &Org, name: &str) -> Self {
        let mut state = org.azure.state();
        let id = match state.org(&org.name).project(name) {
            Some(known) => known.id,
            None => state.add_project(&org.name, name, None),
        };
        Self { org: org.clone(), id }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its name now.
    pub fn name(&self) -> String {
        self.change(|project| project.name.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut ProjectState) -> T) -> T {
        change(self.org.azure.state().org_mut(&self.org.name).project_by_id(self.id))
    }

    /// A new repository without commits.
    pub async fn repo(&self, name: &str) -> Repo {
        Repo::create(self, name).await
    }

    /// So many repositories `repo-0`, … that exist in listings alone.
    pub fn paper_repos(&self, count: usize) {
        let mut state = self.org.azure.state();
        for index in 0..count {
            let id = state.add_repository(&self.org.name, self.id, &format!("repo-{index}"));
            state.org_mut(&self.org.name).by_id(id).paper = true;
        }
    }

    /// The repository of its wiki, which is hidden: `NAME.wiki`.
    pub async fn wiki(&self) -> Repo {
        let repo = self.repo(&format!("{}.wiki", self.name())).await;
        repo.change(|repository| repository.hidden = true);
        git(&repo.path(), &["symbolic-ref", "HEAD", "refs/heads/wikiMaster"]).await;
        repo
    }

    /// Gives it another name; the old one is nobody's.
    pub fn rename(&self, name: &str) {
        self.change(|project| {
            name.clone_into(&mut project.name);
            project.revision += 1;
        });
    }

    /// Puts it into the recycle bin, its repositories with it.
    pub fn delete(&self) {
        self.change(|project| {
            project.state = "deleted";
            project.revision += 1;
        });
    }

    /// Takes it out again.
    pub fn undelete(&self) {
        self.change(|project| project.state = "wellFormed");
    }
}

impl State {
    pub fn add_project(&mut self, org: &str, name: &str, description: Option<String>) -> Uuid {
        let (id, updated) = (Uuid::new_v4(), self.now());
        let name = name.to_owned();
        let project = ProjectState { id, name, description, state: "wellFormed", revision: 1, updated };
        self.org_mut(org).projects.push(project);
        id
    }

    pub fn add_repository(&mut self, org: &str, project: Uuid, name: &str) -> Uuid {
        let (id, created) = (Uuid::new_v4(), self.now());
        self.org_mut(org).repositories.push(Repository {
            id,
            project,
            name: name.to_owned(),
            created,
            default_branch: None,
            size: 0,
            disabled: false,
            hidden: false,
            deleted: None,
            parent: None,
            pushes: vec![],
            pulls: vec![],
            policies: vec![],
            creators: std::collections::BTreeMap::new(),
            locks: std::collections::BTreeMap::new(),
            paper: false,
        });
        id
    }

    /// A project as it stands in lists and within other things.
    pub fn project_json(&self, org: &Organization, project: &ProjectState) -> Value {
        let mut json = json!({
            "id": project.id,
            "name": project.name,
            "url": format!("{}/{}/_apis/projects/{}", self.host, org.name, project.id),
            "state": project.state,
            "revision": project.revision,
            "visibility": "private",
            "lastUpdateTime": project.updated,
        });
        put(&mut json, "description", project.description.clone().map(Value::from));
        json
    }

    fn full_project_json(&self, org: &Organization, project: &ProjectState, capabilities: bool) -> Value {
        let mut json = self.project_json(org, project);
        let url = json["url"].clone();
        json["_links"] = json!({ "self": { "href": url } });
        json["defaultTeam"] = json!({ "id": project.id, "name": format!("{} Team", project.name) });
        if capabilities {
            json["capabilities"] = json!({
                "processTemplate": { "templateName": "Basic", "templateTypeId": "b8a3a935-7e91-48b8-a94c-606d37c3e9f2" },
                "versioncontrol": { "sourceControlType": "Git", "gitEnabled": "True", "tfvcEnabled": "False" },
            });
        }
        json
    }

    /// Something that takes its time; asked about, it tells `stages` one after the other, and stays at the last.
    fn operation(&mut self, org: &str, stages: &[&'static str]) -> Value {
        let id = Uuid::new_v4();
        self.operations.insert(id, stages.iter().copied().collect::<VecDeque<_>>());
        json!({ "id": id, "status": "queued", "url": format!("{}/{org}/_apis/operations/{id}", self.host) })
    }
}

/// `_apis/projects/…` and `_apis/operations/…`.
pub async fn respond(azure: &FakeAzureDevops, caller: &Caller, call: &Call, rest: &[&str]) -> Option<Reply> {
    let name = &caller.org;
    match (call.method.as_str(), rest) {
        ("GET", ["projects"]) => Some(all(&azure.state(), name, call)),
        ("POST", ["projects"]) => Some(create(azure, caller, call).await),
        ("GET", ["projects", id]) => {
            let state = azure.state();
            let org = state.org(name);
            let found = org.project(id).filter(|project| project.state == "wellFormed");
            let capabilities = call.says("includeCapabilities");
            let answer = found.map(|project| ok(state.full_project_json(org, project, capabilities)));
            Some(answer.unwrap_or_else(|| errors::no_project(id)))
        }
        ("PATCH", ["projects", id]) => Some(update(&mut azure.state(), name, call, id)),
        ("DELETE", ["projects", id]) => {
            let mut state = azure.state();
            let Some(id) = state.org(name).project(id).map(|found| found.id) else {
                return Some(errors::no_project(id));
            };
            state.org_mut(name).project_by_id(id).state = "deleted";
            Some(answer(202, state.operation(name, &["succeeded"])))
        }
        ("GET", ["operations", id]) => Some(operation(&mut azure.state(), name, id)),
        _ => None,
    }
}

fn all(state: &State, name: &str, call: &Call) -> Reply {
    let org = state.org(name);
    let wanted = call.query("stateFilter").unwrap_or("wellFormed");
    // `all` leaves out those in the recycle bin: <https://learn.microsoft.com/rest/api/azure/devops/core/projects/list>
    let is_wanted = |project: &&ProjectState| {
        if same(wanted, "all") { project.state != "deleted" } else { same(wanted, project.state) }
    };
    let found = org.projects.iter().filter(is_wanted).map(|project| state.project_json(org, project)).collect();
    page(state, call, found, 100)
}

async fn create(azure: &FakeAzureDevops, caller: &Caller, call: &Call) -> Reply {
    let Some(name) = call.body["name"].as_str() else { return errors::bad_argument("A project needs a name.") };
    let description = call.body["description"].as_str().map(str::to_owned);
    let made = {
        let mut state = azure.state();
        let org = state.org(&caller.org);
        if !org.person(caller.person).is_some_and(|person| person.administers) {
            return errors::access_denied(&caller.person.to_string(), "Create new projects");
        }
        if org.project(name).is_some() {
            return errors::project_taken(name);
        }
        state.add_project(&caller.org, name, description)
    };
    let project = Project { org: azure.org(&caller.org), id: made };
    project.repo(name).await;
    let operation = azure.state().operation(&caller.org, &["queued", "inProgress", "succeeded"]);
    answer(202, operation)
}

fn update(state: &mut State, name: &str, call: &Call, id: &str) -> Reply {
    let Some(id) = state.org(name).project(id).map(|found| found.id) else { return errors::no_project(id) };
    let project = state.org_mut(name).project_by_id(id);
    if call.body["state"] == "wellFormed" {
        project.state = "wellFormed";
    }
    if let Some(name) = call.body["name"].as_str() {
        name.clone_into(&mut project.name);
    }
    project.revision += 1;
    answer(202, state.operation(name, &["inProgress", "succeeded"]))
}

fn operation(state: &mut State, name: &str, id: &str) -> Reply {
    let known = id.parse::<Uuid>().ok().and_then(|id| Some((id, state.operations.get_mut(&id)?)));
    let Some((id, stages)) = known else { return errors::bad_argument(&format!("There is no operation {id}.")) };
    let now = if stages.len() > 1 { stages.pop_front().unwrap() } else { stages[0] };
    ok(json!({ "id": id, "status": now, "url": format!("{}/{name}/_apis/operations/{id}", state.host), "_links": {} }))
}
