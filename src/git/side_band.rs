//! Side-band: pack, progress and errors share one stream of frames; the first byte says which.

use bytes::{Buf, Bytes};

use super::answer::{Answer, told};
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
