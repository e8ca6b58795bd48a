//! References: names, the state of all of them at one moment, and what changed between two moments.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, ObjectFormat, ObjectId, Result};

/// A full reference name (`refs/heads/main`).
///
/// Holds git's own rules (`git check-ref-format`), because a name becomes a path when a repository is restored:
/// a name with `..`, a control character or a `.lock` ending must never get that far.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefName(String);

impl RefName {
    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without `refs/heads/` or `refs/tags/`, for people.
    pub fn short(&self) -> &str {
        self.0.strip_prefix("refs/heads/").or_else(|| self.0.strip_prefix("refs/tags/")).unwrap_or(&self.0)
    }

    /// A tag moves only by force: git refuses it otherwise, whatever the ancestry.
    pub fn is_tag(&self) -> bool {
        self.0.starts_with("refs/tags/")
    }

    /// A branch.
    pub fn is_branch(&self) -> bool {
        self.0.starts_with("refs/heads/")
    }
}

impl FromStr for RefName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let component_ok = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
        let char_ok = |c: char| !c.is_ascii_control() && !matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        let valid = text.starts_with("refs/")
            && text.split('/').count() >= 2
            && text.split('/').all(component_ok)
            && text.chars().all(char_ok)
            && !text.contains("..")
            && !text.contains("@{")
            && !text.ends_with('.');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::bad_request(format!("`{}` is not a valid full reference name", text.escape_debug())))
        }
    }
}

impl TryFrom<String> for RefName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<RefName> for String {
    fn from(name: RefName) -> Self {
        name.0
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `HEAD` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// `ref: NAME`; the branch need not exist yet (an unborn branch).
    Symbolic(RefName),
    /// Points at a commit directly.
    Detached(ObjectId),
}

impl fmt::Display for Head {
    /// The content of git's `HEAD` file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbolic(name) => write!(f, "ref: {name}"),
            Self::Detached(id) => write!(f, "{id}"),
        }
    }
}

/// Every reference of a repository at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefState {
    /// The hash that the repository uses.
    pub object_format: ObjectFormat,
    /// `None` where the server does not say.
    pub head: Option<Head>,
    /// Name to object, peeled or not as git has it.
    pub refs: BTreeMap<RefName, ObjectId>,
}

impl RefState {
    /// What turns `before` into `self`. `forced` is left false: only history can tell.
    pub fn changes_since(&self, before: &Self) -> Vec<RefChange> {
        let mut changes = Vec::new();
        for (name, new) in &self.refs {
            let old = before.refs.get(name);
            if old != Some(new) {
                changes.push(RefChange { name: name.clone(), old: old.copied(), new: Some(*new), forced: false });
            }
        }
        for (name, old) in &before.refs {
            if !self.refs.contains_key(name) {
                changes.push(RefChange { name: name.clone(), old: Some(*old), new: None, forced: false });
            }
        }
        changes.sort_by(|a, b| a.name.cmp(&b.name));
        changes
    }

    /// Replays changes on top of this state.
    pub fn apply(&mut self, changes: &[RefChange]) {
        for change in changes {
            match change.new {
                Some(new) => self.refs.insert(change.name.clone(), new),
                None => self.refs.remove(&change.name),
            };
        }
    }
}

/// One reference moving from `old` to `new`. Both `None` does not occur.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefChange {
    /// Which reference.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// `None`: it was created.
    pub old: Option<ObjectId>,
    /// `None`: it was deleted.
    pub new: Option<ObjectId>,
    /// The new value does not contain the old one: commits would be lost without a backup.
    #[serde(default)]
    pub forced: bool,
}
