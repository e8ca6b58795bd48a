//! From the store's asynchronous streams to blocking readers.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, OnceLock};

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::{GetResult, GetResultPayload};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::record::Sealed;
use super::store::Store;
use crate::domain::{Error, Result};

/// Hands the content of an object to blocking code, on a thread where that may block.
///
/// A store that fails halfway looks like a truncated object to whoever parses it; the store's own error is kept aside
/// and wins.
pub(super) async fn read_object<T: Send + 'static>(
    store: &Store,
    name: &str,
    work: impl FnOnce(Source) -> Result<T> + Send + 'static,
) -> Result<T> {
    let found = store.read(name).await?;
    let fault = Arc::new(OnceLock::new());
    let source = Source { content: Content::of(found), fault: fault.clone() };
    let done = blocking(move || work(source)).await;
    match fault.get() {
        Some(e) => Err(store.failed(&format!("reading {name}"), e)),
        None => done,
    }
}

/// Runs blocking work off the asynchronous threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::bug("a worker thread died").detail(e)))
}

/// SHA-256 and length of everything in `source`.
pub(super) fn fingerprint(mut source: Source) -> Result<Sealed> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(Sealed { sha256: hash.finalize().into(), bytes }),
            Ok(n) => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
            Err(e) => return Err(Error::remote("reading an object broke off").detail(e)),
        }
    }
}

/// The content of one object. Must be read on a thread that may block.
pub(super) struct Source {
    content: Content,
    fault: Arc<OnceLock<object_store::Error>>,
}

enum Content {
    File(File),
    Stream { handle: Handle, stream: BoxStream<'static, object_store::Result<Bytes>>, chunk: Bytes },
}

impl Content {
    fn of(found: GetResult) -> Self {
        match found.payload {
            GetResultPayload::File(file, _) => Self::File(file),
            GetResultPayload::Stream(stream) => Self::Stream { handle: Handle::current(), stream, chunk: Bytes::new() },
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let failed = match &mut self.content {
            Content::File(file) => match file.read(buffer) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                    object_store::Error::Generic { store: "folder", source: e.into() }
                }
                read => return read,
            },
            Content::Stream { handle, stream, chunk } => loop {
                if chunk.has_remaining() || buffer.is_empty() {
                    let n = chunk.remaining().min(buffer.len());
                    chunk.copy_to_slice(&mut buffer[..n]);
                    return Ok(n);
                }
                match handle.block_on(stream.next()) {
                    Some(Ok(bytes)) => *chunk = bytes,
                    Some(Err(e)) => break e,
                    None => return Ok(0),
                }
            },
        };
        let error = io::Error::other(failed.to_string());
        // The first failure is the cause; a second read after it tells nothing new.
        let _ = self.fault.set(failed);
        Err(error)
    }
}

/// The beginning of an object, which remembers whether someone wanted more than there is.
pub(super) struct Prefix {
    bytes: Bytes,
    pub starved: bool,
}

impl Prefix {
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, starved: false }
    }
}

impl Read for Prefix {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Prefix {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.starved |= self.bytes.is_empty();
        Ok(&self.bytes)
    }

    fn consume(&mut self, n: usize) {
        self.bytes.advance(n);
    }
}
