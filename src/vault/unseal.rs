//! A sealed stream back to record and pack. Blocking; believes nothing before it is checked.

use std::io::{self, BufRead, BufReader, Read, Write};

use age::x25519::Identity;
use ed25519_dalek::{Signature, VerifyingKey};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::record::{MAX_RECORD, PackEntry, Record, Sealed};
use super::seal::{RECORD, SIGNATURE};
use crate::domain::{Error, Extent, RepoId, Result};

/// What an object must be to be believed.
#[derive(Clone)]
pub(super) struct Expect {
    /// The object's name, for errors.
    pub name: String,
    pub vault: Uuid,
    pub repo: RepoId,
    pub extent: Extent,
    pub signers: Vec<VerifyingKey>,
}

/// Where the files of a snapshot go.
pub(super) trait Sink {
    /// Opens the pack's or the index's place.
    fn file(&mut self, name: &str) -> Result<Box<dyn Write + '_>>;
}

/// A sink for checking only.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn file(&mut self, _: &str) -> Result<Box<dyn Write + '_>> {
        Ok(Box::new(io::sink()))
    }
}

type Archive<R> = tar::Archive<MultiGzDecoder<BufReader<age::stream::StreamReader<R>>>>;

const BUFFER: usize = 64 << 10;

/// Reads no further than the record and its signature.
pub(super) fn read_record<R: BufRead>(input: R, identities: &[Identity], expect: &Expect) -> Result<Record> {
    let mut archive = decrypt(input, identities, expect)?;
    let mut entries = archive.entries().map_err(|e| expect.unreadable(e))?;
    expect.record(&mut entries)
}

/// Reads and checks everything to the last byte, handing pack and index to `sink`.
pub(super) fn read_all<R: Read>(
    input: R,
    identities: &[Identity],
    expect: &Expect,
    sink: &mut dyn Sink,
) -> Result<(Record, Sealed)> {
    let mut input = BufReader::with_capacity(BUFFER, Fingerprint { inner: input, hash: Sha256::new(), bytes: 0 });
    let mut archive = decrypt(&mut input, identities, expect)?;
    let record = {
        let mut entries = archive.entries().map_err(|e| expect.unreadable(e))?;
        let record = expect.record(&mut entries)?;
        if let Some(pack) = &record.pack {
            expect.pack(&mut entries, pack, sink)?;
        }
        // Entries of a later format's making; reading them checks them against age's seal all the same.
        for entry in entries {
            entry.map_err(|e| expect.unreadable(e))?;
        }
        record
    };
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|e| expect.unreadable(e))?;
    drop(rest);
    io::copy(&mut input, &mut io::sink()).map_err(|e| expect.unreadable(e))?;
    let Fingerprint { hash, bytes, .. } = input.into_inner();
    Ok((record, Sealed { sha256: hash.finalize().into(), bytes }))
}

fn decrypt<R: BufRead>(input: R, identities: &[Identity], expect: &Expect) -> Result<Archive<R>> {
    let age = age::Decryptor::new_buffered(input).map_err(|e| expect.unreadable(e))?;
    let plain = age.decrypt(identities.iter().map(|identity| identity as _)).map_err(|e| match e {
        // The key fits the vault (checked when it was opened), so it is the object that does not.
        age::DecryptError::NoMatchingKeys => {
            expect.damaged("was not sealed for this vault's keys, or its header was tampered with").detail(e)
        }
        e => expect.unreadable(e),
    })?;
    Ok(tar::Archive::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, plain))))
}

impl Expect {
    fn record<R: Read>(&self, entries: &mut tar::Entries<'_, R>) -> Result<Record> {
        let json = self.small_entry(entries, RECORD, MAX_RECORD)?;
        let signature = self.small_entry(entries, SIGNATURE, 64)?;
        let signature = Signature::from_slice(&signature)
            .map_err(|e| self.damaged("carries something else than a signature").detail(e))?;
        if !self.signers.iter().any(|key| key.verify_strict(&json, &signature).is_ok()) {
            return Err(self.damaged("was not written by this installation: its signature does not match"));
        }
        let record = Record::from_json(&json, &self.name)?;
        record.fits(self.vault, &self.repo, &self.extent).map_err(|why| self.damaged(&why))?;
        Ok(record)
    }

    fn small_entry<R: Read>(&self, entries: &mut tar::Entries<'_, R>, name: &str, limit: u64) -> Result<Vec<u8>> {
        let mut entry = self.next_entry(entries, name)?;
        if entry.size() > limit {
            return Err(self.damaged(&format!("holds a {name} of {} bytes", entry.size())));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|e| self.unreadable(e))?;
        if content.len() as u64 != entry.size() {
            return Err(self.damaged(&format!("breaks off in {name}")));
        }
        Ok(content)
    }

    fn next_entry<'a, R: Read>(&self, entries: &mut tar::Entries<'a, R>, name: &str) -> Result<tar::Entry<'a, R>> {
        let entry = match entries.next() {
            Some(entry) => entry.map_err(|e| self.unreadable(e))?,
            None => return Err(self.damaged(&format!("holds no {name}"))),
        };
        if *entry.path_bytes() != *name.as_bytes() {
            return Err(self.damaged(&format!("holds something else where {name} should be")));
        }
        Ok(entry)
    }

    fn pack<R: Read>(&self, entries: &mut tar::Entries<'_, R>, pack: &PackEntry, sink: &mut dyn Sink) -> Result<()> {
        if let Some(index) = &pack.index {
            let name = pack.index_name();
            let entry = self.next_entry(entries, &name)?;
            self.copy(entry, sink, &name, index.bytes, &index.sha256)?;
        }
        let name = pack.file_name();
        let entry = self.next_entry(entries, &name)?;
        let tail = self.copy(entry, sink, &name, pack.bytes, &pack.sha256)?;
        if !tail.ends_with(pack.checksum.as_bytes()) {
            return Err(self.damaged(&format!("holds a pack that is not {name}")));
        }
        Ok(())
    }

    /// Returns the last bytes.
    fn copy(
        &self,
        mut from: impl Read,
        sink: &mut dyn Sink,
        name: &str,
        bytes: u64,
        sha256: &[u8; 32],
    ) -> Result<Vec<u8>> {
        let cannot_write = |e: io::Error| cannot_unpack(name, &e);
        let mut to = sink.file(name)?;
        let mut hash = Sha256::new();
        let mut copied = 0;
        let mut buffer = vec![0; 128 << 10];
        let mut tail = Vec::new();
        loop {
            let n = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.unreadable(e)),
            };
            copied += n as u64;
            hash.update(&buffer[..n]);
            to.write_all(&buffer[..n]).map_err(cannot_write)?;
            tail.extend_from_slice(&buffer[n.saturating_sub(32)..n]);
            tail.drain(..tail.len().saturating_sub(32));
        }
        to.flush().map_err(cannot_write)?;
        if copied != bytes || hash.finalize()[..] != sha256[..] {
            return Err(self.damaged(&format!("holds a {name} that is not the one that its record describes")));
        }
        Ok(tail)
    }

    pub fn damaged(&self, why: &str) -> Error {
        Error::damaged(format!("{} {why}", self.name))
    }

    fn unreadable(&self, e: impl std::fmt::Display) -> Error {
        self.damaged("cannot be read to the end: it was tampered with or truncated").detail(e)
    }
}

/// The place to unpack to failed, not the object.
pub(super) fn cannot_unpack(what: &str, e: &io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::busy(format!("unpacking {what}: no space left")).hint("free space, or unpack somewhere else")
        }
        _ => Error::misconfigured(format!("cannot unpack {what}"))
            .hint("check that the folder exists and may be written"),
    }
    .detail(e)
}

struct Fingerprint<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Fingerprint<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}
