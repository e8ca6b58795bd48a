//! The pack's index, version 2, byte for byte as `git index-pack` writes it.

use super::objects::{self, Id, Objects};
use super::scratch::{Scratch, Writer};
use crate::domain::{Error, Result};

/// Offsets above this go to a table of their own.
const LARGEST_SMALL_OFFSET: u64 = 0x7fff_ffff;

/// Marks an offset as a position in that table.
const LARGE: u32 = 0x8000_0000;

/// Bytes before the table of ids: signature, version, and 256 counts.
pub(super) const BEFORE_IDS: u64 = 8 + 256 * 4;

/// Writes the index. `order` are the entries sorted by id.
pub(super) fn write<const N: usize>(
    objects: &Objects<N>,
    order: &[u32],
    checksum: &Id<N>,
    scratch: Writer,
) -> Result<Scratch> {
    let mut out = Output { scratch, hasher: objects::hasher::<N>(), buffer: Vec::with_capacity(BUFFER) };
    out.write(b"\xfftOc\0\0\0\x02")?;
    let mut counts = [0_u32; 256];
    for &entry in order {
        counts[usize::from(objects.ids[entry as usize][0])] += 1;
    }
    let mut total = 0;
    for count in counts {
        total += count;
        out.write(&total.to_be_bytes())?;
    }
    for &entry in order {
        out.write(&objects.ids[entry as usize])?;
    }
    for &entry in order {
        out.write(&objects.entries[entry as usize].crc.to_be_bytes())?;
    }
    let mut large = Vec::new();
    for &entry in order {
        let offset = objects.entries[entry as usize].offset;
        let small = u32::try_from(offset).ok().filter(|_| offset <= LARGEST_SMALL_OFFSET).unwrap_or_else(|| {
            large.push(offset);
            LARGE | u32::try_from(large.len() - 1).expect("a pack has fewer than 2^31 objects beyond 2 GiB")
        });
        out.write(&small.to_be_bytes())?;
    }
    for offset in large {
        out.write(&offset.to_be_bytes())?;
    }
    out.write(checksum)?;
    out.finish::<N>()
}

/// Reads the index of `count` objects back: id, checksum and offset, in the order of the pack.
pub(super) fn entries<const N: usize>(index: &[u8], count: usize) -> Result<Vec<(Id<N>, u32, u64)>> {
    let ids = usize::try_from(BEFORE_IDS).expect("about a kilobyte");
    let (crcs, smalls, larges) = (ids + count * N, ids + count * (N + 4), ids + count * (N + 8));
    let number = |at: usize| Some(u32::from_be_bytes(*index.get(at..)?.first_chunk()?));
    let entry = |position: usize| {
        let id = *index.get(ids + position * N..)?.first_chunk()?;
        let small = number(smalls + position * 4)?;
        let offset = if small & LARGE == 0 {
            u64::from(small)
        } else {
            u64::from_be_bytes(*index.get(larges + (small & !LARGE) as usize * 8..)?.first_chunk()?)
        };
        Some((id, number(crcs + position * 4)?, offset))
    };
    let entries: Option<Vec<_>> = (0..count).map(entry).collect();
    let mut entries = entries.ok_or_else(|| Error::bug("an index that was just written is too short"))?;
    entries.sort_unstable_by_key(|(.., offset)| *offset);
    Ok(entries)
}

const BUFFER: usize = 64 << 10;

/// Scratch with a buffer and a checksum.
struct Output {
    scratch: Writer,
    hasher: gix_hash::Hasher,
    buffer: Vec<u8>,
}

impl Output {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.hasher.update(&self.buffer);
        self.scratch.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish<const N: usize>(mut self) -> Result<Scratch> {
        self.flush()?;
        let checksum: Id<N> = objects::finalize(self.hasher)?;
        self.scratch.write(&checksum)?;
        Ok(self.scratch.finish())
    }
}
