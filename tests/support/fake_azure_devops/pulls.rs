//! Pull requests. Each that can be merged has a reference of its own, `refs/pull/N/merge`; there is no `head`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::FakeAzureDevops;
use super::errors;
use super::events::What;
use super::refs;
use super::reply::{Call, Reply, answer, ok, skip};
use super::repo::Repo;
use super::repositories::{lacks, sees};
use super::sign_in::Caller;
use super::state::{NOTHING, Organization, RefUpdate, Repository, State, put, same};
use crate::support::shell::git_command;

#[derive(Clone)]
pub struct PullRequest {
    pub number: u64,
    pub title: String,
    pub source: String,
    pub target: String,
    /// `active`, `completed`, `abandoned`.
    pub status: &'static str,
    pub by: Uuid,
    pub created: DateTime<Utc>,
    pub closed: Option<DateTime<Utc>>,
    pub source_tip: String,
    pub target_tip: String,
    /// `None`: it cannot be merged.
    pub merge: Option<String>,
}

/// A pull request.
#[derive(Clone)]
pub struct Pull {
    repo: Repo,
    /// Its number, unique in the organization.
    pub number: u64,
}

impl Repo {
    /// Somebody asks for `source` to be merged into `target`; names of branches.
    pub fn pull_request(&self, source: &str, target: &str, title: &str) -> Pull {
        let by = self.azure.org(&self.org).admin().id;
        self.open_pull(by, &format!("refs/heads/{source}"), &format!("refs/heads/{target}"), title)
    }

    fn open_pull(&self, by: Uuid, source: &str, target: &str, title: &str) -> Pull {
        let (number, created) = {
            let mut state = self.azure.state();
            (state.number(), state.now())
        };
        let pull = PullRequest {
            number,
            title: title.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            status: "active",
            by,
            created,
            closed: None,
            source_tip: String::new(),
            target_tip: String::new(),
            merge: None,
        };
        self.change(|repository| repository.pulls.push(pull));
        let pull = Pull { repo: self.clone(), number };
        let result = pull.try_merge();
        self.announce(What::PullRequestCreated { number });
        self.announce(What::PullRequestMerged { number, result });
        pull
    }

    fn resolve(&self, name: &str) -> Option<String> {
        let output = git_command(&self.path(), &["rev-parse", "--verify", "--quiet", name]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    fn set(&self, name: &str, id: &str) {
        let output = git_command(&self.path(), &["update-ref", name, id]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Pull {
    fn change<T>(&self, change: impl FnOnce(&mut PullRequest) -> T) -> T {
        self.repo.change(|repository| {
            change(repository.pulls.iter_mut().find(|pull| pull.number == self.number).expect("it was made"))
        })
    }

    /// `refs/pull/N/merge`.
    pub fn merge_ref(&self) -> String {
        format!("refs/pull/{}/merge", self.number)
    }

    /// Merges for trial, which moves the reference, or takes it away.
    fn try_merge(&self) -> &'static str {
        let (source, target) = self.change(|pull| (pull.source.clone(), pull.target.clone()));
        let tip = |name: &str| self.repo.resolve(name).expect("both branches are there");
        let (source_tip, target_tip) = (tip(&source), tip(&target));
        let folder = self.repo.path();
        let tried = git_command(&folder, &["merge-tree", "--write-tree", &target_tip, &source_tip]).output().unwrap();
        let tree = String::from_utf8(tried.stdout).unwrap().lines().next().unwrap_or_default().to_owned();
        let merge = tried.status.success().then(|| {
            let message = format!("Merge pull request {} from {source} into {target}", self.number);
            let arguments = ["commit-tree", &tree, "-p", &target_tip, "-p", &source_tip, "-m", &message];
            let made = git_command(&folder, &arguments).output().unwrap();
            String::from_utf8(made.stdout).unwrap().trim().to_owned()
        });
        match &merge {
            Some(commit) => self.repo.set(&self.merge_ref(), commit),
            None => {
                let _ = git_command(&folder, &["update-ref", "-d", &self.merge_ref()]).output().unwrap();
            }
        }
        let result = if merge.is_some() { "Succeeded" } else { "Conflicts" };
        self.change(|pull| {
            pull.source_tip = source_tip;
            pull.target_tip = target_tip;
            pull.merge = merge;
        });
        result
    }

    fn close(&self, status: &'static str) {
        let now = self.repo.azure.state().now();
        self.change(|pull| {
            pull.status = status;
            pull.closed = Some(now);
        });
    }

    /// Merges it, which is a push to its target.
    pub fn complete(&self) {
        let by = self.repo.azure.org(&self.repo.org).admin().id;
        self.complete_as(by);
    }

    fn complete_as(&self, by: Uuid) {
        let (target, merge) = self.change(|pull| (pull.target.clone(), pull.merge.clone()));
        let merge = merge.expect("it can be merged");
        let old = self.repo.resolve(&target).unwrap_or_else(|| NOTHING.to_owned());
        self.repo.set(&target, &merge);
        self.close("completed");
        self.repo.azure.record_push(&self.repo, by, &[RefUpdate { name: target, old, new: merge }]);
        self.repo.announce(What::PullRequestUpdated { number: self.number, how: "completed" });
        self.repo.announce(What::PullRequestMerged { number: self.number, result: "Succeeded" });
    }

    /// Nobody wants it.
    pub fn abandon(&self) {
        self.close("abandoned");
        self.repo.announce(What::PullRequestUpdated { number: self.number, how: "abandoned" });
    }

    /// Somebody writes below it.
    pub fn comment(&self, text: &str) {
        self.repo.announce(What::PullRequestComment { number: self.number, text: text.to_owned() });
    }
}

/// Pull requests from branches that were pushed to are merged for trial again.
pub fn pushed_to(repo: &Repo, updates: &[RefUpdate]) {
    let is_from = |pull: &&PullRequest| {
        let pushed = |update: &RefUpdate| update.name == pull.source && update.new != NOTHING;
        pull.status == "active" && updates.iter().any(pushed)
    };
    let from: Vec<u64> = repo.change(|known| known.pulls.iter().filter(is_from).map(|pull| pull.number).collect());
    for number in from {
        let pull = Pull { repo: repo.clone(), number };
        let result = pull.try_merge();
        repo.announce(What::PullRequestUpdated { number, how: "pushed" });
        repo.announce(What::PullRequestMerged { number, result });
    }
}

impl State {
    /// As lists and single answers give it.
    pub fn pull_json(&self, org: &Organization, repository: &Repository, pull: &PullRequest) -> Value {
        let api = format!("{}/{}/{}/_apis/git/repositories/{}", self.host, org.name, repository.project, repository.id);
        let commit = |id: &str| json!({ "commitId": id, "url": format!("{api}/commits/{id}") });
        let mut json = json!({
            "repository": self.repository_json(org, repository, false),
            "pullRequestId": pull.number,
            "codeReviewId": pull.number,
            "status": pull.status,
            "createdBy": self.identity_ref(org, pull.by),
            "creationDate": pull.created,
            "title": pull.title,
            "sourceRefName": pull.source,
            "targetRefName": pull.target,
            "mergeStatus": if pull.merge.is_some() { "succeeded" } else { "conflicts" },
            "isDraft": false,
            "lastMergeSourceCommit": commit(&pull.source_tip),
            "lastMergeTargetCommit": commit(&pull.target_tip),
            "reviewers": [],
            "supportsIterations": true,
            "url": format!("{api}/pullRequests/{}", pull.number),
        });
        put(&mut json, "lastMergeCommit", pull.merge.as_deref().map(commit));
        put(&mut json, "closedDate", pull.closed.map(|closed| json!(closed)));
        json
    }
}

/// `PROJECT/_apis/git/pullrequests`.
pub fn of_project(
    azure: &FakeAzureDevops,
    caller: &Caller,
    project: Option<Uuid>,
    call: &Call,
    rest: &[&str],
) -> Option<Reply> {
    if call.method != "GET" {
        return None;
    }
    let state = azure.state();
    let org = state.org(&caller.org);
    let is_here = |known: &&Repository| {
        let here = project.is_none_or(|project| known.project == project);
        here && known.deleted.is_none() && !known.disabled && sees(org, caller, known)
    };
    let repositories: Vec<&Repository> = org.repositories.iter().filter(is_here).collect();
    shown(&state, org, &repositories, call, rest)
}

fn shown(state: &State, org: &Organization, repositories: &[&Repository], call: &Call, rest: &[&str]) -> Option<Reply> {
    let all = repositories.iter().flat_map(|known| known.pulls.iter().map(|pull| (*known, pull)));
    if let [number] = rest {
        let found = all.clone().find(|(_, pull)| pull.number.to_string() == **number);
        let told = found.map(|(repository, pull)| ok(state.pull_json(org, repository, pull)));
        return Some(told.unwrap_or_else(|| errors::no_pull_request(number)));
    }
    if !rest.is_empty() {
        return None;
    }
    let wanted = call.query("searchCriteria.status").unwrap_or("active");
    let time = |name: &str| call.query(name)?.parse::<DateTime<Utc>>().ok();
    let (from, to) = (time("searchCriteria.minTime"), time("searchCriteria.maxTime"));
    let closed = call.query("searchCriteria.queryTimeRangeType").is_some_and(|kind| same(kind, "closed"));
    let is_wanted = |pull: &PullRequest| {
        let at = if closed { pull.closed } else { Some(pull.created) };
        (same(wanted, "all") || same(wanted, pull.status))
            && from.is_none_or(|from| at.is_some_and(|at| at >= from))
            && to.is_none_or(|to| at.is_some_and(|at| at <= to))
    };
    let mut found: Vec<_> = all.filter(|(_, pull)| is_wanted(pull)).collect();
    found.sort_by_key(|(_, pull)| std::cmp::Reverse(pull.number));
    Some(skip(call, found.into_iter().map(|(repository, pull)| state.pull_json(org, repository, pull)).collect(), 101))
}

/// `…/repositories/ID/pullRequests`.
pub fn respond(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, call: &Call, rest: &[&str]) -> Option<Reply> {
    let number = match (call.method.as_str(), rest) {
        ("GET", _) => {
            let state = azure.state();
            let org = state.org(&caller.org);
            return shown(&state, org, &[org.find(repo.id)?], call, rest);
        }
        ("POST", []) => match create(azure, caller, repo, call) {
            Ok(pull) => pull.number,
            Err(refusal) => return Some(refusal),
        },
        ("PATCH", [number]) => {
            let known = number
                .parse()
                .ok()
                .filter(|number| repo.change(|repository| repository.pulls.iter().any(|pull| pull.number == *number)));
            let Some(number) = known else { return Some(errors::no_pull_request(number)) };
            let pull = Pull { repo: repo.clone(), number };
            match call.body["status"].as_str() {
                Some("completed") => pull.complete_as(caller.person),
                Some("abandoned") => pull.abandon(),
                _ => (),
            }
            number
        }
        _ => return None,
    };
    let state = azure.state();
    let org = state.org(&caller.org);
    let repository = org.find(repo.id)?;
    let pull = repository.pulls.iter().find(|pull| pull.number == number)?;
    let status = if call.method == "POST" { 201 } else { 200 };
    Some(answer(status, state.pull_json(org, repository, pull)))
}

fn create(azure: &FakeAzureDevops, caller: &Caller, repo: &Repo, call: &Call) -> Result<Pull, Reply> {
    if let Some(refusal) = lacks(azure, caller, repo, "PullRequestContribute") {
        return Err(refusal);
    }
    let text = |name: &str| call.body[name].as_str().unwrap_or_default();
    let (source, target) = (text("sourceRefName"), text("targetRefName"));
    let known = refs::read(repo);
    if source == target || ![source, target].iter().all(|wanted| known.iter().any(|(name, ..)| name == wanted)) {
        let why = "TF401398: The pull request cannot be activated because the source and/or the target branch no longer \
                   exists, or the requested pull request would have no changes.";
        return Err(errors::bad_argument(why));
    }
    Ok(repo.open_pull(caller.person, source, target, text("title")))
}
