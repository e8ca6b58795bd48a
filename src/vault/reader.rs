//! Reading snapshots back: records, whole objects.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::stream::{self, Stream, StreamExt as _};
use tempfile::NamedTempFile;

use super::Vault;
use super::layout::{self, object_name};
use super::record::{Record, Sealed};
use super::source::{Prefix, blocking, fingerprint, read_object};
use super::unseal::{Expect, Sink, cannot_unpack, read_all, read_record};
use crate::domain::{Error, Extent, RepoId, Result};

/// An object laid out in a folder, all of it checked.
#[derive(Debug)]
pub struct Extracted {
    /// Its record.
    pub record: Record,
    /// The object as it lies in the store.
    pub sealed: Sealed,
    /// `pack-….pack`, if it has one.
    pub pack: Option<PathBuf>,
    /// `pack-….idx`, if it has one.
    pub index: Option<PathBuf>,
}

/// The first read of a record: age's header, its first block of 64 KiB and some. Nearly all records end in there.
const FIRST_READ: u64 = 68 << 10;
/// Records read at the same time when a chain is walked.
const READ_AHEAD: usize = 8;

impl Vault {
    /// Every repository that has something in the vault.
    pub async fn repositories(&self) -> Result<Vec<RepoId>> {
        let folders = self.store.folders(layout::REPOSITORIES).await?;
        let mut repositories: Vec<_> = folders.iter().filter_map(|name| name.parse().ok()).collect();
        repositories.sort();
        Ok(repositories)
    }

    /// The length of a stored object; `None` if it is not there. Needs no key.
    pub async fn stored_bytes(&self, repo: &RepoId, extent: &Extent) -> Result<Option<u64>> {
        Ok(self.store.exists(&object_name(repo, extent)).await?.map(|meta| meta.size))
    }

    /// SHA-256 and length of a stored object. Needs no key, so a sealed deployment can finish what a crash broke off.
    pub async fn hash(&self, repo: &RepoId, extent: &Extent) -> Result<Sealed> {
        self.fingerprint(&object_name(repo, extent)).await
    }

    pub(super) async fn fingerprint(&self, name: &str) -> Result<Sealed> {
        read_object(&self.store, name, fingerprint).await
    }

    /// An object's record, signature checked, from no more of the object than it takes.
    pub async fn record(&self, repo: &RepoId, extent: &Extent) -> Result<Record> {
        self.keys.readers()?;
        let expect = self.expect(repo, extent);
        let mut held = BytesMut::new();
        let mut end = FIRST_READ;
        loop {
            let (bytes, total) = self.store.read_range(&expect.name, held.len() as u64..end).await?;
            if total == 0 {
                return Err(expect.damaged("is empty"));
            }
            held.extend_from_slice(&bytes);
            let complete = held.len() as u64 >= total;
            let (keys, expect) = (Arc::clone(&self.keys), expect.clone());
            let mut prefix = Prefix::new(held.clone().freeze());
            let (read, starved) = blocking(move || {
                let read = read_record(&mut prefix, keys.readers()?, &expect);
                Ok((read, prefix.starved))
            })
            .await?;
            if read.is_ok() || complete || !starved {
                return read;
            }
            end = (end * 4).min(total);
        }
    }

    /// Lays pack and index out in `dir`. Nothing appears there unless every byte of the object has been checked.
    pub async fn extract(&self, repo: &RepoId, extent: &Extent, dir: &Path) -> Result<Extracted> {
        self.keys.readers()?;
        let expect = self.expect(repo, extent);
        let (keys, dir, name) = (Arc::clone(&self.keys), dir.to_owned(), expect.name.clone());
        read_object(&self.store, &name, move |source| {
            let mut folder = Folder { dir, files: BTreeMap::new() };
            let (record, sealed) = read_all(source, keys.readers()?, &expect, &mut folder)?;
            let (mut pack, mut index) = (None, None);
            if let Some(entry) = &record.pack {
                // The index last: git takes a pack for present when it sees the index.
                pack = folder.publish(&entry.file_name())?;
                index = folder.publish(&entry.index_name())?;
            }
            Ok(Extracted { record, sealed, pack, index })
        })
        .await
    }

    /// Records in the order of `extents`, several being read ahead.
    pub(super) fn records<'v>(
        &'v self,
        repo: &'v RepoId,
        extents: impl Iterator<Item = Extent> + 'v,
    ) -> impl Stream<Item = (Extent, Result<Record>)> + 'v {
        let read = move |extent| async move { (extent, self.record(repo, &extent).await) };
        stream::iter(extents).map(read).buffered(READ_AHEAD)
    }

    pub(super) fn expect(&self, repo: &RepoId, extent: &Extent) -> Expect {
        Expect {
            name: object_name(repo, extent),
            vault: self.id(),
            repo: repo.clone(),
            extent: *extent,
            signers: self.signers.clone(),
        }
    }
}

/// Files under temporary names until they are published; what is not goes when this goes.
struct Folder {
    dir: PathBuf,
    files: BTreeMap<String, NamedTempFile>,
}

impl Folder {
    fn failed(&self, e: &io::Error) -> Error {
        cannot_unpack(&self.dir.display().to_string(), e)
    }

    fn publish(&mut self, name: &str) -> Result<Option<PathBuf>> {
        let Some(file) = self.files.remove(name) else { return Ok(None) };
        let path = self.dir.join(name);
        file.persist(&path).map_err(|e| self.failed(&e.error))?;
        Ok(Some(path))
    }
}

impl Sink for Folder {
    fn file(&mut self, name: &str) -> Result<Box<dyn Write + '_>> {
        // Read-only, as git writes its packs.
        let mode = std::fs::Permissions::from_mode(0o444);
        let file = tempfile::Builder::new().permissions(mode).tempfile_in(&self.dir).map_err(|e| self.failed(&e))?;
        Ok(Box::new(self.files.entry(name.to_owned()).or_insert(file).as_file_mut()))
    }
}
