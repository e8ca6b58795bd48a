//! Create-only writing of a stream of unknown length.
//!
//! Nothing appears under the final name before [`Upload::finish`]: what is dropped or aborted was never there. How the
//! write stays create-only depends on size and store; see `FORMAT.md`, "Writing".

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload, WriteMultipart};
use uuid::Uuid;

use super::layout::STAGING;
use super::store::{Created, Store};
use crate::domain::Result;

/// Parts of a multipart upload. S3 wants 5 MiB or more; memory is three times this.
const CLOUD_PART: u64 = 8 << 20;
const LOCAL_PART: u64 = 1 << 20;
/// S3 takes 10,000 parts; some slack, because the length is only about known.
const MAX_PARTS: u64 = 9_000;
const PARTS_IN_FLIGHT: usize = 2;

pub(super) struct Upload<'s> {
    store: &'s Store,
    name: String,
    part: u64,
    state: State,
}

enum State {
    /// Up to one part: a single atomic conditional write.
    Small(Vec<Bytes>, u64),
    Large(Path, WriteMultipart),
}

impl<'s> Upload<'s> {
    pub fn new(store: &'s Store, name: String, expected: u64) -> Self {
        let part = if store.is_local() { LOCAL_PART } else { CLOUD_PART.max(expected / MAX_PARTS) };
        Self { store, name, part, state: State::Small(Vec::new(), 0) }
    }

    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if let State::Small(held, length) = &mut self.state {
            *length += bytes.len() as u64;
            held.push(bytes);
            if *length > self.part {
                let held = std::mem::take(held);
                self.grow(held).await?;
            }
            return Ok(());
        }
        self.write_large(bytes).await
    }

    async fn grow(&mut self, held: Vec<Bytes>) -> Result<()> {
        let target = self.target();
        let upload = self.store.inner.put_multipart(&target).await.map_err(|e| self.failed(&e))?;
        let part = usize::try_from(self.part).unwrap_or(usize::MAX);
        self.state = State::Large(target, WriteMultipart::new_with_chunk_size(upload, part));
        for bytes in held {
            self.write_large(bytes).await?;
        }
        Ok(())
    }

    async fn write_large(&mut self, bytes: Bytes) -> Result<()> {
        let State::Large(_, writer) = &mut self.state else { return Ok(()) };
        let ready = writer.wait_for_capacity(PARTS_IN_FLIGHT).await;
        if ready.is_ok() {
            writer.put(bytes);
        }
        ready.map_err(|e| self.failed(&e))
    }

    /// A folder cannot complete a multipart upload create-only, but it can move a finished file into a free place.
    fn target(&self) -> Path {
        if self.store.is_local() {
            Path::from(format!("{STAGING}/{}", Uuid::new_v4()))
        } else {
            Path::from(&*self.name)
        }
    }

    /// Makes it visible, unless something is there already.
    pub async fn finish(self) -> Result<Created> {
        let Self { store, name, state, .. } = self;
        let failed = |e: object_store::Error| store.failed(&format!("writing {name}"), &e);
        let (target, writer) = match state {
            State::Small(held, _) => return store.create_payload(&name, PutPayload::from_iter(held)).await,
            State::Large(target, writer) => (target, writer),
        };
        if store.exists(&name).await?.is_some() {
            abort(writer).await;
            return Ok(Created::Occupied);
        }
        writer.finish().await.map_err(failed)?;
        if !store.is_local() {
            return Ok(Created::Written);
        }
        match store.inner.rename_if_not_exists(&target, &Path::from(&*name)).await {
            Ok(()) => Ok(Created::Written),
            Err(e) => {
                // Best effort: what stays in the staging folder takes space and harms nobody.
                let _ = store.inner.delete(&target).await;
                match e {
                    object_store::Error::AlreadyExists { .. } => Ok(Created::Occupied),
                    e => Err(failed(e)),
                }
            }
        }
    }

    /// Gives up; frees what the store holds for it.
    pub async fn abort(self) {
        if let State::Large(_, writer) = self.state {
            abort(writer).await;
        }
    }

    fn failed(&self, e: &object_store::Error) -> crate::domain::Error {
        self.store.failed(&format!("writing {}", self.name), e)
    }
}

async fn abort(writer: WriteMultipart) {
    if let Err(e) = writer.abort().await {
        tracing::debug!(error = %e, "an unfinished upload could not be taken back");
    }
}
