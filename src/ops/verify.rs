//! Proof that backups can come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::assembly::{Source, assemble};
use crate::catalog::Repository;
use crate::domain::{Error, Point, Result, Seq};
use crate::git::{bare, program};
use crate::services::{Services, git_limits};
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
}

/// Something that is not as it should be.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// The object in the vault.
    pub object: String,
    /// Its snapshot, if it has one.
    pub seq: Option<Seq>,
    /// What is wrong.
    pub problem: String,
}

/// Verifies one repository. What is wrong with the backup is a finding; an error means that it could not be looked at.
pub async fn verify(
    services: &Services,
    repository: &Repository,
    depth: Depth,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Verified> {
    let expected = services.catalog.expected(&repository.id).await?;
    let found = services.vault.verify(&repository.id, depth.level, Some(&expected), progress).await?;
    let mut findings: Vec<Problem> = found.into_iter().map(Problem::from).collect();
    let mut drilled = false;
    if depth.drill && findings.is_empty() && !expected.is_empty() {
        match drill(services, repository).await {
            Ok(()) => drilled = true,
            Err(error) => findings.push(Problem {
                object: format!("repos/{}", repository.id),
                seq: repository.last_seq,
                problem: format!("the drill failed: {error}"),
            }),
        }
    }
    Ok(Verified { repository: repository.full_name.clone(), snapshots: expected.len(), drilled, findings })
}

/// Rebuilds the newest snapshot that the catalog knows in scratch and holds it against the catalog's journal.
async fn drill(services: &Services, repository: &Repository) -> Result<()> {
    let source = Source {
        vault: Arc::clone(&services.vault),
        repo: repository.id.clone(),
        limits: git_limits(&services.settings.git),
        known: BTreeMap::new(),
    };
    let (seq, recorded) = services.catalog.refs_at(&repository.id, None).await?;
    let (_, state) = source.vault.state_at(&source.repo, Some(Point::Seq(seq))).await?;
    let scratch = source.scratch()?;
    let git_dir = scratch.path().join("drill.git");
    bare::create(&git_dir, &state)?;
    assemble(&source, seq, &git_dir.join("objects/pack"), &|_| {}).await?;
    program::fsck(&git_dir).await?;

    let rebuilt = program::refs(&git_dir).await?;
    let differing: Vec<String> = difference(&rebuilt.refs, &recorded.refs);
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::damaged(format!("snapshot {seq} in the vault is not what the catalog says: {}", differing.join(", "))))
}

fn difference<K: Ord + std::fmt::Display, V: PartialEq>(left: &BTreeMap<K, V>, right: &BTreeMap<K, V>) -> Vec<String> {
    let changed = left.iter().filter(|(name, id)| right.get(name) != Some(id)).map(|(name, _)| name.to_string());
    let missing = right.keys().filter(|name| !left.contains_key(name)).map(ToString::to_string);
    changed.chain(missing).collect()
}

impl From<Finding> for Problem {
    fn from(Finding { object, seq, problem }: Finding) -> Self {
        Self { object, seq, problem }
    }
}
