//! Reading and moving the references of a local repository.

use std::fmt::Write;
use std::path::Path;

use super::command::Git;
use crate::domain::{Error, Head, ObjectId, RefName, RefState, Result};

/// How git says that a reference is not what was expected.
const MOVED: [&str; 4] =
    ["but expected", "reference already exists", "unable to resolve reference", "reference is missing"];

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
    transaction(Git::new(folder).await?, folder, updates, "commit").await
}

/// Whether all of them would move if the repository held what lies in `objects` (a folder like its own `objects`).
/// Changes nothing.
pub async fn rehearse_refs(folder: &Path, updates: &[RefUpdate], objects: &Path) -> Result<()> {
    let git = Git::new(folder).await?.borrowing(objects)?;
    transaction(git, folder, updates, "abort").await
}

async fn transaction(git: Git, folder: &Path, updates: &[RefUpdate], end: &str) -> Result<()> {
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
    input += &format!("prepare\n{end}\n");
    let output = git.args(["update-ref", "--stdin"]).output(Some(input.into_bytes())).await?;
    if output.status.success() {
        return Ok(());
    }
    let (folder, says) = (folder.display(), output.excerpt());
    if says.contains("nonexistent object") {
        return Err(Error::damaged(format!("{folder} lacks an object for a reference: {says}")));
    }
    if MOVED.iter().any(|words| says.contains(words)) {
        return Err(Error::busy("the references changed in the meantime; none was moved").detail(says));
    }
    Err(Error::misconfigured(format!("no reference of {folder} was moved; git says: {says}")))
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
