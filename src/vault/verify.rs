//! Proving that a chain is whole: nothing missing, nothing changed, nothing in the wrong place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use rand_core::RngCore as _;

use super::Vault;
use super::chain::replay;
use super::cover::{Cover, Stored};
use super::layout::{self, object_name};
use super::record::{Parent, Record, Sealed};
use super::source::read_object;
use super::unseal::{Nowhere, read_all};
use crate::domain::{Error, Expected, Extent, Kind, RefState, RepoId, Result, Seq};

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
    /// Its number, if it stands for one snapshot only.
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
    /// comes as findings. Objects that others stand for now are left alone.
    ///
    /// `expected` is what the catalog remembers. Only with it can it be seen that the newest snapshots are missing: a
    /// chain proves everything but its end. A sealed deployment compares hashes with it and can do no more.
    pub async fn verify(
        &self,
        repo: &RepoId,
        level: Level,
        expected: Option<&[Expected]>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<Finding>> {
        let files = self.store.files(&layout::repository(repo)).await?;
        let Cover { live, superseded, .. } = Cover::of(repo, &files);
        let share = match level {
            Level::Structure => 0.0,
            Level::ReadData(share) => share,
        };
        let chosen = sample(&live, share);
        let mut check = Check {
            repo,
            stored: live.iter().chain(&superseded).map(|stored| (stored.extent, stored.bytes)).collect(),
            expected: expected.unwrap_or_default().iter().map(|known| (known.extent, known.sha256)).collect(),
            claimed: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            findings: Vec::new(),
        };
        check.strangers(&files);
        check.presence(&live);

        let records = if self.keys.is_sealed() { 0 } else { live.len() };
        let total = (records + chosen.len()) as u64;
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress(Progress { done, total });
        };
        if !self.keys.is_sealed() {
            // Gathered first: a closure over references that lives across `await` is not `Send` enough for a job.
            let extents: Vec<Extent> = live.iter().map(|stored| stored.extent).collect();
            let mut records = std::pin::pin!(self.records(repo, extents.into_iter()));
            let mut before: Option<Before> = None;
            while let Some((extent, record)) = records.next().await {
                before = check.object(extent, record, before)?;
                step();
            }
        }
        let mut read = std::pin::pin!(
            stream::iter(chosen)
                .map(|extent| async move { (extent, self.read_through(repo, &extent).await) })
                .buffered(READERS)
        );
        while let Some((extent, sealed)) = read.next().await {
            check.data(extent, sealed)?;
            step();
        }
        check.findings.sort_by(|a, b| (a.seq.is_some(), &a.object).cmp(&(b.seq.is_some(), &b.object)));
        Ok(check.findings)
    }

    /// Without a key, hashing is all that can be done.
    async fn read_through(&self, repo: &RepoId, extent: &Extent) -> Result<Sealed> {
        if self.keys.is_sealed() {
            return self.hash(repo, extent).await;
        }
        let (expect, keys) = (self.expect(repo, extent), Arc::clone(&self.keys));
        let name = expect.name.clone();
        read_object(&self.store, &name, move |source| {
            let (_, sealed) = read_all(source, keys.readers()?, &expect, &mut Nowhere)?;
            Ok(sealed)
        })
        .await
    }
}

/// What the objects so far lead to.
struct Before {
    /// What the next one must name, as far as it is known without reading all of the object.
    end: Option<Parent>,
    to: Seq,
    time: DateTime<Utc>,
    state: Option<RefState>,
}

struct Check<'a> {
    repo: &'a RepoId,
    stored: BTreeMap<Extent, u64>,
    expected: BTreeMap<Extent, [u8; 32]>,
    /// What each snapshot's child says about it.
    claimed: BTreeMap<Extent, Sealed>,
    unreadable: BTreeSet<Extent>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn found(&mut self, extent: Extent, problem: impl Into<String>) {
        let object = object_name(self.repo, &extent);
        let seq = extent.is_single().then_some(extent.from);
        self.findings.push(Finding { object, seq, problem: problem.into() });
    }

    fn strangers(&mut self, files: &[(String, u64)]) {
        for (name, _) in files.iter().filter(|(name, _)| layout::extent_of(name).is_none()) {
            let object = format!("{}/{name}", layout::repository(self.repo));
            self.findings.push(Finding { object, seq: None, problem: "is not a snapshot".into() });
        }
    }

    /// What the catalog knows must be there, and no number may be without an object.
    fn presence(&mut self, live: &[Stored]) {
        let known = self.expected.keys().filter(|extent| !self.stored.contains_key(extent));
        let missing: Vec<Extent> = known.copied().collect();
        let mut next = Seq::FIRST;
        for Stored { extent, .. } in live {
            if next < extent.from && !missing.iter().any(|known| known.to >= next && known.from < extent.from) {
                let all = extent.from.previous().filter(|last| *last > next);
                let problem = all.map(|last| format!("is missing, and so are all up to {last}"));
                self.found(Extent::single(next), problem.unwrap_or_else(|| "is missing".to_owned()));
            }
            next = extent.to.next();
        }
        for extent in missing {
            self.found(extent, "is missing");
        }
    }

    /// Judges an object by the ones before it.
    fn object(&mut self, extent: Extent, object: Result<Record>, before: Option<Before>) -> Result<Option<Before>> {
        let object = match object {
            Ok(object) => object,
            Err(e) => {
                self.unreadable.insert(extent);
                self.damage(extent, e)?;
                return Ok(None);
            }
        };
        // Across a gap nothing follows from anything.
        let before = before.filter(|before| before.to.next() == extent.from);
        if let Some(parent) = object.before() {
            self.parent(extent, parent, before.as_ref());
        }
        let (mut state, mut time) = before.map_or((None, None), |before| (before.state, Some(before.time)));
        for record in object.told() {
            if time.is_some_and(|time| record.time < time) {
                self.found(extent, "is older than the snapshot before it");
            }
            if let Some(state) = &state {
                self.follows(extent, state, record);
            }
            time = Some(record.time);
            state = replay(state, record);
        }
        let end = object.span.as_ref().map(|span| Parent { seq: extent.to, sealed: span.end });
        if let Some((state, span)) = state.as_mut().zip(object.span.as_ref()) {
            state.apply(&span.after.changes);
        }
        Ok(Some(Before { end, to: extent.to, time: object.time, state }))
    }

    /// What an object says about the one before it.
    fn parent(&mut self, child: Extent, parent: Parent, before: Option<&Before>) {
        if let Some(end) = before.and_then(|before| before.end) {
            if end != parent {
                self.found(child, "does not follow from the object before it");
            }
            return;
        }
        let single = Extent::single(parent.seq);
        self.claimed.insert(single, parent.sealed);
        if self.stored.get(&single).is_some_and(|bytes| *bytes != parent.sealed.bytes) {
            let problem =
                format!("is {} bytes long; {child} knows it with {}", self.stored[&single], parent.sealed.bytes);
            self.found(single, problem);
        }
        if self.expected.get(&single).is_some_and(|sha256| *sha256 != parent.sealed.sha256) {
            self.found(single, format!("is known to the catalog by another hash than to {child}"));
        }
    }

    fn follows(&mut self, extent: Extent, state: &RefState, record: &Record) {
        let wrong = record.changes.iter().find(|change| change.old != state.refs.get(&change.name).copied());
        if let Some(change) = wrong {
            self.found(extent, format!("changes {} from a value that it did not have", change.name));
        }
        let mut after = state.clone();
        after.apply(&record.changes);
        if record.refs.as_ref().is_some_and(|refs| *refs != after.refs) {
            self.found(extent, "lists other references than the changes before it lead to");
        }
    }

    fn data(&mut self, extent: Extent, sealed: Result<Sealed>) -> Result<()> {
        match sealed {
            Ok(sealed) => {
                let claimed = self.claimed.get(&extent).is_some_and(|claimed| *claimed != sealed);
                let expected = self.expected.get(&extent).is_some_and(|sha256| *sha256 != sealed.sha256);
                if claimed || expected {
                    self.found(extent, "is not the object that was written: its hash is another one");
                }
                Ok(())
            }
            // Already reported.
            Err(_) if self.unreadable.contains(&extent) => Ok(()),
            Err(e) => self.damage(extent, e),
        }
    }

    /// Damage is a finding; that we could not look is an error.
    fn damage(&mut self, extent: Extent, e: Error) -> Result<()> {
        if e.kind() != Kind::Damaged {
            return Err(e);
        }
        let object = object_name(self.repo, &extent);
        let problem = e.to_string();
        self.found(extent, problem.strip_prefix(&object).unwrap_or(&problem).trim_start().to_owned());
        Ok(())
    }
}

/// A random choice, at least one object unless nothing is to be read.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share")]
fn sample(stored: &[Stored], share: f64) -> Vec<Extent> {
    let count = (stored.len() as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
    let mut drawn: Vec<_> = stored.iter().map(|stored| (rand_core::OsRng.next_u64(), stored.extent)).collect();
    drawn.sort_unstable();
    drawn.truncate(count);
    let mut extents: Vec<_> = drawn.into_iter().map(|(_, extent)| extent).collect();
    extents.sort_unstable();
    extents
}
