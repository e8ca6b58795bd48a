//! Record and pack to one sealed stream: tar, in gzip members, in age. Blocking; never holds a pack in memory.
//!
//! The layers and the reasons for them are told in `FORMAT.md`.

use std::io::{self, Read, Write};

use age::x25519::Recipient;
use ed25519_dalek::{Signer as _, SigningKey};
use flate2::{Compression, GzBuilder, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::record::{PackEntry, Record, Sealed};
use crate::domain::{Error, Result};

pub(super) const RECORD: &str = "record.json";
pub(super) const SIGNATURE: &str = "record.sig";
/// tar's unit: headers are one block, contents are padded to blocks, two empty blocks end it.
const BLOCK: u64 = 512;

/// The contents that go with a record. Lengths and hashes are in the record's pack entry.
pub struct PackSource {
    /// The pack, from its first byte.
    pub pack: Box<dyn Read + Send>,
    /// Its index; there must be one exactly if the record has an index entry.
    pub index: Option<Box<dyn Read + Send>>,
}

/// Seals into `out`. Fails, with `out` half written, if the contents are not those that the record describes.
pub(super) fn seal<W: Write>(
    out: W,
    recipients: &[Recipient],
    signing: &SigningKey,
    record: &Record,
    contents: Option<PackSource>,
) -> Result<(W, Sealed)> {
    let json = record.to_json()?;
    let signature = signing.sign(&json).to_bytes();
    let age = age::Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as _))
        .map_err(|e| Error::bug("cannot encrypt to the vault's recipients").detail(e))?
        .wrap_output(Fingerprint::new(out))
        .map_err(broken)?;

    let mut packed = member(age, Compression::default());
    entry(&mut packed, RECORD, &json)?;
    entry(&mut packed, SIGNATURE, &signature)?;
    let age = match (&record.pack, contents) {
        (None, None) => end(packed)?,
        (Some(pack), Some(contents)) => seal_pack(packed, pack, contents)?,
        _ => return Err(Error::bug("a snapshot's record and its contents disagree on whether there is a pack")),
    };
    let fingerprint = age.finish().map_err(broken)?;
    Ok(fingerprint.finish())
}

fn seal_pack<W: Write>(mut packed: GzEncoder<W>, pack: &PackEntry, mut contents: PackSource) -> Result<W> {
    match (&pack.index, &mut contents.index) {
        (None, None) => {}
        (Some(index), Some(reader)) => {
            header(&mut packed, &pack.index_name(), index.bytes)?;
            copy_exactly(reader, &mut packed, index.bytes, &index.sha256, "index")?;
            pad(&mut packed, index.bytes)?;
        }
        _ => return Err(Error::bug("a snapshot's record and its contents disagree on whether there is an index")),
    }
    header(&mut packed, &pack.file_name(), pack.bytes)?;
    let inner = packed.finish().map_err(broken)?;

    // Packs are deflated already: stored, they cost 5 bytes per 64 kB and no time.
    let mut stored = member(inner, Compression::none());
    copy_exactly(&mut contents.pack, &mut stored, pack.bytes, &pack.sha256, "pack")?;
    let inner = stored.finish().map_err(broken)?;

    let mut packed = member(inner, Compression::default());
    pad(&mut packed, pack.bytes)?;
    end(packed)
}

/// One gzip member; without name and time, so that equal contents give equal bytes.
fn member<W: Write>(out: W, level: Compression) -> GzEncoder<W> {
    GzBuilder::new().write(out, level)
}

fn entry(out: &mut impl Write, name: &str, content: &[u8]) -> Result<()> {
    header(out, name, content.len() as u64)?;
    out.write_all(content).map_err(broken)?;
    pad(out, content.len() as u64)
}

fn header(out: &mut impl Write, name: &str, size: u64) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).map_err(broken)?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    out.write_all(header.as_bytes()).map_err(broken)
}

fn pad(out: &mut impl Write, size: u64) -> Result<()> {
    io::copy(&mut io::repeat(0).take(size.next_multiple_of(BLOCK) - size), out).map_err(broken)?;
    Ok(())
}

fn end<W: Write>(mut packed: GzEncoder<W>) -> Result<W> {
    io::copy(&mut io::repeat(0).take(2 * BLOCK), &mut packed).map_err(broken)?;
    packed.finish().map_err(broken)
}

/// Copies, and refuses anything but exactly what the record promises: the signature covers it only through that.
fn copy_exactly(from: &mut dyn Read, to: &mut impl Write, bytes: u64, sha256: &[u8; 32], what: &str) -> Result<()> {
    let mut hash = Sha256::new();
    let mut copied = 0;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::busy(format!("cannot read the received {what} back")).detail(e)),
        };
        copied += n as u64;
        if copied > bytes {
            break;
        }
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(broken)?;
    }
    if copied != bytes || hash.finalize()[..] != sha256[..] {
        return Err(Error::bug(format!("the {what} handed to the vault is not the one that its record describes")));
    }
    Ok(())
}

/// Only the far end of the stream fails here, and whoever is there knows the reason.
fn broken(e: io::Error) -> Error {
    Error::bug("a sealed stream broke off").detail(e)
}

/// Hashes and counts what passes.
struct Fingerprint<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Fingerprint<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    fn finish(self) -> (W, Sealed) {
        (self.inner, Sealed { sha256: self.hash.finalize().into(), bytes: self.bytes })
    }
}

impl<W: Write> Write for Fingerprint<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
