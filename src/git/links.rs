//! What the objects of a pack name: the proof that nothing is missing, and the history that tells forced moves apart.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::ingest::damaged;
use super::objects::{Id, Kind};
use crate::domain::{Error, Result};

/// Sets that are locked one at a time; each has its range of ids, so that they are sorted one at a time, too.
const SHARDS: usize = 64;

/// Ids that a thread remembers having added: neighbouring trees name nearly the same.
const RECENT: usize = 1 << 15;

/// Every id that some object names, once.
pub(super) struct Links<const N: usize> {
    shards: Vec<Mutex<HashSet<Id<N>>>>,
}

impl<const N: usize> Links<N> {
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// The ids that `known` does not hold; both sorted.
    pub fn missing_from<'a>(self, known: impl Iterator<Item = &'a Id<N>>) -> Vec<Id<N>> {
        let mut known = known.peekable();
        let mut missing = Vec::new();
        for shard in self.shards {
            let mut ids: Vec<Id<N>> = shard.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect();
            ids.sort_unstable();
            for id in ids {
                while known.next_if(|known| **known < id).is_some() {}
                if known.next_if(|known| **known == id).is_none() {
                    missing.push(id);
                }
            }
        }
        missing
    }

    fn add(&self, id: &Id<N>) {
        let shard = &self.shards[usize::from(id[0]) * SHARDS / 256];
        shard.lock().unwrap_or_else(PoisonError::into_inner).insert(*id);
    }
}

/// One thread's way into [`Links`].
pub(super) struct Collector<'a, const N: usize> {
    links: &'a Links<N>,
    /// Ids one after the other. Plain bytes, because only those come zeroed from the system, untouched until they are
    /// used: a small pack costs no more than the few that it names.
    recent: Vec<u8>,
    /// Commit (as entry of the pack) and parent.
    parents: Vec<(u32, Id<N>)>,
}

impl<'a, const N: usize> Collector<'a, N> {
    pub fn new(links: &'a Links<N>) -> Self {
        Self { links, recent: vec![0; RECENT * N], parents: Vec::new() }
    }

    pub fn into_parents(self) -> Vec<(u32, Id<N>)> {
        self.parents
    }

    pub fn add(&mut self, id: Id<N>) {
        let slot = usize::from(u16::from_le_bytes([id[1], id[2]])) % RECENT;
        let recent = &mut self.recent[slot * N..][..N];
        if *recent != id {
            recent.copy_from_slice(&id);
            self.links.add(&id);
        }
    }

    /// Adds what a commit, tree or tag names; blobs name nothing.
    pub fn collect(&mut self, entry: u32, kind: Kind, data: &[u8]) -> Result<()> {
        match kind {
            Kind::Commit => self.commit(entry, data),
            Kind::Tree => self.tree(data),
            Kind::Tag => {
                let id = header(data, b"object ").ok_or_else(|| unreadable("tag"))?;
                self.add(id.0);
                Ok(())
            }
            Kind::Blob | Kind::OffsetDelta | Kind::RefDelta => Ok(()),
        }
    }

    fn commit(&mut self, entry: u32, data: &[u8]) -> Result<()> {
        let (tree, mut rest) = header(data, b"tree ").ok_or_else(|| unreadable("commit"))?;
        self.add(tree);
        while let Some((parent, after)) = header(rest, b"parent ") {
            self.add(parent);
            self.parents.push((entry, parent));
            rest = after;
        }
        Ok(())
    }

    /// `<mode> <name>\0<id>`, again and again.
    fn tree(&mut self, mut rest: &[u8]) -> Result<()> {
        while !rest.is_empty() {
            let end = memchr::memchr(0, rest).ok_or_else(|| unreadable("tree"))?;
            let (id, after) = rest[end + 1..].split_first_chunk::<N>().ok_or_else(|| unreadable("tree"))?;
            // A submodule's commit lies in another repository.
            if !rest.starts_with(b"160000 ") {
                self.add(*id);
            }
            rest = after;
        }
        Ok(())
    }
}

/// The id of a header line, and what follows it.
fn header<'a, const N: usize>(data: &'a [u8], key: &[u8]) -> Option<(Id<N>, &'a [u8])> {
    let (digits, rest) = data.strip_prefix(key)?.split_at_checked(2 * N)?;
    let mut id = [0; N];
    hex::decode_to_slice(digits, &mut id).ok()?;
    Some((id, rest.strip_prefix(b"\n")?))
}

fn unreadable(what: &str) -> Error {
    damaged(format!("it holds a {what} that cannot be read"))
}
