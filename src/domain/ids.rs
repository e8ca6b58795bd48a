//! Identifiers. All are made by parsing or deriving at the edge, so a function cannot be handed the wrong one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Error, Result};

/// A repository in the vault: 32 lower-case hex digits.
///
/// Derived from what never changes about a repository (forge, host, the forge's own id), so that a
/// rename or transfer keeps it and two installations backing up the same repository agree; hashed, so
/// that whoever lists the bucket learns no names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoId(String);

impl RepoId {
    /// `host` is the forge's web host, with the port where it is not the default one.
    pub fn derive(forge: &str, host: &str, forge_id: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [forge, &host.to_ascii_lowercase(), forge_id] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        Self(hex::encode(&hash.finalize()[..16]))
    }

    /// The 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepoId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let hex_digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 32 && hex_digits {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::bad_request(format!("`{text}` is not a repository id (32 hex digits)")))
        }
    }
}

impl TryFrom<String> for RepoId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<RepoId> for String {
    fn from(id: RepoId) -> Self {
        id.0
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The position of a snapshot in its repository's chain, counted from 1 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(u64);

impl Seq {
    /// The first snapshot of a repository.
    pub const FIRST: Self = Self(1);

    /// `None` for 0, which no snapshot has.
    pub fn new(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// The number, at least 1.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The snapshot after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The snapshot before this one, if this is not the first.
    pub fn previous(self) -> Option<Self> {
        Self::new(self.0 - 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A row of the catalog.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

row_id! {
    /// A row of the catalog's `connection` table.
    ConnectionId
}

row_id! {
    /// A row of the catalog's `credential` table.
    CredentialId
}

row_id! {
    /// A row of the catalog's `app` table.
    AppId
}

/// The forge's own name for one webhook delivery. A redelivery keeps it, which is what makes accepting idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(String);

impl DeliveryId {
    /// Longest id accepted, in bytes; GitHub's are 36.
    pub const MAX: usize = 200;

    /// Printable ASCII of 1 to [`Self::MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > Self::MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::bad_request("the delivery id is missing or malformed"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as the forge sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
