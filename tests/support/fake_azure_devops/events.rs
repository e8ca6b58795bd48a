//! What happens in the double, for those who want to hear of it: service hooks, above all.
//!
//! Whatever changes something calls [`FakeAzureDevops::announce`] when it holds no lock; that hands the event on to
//! [`super::hooks::announce`]. Calls to `_apis/hooks/…` come to [`super::hooks::respond`] once it is known who calls.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::FakeAzureDevops;
use super::hooks;
use super::state::RefUpdate;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// The organization.
    pub org: String,
    /// The project.
    pub project: Uuid,
    /// The repository, if it is one's.
    pub repository: Option<Uuid>,
    /// Who did it: an identity.
    pub by: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody pushed.
    Push { push_id: u64, updates: Vec<RefUpdate> },
    /// A repository was made.
    RepositoryCreated,
    /// A repository was made from another one.
    RepositoryForked { parent: Uuid },
    /// It has another name now.
    RepositoryRenamed { old_name: String, new_name: String },
    /// It was thrown away; `hard`: for good.
    RepositoryDeleted { name: String, hard: bool },
    /// It was disabled or enabled.
    RepositoryStatusChanged { disabled: bool },
    /// A pull request is there.
    PullRequestCreated { number: u64 },
    /// It changed: pushed to, completed, abandoned, …
    PullRequestUpdated { number: u64, how: &'static str },
    /// A merge of it was tried: `Succeeded`, `Conflicts`.
    PullRequestMerged { number: u64, result: &'static str },
    /// Somebody commented on it.
    PullRequestComment { number: u64, text: String },
}

impl FakeAzureDevops {
    /// Tells everybody who wants to hear of it. Nobody may hold the state meanwhile.
    pub(super) fn announce(&self, org: &str, project: Uuid, repository: Option<Uuid>, by: Uuid, what: What) {
        let at = self.state().now();
        hooks::announce(self, &Event { org: org.to_owned(), project, repository, by, at, what });
    }
}
