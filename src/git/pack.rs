//! A pack that was received: verified, indexed, and gone when nobody holds it any more.

use std::collections::HashSet;
use std::io::Read as _;

use super::ingest::{Received, damaged};
use super::links::Links;
use super::objects::{self, Id, Objects};
use super::scratch::{Reader, Scratch, Writer};
use super::{Limits, index};
use crate::domain::{Error, ObjectId, Result};

/// A received pack with its index, in scratch.
pub struct Pack {
    objects: u32,
    checksum: ObjectId,
    sha256: [u8; 32],
    content: Scratch,
    index: Scratch,
    external: Vec<ObjectId>,
    /// Commit and parent, sorted: positions in the index; above those, positions in `external`.
    parents: Vec<(u32, u32)>,
}

/// What a walk through a pack's history found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// The old commit is an ancestor of the new one, or the same.
    Descends,
    /// Not to be told from this pack alone.
    Unknown,
}

impl Pack {
    /// How many objects it holds; 0 if there was nothing new.
    pub fn objects(&self) -> u64 {
        u64::from(self.objects)
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.content.len()
    }

    /// The hash at its end, by which git names it: `pack-<checksum>.pack`.
    pub fn checksum(&self) -> ObjectId {
        self.checksum
    }

    /// SHA-256 of all its bytes.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Reads it from its beginning.
    pub fn reader(&self) -> Reader {
        self.content.reader()
    }

    /// Reads its index (`.idx`, version 2).
    pub fn index(&self) -> Reader {
        self.index.reader()
    }

    /// Objects that it names but does not hold, sorted. They must be held already. None where everything was asked for.
    pub fn external(&self) -> &[ObjectId] {
        &self.external
    }

    /// Whether it holds this object.
    pub fn contains(&self, id: &ObjectId) -> Result<bool> {
        Ok(self.position(id)?.is_some())
    }

    /// Whether commit `new` has `old` in its history, as far as this pack's commits tell.
    pub fn lineage(&self, new: &ObjectId, old: &ObjectId) -> Result<Lineage> {
        if new == old {
            return Ok(Lineage::Descends);
        }
        let (Some(new), Some(old)) = (self.position(new)?, self.place(old)?) else { return Ok(Lineage::Unknown) };
        let mut seen = HashSet::from([new]);
        let mut next = vec![new];
        while let Some(commit) = next.pop() {
            let start = self.parents.partition_point(|(child, _)| *child < commit);
            for &(_, parent) in self.parents[start..].iter().take_while(|(child, _)| *child == commit) {
                if parent == old {
                    return Ok(Lineage::Descends);
                }
                if seen.insert(parent) {
                    next.push(parent);
                }
            }
        }
        Ok(Lineage::Unknown)
    }

    /// Its entries as they follow in the pack: id, checksum and where each begins.
    pub(super) fn table<const N: usize>(&self) -> Result<Vec<(Id<N>, u32, u64)>> {
        let mut bytes = Vec::new();
        let read = self.index.reader().read_to_end(&mut bytes);
        read.map_err(|error| Error::misconfigured("reading a temporary file back failed").detail(error))?;
        index::entries(&bytes, self.objects as usize)
    }

    /// An object's number in `parents`: inside the pack, or named by it.
    fn place(&self, id: &ObjectId) -> Result<Option<u32>> {
        if let Some(position) = self.position(id)? {
            return Ok(Some(position));
        }
        let external = self.external.binary_search(id).ok();
        Ok(external.and_then(|position| u32::try_from(position).ok()?.checked_add(self.objects)))
    }

    /// An object's position in the index, by bisection.
    fn position(&self, id: &ObjectId) -> Result<Option<u32>> {
        let wanted = id.as_bytes();
        if id.format() != self.checksum.format() {
            return Ok(None);
        }
        let mut buffer = Vec::new();
        let (mut low, mut high) = (0, self.objects);
        while low < high {
            let middle = low + (high - low) / 2;
            let offset = index::BEFORE_IDS + u64::from(middle) * wanted.len() as u64;
            match self.index.at(offset, wanted.len(), &mut buffer)?.cmp(wanted) {
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }
}

/// Everything that was found out about a pack's objects.
pub(super) struct Contents<const N: usize> {
    pub objects: Objects<N>,
    pub links: Links<N>,
    /// Commit (as entry) and parent.
    pub parents: Vec<(u32, Id<N>)>,
}

impl<const N: usize> Contents<N> {
    /// Sorts, checks that no object comes twice and none is missing, and writes the index.
    pub fn into_pack(self, received: Received<N>, complete: bool, limits: &Limits) -> Result<Pack> {
        let Self { objects, links, parents } = self;
        let count = u32::try_from(objects.len()).expect("packs count in 32 bits");
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by_key(|&entry| objects.ids[entry as usize]);
        let id_at = |position: u32| &objects.ids[order[position as usize] as usize];
        if let Some(twice) = (1..count).find(|&position| id_at(position) == id_at(position - 1)) {
            return Err(damaged(format!("it holds {} twice", objects::hex(id_at(twice)))));
        }
        let find = |id: &Id<N>| order.binary_search_by_key(id, |&entry| objects.ids[entry as usize]).ok();
        let missing = links.missing_from(order.iter().map(|&entry| &objects.ids[entry as usize]));
        if let Some(first) = missing.first().filter(|_| complete) {
            return Err(incomplete(missing.len(), &objects::hex(first)));
        }
        let external: Option<Vec<ObjectId>> = missing.iter().map(objects::object_id_of).collect();
        let external = external.ok_or_else(|| damaged("it names an object by zeroes"))?;

        let mut positions = vec![0; objects.len()];
        for (position, &entry) in (0..).zip(&order) {
            positions[entry as usize] = position;
        }
        let place = |id: &Id<N>| {
            let outside = || missing.binary_search(id).ok().map(|position| position + objects.len());
            find(id).or_else(outside).and_then(|place| u32::try_from(place).ok())
        };
        let mut parents: Vec<(u32, u32)> =
            parents.iter().filter_map(|(commit, parent)| Some((positions[*commit as usize], place(parent)?))).collect();
        parents.sort_unstable();

        let index = index::write(&objects, &order, &received.checksum, Writer::new(limits))?;
        let checksum = objects::object_id_of(&received.checksum).ok_or_else(|| damaged("its checksum is zero"))?;
        let (content, sha256) = (received.scratch, received.sha256);
        Ok(Pack { objects: count, checksum, sha256, content, index, external, parents })
    }
}

fn incomplete(count: usize, example: &str) -> Error {
    Error::remote(format!("the git server sent an incomplete pack: {count} objects are missing, {example} for one"))
        .hint("If it happens again, the repository on the server is damaged: run `git fsck` there.")
}
