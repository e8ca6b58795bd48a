//! Git's framing: four hex digits of length, then that many bytes, the digits included.

use bytes::{Buf, Bytes, BytesMut};

use crate::domain::{Error, Result};

/// The longest line that git allows, digits included.
const LONGEST: usize = 65_520;

/// Ends a message.
pub(super) const FLUSH: &[u8] = b"0000";

/// Parts a message in sections.
pub(super) const DELIMITER: &[u8] = b"0001";

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pkt {
    Data(Bytes),
    Flush,
    Delimiter,
    ResponseEnd,
}

/// Cuts the first frame off `buffer`. `None`: it is not complete yet.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Pkt>> {
    let Some(digits) = buffer.first_chunk::<4>().copied() else { return Ok(None) };
    let length = length(digits)?;
    let special = match length {
        0 => Pkt::Flush,
        1 => Pkt::Delimiter,
        2 => Pkt::ResponseEnd,
        4..=LONGEST if buffer.len() < length => return Ok(None),
        4..=LONGEST => {
            let mut frame = buffer.split_to(length);
            frame.advance(4);
            return Ok(Some(Pkt::Data(frame.freeze())));
        }
        _ => return Err(Error::remote(format!("the server's answer is not git's protocol: a line of {length} bytes"))),
    };
    buffer.advance(4);
    Ok(Some(special))
}

/// Appends one text line, with the newline that git puts there.
pub(super) fn line(out: &mut Vec<u8>, text: &str) {
    let length = text.len() + 5;
    debug_assert!(length <= LONGEST, "our own lines are short");
    out.extend_from_slice(format!("{length:04x}{text}\n").as_bytes());
}

fn length(digits: [u8; 4]) -> Result<usize> {
    let mut length = 0;
    for digit in digits {
        let value = char::from(digit).to_digit(16).ok_or_else(|| {
            let text = String::from_utf8_lossy(&digits).escape_debug().to_string();
            Error::remote(format!("the server's answer is not git's protocol: it has `{text}` where a length belongs"))
        })?;
        length = length * 16 + value as usize;
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut out = format!("{:04x}", payload.len() + 4).into_bytes();
        out.extend_from_slice(payload);
        out
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12), step in 1_usize..97) {
            let mut wire: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
            wire.extend_from_slice(FLUSH);
            let mut buffer = BytesMut::new();
            let mut seen = Vec::new();
            for piece in wire.chunks(step) {
                buffer.extend_from_slice(piece);
                while let Some(pkt) = take(&mut buffer).expect("these frames are sound") {
                    seen.push(pkt);
                }
            }
            let mut expected: Vec<Pkt> = payloads.into_iter().map(|payload| Pkt::Data(payload.into())).collect();
            expected.push(Pkt::Flush);
            prop_assert_eq!(seen, expected);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            while let Ok(Some(_)) = take(&mut buffer) {}
        }
    }

    #[test]
    fn lengths_that_git_does_not_know_are_refused() {
        for wire in ["0003", "fff1", "-001", "<!DO", "00 4"] {
            assert!(take(&mut BytesMut::from(wire)).is_err(), "{wire}");
        }
    }

    #[test]
    fn our_lines_end_with_a_newline() {
        let mut out = Vec::new();
        line(&mut out, "done");
        assert_eq!(out, b"0009done\n");
    }
}
