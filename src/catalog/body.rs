//! Webhook bodies as they are kept: deflated, because what a delivery costs is above all the bytes that go to disk.

use std::cell::RefCell;
use std::io::Read;

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::domain::{DeliveryId, Result};

use super::Catalog;
use super::error::{During, unreadable};
use super::tables::delivery;

thread_local! {
    /// To make one takes longer than to pack a body with it.
    static PACKER: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), true));
}

/// A body ready to be stored. Made where the request is handled, so that the one task that stores need not do it.
#[derive(Clone)]
pub struct PackedBody(pub(super) Bytes);

impl PackedBody {
    /// Packs a body as it came.
    pub fn new(body: &[u8]) -> Self {
        PACKER.with_borrow_mut(|packer| {
            packer.reset();
            let mut packed = Vec::with_capacity(body.len() / 4 + 64);
            loop {
                let rest = &body[usize::try_from(packer.total_in()).expect("it is in memory")..];
                let status = packer.compress_vec(rest, &mut packed, FlushCompress::Finish);
                if status.expect("any bytes can be deflated") == Status::StreamEnd {
                    return Self(packed.into());
                }
                packed.reserve(packed.capacity());
            }
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_out_as_it_went_in_whatever_was_packed_before_it() {
        // Noise grows: it needs more room than is made for it at first.
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .take(100_000)
        .collect();
        for body in [&noise[..], b"", br#"{"zen": "Keep it logically awesome."}"#, &noise[..7], &b" ".repeat(1 << 20)] {
            let packed = PackedBody::new(body);
            let mut unpacked = Vec::new();
            ZlibDecoder::new(&packed.0[..]).read_to_end(&mut unpacked).expect("it can be unpacked");
            assert!(unpacked == body, "{} bytes came out as {}", body.len(), unpacked.len());
        }
    }
}
