//! Reading and moving the references of a local repository.

use std::fmt::Write;
use std::path::Path;

use super::command::Git;
use crate::domain::{Error, Head, ObjectId, RefName, RefState, Result};

/// One reference to move, provided that it still has its old value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// Which.
    pub name: RefName,
    /// What it must be now; `None`: it must not exist.
    pub old: Option<ObjectId>,
    /// What it becomes; `None`: it is deleted.
    pub new: Option<ObjectId>,
}

/// Moves all references or none of them.
pub async fn update_refs(folder: &Path, updates: &[RefUpdate]) -> Result<()> {
    let mut input = String::from("start\n");
    for RefUpdate { name, old, new } in updates {
        // Writing to a string cannot fail.
        let _ = match (old, new) {
            (None, Some(new)) => writeln!(input, "create {name} {new}"),
            (Some(old), Some(new)) => writeln!(input, "update {name} {new} {old}"),
            (Some(old), None) => writeln!(input, "delete {name} {old}"),
            (None, None) => return Err(Error::bug(format!("an update of {name} from nothing to nothing"))),
        };
    }
    input.push_str("prepare\ncommit\n");
    let output = Git::new(folder).await?.args(["update-ref", "--stdin"]).output(Some(input.into_bytes())).await?;
    if output.status.success() {
        return Ok(());
    }
    if output.stderr.contains("nonexistent object") {
        let folder = folder.display();
        return Err(Error::damaged(format!("{folder} lacks an object for a reference: {}", output.excerpt())));
    }
    Err(Error::busy("the references changed in the meantime; none was moved").detail(output.excerpt()))
}

/// Every reference of a local repository, and `HEAD`.
pub async fn refs(folder: &Path) -> Result<RefState> {
    let format = run(folder, &["rev-parse", "--show-object-format"]).await?;
    let mut state = RefState { object_format: format.trim().parse()?, ..RefState::default() };
    for line in run(folder, &["for-each-ref", "--format=%(objectname) %(refname)"]).await?.lines() {
        let (id, name) =
            line.split_once(' ').ok_or_else(|| Error::bug("git for-each-ref printed a line without a name"))?;
        state.refs.insert(name.parse()?, id.parse()?);
    }
    state.head = head(folder).await?;
    Ok(state)
}

async fn head(folder: &Path) -> Result<Option<Head>> {
    let symbolic = Git::new(folder).await?.args(["symbolic-ref", "--quiet", "HEAD"]).output(None).await?;
    if symbolic.status.success() {
        return Ok(Some(Head::Symbolic(symbolic.stdout.trim().parse()?)));
    }
    let detached = Git::new(folder).await?.args(["rev-parse", "--verify", "--quiet", "HEAD"]).output(None).await?;
    if detached.status.success() { Ok(Some(Head::Detached(detached.stdout.trim().parse()?))) } else { Ok(None) }
}

async fn run(folder: &Path, args: &[&str]) -> Result<String> {
    let output = Git::new(folder).await?.args(args).output(None).await?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Error::not_found(format!("{} cannot be read as a git repository: {}", folder.display(), output.excerpt())))
    }
}
