//! Webhook bodies as they are kept: deflated, because what a delivery costs is above all the bytes that go to disk.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::domain::{DeliveryId, Result};

use super::Catalog;
use super::error::{During, unreadable};
use super::tables::delivery;

/// A body ready to be stored. Made where the request is handled, so that the one task that stores need not do it.
#[derive(Clone)]
pub struct PackedBody(pub(super) Bytes);

impl PackedBody {
    /// Packs a body as it came.
    pub fn new(body: &[u8]) -> Self {
        let mut packed = ZlibEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        packed.write_all(body).expect("memory takes every byte");
        Self(packed.finish().expect("memory takes every byte").into())
    }

    /// Length as it is stored.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Catalog {
    /// The body of a delivery exactly as it came, until it is forgotten.
    pub async fn body(&self, forge: &str, id: &DeliveryId) -> Result<Option<Vec<u8>>> {
        let found: Option<Option<Vec<u8>>> = delivery::Entity::find()
            .select_only()
            .column(delivery::Column::Body)
            .filter(delivery::Column::Forge.eq(forge))
            .filter(delivery::Column::DeliveryId.eq(id.as_str()))
            .into_tuple()
            .one(&self.read)
            .await
            .during("reading the body of a delivery")?;
        let Some(packed) = found.flatten() else { return Ok(None) };
        let mut body = Vec::new();
        let read = ZlibDecoder::new(packed.as_slice()).read_to_end(&mut body);
        read.map_err(|error| unreadable("a delivery's body", error))?;
        Ok(Some(body))
    }
}
