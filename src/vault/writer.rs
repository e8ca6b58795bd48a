//! Appending: one snapshot, one object, one write.

use std::io::{self, Write};
use std::sync::{Arc, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::Vault;
use super::description::Description;
use super::layout::{DESCRIPTION, object_name};
use super::record::{Record, Sealed};
use super::seal::{PackSource, seal};
use super::source::blocking;
use super::store::Created;
use super::upload::Upload;
use crate::domain::{Error, RepoId, Result, Seq};

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The snapshot is in the vault and durable.
    Written(Sealed),
    /// Another object holds this number, or stands for it; it was left alone.
    Occupied,
}

/// Sealed bytes pass from the sealing thread to the store in pieces of this size, this many at most at a time.
const CHUNK: usize = 256 << 10;
const CHUNKS: usize = 4;

impl Vault {
    /// Seals a record and its contents and writes them under the name of what it stands for, unless that is taken.
    ///
    /// Until this returns [`Appended::Written`] the vault is unchanged; dropping the future changes nothing either,
    /// except in the instant of the final write, after which [`Vault::hash`] tells what is there.
    pub async fn append(&self, record: &Record, contents: Option<PackSource>) -> Result<Appended> {
        let extent = record.extent();
        record
            .fits(self.id(), &record.repo, &extent)
            .map_err(|why| Error::bug(format!("the record for {extent} {why}")))?;
        self.keys.signer()?;
        self.still_there().await?;
        if extent.is_single() && self.is_history(&record.repo, record.seq).await? {
            return Ok(Appended::Occupied);
        }

        let name = object_name(&record.repo, &extent);
        let mut upload = self.store.upload(name.clone(), expected_bytes(record));
        let (chunks, received) = mpsc::channel(CHUNKS);
        let sealing = {
            let (keys, recipients, record) = (Arc::clone(&self.keys), self.recipients.clone(), record.clone());
            blocking(move || {
                let out = Chunks { buffer: BytesMut::new(), to: chunks };
                let (mut out, sealed) = seal(out, &recipients, keys.signer()?, &record, contents)?;
                out.flush().map_err(|e| Error::bug("a sealed stream broke off").detail(e))?;
                Ok(sealed)
            })
        };
        let (sealed, uploaded) = tokio::join!(sealing, drain(received, &mut upload));
        // Of both failing, the upload's failure is the cause.
        let sealed = match uploaded.and(sealed) {
            Ok(sealed) => sealed,
            Err(e) => {
                upload.abort().await;
                return Err(e.while_doing(format!("sealing {extent} of {}", record.full_name)));
            }
        };
        match upload.finish().await? {
            Created::Written => Ok(Appended::Written(sealed)),
            // A store whose answer got lost is asked again and then refuses what it took the first time. Sealing is
            // randomised: equal bytes are our bytes.
            Created::Occupied if self.holds(&name, sealed).await? => Ok(Appended::Written(sealed)),
            Created::Occupied => Ok(Appended::Occupied),
        }
    }

    /// Consolidated snapshots take numbers whose own names are free again: a catalog that was set back to an older copy
    /// would have them written anew, behind what stands for them. The folder is listed once, and again whenever a number
    /// does not come after the last.
    async fn is_history(&self, repo: &RepoId, seq: Seq) -> Result<bool> {
        if !self.follows(repo, seq) && self.cover(repo).await?.live.iter().any(|stored| stored.extent.contains(seq)) {
            return Ok(true);
        }
        self.appended.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.clone(), seq);
        Ok(false)
    }

    /// The number comes after the last that was appended here: the catalog has not been set back since.
    pub fn follows(&self, repo: &RepoId, seq: Seq) -> bool {
        let appended = self.appended.lock().unwrap_or_else(PoisonError::into_inner);
        appended.get(repo).is_some_and(|last| *last < seq)
    }

    async fn holds(&self, name: &str, sealed: Sealed) -> Result<bool> {
        let same_size = self.store.exists(name).await?.is_some_and(|meta| meta.size == sealed.bytes);
        Ok(same_size && self.fingerprint(name).await? == sealed)
    }

    /// An unmounted disk leaves an empty folder behind: writing there would start a second vault below the mount point.
    /// Another disk may hold another vault.
    async fn still_there(&self) -> Result<()> {
        if !self.store.is_local() {
            return Ok(());
        }
        let why = match self.store.read_small(DESCRIPTION).await? {
            Some(json) if Description::is_of(&json, self.id()) => return Ok(()),
            Some(_) => "belongs to another installation",
            None => "is gone",
        };
        Err(Error::misconfigured(format!("the vault at {} {why}", self.store.url()))
            .hint("check that the right disk is mounted"))
    }
}

/// Owns the receiver: when an upload fails the channel closes, and the sealing thread ends too.
async fn drain(mut received: mpsc::Receiver<Bytes>, upload: &mut Upload<'_>) -> Result<()> {
    while let Some(bytes) = received.recv().await {
        upload.write(bytes).await?;
    }
    Ok(())
}

fn expected_bytes(record: &Record) -> u64 {
    record.pack.as_ref().map_or(0, |pack| pack.bytes + pack.index.map_or(0, |index| index.bytes))
}

/// The blocking end of the channel to the store.
struct Chunks {
    buffer: BytesMut,
    to: mpsc::Sender<Bytes>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.to.blocking_send(chunk).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
