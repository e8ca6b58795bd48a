//! Proving that a chain is whole: nothing missing, nothing changed, nothing in the wrong place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use rand_core::RngCore as _;

use super::Vault;
use super::chain::replay;
use super::layout::{self, object_name};
use super::reader::{Stored, snapshots_among};
use super::record::{Record, Sealed};
use super::source::read_object;
use super::unseal::{Nowhere, read_all};
use crate::domain::{Error, Kind, RefState, RepoId, Result, Seq};

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// Every object is there, its record opens and follows from the one before, its size is what the next one says.
    Structure,
    /// Besides, this share (0 to 1) of the objects, chosen anew each time, is read and checked to the last byte.
    ReadData(f64),
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which object.
    pub object: String,
    /// Its number, if it has one.
    pub seq: Option<Seq>,
    /// What is wrong.
    pub problem: String,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Objects looked at.
    pub done: u64,
    /// Objects to look at.
    pub total: u64,
}

/// Objects read to the end at the same time.
const READERS: usize = 2;

impl Vault {
    /// Checks one repository. An error means that the check could not be carried out; what is wrong with the backup
    /// comes as findings.
    ///
    /// `expected` is what the catalog remembers, in the order of the numbers. Only with it can it be seen that the
    /// newest snapshots are missing: a chain proves everything but its end. A sealed deployment compares hashes with
    /// it and can do no more.
    pub async fn verify(
        &self,
        repo: &RepoId,
        level: Level,
        expected: Option<&[(Seq, [u8; 32])]>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<Finding>> {
        let files = self.store.files(&layout::repository(repo)).await?;
        let stored = snapshots_among(&files);
        let share = match level {
            Level::Structure => 0.0,
            Level::ReadData(share) => share,
        };
        let chosen = sample(&stored, share);
        let mut check = Check {
            repo,
            stored: stored.iter().map(|stored| (stored.seq, stored.bytes)).collect(),
            expected: expected.unwrap_or_default().iter().copied().collect(),
            claimed: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            findings: Vec::new(),
        };
        check.presence(&files);

        let records = if self.keys.is_sealed() { 0 } else { stored.len() };
        let total = (records + chosen.len()) as u64;
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress(Progress { done, total });
        };
        if !self.keys.is_sealed() {
            let mut records = std::pin::pin!(self.records(repo, stored.iter().map(|stored| stored.seq)));
            let mut before: Option<Before> = None;
            while let Some((seq, record)) = records.next().await {
                before = check.record(seq, record, before)?;
                step();
            }
        }
        let mut read = std::pin::pin!(
            stream::iter(chosen).map(|seq| async move { (seq, self.read_through(repo, seq).await) }).buffered(READERS)
        );
        while let Some((seq, sealed)) = read.next().await {
            check.data(seq, sealed)?;
            step();
        }
        check.findings.sort_by_key(|finding| finding.seq);
        Ok(check.findings)
    }

    /// Without a key, hashing is all that can be done.
    async fn read_through(&self, repo: &RepoId, seq: Seq) -> Result<Sealed> {
        if self.keys.is_sealed() {
            return self.hash(repo, seq).await;
        }
        let (expect, keys) = (self.expect(repo, seq), Arc::clone(&self.keys));
        let name = expect.name.clone();
        read_object(&self.store, &name, move |source| {
            let (_, sealed) = read_all(source, keys.readers()?, &expect, &mut Nowhere)?;
            Ok(sealed)
        })
        .await
    }
}

/// What the previous record left behind.
struct Before {
    seq: Seq,
    time: DateTime<Utc>,
    state: Option<RefState>,
}

struct Check<'a> {
    repo: &'a RepoId,
    stored: BTreeMap<Seq, u64>,
    expected: BTreeMap<Seq, [u8; 32]>,
    /// What each object's child says about it.
    claimed: BTreeMap<Seq, Sealed>,
    unreadable: BTreeSet<Seq>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn found(&mut self, seq: Seq, problem: impl Into<String>) {
        let object = object_name(self.repo, seq);
        self.findings.push(Finding { object, seq: Some(seq), problem: problem.into() });
    }

    fn presence(&mut self, files: &[(String, u64)]) {
        for (name, _) in files.iter().filter(|(name, _)| layout::seq_of(name).is_none()) {
            let object = format!("{}/{name}", layout::repository(self.repo));
            self.findings.push(Finding { object, seq: None, problem: "is not a snapshot".into() });
        }
        let last = self.stored.keys().chain(self.expected.keys()).max().map_or(0, |seq| seq.get());
        for seq in (1..=last).filter_map(Seq::new) {
            if !self.stored.contains_key(&seq) {
                self.found(seq, "is missing");
            }
        }
    }

    /// Judges a record by the one before it and remembers what it says about that one's object.
    fn record(&mut self, seq: Seq, record: Result<Record>, before: Option<Before>) -> Result<Option<Before>> {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                self.unreadable.insert(seq);
                self.damage(seq, e)?;
                return Ok(None);
            }
        };
        if let Some(parent) = record.parent {
            self.parent(seq, parent.seq, parent.sealed);
        }
        // Across a gap nothing follows from anything.
        let before = before.filter(|before| before.seq.next() == seq);
        let (state, time) = before.map_or((None, None), |before| (before.state, Some(before.time)));
        if time.is_some_and(|time| record.time < time) {
            self.found(seq, "is older than the snapshot before it");
        }
        if let Some(state) = &state {
            self.follows(state, &record);
        }
        Ok(Some(Before { seq, time: record.time, state: replay(state, &record) }))
    }

    fn parent(&mut self, child: Seq, parent: Seq, sealed: Sealed) {
        self.claimed.insert(parent, sealed);
        if self.stored.get(&parent).is_some_and(|bytes| *bytes != sealed.bytes) {
            self.found(
                parent,
                format!("is {} bytes long; snapshot {child} knows it with {}", self.stored[&parent], sealed.bytes),
            );
        }
        if self.expected.get(&parent).is_some_and(|sha256| *sha256 != sealed.sha256) {
            self.found(parent, format!("is known to the catalog by another hash than to snapshot {child}"));
        }
    }

    fn follows(&mut self, state: &RefState, record: &Record) {
        let wrong = record.changes.iter().find(|change| change.old != state.refs.get(&change.name).copied());
        if let Some(change) = wrong {
            self.found(record.seq, format!("changes {} from a value that it did not have", change.name));
        }
        let mut after = state.clone();
        after.apply(&record.changes);
        if record.refs.as_ref().is_some_and(|refs| *refs != after.refs) {
            self.found(record.seq, "lists other references than the changes before it lead to");
        }
    }

    fn data(&mut self, seq: Seq, sealed: Result<Sealed>) -> Result<()> {
        match sealed {
            Ok(sealed) => {
                let claimed = self.claimed.get(&seq).is_some_and(|claimed| *claimed != sealed);
                let expected = self.expected.get(&seq).is_some_and(|sha256| *sha256 != sealed.sha256);
                if claimed || expected {
                    self.found(seq, "is not the object that was written: its hash is another one");
                }
                Ok(())
            }
            // Already reported.
            Err(_) if self.unreadable.contains(&seq) => Ok(()),
            Err(e) => self.damage(seq, e),
        }
    }

    /// Damage is a finding; that we could not look is an error.
    fn damage(&mut self, seq: Seq, e: Error) -> Result<()> {
        if e.kind() != Kind::Damaged {
            return Err(e);
        }
        let object = object_name(self.repo, seq);
        let problem = e.to_string();
        self.found(seq, problem.strip_prefix(&object).unwrap_or(&problem).trim_start().to_owned());
        Ok(())
    }
}

/// A random choice, at least one object unless nothing is to be read.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share")]
fn sample(stored: &[Stored], share: f64) -> Vec<Seq> {
    let count = (stored.len() as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
    let mut drawn: Vec<_> = stored.iter().map(|stored| (rand_core::OsRng.next_u64(), stored.seq)).collect();
    drawn.sort_unstable();
    drawn.truncate(count);
    let mut seqs: Vec<_> = drawn.into_iter().map(|(_, seq)| seq).collect();
    seqs.sort_unstable();
    seqs
}
