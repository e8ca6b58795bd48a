//! Between the words of the domain and what a column holds.

use chrono::{DateTime, Utc};

use crate::domain::{Head, ObjectId, Result};

use super::error::unreadable;

/// Now, as columns hold it.
pub(super) fn now() -> i64 {
    Utc::now().timestamp_millis()
}

/// A moment from a column. Times that no clock shows do not occur; they read as 1970.
pub(super) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

/// A count for a column; beyond 2⁶³ there is nothing to count.
pub(super) fn column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from a column.
pub(super) fn count(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

pub(super) fn object_id(bytes: &[u8]) -> Result<ObjectId> {
    ObjectId::from_raw(bytes).ok_or_else(|| unreadable("an object id", hex::encode(bytes)))
}

pub(super) fn object_id_or_none(bytes: Option<&[u8]>) -> Result<Option<ObjectId>> {
    bytes.map(object_id).transpose()
}

pub(super) fn bytes(id: &ObjectId) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// From the content of git's `HEAD` file, which is how columns hold it.
pub(super) fn head(text: Option<&str>) -> Result<Option<Head>> {
    text.map(|text| {
        let head = match text.strip_prefix("ref: ") {
            Some(name) => name.parse().map(Head::Symbolic),
            None => text.parse().map(Head::Detached),
        };
        head.map_err(|error| unreadable("a HEAD", error))
    })
    .transpose()
}

/// 32 bytes of a SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| unreadable("a checksum", hex::encode(bytes)))
}
