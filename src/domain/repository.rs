//! Repositories as forges describe them and as people name them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, RepoId, Result};

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

/// How a person names a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepoAddress {
    /// `OWNER/NAME`, or `CONNECTION:OWNER/NAME` or `HOST:OWNER/NAME` where that is ambiguous.
    Name {
        /// The connection's name, or the forge's host with the port where it is not the default one.
        within: Option<String>,
        /// `OWNER/NAME`.
        full_name: String,
    },
    /// By its id in the vault, which a namesake does not share.
    Id(RepoId),
}

impl RepoAddress {
    /// Whether this is meant: `within` are the prefixes that a name may have.
    pub fn means(&self, id: &RepoId, within: &[&str], full_name: &str) -> bool {
        match self {
            Self::Id(meant) => meant == id,
            Self::Name { within: prefix, full_name: name } => {
                let fits = |prefix: &String| within.iter().any(|one| one.eq_ignore_ascii_case(prefix));
                same_name(name, full_name) && prefix.as_ref().is_none_or(fits)
            }
        }
    }
}

impl FromStr for RepoAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let named = text.split_once('/').and_then(|(before, name)| {
            // A host may have a port, and neither owners nor names have a colon.
            let (within, owner) = match before.rsplit_once(':') {
                Some((within, owner)) => (Some(within), owner),
                None => (None, before),
            };
            let complete = !owner.is_empty() && !name.is_empty() && within != Some("");
            complete.then(|| Self::Name { within: within.map(str::to_owned), full_name: format!("{owner}/{name}") })
        });
        named.ok_or_else(|| {
            Error::bad_request(format!(
                "`{text}` is not a repository: write OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id"
            ))
        })
    }
}

impl fmt::Display for RepoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { within: Some(within), full_name } => write!(f, "{within}:{full_name}"),
            Self::Name { within: None, full_name } => f.write_str(full_name),
            Self::Id(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RepoAddress, RepoId, same_name};

    #[test]
    fn an_address_may_have_spaces_and_letters_of_any_script() {
        for text in [
            "acme/api",
            "acme:acme/api",
            "git.example.com:8443:acme/api",
            "Prój eñt/My Repo",
            "Azure:Prój eñt/My Repo",
            "部署:プロジェクト/倉庫 1",
        ] {
            let address: RepoAddress = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
        }
        let (azure, ghes) = ("Azure:Prój eñt/My Repo", "git.example.com:8443:acme/api");
        let parts = |text: &str| match text.parse() {
            Ok(RepoAddress::Name { within, full_name }) => (within.unwrap_or_default(), full_name),
            other => panic!("{other:?}"),
        };
        assert_eq!(parts(azure), ("Azure".to_owned(), "Prój eñt/My Repo".to_owned()));
        assert_eq!(parts(ghes), ("git.example.com:8443".to_owned(), "acme/api".to_owned()));
        for text in ["", "api", "/api", "acme/", ":acme/api", "acme:/api", "Prój eñt", "0123456789abcdef"] {
            assert!(text.parse::<RepoAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_means_one_repository_whatever_it_is_called() {
        let (old, new) = (RepoId::derive("github", "github.com", "1"), RepoId::derive("github", "github.com", "2"));
        let address: RepoAddress = old.as_str().parse().expect("an address");
        assert_eq!(address.to_string(), old.as_str());
        assert!(address.means(&old, &[], "acme/api"));
        assert!(!address.means(&new, &[], "acme/api"));
    }

    #[test]
    fn case_does_not_matter_in_any_script() {
        assert!(same_name("PRÓJ EÑT/My Repo", "prój eñt/my repo"));
        assert!(!same_name("Proj/Repo", "Prój/Repo"));
    }
}
