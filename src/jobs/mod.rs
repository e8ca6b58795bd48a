//! Work that must happen even if this process dies.
//!
//! A job is `(kind, subject)` in the catalog, coalesced: however often it is asked for while it runs, it runs once more.
//! Every job is a reconciler: it takes no input but its subject, looks at both sides, and does what is missing; so running
//! one twice, or after a crash at any point, is harmless. One file per job.

mod alarms;
mod announce;
mod catch_up;
mod compact;
mod deliver;
mod digest;
mod discover;
mod drill;
mod follow_app;
mod keep_hooks;
pub mod policies;
mod prune;
mod quotas;
mod read_share;
pub mod record_end;
mod retain;
mod route;
mod scheduler;
mod sync_repo;
mod watch;
mod worker;

use crate::catalog::job_kind::{
    ALL_OF_IT, CATCH_UP, COMPACT, DELIVER, DISCOVER, DRILL, FOLLOW_APP, KEEP_HOOKS, PRUNE, READ_SHARE, RETAIN,
    SYNC_REPO, WATCH,
};
use crate::domain::{AppId, ConnectionId, Error, RepoId, Result};

pub use announce::{Rule, Spot, keep_standing, say, try_channels};
pub use catch_up::catch_up;
pub use compact::{compact, due as compaction_due};
pub use deliver::deliver;
pub use digest::{digest_due, digest_told};
pub use discover::{Discovered, Filter, Groups, discover, groups_of};
pub use drill::{Windows, drill, due as drills_due, next_drill, prove};
pub use follow_app::follow_app;
pub use keep_hooks::{keep_hooks, remove_hooks, switch_on_hooks};
pub use prune::{Pruned, Sentence, prune, prune_now, sentences};
pub use quotas::{sharing, standing, throttled};
pub use read_share::{keep_verification, read_share};
pub use retain::{Judged, Rules, judge, retain};
pub use route::{Incoming, Router};
pub use scheduler::Scheduler;
pub use sync_repo::{Outcome, row, sync_repo};
pub use watch::watch;
pub use worker::{Errand, Errands, Workers, run_now};

/// The catalog knows points that the vault does not hold.
fn disagrees(full_name: &str) -> Error {
    Error::damaged(format!("the catalog tells of snapshots of {full_name} that the vault does not, or not yet"))
        .hint("if the database was brought back from a copy of its own: `refward catalog rebuild`")
}

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
    /// Look after the hooks that we have set up for a connection.
    KeepHooks(ConnectionId),
    /// Mark the recovery points that no rule keeps.
    Retain(RepoId),
    /// Join a repository's objects in the vault into fewer.
    Compact(RepoId),
    /// Delete what is condemned and past its grace.
    Prune,
    /// Restore in scratch and compare.
    Drill(RepoId),
    /// Read a share of the vault.
    ReadShare,
    /// Look for what people must be told.
    Watch,
    /// Hand waiting notices to the receiver with this name.
    Deliver(String),
}

impl Job {
    /// The words that the queue stores.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SyncRepo(_) => SYNC_REPO,
            Self::Discover(_) => DISCOVER,
            Self::FollowApp(_) => FOLLOW_APP,
            Self::CatchUp(_) => CATCH_UP,
            Self::KeepHooks(_) => KEEP_HOOKS,
            Self::Retain(_) => RETAIN,
            Self::Compact(_) => COMPACT,
            Self::Prune => PRUNE,
            Self::Drill(_) => DRILL,
            Self::ReadShare => READ_SHARE,
            Self::Watch => WATCH,
            Self::Deliver(_) => DELIVER,
        }
    }

    /// What it is about, in the queue's words.
    pub fn subject(&self) -> String {
        match self {
            Self::SyncRepo(id) | Self::Retain(id) | Self::Compact(id) | Self::Drill(id) => id.to_string(),
            Self::Discover(id) | Self::KeepHooks(id) => id.to_string(),
            Self::FollowApp(id) | Self::CatchUp(id) => id.to_string(),
            Self::Prune | Self::ReadShare | Self::Watch => ALL_OF_IT.to_owned(),
            Self::Deliver(receiver) => receiver.clone(),
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
            KEEP_HOOKS => subject.parse().map(|id| Self::KeepHooks(ConnectionId(id))).map_err(|_| unknown()),
            RETAIN => subject.parse().map(Self::Retain),
            COMPACT => subject.parse().map(Self::Compact),
            PRUNE => Ok(Self::Prune),
            DRILL => subject.parse().map(Self::Drill),
            READ_SHARE => Ok(Self::ReadShare),
            WATCH => Ok(Self::Watch),
            DELIVER => Ok(Self::Deliver(subject.to_owned())),
            _ => Err(unknown()),
        }
    }
}
