//! Side-band: pack, progress and errors share one stream of frames; the first byte says which.

use bytes::{Buf, Bytes};

use super::answer::{Answer, told};
use super::ingest::{HEADER, damaged, object_count};
use super::pkt_line::Pkt;
use crate::domain::{Error, Result};

/// The pack inside an answer.
pub(super) struct SideBand {
    answer: Answer,
    /// A frame that was read to find out where the side-band begins.
    first: Option<Bytes>,
}

impl SideBand {
    pub fn new(answer: Answer) -> Self {
        Self { answer, first: None }
    }

    pub fn starting_with(answer: Answer, first: Bytes) -> Self {
        Self { answer, first: Some(first) }
    }

    /// How many objects the pack announces. It can be received from its beginning afterwards.
    pub async fn announced(&mut self) -> Result<u32> {
        // As a frame of the first band, to be read once more.
        let mut beginning = vec![1];
        while beginning.len() <= HEADER {
            let piece = self.next().await?.ok_or_else(|| damaged("it ends too early"))?;
            beginning.extend_from_slice(&piece);
        }
        let count = object_count(beginning[1..].first_chunk().expect("the loop above waits for a whole header"));
        self.first = Some(beginning.into());
        count
    }

    /// The next piece of the pack; `None` when it is over and the answer ended as it should.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let mut frame = match self.first.take() {
                Some(frame) => frame,
                None => match self.answer.next().await? {
                    Pkt::Data(frame) => frame,
                    Pkt::Flush => {
                        self.answer.expect_end().await?;
                        return Ok(None);
                    }
                    Pkt::Delimiter | Pkt::ResponseEnd => return Err(unexpected()),
                },
            };
            let Some(&band) = frame.first() else { continue };
            match band {
                1 => {
                    frame.advance(1);
                    if !frame.is_empty() {
                        return Ok(Some(frame));
                    }
                }
                2 => {}
                3 => return Err(told(&frame[1..])),
                _ if frame.starts_with(b"ERR ") => return Err(told(&frame[4..])),
                _ => return Err(unexpected()),
            }
        }
    }
}

fn unexpected() -> Error {
    Error::remote("the server's answer is not git's protocol: a pack was expected")
}
