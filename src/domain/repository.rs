//! Repositories as forges describe them and as people name them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// A repository as a forge lists it or names it in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRepository {
    /// The forge's own id: survives renames and transfers.
    pub forge_id: String,
    /// `OWNER/NAME` at this moment.
    pub full_name: String,
    /// Not visible to everyone.
    pub private: bool,
    /// Read-only on the forge.
    pub archived: bool,
    /// `None` where it is empty or not told.
    pub default_branch: Option<String>,
}

/// Whether a repository that a forge lists can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// It can.
    #[default]
    Open,
    /// Somebody has disabled it: it is there, and answers as if it were not.
    Disabled,
    /// It, or what it belongs to, was deleted and can still be brought back.
    Recycled,
}

impl Availability {
    /// It can be read.
    pub fn is_open(self) -> bool {
        self == Self::Open
    }

    /// Where a closed repository is, for a sentence that begins with its name; `None`: it is open.
    pub fn closed(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Disabled => Some("it is disabled on the forge"),
            Self::Recycled => Some("it is in the recycle bin of the forge"),
        }
    }

    /// The word in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Disabled => "disabled",
            Self::Recycled => "recycled",
        }
    }

    /// The other way round; what a newer program wrote counts as open.
    pub fn from_word(word: &str) -> Self {
        [Self::Disabled, Self::Recycled].into_iter().find(|known| known.word() == word).unwrap_or_default()
    }
}

impl RemoteRepository {
    /// The part before the first slash.
    pub fn owner(&self) -> &str {
        self.full_name.split_once('/').map_or(self.full_name.as_str(), |(owner, _)| owner)
    }

    /// The part behind it.
    pub fn name(&self) -> &str {
        self.full_name.split_once('/').map_or("", |(_, name)| name)
    }
}

/// Whether two names are one, whatever the case, as on the forges.
pub fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// How a person names a repository: `OWNER/NAME`, or `CONNECTION:OWNER/NAME` where that is ambiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoAddress {
    /// The connection's name, if given.
    pub connection: Option<String>,
    /// `OWNER/NAME`.
    pub full_name: String,
}

impl FromStr for RepoAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (connection, full_name) = match text.split_once(':') {
            Some((connection, rest)) => (Some(connection.to_owned()), rest),
            None => (None, text),
        };
        let complete = full_name.split_once('/').is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty());
        if !complete || connection.as_deref() == Some("") {
            return Err(Error::bad_request(format!(
                "`{text}` is not a repository: write OWNER/NAME or CONNECTION:OWNER/NAME"
            )));
        }
        Ok(Self { connection, full_name: full_name.to_owned() })
    }
}

impl fmt::Display for RepoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(connection) = &self.connection {
            write!(f, "{connection}:")?;
        }
        f.write_str(&self.full_name)
    }
}

#[cfg(test)]
mod tests {
    use super::{RepoAddress, same_name};

    #[test]
    fn an_address_may_have_spaces_and_letters_of_any_script() {
        for text in
            ["acme/api", "acme:acme/api", "Prój eñt/My Repo", "Azure:Prój eñt/My Repo", "部署:プロジェクト/倉庫 1"]
        {
            let address: RepoAddress = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
        }
        let address: RepoAddress = "Azure:Prój eñt/My Repo".parse().expect("an address");
        assert_eq!((address.connection.as_deref(), address.full_name.as_str()), (Some("Azure"), "Prój eñt/My Repo"));
        for text in ["", "api", "/api", "acme/", ":acme/api", "Prój eñt"] {
            assert!(text.parse::<RepoAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn case_does_not_matter_in_any_script() {
        assert!(same_name("PRÓJ EÑT/My Repo", "prój eñt/my repo"));
        assert!(!same_name("Proj/Repo", "Prój/Repo"));
    }
}
