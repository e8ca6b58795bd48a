//! What a snapshot says about itself: `record.json`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::span::Span;
use crate::domain::{
    Error, Head, Ledger, ObjectFormat, ObjectId, RefChange, RefCounts, RefName, RefState, RepoId, Result, Seq,
    Snapshot, Trigger,
};

/// The version of the format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The largest `record.json` written or read: 2 million references with room to spare. Bounds what a forged object can
/// make us inflate.
pub(super) const MAX_RECORD: u64 = 512 << 20;

/// One snapshot without its git objects, or many (see [`Span`]). Field by field in `FORMAT.md`; unknown fields are ignored on reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// The vault that it was written for.
    pub vault: Uuid,
    /// The repository's id in the vault.
    pub repo: RepoId,
    /// Its place in the chain.
    pub seq: Seq,
    /// Kind of forge: `github`, …
    pub forge: String,
    /// The forge's web host.
    pub host: String,
    /// The forge's own id of the repository.
    pub forge_id: String,
    /// `OWNER/NAME` at that moment.
    pub full_name: String,
    /// When the references were read. Never earlier than the parent's, which makes a moment findable by bisection.
    pub time: DateTime<Utc>,
    /// Why it was taken.
    pub trigger: Trigger,
    /// The snapshot before; `None` for the first one.
    pub parent: Option<Parent>,
    /// The hash that the repository uses.
    pub object_format: ObjectFormat,
    /// `HEAD` after it.
    pub head: Option<Head>,
    /// What turns the parent's references into this snapshot's.
    pub changes: Vec<RefChange>,
    /// A checkpoint: every reference after the changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refs: Option<BTreeMap<RefName, ObjectId>>,
    /// The new objects; `None` if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<PackEntry>,
    /// What should be held and what is.
    pub ledger: Ledger,
    /// From asking the forge to sealing.
    pub duration_ms: u64,
    /// In a consolidated snapshot: the pack that this came with, whose objects are in that of the whole range now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<Packed>,
    /// In a consolidated snapshot: what it stands for besides this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

/// The sealed object before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its number: this one's minus 1.
    pub seq: Seq,
    /// Its bytes.
    #[serde(flatten)]
    pub sealed: Sealed,
}

/// Fingerprint of an object as it lies in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// SHA-256 of all of it.
    #[serde(with = "hex_digest")]
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
}

/// The pack in a snapshot: complete in itself as to deltas, as the forge sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackEntry {
    /// The pack's trailer: the checksum that git names it by.
    pub checksum: ObjectId,
    /// Its length.
    pub bytes: u64,
    /// Objects in it.
    pub objects: u64,
    /// SHA-256 of all of it.
    #[serde(with = "hex_digest")]
    pub sha256: [u8; 32],
    /// The index beside it; `None` where the pack is small enough to be indexed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexEntry>,
}

/// A pack that is part of another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its length.
    pub bytes: u64,
    /// Objects in it.
    pub objects: u64,
}

/// The index of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of all of it.
    #[serde(with = "hex_digest")]
    pub sha256: [u8; 32],
}

impl PackEntry {
    /// Its file name in the tar and in `objects/pack`.
    pub fn file_name(&self) -> String {
        format!("pack-{}.pack", self.checksum)
    }

    /// The name of its index.
    pub fn index_name(&self) -> String {
        format!("pack-{}.idx", self.checksum)
    }
}

impl Record {
    /// Every reference after it, if it tells: a checkpoint does, and so does the first of a chain.
    pub fn full_state(&self) -> Option<RefState> {
        let refs = match (&self.refs, self.parent) {
            (Some(refs), _) => refs.clone(),
            (None, None) => BTreeMap::new(),
            (None, Some(_)) => return None,
        };
        let mut state = RefState { object_format: self.object_format, head: self.head.clone(), refs };
        state.apply(&self.changes);
        Some(state)
    }

    /// Tells every reference by itself: a checkpoint does, and so does the first of a chain.
    pub fn is_checkpoint(&self) -> bool {
        self.refs.is_some() || self.parent.is_none()
    }

    /// Its object tells every reference at each of its recovery points by itself.
    pub(super) fn tells_all(&self) -> bool {
        self.told().next().is_some_and(Self::is_checkpoint)
    }

    /// The pack that it came with, wherever that is now.
    pub(super) fn came_with(&self) -> Option<Packed> {
        let own = self.pack.as_ref().filter(|_| self.span.is_none());
        self.packed.or(own.map(|pack| Packed { bytes: pack.bytes, objects: pack.objects }))
    }

    /// As listings show it. `refs_total` is the number of references after it.
    pub fn snapshot(&self, sealed: Sealed, refs_total: u64) -> Snapshot {
        let packed = self.came_with();
        Snapshot {
            seq: self.seq,
            time: self.time,
            trigger: self.trigger.clone(),
            complete: self.ledger.complete(),
            missing: self.ledger.missing(),
            refs: RefCounts::of(&self.changes, refs_total),
            objects: packed.map_or(0, |pack| pack.objects),
            pack_bytes: packed.map_or(0, |pack| pack.bytes),
            stored_bytes: sealed.bytes,
            duration: std::time::Duration::from_millis(self.duration_ms),
            labels: Vec::new(),
            leaving_at: None,
        }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self).map_err(|e| Error::bug("cannot write a snapshot's record").detail(e))?;
        if json.len() as u64 > MAX_RECORD {
            return Err(Error::bad_request(format!(
                "snapshot {} of {} has too many references for one record ({} bytes)",
                self.seq,
                self.full_name,
                json.len()
            )));
        }
        Ok(json)
    }

    /// Reads `json` of the object called `name`. The signature must have been checked before.
    pub(super) fn from_json(json: &[u8], name: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |e| Error::damaged(format!("the record in {name} cannot be read")).detail(e);
        let Version { format } = serde_json::from_slice(json).map_err(damaged)?;
        refuse_newer(format, name)?;
        serde_json::from_slice(json).map_err(damaged)
    }
}

/// Whatever says a format above [`FORMAT`] may mean something else by the same fields.
pub(super) fn refuse_newer(format: u32, name: &str) -> Result<()> {
    if format <= FORMAT {
        return Ok(());
    }
    Err(Error::misconfigured(format!("{name} was written in format {format}; this program reads up to {FORMAT}"))
        .hint("use the version of refward that wrote it, or a newer one"))
}

/// Whether the next record should carry every reference, so that reading a state stays cheap.
///
/// After 256 records in any case; before that, once replaying the changes costs more than the list, though not more
/// often than every 16 records, or a small repository would carry its list all the time.
pub fn checkpoint_due(records_since: u64, changes_since: u64, refs_total: u64) -> bool {
    records_since >= 256 || (records_since >= 16 && changes_since > refs_total)
}

mod hex_digest {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(digest))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(&text, &mut digest).map_err(|_| de::Error::custom("not a SHA-256 in hex"))?;
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_due_by_age_or_by_weight_but_never_at_once() {
        assert!(!checkpoint_due(15, 1_000_000, 1));
        assert!(checkpoint_due(16, 11, 10));
        assert!(!checkpoint_due(16, 10, 10));
        assert!(!checkpoint_due(255, 300, 300));
        assert!(checkpoint_due(256, 0, 1_000_000));
    }

    #[test]
    fn a_newer_format_is_refused_even_if_it_looks_different() {
        let error = Record::from_json(br#"{"format":2,"something":"else"}"#, "repos/x").unwrap_err();
        assert!(error.to_string().contains("format 2"), "{error}");
    }
}
