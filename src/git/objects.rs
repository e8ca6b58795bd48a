//! The table of a pack's objects: as small as it can be, for it is kept for all of them at once.

use gix_hash::Hasher;

use super::ingest::damaged;
use crate::domain::{ObjectFormat, ObjectId, Result};

/// Raw bytes of an object id: `N` is 20 for SHA-1 and 32 for SHA-256. All zeroes: not known yet.
pub(super) type Id<const N: usize> = [u8; N];

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// The four kinds of git objects and the two kinds of deltas, numbered as in packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
    OffsetDelta,
    RefDelta,
}

impl Kind {
    pub fn is_delta(self) -> bool {
        matches!(self, Self::OffsetDelta | Self::RefDelta)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
            Self::OffsetDelta | Self::RefDelta => "delta",
        }
    }

    fn from_pack(number: u8) -> Result<Self> {
        match number {
            1 => Ok(Self::Commit),
            2 => Ok(Self::Tree),
            3 => Ok(Self::Blob),
            4 => Ok(Self::Tag),
            6 => Ok(Self::OffsetDelta),
            7 => Ok(Self::RefDelta),
            _ => Err(damaged(format!("it holds an object of the unknown kind {number}"))),
        }
    }
}

/// One entry of the pack, in the pack's order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Where it begins.
    pub offset: u64,
    /// Checksum of its bytes in the pack.
    pub crc: u32,
    /// The entry that an offset delta is for, else [`NONE`].
    pub base: u32,
    pub kind: Kind,
}

/// All entries of one pack.
pub(super) struct Objects<const N: usize> {
    pub entries: Vec<Entry>,
    /// By entry.
    pub ids: Vec<Id<N>>,
    /// Deltas that name their base by id, which may come later: base and delta.
    pub waiting: Vec<(Id<N>, u32)>,
    /// Where the last entry ends.
    pub end: u64,
}

impl<const N: usize> Objects<N> {
    /// `count` is what the pack claims: room is made for a plausible part of it only.
    pub fn with_room_for(count: u32) -> Self {
        let room = (count as usize).min(1 << 20);
        Self { entries: Vec::with_capacity(room), ids: Vec::with_capacity(room), waiting: Vec::new(), end: 0 }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where the entry begins, and its bytes in the pack.
    pub fn extent(&self, entry: u32) -> (u64, u64) {
        let start = self.entries[entry as usize].offset;
        let end = self.entries.get(entry as usize + 1).map_or(self.end, |next| next.offset);
        (start, end - start)
    }

    /// The entry that begins exactly there.
    pub fn find(&self, offset: u64) -> Option<u32> {
        let position = self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()?;
        u32::try_from(position).ok()
    }
}

/// Kind and inflated size: the beginning of every entry.
pub(super) fn entry_header(mut next: impl FnMut() -> Result<u8>) -> Result<(Kind, u64)> {
    let mut byte = next()?;
    let kind = Kind::from_pack((byte >> 4) & 7)?;
    let mut size = u64::from(byte & 0x0f);
    let mut shift = 4;
    while byte & 0x80 != 0 {
        byte = next()?;
        if shift > 56 {
            return Err(damaged("an object claims an impossible size"));
        }
        size |= u64::from(byte & 0x7f) << shift;
        shift += 7;
    }
    Ok((kind, size))
}

/// How far before an offset delta its base begins.
pub(super) fn base_distance(mut next: impl FnMut() -> Result<u8>) -> Result<u64> {
    let mut byte = next()?;
    let mut distance = u64::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = next()?;
        // git adds one per step, so that no distance can be written in two ways.
        distance = distance
            .checked_add(1)
            .and_then(|distance| distance.checked_mul(128))
            .ok_or_else(|| damaged("a delta points before the pack"))?
            | u64::from(byte & 0x7f);
    }
    Ok(distance)
}

/// The hash that makes ids of `N` bytes.
pub(super) fn hasher<const N: usize>() -> Hasher {
    gix_hash::hasher(format::<N>().kind())
}

pub(super) fn format<const N: usize>() -> ObjectFormat {
    if N == ObjectFormat::Sha256.raw_len() { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 }
}

/// A hasher that has taken the `<kind> <size>` that git puts in front.
pub(super) fn object_hasher<const N: usize>(kind: Kind, size: u64) -> Hasher {
    let mut hasher = hasher::<N>();
    hasher.update(format!("{} {size}\0", kind.name()).as_bytes());
    hasher
}

pub(super) fn object_id<const N: usize>(kind: Kind, data: &[u8]) -> Result<Id<N>> {
    let mut hasher = object_hasher::<N>(kind, data.len() as u64);
    hasher.update(data);
    finalize(hasher)
}

/// The digest; an error if somebody built the content to collide with another's.
pub(super) fn finalize<const N: usize>(hasher: Hasher) -> Result<Id<N>> {
    let digest = hasher.try_finalize().map_err(|_| damaged("it holds an object made for a SHA-1 collision attack"))?;
    Ok(digest.as_slice().try_into().expect("the hasher was chosen by N"))
}

pub(super) fn hex<const N: usize>(id: &Id<N>) -> String {
    hex::encode(id)
}

/// `None` for all zeroes.
pub(super) fn object_id_of<const N: usize>(id: &Id<N>) -> Option<ObjectId> {
    ObjectId::from_raw(id)
}
