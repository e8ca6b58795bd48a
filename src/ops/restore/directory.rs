//! Restoring into a folder: a new repository, or references into an existing one.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::{Plan, Progress, Receipt, Source};
use crate::assembly::assemble;
use crate::domain::{Error, Head, RefName, RefState, Result};
use crate::git::{bare, program};

/// How the folder is called in which a restore builds what it then moves to its place.
const SCRATCH: &str = ".refward-restore-";

/// What stands where a restore is to go.
enum Ground {
    /// Nothing.
    New,
    /// A folder with nothing in it: a mount point, a link to a folder, somebody's current directory.
    Empty,
    /// Something, which has to be a repository.
    Taken,
}

/// What the folder's repository holds now; `None` if there is none.
pub(super) async fn state_of(dir: &Path) -> Result<Option<RefState>> {
    if !matches!(Ground::of(dir)?, Ground::Taken) {
        return Ok(None);
    }
    if !dir.join(".git").exists() && !dir.join("HEAD").is_file() {
        return Err(occupied(dir)?);
    }
    program::refs(dir).await.map(Some)
}

/// The branch that the folder's files are of.
pub(super) fn checked_out(dir: &Path, now: &RefState) -> Option<RefName> {
    match &now.head {
        Some(Head::Symbolic(branch)) if dir.join(".git").exists() => Some(branch.clone()),
        _ => None,
    }
}

pub(super) async fn restore(
    source: &Source,
    plan: &Plan,
    dir: &Path,
    bare: bool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Receipt> {
    let packs = match Ground::of(dir)? {
        Ground::New => fresh(source, plan, dir, bare, progress).await?,
        Ground::Empty => fill(source, plan, dir, bare, progress).await?,
        Ground::Taken => into(source, plan, dir, progress).await?,
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
    let staging = scratch_in(parent)?;
    let packs = build(source, plan, staging.path(), bare, progress).await?;
    std::fs::rename(staging.path(), &dir).map_err(|error| cannot(&dir, &error))?;
    // Nothing is left under its temporary name.
    let _ = staging.keep();
    Ok(packs)
}

/// Built inside the folder, because what is mounted there has nothing beside it; the folder itself stays what it is.
async fn fill(
    source: &Source,
    plan: &Plan,
    dir: &Path,
    bare: bool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<usize> {
    let staging = scratch_in(dir)?;
    let packs = build(source, plan, staging.path(), bare, progress).await?;
    if names_in(dir)?.iter().any(|name| Some(name.as_os_str()) != staging.path().file_name()) {
        return Err(occupied(dir)?);
    }
    // Last comes what makes git see a repository: a restore that is killed on the way leaves none.
    let last = if bare { "HEAD" } else { ".git" };
    let mut names = names_in(staging.path())?;
    names.sort_by_key(|name| name == last);
    for name in names {
        std::fs::rename(staging.path().join(&name), dir.join(&name)).map_err(|error| cannot(dir, &error))?;
    }
    Ok(packs)
}

async fn build(
    source: &Source,
    plan: &Plan,
    folder: &Path,
    bare: bool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<usize> {
    let git_dir = if bare { folder.to_path_buf() } else { folder.join(".git") };
    bare::create(&git_dir, &plan.state())?;
    let packs = assemble(source, plan.seq, &git_dir.join("objects/pack"), progress).await?;
    if !bare {
        program::checkout(folder).await?;
    }
    Ok(packs)
}

/// Objects first, then the references, each only if it still is what the plan saw. The repository gets no object before
/// git has said that the references could move.
async fn into(source: &Source, plan: &Plan, dir: &Path, progress: &(dyn Fn(Progress) + Sync)) -> Result<usize> {
    refuse_checked_out(dir, plan)?;
    let objects = program::objects_dir(dir).await?.join("pack");
    std::fs::create_dir_all(&objects).map_err(|error| cannot(&objects, &error))?;
    let staging = tempfile::Builder::new().prefix("refward-restore-").tempdir_in(&objects);
    let staging = staging.map_err(|error| cannot(&objects, &error))?;
    let packs = staging.path().join("pack");
    std::fs::create_dir(&packs).map_err(|error| cannot(&packs, &error))?;
    let count = assemble(source, plan.seq, &packs, progress).await?;
    let updates: Vec<_> = plan
        .refs
        .iter()
        .filter(|planned| planned.action.writes())
        .map(|planned| program::RefUpdate { name: planned.target.clone(), old: planned.old, new: Some(planned.new) })
        .collect();
    program::rehearse_refs(dir, &updates, staging.path()).await?;
    adopt(&packs, &objects)?;
    program::update_refs(dir, &updates).await?;
    Ok(count)
}

/// Moving the branch that is checked out would make every file of its working tree look changed.
fn refuse_checked_out(dir: &Path, plan: &Plan) -> Result<()> {
    match &plan.checked_out {
        Some(branch) if plan.refs.iter().any(|planned| planned.target == *branch && planned.action.writes()) => {
            Err(Error::bad_request(format!("{} is checked out in {}", branch.short(), dir.display()))
                .hint("check out another branch there first, or restore into a new folder"))
        }
        _ => Ok(()),
    }
}

/// Moves packs to where git looks for them; the index last, because it is what makes git see the pack.
fn adopt(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: io::Error| cannot(to, &error);
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

impl Ground {
    fn of(dir: &Path) -> Result<Self> {
        match std::fs::read_dir(dir) {
            Ok(mut entries) => Ok(if entries.next().is_none() { Self::Empty } else { Self::Taken }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !dir.is_symlink() => Ok(Self::New),
            Err(error) => Err(cannot(dir, &error)),
        }
    }
}

/// The mode of any new folder, less the umask: a temporary one's would keep everybody else out of the repository.
fn scratch_in(folder: &Path) -> Result<TempDir> {
    let mode = Permissions::from_mode(0o777);
    let scratch = tempfile::Builder::new().prefix(SCRATCH).permissions(mode).tempdir_in(folder);
    scratch.map_err(|error| cannot(folder, &error))
}

fn names_in(folder: &Path) -> Result<Vec<OsString>> {
    let names: io::Result<_> =
        std::fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    names.map_err(|error| cannot(folder, &error))
}

fn occupied(dir: &Path) -> Result<Error> {
    let cut_off = names_in(dir)?.into_iter().find(|name| name.to_string_lossy().starts_with(SCRATCH));
    let error = Error::bad_request(format!("{} is not empty and not a git repository", dir.display()));
    Ok(match cut_off {
        Some(name) => error.hint(format!(
            "{} is what a restore was building there: empty the folder if none is running, or name a new one",
            name.display()
        )),
        None => error.hint("name a new folder, or an existing repository to add the references to"),
    })
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    Error::misconfigured(format!("cannot restore into {}: {error}", path.display()))
}
