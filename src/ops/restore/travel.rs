//! What does not come along on the way to a server, said before anything is done.

use super::Kin;
use crate::domain::{Error, ObjectFormat, RefName, Result, Skipped};
use crate::forge::Takes;

/// What goes where.
pub(in crate::ops) struct Journey<'a> {
    /// What the target is.
    pub kin: Kin,
    /// References that were asked for and that the server keeps for itself.
    pub kept: Vec<&'a RefName>,
    /// How to have those all the same.
    pub instead: &'a str,
    /// The default branch, if it is among what is restored.
    pub default: Option<&'a RefName>,
}

/// What stays behind, and why.
pub(in crate::ops) fn left_behind(journey: &Journey<'_>) -> Vec<Skipped> {
    let mut left = Vec::new();
    let mut say = |what: String, why: String| left.push(Skipped { what, why });
    match journey.kept[..] {
        [] => {}
        [only] => say(only.to_string(), format!("the server keeps it for itself; {}", journey.instead)),
        [first, ..] => say(
            format!("{} references such as {first}", journey.kept.len()),
            format!("the server keeps them for itself; {}", journey.instead),
        ),
    }
    if journey.kin == Kin::Same {
        return left;
    }
    if let (Kin::Other, Some(default)) = (journey.kin, journey.default) {
        say(
            format!("the choice of {} as the default branch", default.short()),
            "a push does not make it; the repository's settings do".to_owned(),
        );
    }
    say(
        "issues, pull requests, settings, hooks, files in Git LFS".to_owned(),
        "a restore to another repository brings what git has, and nothing else".to_owned(),
    );
    left
}

/// Refuses what the server cannot hold at all.
pub(in crate::ops) fn refuse_names(format: ObjectFormat, takes: &Takes, repository: &str, target: &str) -> Result<()> {
    if takes.sha256 || format == ObjectFormat::Sha1 {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "{repository} names its objects with SHA-256, and {target} takes no such repository"
    ))
    .hint("restore it to a folder, or to a server that does"))
}

/// Refuses to mix names of both hashes: git can tell neither apart from damage.
pub(in crate::ops) fn refuse_format(
    backup: ObjectFormat,
    there: ObjectFormat,
    repository: &str,
    target: &str,
) -> Result<()> {
    if backup == there {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "{repository} has objects of the format {backup}, {target} of {there}: one repository cannot hold both"
    ))
    .hint(format!("restore it into a new folder, or into a repository that is made for {backup}")))
}
