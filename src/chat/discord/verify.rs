//! Who sent an interaction: Ed25519 over timestamp and body.
//! <https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint-validating-security-request-headers>

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use http::HeaderMap;
use serenity::interactions_endpoint;

use crate::chat::{Rejected, Verified};
use crate::domain::{Error, Result};

const SIGNATURE: &str = "x-signature-ed25519";
const TIMESTAMP: &str = "x-signature-timestamp";

/// How far the signed time may be from our clock. Discord asks for no bound, but without one a request that somebody once
/// read off the wire would be good for ever; clocks that differ by more than this break other things first.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

pub(super) struct Verifier(interactions_endpoint::Verifier);

impl Verifier {
    /// `public_key` in hex, as the Developer Portal shows it.
    pub fn new(public_key: &str) -> Result<Self> {
        let key = hex::decode(public_key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let verifier = key.and_then(|key| interactions_endpoint::Verifier::try_new(key).ok());
        verifier.map(Self).ok_or_else(|| {
            Error::misconfigured("the setting `discord.public_key` is not the key of an application")
                .hint("copy the 64 hex digits: Developer Portal, your application, General Information, Public Key")
        })
    }

    pub fn verify(&self, headers: &HeaderMap, body: Bytes) -> Result<Verified, Rejected> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Rejected::Unauthenticated);
        let (signature, timestamp) = (header(SIGNATURE)?, header(TIMESTAMP)?);
        self.0.verify(signature, timestamp, &body).map_err(|()| Rejected::Unauthenticated)?;
        let signed: i64 = timestamp.parse().map_err(|_| Rejected::Unauthenticated)?;
        if Utc::now().timestamp().abs_diff(signed) > TOLERANCE.num_seconds().unsigned_abs() {
            return Err(Rejected::Unauthenticated);
        }
        Ok(Verified { body })
    }
}
