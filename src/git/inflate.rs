//! Inflation of single objects, with their announced size as the limit.

use flate2::{Decompress, FlushDecompress, Status};

use super::ingest::damaged;
use super::objects::{self, Kind};
use super::scratch::Scratch;
use crate::domain::Result;

/// How much of an entry is read at once. Nearly all entries are smaller.
const PIECE: usize = 256 << 10;

/// An inflater that is used for one object after the other.
pub(super) struct Inflater {
    zlib: Decompress,
    compressed: Vec<u8>,
}

impl Inflater {
    pub fn new() -> Self {
        Self { zlib: Decompress::new(true), compressed: Vec::new() }
    }

    /// Gets ready for the next object.
    pub fn reset(&mut self) {
        self.zlib.reset(true);
    }

    /// Bytes of the object so far.
    pub fn produced(&self) -> u64 {
        self.zlib.total_out()
    }

    /// Inflates what fits: bytes consumed, bytes produced, and whether the object is complete.
    pub fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize, bool)> {
        let (consumed, produced) = (self.zlib.total_in(), self.zlib.total_out());
        let status = self.zlib.decompress(input, out, FlushDecompress::None);
        let done = matches!(status.map_err(|_| damaged("an object cannot be inflated"))?, Status::StreamEnd);
        let consumed = usize::try_from(self.zlib.total_in() - consumed).expect("no more than the input");
        let produced = usize::try_from(self.zlib.total_out() - produced).expect("no more than the room");
        if consumed == 0 && produced == 0 && !done && !input.is_empty() && !out.is_empty() {
            return Err(damaged("an object cannot be inflated"));
        }
        Ok((consumed, produced, done))
    }

    /// Inflates the entry of a pack that begins at `offset` and takes `length` bytes there. `out` is cleared first.
    pub fn entry<const N: usize>(&mut self, pack: &Scratch, offset: u64, length: u64, out: &mut Vec<u8>) -> Result<()> {
        self.reset();
        out.clear();
        let (mut offset, end) = (offset, offset + length);
        let mut input = pack.at(offset, piece(end - offset), &mut self.compressed)?;
        let available = input.len();
        let size = skip_header::<N>(&mut input)?;
        offset += (available - input.len()) as u64;
        out.reserve_exact(size);
        loop {
            let before = self.zlib.total_in();
            let status = self.zlib.decompress_vec(input, out, FlushDecompress::Finish);
            let consumed = self.zlib.total_in() - before;
            offset += consumed;
            match status {
                Ok(Status::StreamEnd) if out.len() == size => return Ok(()),
                Ok(Status::Ok | Status::BufError) if consumed > 0 && offset < end => {}
                _ => return Err(damaged("an object cannot be inflated a second time")),
            }
            input = pack.at(offset, piece(end - offset), &mut self.compressed)?;
        }
    }
}

fn piece(left: u64) -> usize {
    usize::try_from(left).map_or(PIECE, |left| left.min(PIECE))
}

/// Goes past what stands before an entry's compressed bytes; returns the size that they inflate to.
fn skip_header<const N: usize>(input: &mut &[u8]) -> Result<usize> {
    let mut next = || {
        let (&byte, rest) = input.split_first().ok_or_else(|| damaged("an object has no content"))?;
        *input = rest;
        Ok(byte)
    };
    let (kind, size) = objects::entry_header(&mut next)?;
    match kind {
        Kind::OffsetDelta => {
            objects::base_distance(&mut next)?;
        }
        Kind::RefDelta => *input = input.get(N..).ok_or_else(|| damaged("an object has no content"))?,
        Kind::Commit | Kind::Tree | Kind::Blob | Kind::Tag => {}
    }
    usize::try_from(size).map_err(|_| damaged("an object claims an impossible size"))
}
