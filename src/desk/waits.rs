//! What an answer waits for: work that workers do, or something that somebody does elsewhere. It is looked at again and
//! again by the job that answers, so that nothing is forgotten when a process dies.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{link, restores, work};
use crate::chat::Reply;
use crate::domain::{RepoId, Result};
use crate::services::Services;

/// While somebody is watching.
const SOON: Duration = Duration::from_secs(1);

/// Later on.
const LATER: Duration = Duration::from_secs(15);

/// How long somebody watches.
const WATCHES: Duration = Duration::from_secs(30);

/// Whatever takes longer is not waited for.
const LONGEST: Duration = Duration::from_hours(24);

/// What an answer waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Waits {
    /// A sign-in on the forge.
    Link {
        /// As `ops::identity` knows it.
        attempt: String,
    },
    /// A job for a repository.
    Work {
        /// Which.
        work: work::Work,
        /// The repository.
        repo: RepoId,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// A restore that is carried out.
    Restore {
        /// Its number.
        id: i64,
        /// Whoever waits has approved it, and did not ask for it.
        second: bool,
    },
}

/// What looking came to.
pub(super) enum Looked {
    /// It is done, or failed.
    Done(Reply),
    /// Look again after this long.
    NotYet(Duration),
}

impl Waits {
    /// Somebody has to do it who reads the answer first.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Link { .. })
    }

    /// Whether it is done. `asked`: since when it is waited for.
    pub(super) async fn look(&self, services: &Services, asked: DateTime<Utc>) -> Result<Looked> {
        let age = (Utc::now() - asked).to_std().unwrap_or_default();
        let pause = if age < WATCHES { SOON } else { LATER };
        match self {
            Self::Link { attempt } => link::poll(services, attempt).await,
            Self::Work { work, repo, since } => match work.result(services, repo, *since).await? {
                Some(reply) => Ok(Looked::Done(reply)),
                None if age > LONGEST => Ok(Looked::Done(work::Work::takes_too_long())),
                None => Ok(Looked::NotYet(pause)),
            },
            Self::Restore { id, second } => {
                let ended = restores::poll(services, *id, *second).await?;
                Ok(ended.map_or(Looked::NotYet(pause), Looked::Done))
            }
        }
    }
}
