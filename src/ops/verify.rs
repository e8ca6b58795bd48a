//! Proof that backups can come back.

use chrono::Utc;
use serde::Serialize;

use crate::catalog::Repository;
use crate::domain::{Problem, ReadAmount, Report, Result, Skipped};
use crate::forge::quota::Urgency;
use crate::jobs;
use crate::services::Services;
use crate::vault::{Finding, Level, Progress};

/// How much to look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depth {
    /// Records only, or the objects' bytes too, or a share of them.
    pub level: Level,
    /// Rebuild in scratch, `git fsck`, compare every reference.
    pub drill: bool,
}

/// What was found of one repository.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// `OWNER/NAME`.
    pub repository: String,
    /// Snapshots looked at.
    pub snapshots: usize,
    /// A drill was passed.
    pub drilled: bool,
    /// What is wrong; empty: nothing.
    pub findings: Vec<Problem>,
    /// What the newest snapshot does not hold, and what would complete it.
    pub missing: Vec<Skipped>,
}

/// Verifies one repository. What is wrong with the backup is a finding, and is kept as such; an error means that it could
/// not be looked at.
pub async fn verify(
    services: &Services,
    repository: &Repository,
    depth: Depth,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Verified> {
    let started = Utc::now();
    let expected = services.catalog.expected(&repository.id).await?;
    let found = services.vault.verify(&repository.id, depth.level, Some(&expected), progress).await?;
    let mut findings: Vec<Problem> = found.into_iter().map(Problem::from).collect();
    let all = depth.level == Level::ReadData(1.0);
    if all || !findings.is_empty() {
        let method =
            if all { "every object read to the last byte and opened" } else { "the beginning of every object read" };
        let stored = services.vault.cover(&repository.id).await?.live;
        let bytes = if all { stored.iter().map(|stored| stored.bytes).sum() } else { 0 };
        let read = ReadAmount { objects: stored.len() as u64, bytes };
        jobs::keep_verification(services, repository, findings.clone(), read, method, started).await?;
    }
    let mut drilled = false;
    if depth.drill && findings.is_empty() && !expected.is_empty() {
        let report = drill(services, repository).await?;
        drilled = report.passed;
        let failed =
            |finding: Problem| Problem { problem: format!("the drill failed: {}", finding.problem), ..finding };
        findings.extend(report.findings.into_iter().map(failed));
    }
    let recorded = services.catalog.snapshots(&repository.id).await?;
    let missing = recorded.last().map(|newest| newest.missing.clone()).unwrap_or_default();
    let (repository, snapshots) = (repository.full_name.clone(), recorded.len());
    Ok(Verified { repository, snapshots, drilled, findings, missing })
}

/// A restore drill for somebody who waits for it.
pub async fn drill(services: &Services, repository: &Repository) -> Result<Report> {
    jobs::prove(services, repository, Urgency::Person).await
}

impl From<Finding> for Problem {
    fn from(Finding { object, seq, problem }: Finding) -> Self {
        Self { object, seq, problem }
    }
}
