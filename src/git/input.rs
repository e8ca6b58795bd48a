//! The pack as a stream of bytes: checked, hashed and spilled to scratch while it is read.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use gix_hash::Hasher;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::Receiver;

use super::ingest::{Gauge, damaged};
use super::objects::{self, Id};
use super::scratch::{Scratch, Writer};
use crate::domain::{Error, Result};

/// What the connection hands over.
pub(super) enum Piece {
    Bytes(Bytes),
    /// The server said that the pack is over. Without it, the connection broke.
    End,
}

/// Reads a pack from its connection.
///
/// Hashing and checksums take place when a piece has been read to its end, or where a value is asked for, so that
/// small objects cost no call each.
pub(super) struct Input<'a, const N: usize> {
    pieces: Receiver<Piece>,
    gauge: &'a Gauge,
    scratch: Writer,
    trailer: Hasher,
    content: Sha256,
    crc: crc32fast::Hasher,
    piece: Bytes,
    /// Bytes of `piece` that have been read, hashed and summed up.
    read: usize,
    hashed: usize,
    summed: usize,
    /// Where `piece` begins in the pack.
    start: u64,
}

impl<'a, const N: usize> Input<'a, N> {
    pub fn new(pieces: Receiver<Piece>, scratch: Writer, gauge: &'a Gauge) -> Self {
        Self {
            pieces,
            gauge,
            scratch,
            trailer: objects::hasher::<N>(),
            content: Sha256::new(),
            crc: crc32fast::Hasher::new(),
            piece: Bytes::new(),
            read: 0,
            hashed: 0,
            summed: 0,
            start: 0,
        }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> u64 {
        self.start + self.read as u64
    }

    /// Bytes that are there to be read; never none.
    pub fn available(&mut self) -> Result<&[u8]> {
        while self.read == self.piece.len() {
            if !self.advance()? {
                return Err(damaged("it ends too early"));
            }
        }
        Ok(&self.piece[self.read..])
    }

    /// Marks bytes of [`Input::available`] as read.
    pub fn consume(&mut self, count: usize) {
        self.read += count;
    }

    pub fn byte(&mut self) -> Result<u8> {
        let byte = self.available()?[0];
        self.consume(1);
        Ok(byte)
    }

    pub fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH]> {
        let mut array = [0; LENGTH];
        for slot in &mut array {
            *slot = self.byte()?;
        }
        Ok(array)
    }

    /// From here on, a new checksum.
    pub fn start_crc(&mut self) {
        self.crc.reset();
        self.summed = self.read;
    }

    /// The checksum of what was read since [`Input::start_crc`].
    pub fn crc(&mut self) -> u32 {
        self.crc.update(&self.piece[self.summed..self.read]);
        self.summed = self.read;
        self.crc.clone().finalize()
    }

    /// After the last object: checks the trailer and that nothing follows. Returns the pack's checksum, its SHA-256
    /// and its bytes.
    pub fn finish(mut self) -> Result<(Id<N>, [u8; 32], Scratch)> {
        self.trailer.update(&self.piece[self.hashed..self.read]);
        let hasher = std::mem::replace(&mut self.trailer, objects::hasher::<N>());
        let expected = objects::finalize::<N>(hasher)?;
        let trailer: Id<N> = self.array()?;
        if trailer != expected {
            return Err(damaged("its checksum is wrong"));
        }
        while self.read == self.piece.len() {
            if !self.advance()? {
                return Ok((trailer, self.content.finalize().into(), self.scratch.finish()));
            }
        }
        Err(damaged("something follows after its end"))
    }

    /// Goes on to the next piece. `false`: the pack is over.
    fn advance(&mut self) -> Result<bool> {
        self.trailer.update(&self.piece[self.hashed..]);
        self.crc.update(&self.piece[self.summed..]);
        self.start += self.piece.len() as u64;
        (self.read, self.hashed, self.summed) = (0, 0, 0);
        self.piece = Bytes::new();
        match self.pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => {
                self.scratch.write(&bytes)?;
                self.content.update(&bytes);
                self.gauge.bytes.fetch_add(bytes.len() as u64, Relaxed);
                self.piece = bytes;
                Ok(true)
            }
            Some(Piece::End) => Ok(false),
            None => Err(Error::remote("the transfer was interrupted")),
        }
    }
}
