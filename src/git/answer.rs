//! A server's answer, read frame by frame as it arrives.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

use super::pkt_line::{self, Pkt};
use crate::domain::{Error, Result};

/// The frames of one HTTP answer. Holds no more than one frame and what arrived with it.
pub(super) struct Answer {
    response: Response,
    buffer: BytesMut,
    /// No frame has come yet.
    empty: bool,
}

impl Answer {
    pub fn new(response: Response) -> Self {
        Self { response, buffer: BytesMut::new(), empty: true }
    }

    /// The next frame. The end of the connection is an error: git's messages say when they are over.
    pub async fn next(&mut self) -> Result<Pkt> {
        loop {
            if let Some(pkt) = pkt_line::take(&mut self.buffer)? {
                self.empty = false;
                return Ok(pkt);
            }
            match self.response.chunk().await.map_err(interrupted)? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None if self.empty && self.buffer.is_empty() => return Err(gave_up()),
                None => return Err(cut()),
            }
        }
    }

    /// The next text line without its newline; `None` for any frame that carries none. `ERR` lines become errors.
    pub async fn line(&mut self) -> Result<Option<Bytes>> {
        match self.next().await? {
            Pkt::Data(data) => text(data).map(Some),
            Pkt::Flush | Pkt::Delimiter | Pkt::ResponseEnd => Ok(None),
        }
    }

    /// After the last frame nothing may follow.
    pub async fn expect_end(&mut self) -> Result<()> {
        loop {
            if !self.buffer.is_empty() {
                return Err(Error::remote(
                    "the server sent more than its answer: something between it and us is broken",
                ));
            }
            match self.response.chunk().await.map_err(interrupted)? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(()),
            }
        }
    }
}

/// A text line without its newline; an `ERR` line becomes the error that it tells of.
pub(super) fn text(mut data: Bytes) -> Result<Bytes> {
    if data.last() == Some(&b'\n') {
        data.truncate(data.len() - 1);
    }
    match data.strip_prefix(b"ERR ") {
        Some(words) => Err(told(words)),
        None => Ok(data),
    }
}

/// An error that the server put in words, through an `ERR` line or side-band 3.
pub(super) fn told(words: &[u8]) -> Error {
    let words = String::from_utf8_lossy(words);
    let words = words.trim();
    if words.contains("not our ref") {
        return moved().detail(printable(words));
    }
    Error::remote(format!("the git server says: {}", printable(words)))
}

/// A server's words with control characters taken out, so that they cannot disguise a terminal or a log.
pub(super) fn printable(words: &str) -> String {
    words.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The only `Busy` without a known end in this module: [`super::is_moved`] relies on it.
fn moved() -> Error {
    Error::busy("the repository changed while it was being read")
}

/// A server that dies over a request, as older ones do when an object is gone, leaves an empty answer.
fn gave_up() -> Error {
    moved().detail("the git server closed the connection without an answer")
}

fn cut() -> Error {
    Error::remote("the git server closed the connection before its answer was complete")
}

pub(super) fn interrupted(error: reqwest::Error) -> Error {
    let message =
        if error.is_timeout() { "the git server stopped answering" } else { "the connection to the git server broke" };
    Error::remote(message).detail(causes(&error.without_url()))
}

/// An error and everything underneath it, for the log.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
