//! Git object ids of either hash: 40 or 64 hex digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// Which hash a repository names its objects with. Fixed for the life of a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectFormat {
    /// 20 bytes, 40 hex digits.
    #[default]
    Sha1,
    /// 32 bytes, 64 hex digits.
    Sha256,
}

impl ObjectFormat {
    /// Bytes of an id.
    pub fn raw_len(self) -> usize {
        self.kind().len_in_bytes()
    }

    /// git's own name for it, as in `object-format=sha1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The same in gitoxide's words.
    pub fn kind(self) -> gix_hash::Kind {
        match self {
            Self::Sha1 => gix_hash::Kind::Sha1,
            Self::Sha256 => gix_hash::Kind::Sha256,
        }
    }
}

impl FromStr for ObjectFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            other => Err(Error::remote(format!("the object format `{other}` is not one that git defines"))),
        }
    }
}

impl fmt::Display for ObjectFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a git object. Never all zeroes: "no object" is `Option::None`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(gix_hash::ObjectId);

impl ObjectId {
    /// From 20 or 32 raw bytes. `None` for another length or for all zeroes.
    pub fn from_raw(bytes: &[u8]) -> Option<Self> {
        gix_hash::ObjectId::try_from(bytes).ok().filter(|id| !id.is_null()).map(Self)
    }

    /// Wire formats write "no object" as zeroes of either length; those become `None`.
    pub fn parse_nullable(text: &str) -> Result<Option<Self>> {
        let id = gix_hash::ObjectId::from_hex(text.as_bytes())
            .map_err(|_| Error::bad_request(format!("`{text}` is not a git object id")))?;
        Ok((!id.is_null()).then_some(Self(id)))
    }

    /// 20 or 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The hash that made it.
    pub fn format(&self) -> ObjectFormat {
        match self.0.kind() {
            gix_hash::Kind::Sha256 => ObjectFormat::Sha256,
            _ => ObjectFormat::Sha1,
        }
    }

    /// The first ten hex digits, for people.
    pub fn short(&self) -> String {
        self.0.to_hex_with_len(10).to_string()
    }
}

impl FromStr for ObjectId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse_nullable(text)?.ok_or_else(|| Error::bad_request("an object id of zeroes names no object"))
    }
}

impl TryFrom<String> for ObjectId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
