//! Pull requests.

use uuid::Uuid;

use super::FakeAzureDevops;
use super::reply::{Call, Reply};
use super::repo::Repo;
use super::sign_in::Caller;
use super::state::RefUpdate;

#[derive(Clone)]
pub struct PullRequest {
    pub number: u64,
}

/// A pull request.
#[derive(Clone)]
pub struct Pull {
    pub(super) repo: Repo,
    /// Its number, unique in the organization.
    pub number: u64,
}

impl FakeAzureDevops {
    pub(super) fn pushed_to_pulls(&self, repo: &Repo, by: Uuid, updates: &[RefUpdate]) {
        let _ = (repo, by, updates);
    }
}

pub fn of_project(
    azure: &FakeAzureDevops,
    caller: &Caller,
    project: Option<Uuid>,
    call: &Call,
    rest: &[&str],
) -> Option<Reply> {
    let _ = (azure, caller, project, call, rest);
    None
}

pub async fn respond(
    azure: &FakeAzureDevops,
    caller: &Caller,
    repo: &Repo,
    call: &Call,
    rest: &[&str],
) -> Option<Reply> {
    let _ = (azure, caller, repo, call, rest);
    None
}
