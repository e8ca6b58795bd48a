//! What a snapshot is, for everyone who does not read the vault themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Actor, DeliveryId, RefChange, RefName, Seq};

/// Why a snapshot was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// `webhook`, `sweep`, `manual` or `discovery`.
    pub kind: String,
    /// The deliveries that it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryId>,
    /// Who moved which reference, as far as the deliveries say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actors: BTreeMap<RefName, Actor>,
}

/// How many references there are and what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefCounts {
    /// After the snapshot.
    pub total: u64,
    /// New names.
    pub created: u64,
    /// Moved, forced ones included.
    pub updated: u64,
    /// Gone.
    pub deleted: u64,
    /// Moved away from history.
    pub forced: u64,
}

impl RefCounts {
    /// Counts `changes`; `total` is the number of references after them.
    pub fn of(changes: &[RefChange], total: u64) -> Self {
        let mut counts = Self { total, ..Self::default() };
        for change in changes {
            match (change.old, change.new) {
                (None, _) => counts.created += 1,
                (_, None) => counts.deleted += 1,
                _ => counts.updated += 1,
            }
            counts.forced += u64::from(change.forced);
        }
        counts
    }
}

/// The completeness ledger: what should be in the snapshot and what is, per kind of data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// By kind: `refs`, later `issues`, `releases`, …
    pub kinds: BTreeMap<String, Coverage>,
    /// What is not held, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

impl Ledger {
    /// Nothing that was expected is missing.
    pub fn complete(&self) -> bool {
        self.skipped.is_empty() && self.kinds.values().all(|kind| kind.captured == kind.expected)
    }

    /// What is missing and why; empty exactly if it is [complete](Self::complete).
    pub fn missing(&self) -> Vec<Skipped> {
        let told = !self.skipped.is_empty();
        let short = self.kinds.iter().filter(|(_, kind)| !told && kind.captured != kind.expected);
        let counted = short.map(|(name, kind)| Skipped {
            what: name.clone(),
            why: format!("{} of {} were captured; the next backup may bring the rest", kind.captured, kind.expected),
        });
        self.skipped.iter().cloned().chain(counted).collect()
    }

    /// What a restore of the references `chosen` lacks: nothing, because they are named and found. None chosen: all are.
    pub fn missing_from<T>(&self, chosen: &[T]) -> Vec<Skipped> {
        if chosen.is_empty() { self.missing() } else { Vec::new() }
    }
}

/// How much of one kind of data is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// How many things the forge has.
    pub expected: u64,
    /// How many of them are in the vault.
    pub captured: u64,
}

/// One thing that a snapshot does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// What.
    pub what: String,
    /// Why, in words that say what would complete it.
    pub why: String,
}

/// A snapshot as listings show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its number.
    pub seq: Seq,
    /// When its references were read from the forge.
    pub time: DateTime<Utc>,
    /// Why it was taken.
    pub trigger: Trigger,
    /// Nothing that was expected is missing.
    pub complete: bool,
    /// What is missing, and what would complete it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Skipped>,
    /// References.
    pub refs: RefCounts,
    /// Git objects in its pack.
    pub objects: u64,
    /// Bytes of its pack as the forge sent it.
    pub pack_bytes: u64,
    /// Bytes of the sealed object in the vault.
    pub stored_bytes: u64,
    /// From asking the forge to the commit in the vault.
    #[serde(rename = "duration_ms", with = "millis")]
    pub duration: Duration,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Since when no rule keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving_at: Option<DateTime<Utc>>,
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
