//! What a record says when its object stands for many snapshots: a *consolidated* one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::record::{Parent, Record, Sealed};
use crate::domain::{Actor, Extent, RefChange, RefName, RepoId};

/// The range that a consolidated record stands for. The record itself is that of the last recovery point kept in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Which numbers, and how often they were written together.
    #[serde(flatten)]
    pub extent: Extent,
    /// What the first snapshot of the range named as its parent; `None` at the beginning of the chain.
    pub before: Option<Parent>,
    /// The last snapshot of the range as it was first written: what the one after it names as its parent.
    pub end: Sealed,
    /// The snapshot that this record tells, as it was first written.
    pub sealed: Sealed,
    /// The recovery points before this one, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Held>,
    /// What moved in the range after the last recovery point kept in it. The one after the range starts from there.
    #[serde(default, skip_serializing_if = "Moves::is_empty")]
    pub after: Moves,
}

/// A record, and the fingerprint of the object that it was written in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// In a consolidated snapshot without `pack` and `span`.
    pub record: Record,
    /// As it was first written.
    pub sealed: Sealed,
}

/// Moves of references, one for each at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// By name.
    pub changes: Vec<RefChange>,
    /// Who moved them last, where it is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actors: BTreeMap<RefName, Actor>,
}

impl Moves {
    /// What a record tells.
    pub(super) fn of(record: &Record) -> Self {
        Self { changes: record.changes.clone(), actors: record.trigger.actors.clone() }
    }

    /// Nothing moved.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// These and then `later` in one step: what came back to where it was did not move.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        if self.is_empty() {
            return later;
        }
        let mut actors = self.actors;
        let mut changes: BTreeMap<RefName, RefChange> =
            self.changes.into_iter().map(|change| (change.name.clone(), change)).collect();
        for mut change in later.changes {
            actors.remove(&change.name);
            if let Some(earlier) = changes.remove(&change.name) {
                change.old = earlier.old;
                change.forced |= earlier.forced;
            }
            if change.old != change.new {
                changes.insert(change.name.clone(), change);
            }
        }
        actors.extend(later.actors);
        actors.retain(|name, _| changes.contains_key(name));
        Self { changes: changes.into_values().collect(), actors }
    }
}

impl Record {
    /// What its object stands for.
    pub fn extent(&self) -> Extent {
        self.span.as_ref().map_or(Extent::single(self.seq), |span| span.extent)
    }

    /// What the first snapshot that it stands for named as its parent.
    pub fn before(&self) -> Option<Parent> {
        self.span.as_ref().map_or(self.parent, |span| span.before)
    }

    /// What the snapshot after those that it stands for names as its parent. `sealed` is its own object's fingerprint.
    pub fn end(&self, sealed: Sealed) -> Parent {
        let sealed = self.span.as_ref().map_or(sealed, |span| span.end);
        Parent { seq: self.extent().to, sealed }
    }

    /// Every recovery point that it tells, oldest first. `sealed` is its own object's fingerprint.
    pub fn points(&self, sealed: Sealed) -> Vec<Held> {
        let Some(span) = &self.span else { return vec![Held { record: self.clone(), sealed }] };
        let own = Self { span: None, pack: None, ..self.clone() };
        span.points.iter().cloned().chain([Held { record: own, sealed: span.sealed }]).collect()
    }

    /// The records of its recovery points, oldest first, the last being itself.
    pub(super) fn told(&self) -> impl Iterator<Item = &Self> {
        self.span.iter().flat_map(|span| &span.points).map(|held| &held.record).chain([self])
    }

    /// It belongs to this place of this vault and is consistent in itself as far as it can be seen without others.
    pub(super) fn fits(&self, vault: Uuid, repo: &RepoId, extent: &Extent) -> Result<(), String> {
        let here = |record: &Self| record.vault == vault && record.repo == *repo;
        if !here(self) || self.extent() != *extent {
            let holds = self.extent();
            return Err(format!("is not what its name says: it holds {holds} of {} ({})", self.full_name, self.repo));
        }
        let follows =
            |parent: Option<Parent>, seq: crate::domain::Seq| parent.map(|parent| parent.seq) == seq.previous();
        if !follows(self.before(), extent.from) || !self.told().all(|record| follows(record.parent, record.seq)) {
            return Err("does not name the snapshot before it as its parent".to_owned());
        }
        let Some(span) = &self.span else { return Ok(()) };
        let plain = span
            .points
            .iter()
            .all(|Held { record, .. }| here(record) && record.span.is_none() && record.pack.is_none());
        let ascending = self.told().is_sorted_by(|a, b| a.seq < b.seq);
        let within = self.told().all(|record| extent.contains(record.seq));
        let whole = self.told().next().is_some_and(|first| first.refs.is_some());
        let ends = self.seq < extent.to || (span.end == span.sealed && span.after.is_empty());
        if !extent.is_single() && plain && ascending && within && whole && ends {
            return Ok(());
        }
        Err(format!("contradicts itself about {extent}"))
    }
}
