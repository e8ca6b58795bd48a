//! Work that must happen even if this process dies.
//!
//! A job is `(kind, subject)` in the catalog, coalesced: however often it is asked for while it runs, it runs once more.
//! Every job is a reconciler: it takes no input but its subject, looks at both sides, and does what is missing; so running
//! one twice, or after a crash at any point, is harmless. One file per job.

mod discover;
mod scheduler;
mod sync_repo;
mod worker;

use crate::catalog::job_kind::{DISCOVER, SYNC_REPO};
use crate::domain::{ConnectionId, Error, RepoId, Result};

pub use discover::{Discovered, Filter, discover};
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
}

impl Job {
    /// The words that the queue stores.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SyncRepo(_) => SYNC_REPO,
            Self::Discover(_) => DISCOVER,
        }
    }

    /// What it is about, in the queue's words.
    pub fn subject(&self) -> String {
        match self {
            Self::SyncRepo(id) => id.to_string(),
            Self::Discover(id) => id.to_string(),
        }
    }

    fn parse(kind: &str, subject: &str) -> Result<Self> {
        let unknown =
            || Error::bug(format!("the queue holds a job `{kind}` for `{subject}` that this program does not know"));
        match kind {
            SYNC_REPO => subject.parse().map(Self::SyncRepo),
            DISCOVER => subject.parse().map(|id| Self::Discover(ConnectionId(id))).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}
