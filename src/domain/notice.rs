//! How much a notice matters, and what undoes the harm that it tells of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{RefName, Seq};

/// How much a notice matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Somebody should look, in their own time.
    Warning,
    /// Something was lost on the forge, or is not protected now.
    Alarm,
}

impl Severity {
    /// As settings, the database and JSON have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        }
    }

    /// The reverse of [`Self::word`].
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Alarm].into_iter().find(|severity| severity.word() == word)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What brings back what a notice says was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// These references, and no others.
    pub refs: Vec<RefName>,
    /// As they were in this snapshot.
    pub at: Seq,
}

/// `refward` with these arguments, for people to paste into a shell. The names of references and repositories in it are
/// strangers' choice: whatever a shell would take for more than a word is quoted. `None`: an argument no shell can take.
pub fn command<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Option<String> {
    shlex::try_join(["refward"].into_iter().chain(arguments)).ok()
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn what_a_shell_would_obey_is_quoted() {
        let pasted = command(["restore", "acme/api", "--ref", "refs/heads/$(reboot);`x`'\"&|"]).expect("no NUL in it");
        assert_eq!(shlex::split(&pasted).expect("a line of shell")[4], "refs/heads/$(reboot);`x`'\"&|");
        assert!(!pasted.contains("--ref refs/heads/$"), "{pasted}");
        assert_eq!(command(["hold", "lift", "acme:acme/api"]).as_deref(), Some("refward hold lift acme:acme/api"));
        let pasted = command(["restore", "Azure:Prój eñt/My Repo", "--to-dir", "My Repo"]);
        assert_eq!(pasted.as_deref(), Some("refward restore 'Azure:Prój eñt/My Repo' --to-dir 'My Repo'"));
        assert_eq!(command(["\0"]), None);
    }
}
