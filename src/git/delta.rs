//! Git's deltas: "copy these bytes of the base" and "insert these bytes", until the object is there.

use super::ingest::damaged;
use crate::domain::Result;

/// Appends the object that `delta` makes of `base` to `out`, which must be empty and is given just the room it needs.
pub(super) fn apply(base: &[u8], delta: &[u8], max_object: u64, out: &mut Vec<u8>) -> Result<()> {
    let mut rest = delta;
    let base_size = size(&mut rest)?;
    let size = size(&mut rest)?;
    if base_size != base.len() as u64 {
        return Err(damaged("a delta is for another base"));
    }
    if size > max_object {
        return Err(super::ingest::too_large(size, max_object));
    }
    let size = usize::try_from(size).map_err(|_| super::ingest::too_large(size, max_object))?;
    out.reserve_exact(size);
    while let Some((&command, after)) = rest.split_first() {
        rest = after;
        let piece = if command & 0x80 != 0 {
            let (start, length) = copy(command, &mut rest)?;
            base.get(start..start + length)
        } else {
            rest.split_at_checked(usize::from(command)).filter(|_| command != 0).map(|(piece, after)| {
                rest = after;
                piece
            })
        };
        let piece = piece.ok_or_else(broken)?;
        if out.len() + piece.len() > size {
            return Err(broken());
        }
        out.extend_from_slice(piece);
    }
    if out.len() == size { Ok(()) } else { Err(broken()) }
}

/// Where to copy from and how much: the command's bits say which bytes of the two numbers follow.
fn copy(command: u8, rest: &mut &[u8]) -> Result<(usize, usize)> {
    let (mut start, mut length) = (0_usize, 0_usize);
    for bit in 0..4 {
        if command & (1 << bit) != 0 {
            start |= usize::from(byte(rest)?) << (8 * bit);
        }
    }
    for bit in 0..3 {
        if command & (0x10 << bit) != 0 {
            length |= usize::from(byte(rest)?) << (8 * bit);
        }
    }
    Ok((start, if length == 0 { 0x10000 } else { length }))
}

/// Seven bits at a time, lowest first.
fn size(rest: &mut &[u8]) -> Result<u64> {
    let mut size = 0;
    for shift in (0..63).step_by(7) {
        let byte = byte(rest)?;
        size |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(size);
        }
    }
    Err(broken())
}

fn byte(rest: &mut &[u8]) -> Result<u8> {
    let (&first, after) = rest.split_first().ok_or_else(broken)?;
    *rest = after;
    Ok(first)
}

fn broken() -> crate::domain::Error {
    damaged("a delta does not make sense")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        apply(base, delta, 1 << 20, &mut out).ok().map(|()| out)
    }

    #[test]
    fn copies_and_inserts() {
        assert_eq!(made(b"hello world", b"\x0b\x08\x90\x05\x03, x").as_deref(), Some(&b"hello, x"[..]));
        assert_eq!(made(b"abc", b"\x03\x02\x91\x01\x02").as_deref(), Some(&b"bc"[..]));
    }

    #[test]
    fn nonsense_is_refused() {
        let nonsense: [&[u8]; 8] = [
            b"",
            b"\x03",
            b"\x04\x01\x90\x01", // another base
            b"\x03\x01\x00",     // command 0
            b"\x03\x01\x90\x02", // more than announced
            b"\x03\x05\x90\x02", // less than announced
            b"\x03\x05\x90\x05", // beyond the base
            b"\x03\x05\x05ab",   // insert cut off
        ];
        for delta in nonsense {
            assert_eq!(made(b"abc", delta), None, "{delta:?}");
        }
    }
}
