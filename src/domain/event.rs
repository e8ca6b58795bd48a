//! What a forge reports, in our words.

use chrono::{DateTime, Utc};

use super::{Actor, ObjectId, RefName, RemoteRepository};

/// One reported change. A hint, never the truth: deliveries get lost, repeated and reordered, so an event only says
/// where to look.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The repository concerned, as the payload describes it; `None` for events of an account or installation.
    pub repository: Option<RemoteRepository>,
    /// Who did it, where the forge says.
    pub actor: Option<Actor>,
    /// When it happened, where the forge says.
    pub at: Option<DateTime<Utc>>,
    /// What happened.
    pub change: Change,
}

/// Kinds of change, by the data that has to be looked at again.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A reference moved; `None` on a side means it did not or does not exist.
    Push {
        /// Which reference.
        name: RefName,
        /// Before.
        old: Option<ObjectId>,
        /// After.
        new: Option<ObjectId>,
        /// The forge says that it was forced.
        forced: bool,
    },
    /// References changed without the payload saying from what to what (`create`, `delete`, a pull request's head).
    Refs,
    /// The repository itself: `created`, `deleted`, `renamed`, `transferred`, `archived`, …
    Repository(String),
    /// What we may reach changed (installation, its repositories, its permissions).
    Access(String),
    /// An issue or its comments, labels, relations.
    Issue(u64),
    /// A pull request, its reviews and their comments.
    PullRequest(u64),
    /// A work item and its comments, links, attachments.
    WorkItem(u64),
    /// A run of a build.
    Build(u64),
    /// A discussion and its comments.
    Discussion(u64),
    /// A release or its assets, by the forge's id.
    Release(u64),
    /// The wiki's own repository.
    Wiki,
    /// Settings of the repository: labels, milestones, protection, rulesets, keys, people, properties.
    Settings(&'static str),
    /// The account: members, teams.
    Account(&'static str),
}

impl Change {
    /// A stable word for storage, metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Push { .. } => "push",
            Self::Refs => "refs",
            Self::Repository(_) => "repository",
            Self::Access(_) => "access",
            Self::Issue(_) => "issue",
            Self::PullRequest(_) => "pull_request",
            Self::WorkItem(_) => "work_item",
            Self::Build(_) => "build",
            Self::Discussion(_) => "discussion",
            Self::Release(_) => "release",
            Self::Wiki => "wiki",
            Self::Settings(_) => "settings",
            Self::Account(_) => "account",
        }
    }
}
