//! Forges: what hosts repositories and tells us when they change.
//!
//! A forge is one folder and one line in [`ALL`]. Every folder holds the same files: `mod.rs` (implements [`Forge`]),
//! `verify.rs` (who sent this delivery), `payload.rs` (foreign JSON to [`Event`]s), `api.rs` (calls), `access.rs`
//! (what a credential may do). Nothing outside a folder names a forge.

pub mod github;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::{ConnectionId, DeliveryId, Error, Event, RemoteRepository, Result};
use crate::git::Remote;

/// Makes a forge that calls out with the given client, which must not follow redirects: adapters do, and only within
/// the host that a credential belongs to.
pub type Connect = fn(reqwest::Client) -> Box<dyn Forge>;

/// Every forge that this program knows, by slug.
pub const ALL: &[(&str, Connect)] = &[(github::SLUG, github::connect)];

/// A kind of forge. One value serves all connections to forges of that kind.
#[async_trait]
pub trait Forge: Send + Sync {
    /// The stable word in paths, the database and the vault: `github`.
    fn slug(&self) -> &'static str;

    /// Checks that `body` comes from somebody who knows one of `secrets`. Constant time per secret; no secrets, no entry.
    fn verify(&self, headers: &HeaderMap, body: Bytes, secrets: &[HookSecret]) -> Result<Verified, Rejected>;

    /// Reads what was verified into our words. Lenient: fields that we do not need may be missing or strange.
    fn read(&self, verified: &Verified) -> Result<Delivery, Rejected>;

    /// Refuses addresses that cannot be this forge: wrong scheme, credentials in it, plain http beyond loopback.
    /// Returns the address as it is stored.
    fn settle_url(&self, url: &Url) -> Result<Url>;

    /// What the credential may do on this host; says exactly what is missing and how to get it.
    async fn inspect(&self, access: &Access) -> Result<Inspection>;

    /// Every repository of the owner that the credential can see.
    async fn repositories(&self, access: &Access) -> Result<Vec<RemoteRepository>>;

    /// Where `full_name` is fetched from, and with what.
    fn remote(&self, access: &Access, full_name: &str) -> Result<Remote>;
}

/// Finds a forge by its slug.
pub fn find(slug: &str, http: &reqwest::Client) -> Result<Box<dyn Forge>> {
    let found = ALL.iter().find(|(known, _)| *known == slug);
    let (_, make) = found.ok_or_else(|| Error::not_found(format!("there is no forge called `{slug}`")))?;
    Ok(make(http.clone()))
}

/// A webhook secret and whose it is. Several may be active at once, so that they can be rotated.
pub struct HookSecret {
    /// The connection that accepts deliveries signed with it.
    pub connection: ConnectionId,
    /// The shared secret.
    pub secret: SecretString,
}

/// A delivery whose sender has proved that they know the secret. Only a forge's `verify` makes one.
pub struct Verified {
    headers: HeaderMap,
    body: Bytes,
    connections: Vec<ConnectionId>,
}

impl Verified {
    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The raw body, exactly as signed.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The connections whose secret signed it; never empty.
    pub fn connections(&self) -> &[ConnectionId] {
        &self.connections
    }
}

/// A delivery in our words.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The forge's id; a redelivery has the same.
    pub id: DeliveryId,
    /// The forge's name for the event, with its action: `push`, `issues.opened`.
    pub event: String,
    /// What it asks of us.
    pub content: Content,
}

/// What a delivery asks of us.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Only a sign of life.
    Ping,
    /// Nothing that a backup needs.
    Ignored,
    /// Changes to follow.
    Events(Vec<Event>),
}

/// Why a delivery was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// No signature, or a wrong one.
    Unauthenticated,
    /// Headers missing, or the body is not what its type says. The text is shown to the sender.
    Malformed(&'static str),
    /// Neither JSON nor a form.
    UnsupportedType,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthenticated => "the signature is missing or wrong",
            Self::Malformed(why) => why,
            Self::UnsupportedType => "the content type must be application/json or application/x-www-form-urlencoded",
        })
    }
}

/// How to reach one owner's repositories on one host.
#[derive(Clone)]
pub struct Access {
    /// The host's web address, as [`Forge::settle_url`] returned it.
    pub url: Url,
    /// Organization or user.
    pub owner: String,
    /// The credential.
    pub token: SecretString,
}

/// What a credential turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// What runs there: `GitHub.com`, `GitHub Enterprise Server 3.19.0`.
    pub host: String,
    /// Who the credential acts as.
    pub login: Option<String>,
    /// `classic token`, `fine-grained token`, …
    pub credential: String,
    /// When it ends, RFC 3339, where the forge says.
    pub expires: Option<String>,
    /// What it cannot do that a backup needs; each says how to get it. Empty: all is well.
    pub missing: Vec<String>,
}
