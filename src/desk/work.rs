//! Work that takes longer than a chat waits: it is queued, and what came of it is looked up.

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};

use super::answer::Outcome;
use super::waits::Waits;
use super::words::{self, count};
use crate::catalog::{Priority, Repository, job_kind};
use crate::chat::{Line, Reply, Tone};
use crate::domain::{Kind, ProofKind, RepoId, Report, Result};
use crate::jobs::{self, Errand};
use crate::ops::Level;
use crate::ops::verify::{Depth, verify};
use crate::services::Services;

/// What is to be done with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    /// Bring the vault up to the forge.
    Backup,
    /// Read every object of it.
    Verify,
    /// Restore it in scratch.
    Drill,
}

impl Work {
    /// Queues it.
    pub(super) async fn begin(self, services: &Services, repository: &Repository) -> Result<Outcome> {
        // As the catalog's columns have it.
        let since = Utc::now().trunc_subsecs(3);
        let repo = repository.id.clone();
        services.catalog.enqueue(self.kind(), repo.as_str(), Priority::Manual).await?;
        let doing = match self {
            Self::Backup => "Backing up",
            Self::Verify => "Reading all backups of",
            Self::Drill => "Rehearsing a restore of",
        };
        let reply = Reply::new(Tone::Plain, format!("{doing} {}", repository.full_name))
            .line("This answer changes when it is done.");
        Ok(Outcome::Waits(reply, Waits::Work { work: self, repo, since }))
    }

    /// What came of it. `None`: nothing yet.
    pub(super) async fn result(
        self,
        services: &Services,
        repo: &RepoId,
        since: DateTime<Utc>,
    ) -> Result<Option<Reply>> {
        let repository = services.catalog.repository(repo).await?;
        if let Some(job) = services.catalog.job(self.kind(), repo.as_str()).await? {
            // One that has failed waits for its time; one that may run now has an error from before it was asked for, if any.
            // What waits for a forge's limit has not failed.
            let failed = job.last_error.filter(|why| job.run_at > Utc::now() && jobs::throttled(why).is_none());
            return Ok(failed.map(|why| self.failed(&repository, &why)));
        }
        if self == Self::Backup {
            return backed_up(services, &repository, since).await.map(Some);
        }
        let kind = if self == Self::Verify { ProofKind::Verify } else { ProofKind::Drill };
        let proofs = services.catalog.proofs(Some(repo), since).await?;
        let proof = proofs.into_iter().rev().find(|proof| proof.report.kind == kind);
        Ok(Some(proof.map_or_else(|| nothing(&repository), |proof| proved(&proof.report))))
    }

    /// Nobody waits that long.
    pub(super) fn takes_too_long() -> Reply {
        Reply::new(Tone::Careful, "It is still under way, and no longer waited for.")
            .line("`/refward status` tells how the repository stands.")
    }

    fn failed(self, repository: &Repository, why: &str) -> Reply {
        let what = match self {
            Self::Backup => "could not be backed up",
            Self::Verify => "could not be verified",
            Self::Drill => "could not be drilled",
        };
        Reply::new(Tone::Bad, format!("{} {what}", repository.full_name))
            .line(words::sentence(why))
            .line("It is tried again by itself.")
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Backup => job_kind::SYNC_REPO,
            Self::Verify => job_kind::VERIFY,
            Self::Drill => job_kind::DRILL,
        }
    }
}

async fn backed_up(services: &Services, repository: &Repository, since: DateTime<Utc>) -> Result<Reply> {
    let name = &repository.full_name;
    let snapshots = services.catalog.snapshots(&repository.id).await?;
    Ok(match snapshots.last() {
        Some(newest) if newest.time >= since => {
            let refs = newest.refs;
            let changed = refs.created + refs.updated + refs.deleted;
            Reply::new(Tone::Good, format!("{name} is backed up: snapshot {}", newest.seq)).line(format!(
                "{} changed, {}.",
                count(changed, "reference"),
                count(newest.objects, "new object")
            ))
        }
        Some(newest) => Reply::new(Tone::Good, format!("{name} is as snapshot {} has it", newest.seq))
            .line(Line::new().text("Nothing has changed since ").when(newest.time).text(".")),
        None => nothing(repository),
    })
}

fn proved(report: &Report) -> Reply {
    let name = &report.repository;
    let did = match report.kind {
        ProofKind::Verify => "The backups",
        ProofKind::Drill => "A restore",
    };
    let read = Line::new().text(format!("{}: ", words::sentence(&report.method).trim_end_matches('.'))).text(format!(
        "{} in {}.",
        count(report.read.objects, "object"),
        words::span(report.duration_ms)
    ));
    if report.passed {
        return Reply::new(
            Tone::Good,
            format!("{did} of {name} {} whole", if did == "A restore" { "is" } else { "are" }),
        )
        .line(read);
    }
    let mut reply = Reply::new(Tone::Bad, format!("{did} of {name} failed the test")).line(read);
    for finding in report.findings.iter().take(5) {
        reply = reply.line(words::sentence(&finding.problem));
    }
    reply.line("What is whole can be restored; `refward report` tells all of it.")
}

fn nothing(repository: &Repository) -> Reply {
    Reply::new(Tone::Careful, format!("There is nothing of {} in the vault yet", repository.full_name))
}

/// The errand: a repository's objects are read to their last byte, and what was found is kept.
pub(super) struct Verify;

#[async_trait]
impl Errand for Verify {
    fn kind(&self) -> &'static str {
        job_kind::VERIFY
    }

    async fn run(&self, services: &Services, repo: &str) -> Result<()> {
        let repository = match services.catalog.repository(&repo.parse()?).await {
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            repository => repository?,
        };
        let depth = Depth { level: Level::ReadData(1.0), drill: false };
        verify(services, &repository, depth, &|_| {}).await.map(drop)
    }
}
