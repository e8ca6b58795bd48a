//! Many small packs as one: a repository of a thousand pushes would otherwise have a thousand packs, each to be written
//! with an index of its own and each to be looked into by git for every object.
//!
//! Entries are copied as they are and stay in the company that they came in, so that the distances of offset deltas stay
//! right. <https://git-scm.com/docs/pack-format>

use std::collections::HashSet;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::ingest::HEADER;
use super::objects::{self, Entry, Id, Kind, NONE, Objects};
use super::pack::Pack;
use super::{Limits, index, scratch};
use crate::domain::{Error, ObjectFormat, Result};

/// A joint pack is kept in memory until it is this large.
const FULL: usize = 32 << 20;

/// Takes packs and writes joint ones, with their indexes, to a folder.
pub struct Joiner {
    joint: Joint,
}

enum Joint {
    Sha1(Open<20>),
    Sha256(Open<32>),
}

impl Joiner {
    /// For packs of a repository with this hash. The joint ones appear in `folder`, read-only as git writes them.
    pub fn new(folder: &Path, format: ObjectFormat, limits: &Limits) -> Self {
        let joint = match format {
            ObjectFormat::Sha1 => Joint::Sha1(Open::new(folder, limits)),
            ObjectFormat::Sha256 => Joint::Sha256(Open::new(folder, limits)),
        };
        Self { joint }
    }

    /// Takes a pack. What is in memory is written first if the two would be too large, or share an object: git wants no
    /// object twice in a pack.
    pub fn add(&mut self, pack: &Pack) -> Result<()> {
        match &mut self.joint {
            Joint::Sha1(open) => open.add(pack),
            Joint::Sha256(open) => open.add(pack),
        }
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Result<()> {
        match &mut self.joint {
            Joint::Sha1(open) => open.close(),
            Joint::Sha256(open) => open.close(),
        }
    }
}

/// The joint pack that is being made.
struct Open<const N: usize> {
    folder: PathBuf,
    limits: Limits,
    /// Header and entries.
    bytes: Vec<u8>,
    objects: Objects<N>,
    held: HashSet<Id<N>>,
}

impl<const N: usize> Open<N> {
    fn new(folder: &Path, limits: &Limits) -> Self {
        let (folder, limits) = (folder.to_owned(), limits.clone());
        Self { folder, limits, bytes: vec![0; HEADER], objects: Objects::with_room_for(0), held: HashSet::new() }
    }

    fn add(&mut self, pack: &Pack) -> Result<()> {
        if pack.checksum().format() != objects::format::<N>() {
            return Err(Error::bug("a pack among others of another hash"));
        }
        let table: Vec<(Id<N>, u32, u64)> = pack.table()?;
        if table.iter().all(|(id, ..)| self.held.contains(id)) {
            return Ok(());
        }
        let size = usize::try_from(pack.bytes()).unwrap_or(usize::MAX);
        if size > FULL.saturating_sub(self.bytes.len()) || table.iter().any(|(id, ..)| self.held.contains(id)) {
            self.close()?;
        }
        // Where the pack's first byte would be.
        let start = (self.bytes.len() - HEADER) as u64;
        let content = size.saturating_sub(HEADER + N) as u64;
        let mut reader = pack.reader();
        io::copy(&mut reader.by_ref().take(HEADER as u64), &mut io::sink())
            .and_then(|_| reader.take(content).read_to_end(&mut self.bytes))
            .map_err(|error| Error::misconfigured("reading a pack back from scratch failed").detail(error))?;
        for (id, crc, offset) in table {
            self.held.insert(id);
            self.objects.ids.push(id);
            // An index does not tell kinds, nor what deltas are made from.
            self.objects.entries.push(Entry { offset: start + offset, crc, base: NONE, kind: Kind::Blob });
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if self.objects.ids.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(self, Self::new(&self.folder, &self.limits));
        full.write()
    }

    fn write(self) -> Result<()> {
        let Self { folder, limits, mut bytes, objects, .. } = self;
        let count = u32::try_from(objects.len()).expect("a joint pack is much too small for 2^32 objects");
        bytes[..4].copy_from_slice(b"PACK");
        bytes[4..8].copy_from_slice(&2_u32.to_be_bytes());
        bytes[8..HEADER].copy_from_slice(&count.to_be_bytes());
        let mut hasher = objects::hasher::<N>();
        hasher.update(&bytes);
        let checksum: Id<N> = objects::finalize(hasher)?;
        bytes.extend_from_slice(&checksum);
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by_key(|&entry| objects.ids[entry as usize]);
        let index = index::write(&objects, &order, &checksum, scratch::Writer::new(&limits))?;
        // The index last: git takes a pack for present when it sees the index.
        let path = |extension: &str| folder.join(format!("pack-{}.{extension}", objects::hex(&checksum)));
        if path("idx").exists() {
            // The same objects under the same name: two snapshots brought nothing but those.
            return Ok(());
        }
        let written = create(&path("pack")).and_then(|mut file| file.write_all(&bytes));
        let written = written.and_then(|()| io::copy(&mut index.reader(), &mut create(&path("idx"))?));
        written
            .map(drop)
            .map_err(|error| Error::misconfigured(format!("cannot write packs to {}: {error}", folder.display())))
    }
}

fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.set_permissions(Permissions::from_mode(0o444))?;
    Ok(file)
}
