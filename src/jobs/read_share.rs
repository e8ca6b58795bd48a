//! Reads the vault a share at a time, so that within `proof.read_all_within` every object has been read to its last byte,
//! the one that was not read for the longest time first.
//!
//! What is read is compared with the hash of what was written. That needs no key, so a sealed deployment does it, too; that
//! the contents make a repository is for drills to prove.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::drill::{blank, keep, millis};
use crate::catalog::{Reading, Repository};
use crate::domain::{Error, Kind, Problem, ProofKind, ReadAmount, RepoId, Report, Result};
use crate::services::Services;
use crate::vault::{Expected, Extent, object_name};

/// Asked for more often, it does nothing.
const PAUSE: TimeDelta = TimeDelta::hours(1);

/// Objects that one run thinks about; it reads as many of them as it may.
const BATCH: usize = 10_000;

/// After so many, what was read is written down.
const NOTE: usize = 50;

const METHOD: &str = "objects read to the last byte, their hashes compared with those of what was written";

/// What may be read, in the catalog's facts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    /// The last run.
    at: DateTime<Utc>,
    /// Bytes that may still be read. Below zero after a large object: then later runs do without.
    credit: i64,
}

const ACCOUNT: &str = "read_share";

/// Reads what is due, unless it did so within the last hour. Objects that were found wrong are read again each time, until
/// they are right.
pub async fn read_share(services: &Services) -> Result<()> {
    let (catalog, now) = (&services.catalog, Utc::now());
    let before: Option<Account> = catalog.fact(ACCOUNT).await?;
    if before.is_some_and(|before| (TimeDelta::zero()..PAUSE).contains(&(now - before.at))) {
        return Ok(());
    }
    let total = catalog.live_bytes().await?.values().sum();
    let mut account = grant(before, total, services.settings.proof.read_all_within, now);
    let repositories: HashMap<RepoId, Repository> =
        catalog.repositories().await?.into_iter().map(|repository| (repository.id.clone(), repository)).collect();
    let mut share = Share { services, wrong: BTreeMap::new(), right: Vec::new(), started: now };
    share.read_again(&repositories).await?;
    // Without credit there is no need to look for what would come first.
    let candidates = if account.credit > 0 { oldest(services, repositories.values()).await? } else { Vec::new() };
    for candidate in candidates {
        if account.credit <= 0 {
            break;
        }
        account.credit -= i64::try_from(share.read(&candidate).await?).unwrap_or(i64::MAX);
        if share.right.len() >= NOTE {
            share.note().await?;
            catalog.put_fact(ACCOUNT, &account).await?;
        }
    }
    share.note().await?;
    catalog.put_fact(ACCOUNT, &account).await?;
    catalog.forget_proofs(now - services.settings.proof.keep).await?;
    for (repo, wrong) in share.wrong {
        if let Some(repository) = repositories.get(&repo) {
            tell(services, repository, wrong, now).await?;
        }
    }
    Ok(())
}

/// What a run may read: of the whole in proportion to the time since the last one. Missed days are not made up for.
fn grant(before: Option<Account>, total: u64, within: Duration, now: DateTime<Utc>) -> Account {
    const DAY: TimeDelta = TimeDelta::days(1);
    let share = |time: TimeDelta| {
        let (time, within) = (time.num_seconds().max(0).unsigned_abs(), within.as_secs().max(1));
        let bytes = u128::from(total) * u128::from(time) / u128::from(within);
        i64::try_from(bytes).unwrap_or(i64::MAX).max(1)
    };
    let elapsed = before.map_or(PAUSE, |before| now - before.at);
    let credit = before.map_or(0, |before| before.credit).saturating_add(share(elapsed)).min(share(DAY));
    Account { at: now, credit }
}

/// An object that the catalog expects in the vault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// When it was last read or, before that, written.
    since: DateTime<Utc>,
    repo: RepoId,
    extent: Extent,
    sha256: [u8; 32],
}

/// The objects that were not read for the longest time.
async fn oldest(services: &Services, repositories: impl Iterator<Item = &Repository>) -> Result<Vec<Candidate>> {
    let mut found = BinaryHeap::new();
    for repository in repositories.filter(|repository| repository.last_seq.is_some()) {
        for candidate in candidates(services, &repository.id).await? {
            found.push(candidate);
            if found.len() > BATCH {
                // The youngest.
                found.pop();
            }
        }
    }
    Ok(found.into_sorted_vec())
}

async fn candidates(services: &Services, repo: &RepoId) -> Result<Vec<Candidate>> {
    let mut readings = services.catalog.readings(repo).await?;
    let written = services.catalog.snapshot_times(repo).await?;
    let mut candidates = Vec::new();
    for Expected { extent, sha256 } in services.catalog.expected(repo).await? {
        let read = readings.remove(&object_name(repo, &extent));
        let since = read.or_else(|| written.get(&extent.to).copied()).unwrap_or_default();
        candidates.push(Candidate { since, repo: repo.clone(), extent, sha256 });
    }
    let gone: Vec<String> = readings.into_keys().collect();
    services.catalog.forget_readings(&gone).await?;
    Ok(candidates)
}

/// What a run has read so far.
struct Share<'a> {
    services: &'a Services,
    wrong: BTreeMap<RepoId, Wrong>,
    right: Vec<Reading>,
    started: DateTime<Utc>,
}

#[derive(Default)]
struct Wrong {
    problems: Vec<Problem>,
    read: ReadAmount,
}

impl Share<'_> {
    /// Repositories that a verification found fault with: what was wrong is looked at again.
    async fn read_again(&mut self, repositories: &HashMap<RepoId, Repository>) -> Result<()> {
        for (repo, standing) in self.services.catalog.standings().await? {
            if standing.damaged_at.is_none() || !repositories.contains_key(&repo) {
                continue;
            }
            let Some(last) = self.services.catalog.last_verification(&repo).await? else { continue };
            self.wrong.entry(repo.clone()).or_default();
            let candidates = candidates(self.services, &repo).await?;
            for problem in last.report.findings {
                let named = |candidate: &&Candidate| object_name(&repo, &candidate.extent) == problem.object;
                match candidates.iter().find(named) {
                    Some(candidate) => drop(self.read(candidate).await?),
                    // Reading tells nothing about it; `refward verify` will.
                    None => self.wrong.entry(repo.clone()).or_default().problems.push(problem),
                }
            }
        }
        Ok(())
    }

    /// Reads an object; says how many bytes. A store that cannot be reached is an error and tells nothing of the object.
    async fn read(&mut self, candidate: &Candidate) -> Result<u64> {
        let Candidate { repo, extent, sha256, .. } = candidate;
        let object = object_name(repo, extent);
        let (bytes, problem) = match self.services.vault.hash(repo, extent).await {
            Ok(sealed) if sealed.sha256 == *sha256 => (sealed.bytes, None),
            Ok(sealed) => {
                (sealed.bytes, Some("is not the object that was written: its hash is another one".to_owned()))
            }
            Err(error) if error.kind() == Kind::Damaged => (0, Some(told_of(&object, &error))),
            Err(error) => return Err(error.while_doing("reading a share of the vault")),
        };
        match problem {
            None => self.right.push(Reading { object, repo: repo.clone(), bytes }),
            // Compacted and deleted since it was listed: nobody wants it any more.
            Some(_) if !self.is_wanted(candidate).await? => {}
            Some(problem) => {
                let wrong = self.wrong.entry(repo.clone()).or_default();
                wrong.read.objects += 1;
                wrong.read.bytes += bytes;
                if !wrong.problems.iter().any(|known| known.object == object) {
                    wrong.problems.push(Problem { object, seq: Some(extent.to), problem });
                }
            }
        }
        Ok(bytes)
    }

    async fn is_wanted(&self, candidate: &Candidate) -> Result<bool> {
        let Candidate { repo, extent, sha256, .. } = candidate;
        let expected = self.services.catalog.expected(repo).await?;
        Ok(expected.contains(&Expected { extent: *extent, sha256: *sha256 }))
    }

    async fn note(&mut self) -> Result<()> {
        self.services.catalog.put_readings(&self.right).await?;
        let bytes: u64 = self.right.iter().map(|read| read.bytes).sum();
        metrics::counter!("refward_read_share_bytes_total").increment(bytes);
        tracing::debug!(objects = self.right.len(), bytes, since = %self.started, "objects read and right");
        self.right.clear();
        Ok(())
    }
}

fn told_of(object: &str, error: &Error) -> String {
    let told = error.to_string();
    told.strip_prefix(object).unwrap_or(&told).trim_start().to_owned()
}

/// Keeps what reading found, if that is news: a repository with problems, or one that has none any more.
async fn tell(services: &Services, repository: &Repository, wrong: Wrong, started_at: DateTime<Utc>) -> Result<()> {
    let last = services.catalog.last_verification(&repository.id).await?;
    let known = last.map(|last| last.report.findings).unwrap_or_default();
    if known == sorted(wrong.problems.clone()) {
        return Ok(());
    }
    keep_verification(services, repository, wrong.problems, wrong.read, METHOD, started_at).await
}

/// Signs and keeps what a verification of a repository found; no problems: it was passed.
pub async fn keep_verification(
    services: &Services,
    repository: &Repository,
    problems: Vec<Problem>,
    read: ReadAmount,
    method: &str,
    started_at: DateTime<Utc>,
) -> Result<()> {
    let report = Report {
        duration_ms: millis((Utc::now() - started_at).to_std().unwrap_or_default()),
        passed: problems.is_empty(),
        findings: sorted(problems),
        read,
        ..blank(services, repository, ProofKind::Verify, method, started_at.trunc_subsecs(3))
    };
    for finding in &report.findings {
        tracing::error!(repository = report.repository, object = finding.object, "{}", finding.problem);
    }
    keep(services, &report).await
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (a.seq, &a.object, &a.problem).cmp(&(b.seq, &b.object, &b.problem)));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_read_within_the_time_and_a_large_object_is_paid_off() {
        let (now, within) = (Utc::now(), Duration::from_hours(30 * 24));
        let total = 30 * 24 * 1000;
        let first = grant(None, total, within, now);
        assert_eq!(first.credit, 1000, "an hour's share");
        let later =
            |credit, hours| grant(Some(Account { at: now, credit }), total, within, now + TimeDelta::hours(hours));
        assert_eq!(later(0, 2).credit, 2000);
        assert_eq!(later(-5000, 2).credit, -3000, "paid off bit by bit");
        assert_eq!(later(0, 24 * 90).credit, 24_000, "no more than a day's share, however long it stood still");
        assert_eq!(later(0, -5).credit, 1, "a clock that was set back");
        assert_eq!(grant(None, 0, within, now).credit, 1);
    }
}
