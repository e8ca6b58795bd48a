//! Work that must happen even if this process dies.
//!
//! A job is `(kind, subject)` in the catalog, coalesced: however often it is asked for while it runs, it runs once more.
//! Every job is a reconciler: it takes no input but its subject, looks at both sides, and does what is missing; so running
//! one twice, or after a crash at any point, is harmless. One file per job.

mod catch_up;
mod discover;
mod follow_app;
mod quotas;
mod route;
mod scheduler;
mod sync_repo;
mod worker;

use crate::catalog::job_kind::{CATCH_UP, DISCOVER, FOLLOW_APP, SYNC_REPO};
use crate::domain::{AppId, ConnectionId, Error, RepoId, Result};

pub use catch_up::catch_up;
pub use discover::{Discovered, Filter, discover, groups_of};
pub use follow_app::follow_app;
pub use quotas::{sharing, standing, throttled};
pub use route::{Incoming, Router};
pub use scheduler::Scheduler;
pub use sync_repo::{Outcome, row, sync_repo};
pub use worker::{Workers, run_now};

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Bring the vault up to the forge for one repository.
    SyncRepo(RepoId),
    /// Read a connection's list of repositories again.
    Discover(ConnectionId),
    /// Look where an App is installed.
    FollowApp(AppId),
    /// Fetch what an App's webhook could not deliver.
    CatchUp(AppId),
}

impl Job {
    /// The words that the queue stores.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SyncRepo(_) => SYNC_REPO,
            Self::Discover(_) => DISCOVER,
            Self::FollowApp(_) => FOLLOW_APP,
            Self::CatchUp(_) => CATCH_UP,
        }
    }

    /// What it is about, in the queue's words.
    pub fn subject(&self) -> String {
        match self {
            Self::SyncRepo(id) => id.to_string(),
            Self::Discover(id) => id.to_string(),
            Self::FollowApp(id) | Self::CatchUp(id) => id.to_string(),
        }
    }

    fn parse(kind: &str, subject: &str) -> Result<Self> {
        let unknown =
            || Error::bug(format!("the queue holds a job `{kind}` for `{subject}` that this program does not know"));
        match kind {
            SYNC_REPO => subject.parse().map(Self::SyncRepo),
            DISCOVER => subject.parse().map(|id| Self::Discover(ConnectionId(id))).map_err(|_| unknown()),
            FOLLOW_APP => subject.parse().map(|id| Self::FollowApp(AppId(id))).map_err(|_| unknown()),
            CATCH_UP => subject.parse().map(|id| Self::CatchUp(AppId(id))).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}
