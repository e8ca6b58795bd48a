//! The restore drill: the newest recovery point, rebuilt in scratch, checked by git, every reference compared with the
//! catalog's journal and with the forge. What comes of it is signed and kept.

mod due;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, SubsecRound as _, Utc};

use super::policies;
use crate::assembly::{Rehearsal, Source, rehearse};
use crate::catalog::Repository;
use crate::domain::{
    Error, ForgeComparison, Kind, Problem, ProofKind, ProvedSnapshot, ReadAmount, RefName, RefState, RepoId, Report,
    Restored, Result, Seq, Snapshot,
};
use crate::forge::quota::Urgency;
use crate::services::{Services, git_limits};

pub use due::{due, next_drill};
pub use window::Windows;

const METHOD: &str = "restored into an empty folder from the vault alone, git fsck, every reference compared";

/// References that a finding names; the rest is counted.
const NAMED: usize = 10;

/// Proves that the repository's newest recovery point can come back. A failed proof is kept and is no failure of the job.
pub async fn drill(services: &Services, repo: &RepoId) -> Result<()> {
    let repository = services.catalog.repository(repo).await?;
    match prove(services, &repository, Urgency::Sweep).await {
        Ok(report) if report.passed => tracing::info!(repository = report.repository, "drill passed"),
        Ok(report) => {
            let found = report.findings.first().map(|finding| finding.problem.as_str()).unwrap_or_default();
            tracing::error!(repository = report.repository, "drill failed: {found}");
        }
        // Removed or never backed up: there is nothing to prove.
        Err(error) if error.kind() == Kind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Drills now, and keeps the signed report, passed or not. An error means that the drill could not be carried out, which
/// says nothing about the backup.
pub async fn prove(services: &Services, repository: &Repository, urgency: Urgency) -> Result<Report> {
    if services.vault.is_sealed() {
        return Err(Error::misconfigured("this deployment is sealed: it has no key to restore with")
            .hint("drill where the vault's key is; here, `refward verify` compares hashes"));
    }
    let (started_at, clock) = (Utc::now().trunc_subsecs(3), Instant::now());
    let (seq, recorded) = services.catalog.refs_at(&repository.id, None).await?;
    let snapshot = services.catalog.snapshot(&repository.id, seq).await?;
    let source = source(services, repository).await?;
    let read = amount(&source, seq).await?;
    let (findings, restore) = match rehearse(&source, seq, read.bytes).await {
        Ok(rehearsal) => {
            let findings = differences(&rehearsal.rebuilt, &recorded);
            let forge = compare_with_forge(services, repository, &rehearsal.rebuilt, urgency).await;
            (findings, Some(restored(&rehearsal, forge)))
        }
        Err(error) if error.kind() == Kind::Damaged => (vec![error.to_string()], None),
        Err(error) => return Err(error.while_doing(format!("drilling {}", repository.full_name))),
    };
    let problem = |problem| Problem { object: format!("repos/{}", repository.id), seq: Some(seq), problem };
    let report = Report {
        snapshot: Some(proved(snapshot)),
        duration_ms: millis(clock.elapsed()),
        passed: findings.is_empty(),
        findings: findings.into_iter().map(problem).collect(),
        read,
        restore,
        ..blank(services, repository, ProofKind::Drill, METHOD, started_at)
    };
    keep(services, &report).await?;
    Ok(report)
}

/// Signs a report and keeps it in the catalog, and in the vault, if that takes it: there it survives the catalog.
pub(super) async fn keep(services: &Services, report: &Report) -> Result<()> {
    let text = report.canonical()?;
    let signature = services.vault.sign(text.as_bytes())?;
    if let Err(error) = services.vault.keep_report(report, &signature).await {
        tracing::warn!(repository = report.repository, "the vault does not take a report: {}", error.for_log());
    }
    let outcome = if report.passed { "passed" } else { "failed" };
    metrics::counter!("refward_proofs_total", "kind" => report.kind.word(), "outcome" => outcome).increment(1);
    services.catalog.put_proof(report, &text, &signature).await
}

/// A report about a repository in which nothing has been found yet.
pub(super) fn blank(
    services: &Services,
    repository: &Repository,
    kind: ProofKind,
    method: &str,
    started_at: DateTime<Utc>,
) -> Report {
    Report {
        kind,
        version: Report::VERSION,
        program: concat!("refward ", env!("CARGO_PKG_VERSION")).to_owned(),
        vault: services.vault.id(),
        repo: repository.id.clone(),
        repository: repository.full_name.clone(),
        snapshot: None,
        started_at,
        duration_ms: 0,
        passed: true,
        method: method.to_owned(),
        findings: Vec::new(),
        read: ReadAmount::default(),
        restore: None,
    }
}

async fn source(services: &Services, repository: &Repository) -> Result<Source> {
    let expected = services.catalog.expected(&repository.id).await?;
    Ok(Source {
        vault: Arc::clone(&services.vault),
        repo: repository.id.clone(),
        limits: git_limits(&services.settings.git),
        known: expected.iter().map(|object| (object.extent, object.sha256)).collect(),
    })
}

/// What rebuilding a snapshot reads. If something is missing there, the rebuilding will say so.
async fn amount(source: &Source, seq: Seq) -> Result<ReadAmount> {
    let cover = source.vault.cover(&source.repo).await?;
    let read = cover.live.iter().filter(|stored| stored.extent.from <= seq);
    Ok(read.fold(ReadAmount::default(), |sum, stored| ReadAmount {
        objects: sum.objects + 1,
        bytes: sum.bytes + stored.bytes,
    }))
}

fn proved(snapshot: Snapshot) -> ProvedSnapshot {
    ProvedSnapshot { seq: snapshot.seq, time: snapshot.time, missing: snapshot.missing }
}

fn restored(rehearsal: &Rehearsal, forge: ForgeComparison) -> Restored {
    Restored {
        git: rehearsal.git.to_owned(),
        ready_ms: millis(rehearsal.ready),
        fsck_ms: millis(rehearsal.fsck),
        references: rehearsal.rebuilt.refs.len() as u64,
        forge,
    }
}

/// What was rebuilt against what the journal in the catalog leads to.
fn differences(rebuilt: &RefState, recorded: &RefState) -> Vec<String> {
    let mut found = Vec::new();
    if rebuilt.object_format != recorded.object_format {
        found.push(format!("the hash is {}; the catalog says {}", rebuilt.object_format, recorded.object_format));
    }
    if recorded.head.is_some() && rebuilt.head != recorded.head {
        found.push("HEAD is not where the catalog says".to_owned());
    }
    let wrong = moved(rebuilt, recorded);
    if !wrong.is_empty() {
        let named: Vec<&str> = wrong.iter().take(NAMED).copied().collect();
        let more = wrong.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        found.push(format!("references are not where the catalog says: {}{more}", named.join(", ")));
    }
    found
}

/// Names that have another value on one of two sides, or none.
fn moved<'a>(one: &'a RefState, other: &'a RefState) -> BTreeSet<&'a str> {
    let names = one.refs.keys().chain(other.refs.keys());
    names.filter(|name| one.refs.get(*name) != other.refs.get(*name)).map(RefName::as_str).collect()
}

/// What moved on the forge since the snapshot is told and is no finding.
async fn compare_with_forge(
    services: &Services,
    repository: &Repository,
    rebuilt: &RefState,
    urgency: Urgency,
) -> ForgeComparison {
    if repository.gone {
        return ForgeComparison::NotCompared { why: "the forge does not have it any more".to_owned() };
    }
    if let Some(why) = repository.availability.closed() {
        return ForgeComparison::NotCompared { why: why.to_owned() };
    }
    let listed = async {
        let labels = policies::credentials_for(services, repository).await?;
        let remote = services.remote(repository, urgency, &labels).await?;
        services.git.list(&remote, None).await
    };
    match listed.await {
        Ok((_, listing)) => {
            let moved = moved(rebuilt, &listing.state);
            let same = rebuilt.refs.keys().filter(|name| !moved.contains(name.as_str())).count();
            ForgeComparison::Compared { same: same as u64, moved: moved.len() as u64 }
        }
        Err(error) => ForgeComparison::NotCompared { why: error.to_string() },
    }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Head, ObjectId};

    fn state(refs: &[(&str, u8)]) -> RefState {
        let id = |byte: u8| ObjectId::from_raw(&[byte; 20]).unwrap();
        let refs = refs.iter().map(|(name, byte)| (name.parse().unwrap(), id(*byte))).collect();
        RefState { refs, ..RefState::default() }
    }

    #[test]
    fn every_difference_is_found_and_a_long_list_is_cut() {
        let recorded = state(&[("refs/heads/main", 1), ("refs/heads/gone", 1)]);
        assert_eq!(differences(&recorded, &recorded), [""; 0]);
        let rebuilt = state(&[("refs/heads/main", 2), ("refs/heads/new", 1)]);
        assert_eq!(
            differences(&rebuilt, &recorded),
            ["references are not where the catalog says: refs/heads/gone, refs/heads/main, refs/heads/new"]
        );
        let names: Vec<String> = (10..25).map(|number| format!("refs/heads/{number}")).collect();
        let many: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let found = differences(&state(&many), &state(&[]));
        assert!(found[0].ends_with("refs/heads/19 and 5 more"), "{found:?}");
    }

    #[test]
    fn head_counts_where_the_forge_told_it() {
        let main = Some(Head::Symbolic("refs/heads/main".parse().unwrap()));
        let with = |head| RefState { head, ..RefState::default() };
        assert_eq!(differences(&with(main.clone()), &with(None)), [""; 0]);
        assert_eq!(differences(&with(None), &with(main)), ["HEAD is not where the catalog says"]);
    }
}
