//! Restoring into a folder: a new repository, or references into an existing one.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Plan, Progress, Receipt, Source};
use crate::assembly::assemble;
use crate::domain::{Error, Head, ObjectId, RefName, Result};
use crate::git::{bare, program};

/// What the folder's repository holds now; nothing if there is none.
pub(super) async fn refs_of(dir: &Path) -> Result<BTreeMap<RefName, ObjectId>> {
    if is_vacant(dir)? {
        return Ok(BTreeMap::new());
    }
    if !dir.join(".git").exists() && !dir.join("HEAD").is_file() {
        return Err(Error::bad_request(format!("{} is not empty and not a git repository", dir.display()))
            .hint("name a new folder, or an existing repository to add the references to"));
    }
    Ok(program::refs(dir).await?.refs)
}

/// Moving the branch that is checked out would make every file of its working tree look changed.
pub(super) async fn refuse_checked_out(dir: &Path, plan: &Plan) -> Result<()> {
    if !dir.join(".git").exists() {
        return Ok(());
    }
    let Some(Head::Symbolic(branch)) = program::refs(dir).await?.head else { return Ok(()) };
    if plan.refs.iter().any(|planned| planned.target == branch && planned.action.writes()) {
        return Err(Error::bad_request(format!("{} is checked out in {}", branch.short(), dir.display()))
            .hint("check out another branch there first, or restore into a new folder"));
    }
    Ok(())
}

pub(super) async fn restore(
    source: &Source,
    plan: &Plan,
    dir: &Path,
    bare: bool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Receipt> {
    let packs = if is_vacant(dir)? {
        fresh(source, plan, dir, bare, progress).await?
    } else {
        into(source, plan, dir, progress).await?
    };
    Ok(Receipt::of(plan, dir.display().to_string(), packs))
}

/// Built beside the target and renamed when whole, so that a folder with this name is never half a repository.
async fn fresh(
    source: &Source,
    plan: &Plan,
    dir: &Path,
    bare: bool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<usize> {
    let dir = std::path::absolute(dir).map_err(|error| cannot(dir, &error))?;
    let parent = dir.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(|error| cannot(parent, &error))?;
    // The mode of any new folder, less the umask: a temporary one's would keep everybody else out of the repository.
    let mode = Permissions::from_mode(0o777);
    let staging = tempfile::Builder::new().prefix(".refward-restore-").permissions(mode).tempdir_in(parent);
    let staging = staging.map_err(|error| cannot(parent, &error))?;
    let git_dir = if bare { staging.path().to_path_buf() } else { staging.path().join(".git") };
    bare::create(&git_dir, &plan.state())?;
    let packs = assemble(source, plan.seq, &git_dir.join("objects/pack"), progress).await?;
    if !bare {
        program::checkout(staging.path()).await?;
    }
    if dir.exists() {
        std::fs::remove_dir(&dir).map_err(|error| cannot(&dir, &error))?;
    }
    std::fs::rename(staging.path(), &dir).map_err(|error| cannot(&dir, &error))?;
    // Nothing is left under its temporary name.
    let _ = staging.keep();
    Ok(packs)
}

/// Objects first, then the references, each only if it still is what the plan saw.
async fn into(source: &Source, plan: &Plan, dir: &Path, progress: &(dyn Fn(Progress) + Sync)) -> Result<usize> {
    let objects = program::objects_dir(dir).await?.join("pack");
    std::fs::create_dir_all(&objects).map_err(|error| cannot(&objects, &error))?;
    let staging = tempfile::Builder::new().prefix("refward-restore-").tempdir_in(&objects);
    let staging = staging.map_err(|error| cannot(&objects, &error))?;
    let packs = assemble(source, plan.seq, staging.path(), progress).await?;
    adopt(staging.path(), &objects)?;
    let updates: Vec<_> = plan
        .refs
        .iter()
        .filter(|planned| planned.action.writes())
        .map(|planned| program::RefUpdate { name: planned.target.clone(), old: planned.old, new: Some(planned.new) })
        .collect();
    program::update_refs(dir, &updates).await?;
    Ok(packs)
}

/// Moves packs to where git looks for them; the index last, because it is what makes git see the pack.
fn adopt(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: std::io::Error| cannot(to, &error);
    for extension in ["pack", "idx"] {
        for entry in std::fs::read_dir(from).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|end| end == extension)) {
                std::fs::rename(&path, to.join(name)).map_err(failed)?;
            }
        }
    }
    Ok(())
}

fn is_vacant(dir: &Path) -> Result<bool> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(cannot(dir, &error)),
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Error {
    Error::misconfigured(format!("cannot restore into {}: {error}", path.display()))
}
