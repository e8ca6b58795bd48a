//! The pack's index, version 2, byte for byte as `git index-pack` writes it.

use super::objects::{self, Id, Objects};
use super::scratch::{Scratch, Writer};
use crate::domain::Result;

/// Offsets above this go to a table of their own.
const LARGEST_SMALL_OFFSET: u64 = 0x7fff_ffff;

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
            0x8000_0000 | u32::try_from(large.len() - 1).expect("a pack has fewer than 2^31 objects beyond 2 GiB")
        });
        out.write(&small.to_be_bytes())?;
    }
    for offset in large {
        out.write(&offset.to_be_bytes())?;
    }
    out.write(checksum)?;
    out.finish::<N>()
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
