//! Buttons: what each does, in at most 100 characters and without a secret. Whoever presses one is checked anew, so an id is
//! a wish like any other.

use std::fmt;
use std::str::FromStr;

use crate::domain::{Error, Result};

/// What a button does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Button {
    /// The restore is wanted as the plan with this hash has it.
    Confirm { restore: i64, hash: String },
    /// A second person agrees to that plan.
    Approve { restore: i64, hash: String },
    /// A second person does not.
    Reject { restore: i64, hash: String },
    /// Whoever asked for the restore wants it no more.
    Cancel { restore: i64 },
    /// How a restore stands, for whoever presses it.
    Show { restore: i64 },
    /// A plan that undoes what this notice tells of.
    Undo { notice: i64 },
    /// The change of policies that was asked for under this id is wanted, if it still means what was shown.
    Change { asked: String, means: String },
    /// A change of policies that waits, for whoever presses it.
    Look { change: i64 },
    /// A second person agrees to the change.
    Agree { change: i64 },
    /// The change is taken back.
    Revoke { change: i64 },
    /// What came of what was asked under this id, for whoever asked it.
    Answer { asked: String },
}

impl fmt::Display for Button {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirm { restore, hash } => write!(f, "restore:confirm:{restore}:{hash}"),
            Self::Approve { restore, hash } => write!(f, "restore:approve:{restore}:{hash}"),
            Self::Reject { restore, hash } => write!(f, "restore:reject:{restore}:{hash}"),
            Self::Cancel { restore } => write!(f, "restore:cancel:{restore}"),
            Self::Show { restore } => write!(f, "restore:show:{restore}"),
            Self::Undo { notice } => write!(f, "undo:{notice}"),
            Self::Change { asked, means } => write!(f, "policy:confirm:{means}:{asked}"),
            Self::Look { change } => write!(f, "policy:show:{change}"),
            Self::Agree { change } => write!(f, "policy:approve:{change}"),
            Self::Revoke { change } => write!(f, "policy:revoke:{change}"),
            Self::Answer { asked } => write!(f, "answer:{asked}"),
        }
    }
}

impl FromStr for Button {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        let number = |text: &str| text.parse::<i64>().map_err(|_| unknown());
        let hash = |text: &str| text.to_owned();
        Ok(match id.splitn(4, ':').collect::<Vec<_>>()[..] {
            ["restore", "confirm", of, plan] => Self::Confirm { restore: number(of)?, hash: hash(plan) },
            ["restore", "approve", of, plan] => Self::Approve { restore: number(of)?, hash: hash(plan) },
            ["restore", "reject", of, plan] => Self::Reject { restore: number(of)?, hash: hash(plan) },
            ["restore", "cancel", of] => Self::Cancel { restore: number(of)? },
            ["restore", "show", of] => Self::Show { restore: number(of)? },
            ["undo", notice] => Self::Undo { notice: number(notice)? },
            ["policy", "confirm", means, asked] => Self::Change { asked: asked.to_owned(), means: hash(means) },
            ["policy", "show", change] => Self::Look { change: number(change)? },
            ["policy", "approve", change] => Self::Agree { change: number(change)? },
            ["policy", "revoke", change] => Self::Revoke { change: number(change)? },
            ["answer", ..] => Self::Answer { asked: id["answer:".len()..].to_owned() },
            _ => return Err(unknown()),
        })
    }
}

/// Messages outlive the version that wrote them.
fn unknown() -> Error {
    Error::bad_request("this button does nothing any more").hint("ask again; `/refward help` tells what can be asked")
}

#[cfg(test)]
mod tests {
    use super::Button;

    #[test]
    fn buttons_are_read_as_they_are_written_and_never_too_long() {
        let (hash, asked) = ("f".repeat(64), format!("discord:{}", u64::MAX));
        let means = "f".repeat(32);
        let restore = i64::MAX;
        let change = i64::MAX;
        for button in [
            Button::Confirm { restore, hash: hash.clone() },
            Button::Approve { restore: 1, hash: hash.clone() },
            Button::Reject { restore: 1, hash },
            Button::Cancel { restore },
            Button::Show { restore },
            Button::Undo { notice: 7 },
            Button::Change { asked: asked.clone(), means },
            Button::Look { change },
            Button::Agree { change },
            Button::Revoke { change },
            Button::Answer { asked },
        ] {
            let id = button.to_string();
            assert!(id.len() <= 100, "{id}");
            assert_eq!(id.parse::<Button>().expect("a button"), button);
        }
    }

    #[test]
    fn an_id_of_another_version_is_refused_in_words() {
        for id in ["", "restore", "restore:confirm:x:f", "restore:confirm:1", "undo:", "policy:frob:1"] {
            assert!(id.parse::<Button>().is_err(), "{id}");
        }
    }
}
