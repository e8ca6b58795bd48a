//! The `git` program: the one place that runs it, for what only it can do (pushing, checking, checking out).
//!
//! It runs in an environment of our making: no settings of the machine or the user, no prompts, no hooks, no redirects.
//! Credentials reach it through its environment, never through its arguments, which every user of the machine can see.

mod bundle;
mod command;
mod history;
mod push;
mod refs;
mod repack;
mod slices;

use std::path::{Path, PathBuf};

pub use bundle::bundle;
pub use command::{Net, version};
pub use history::{commits_between, commits_beyond};
pub use push::{Outcome, Pushed, Refspec, push};
pub use refs::{RefUpdate, refs, rehearse_refs, update_refs};
pub use repack::{join, keep};
pub use slices::{Sliced, Slicing, is_unfinished, push_in_slices};

use command::Git;

use crate::domain::{Error, Result};

/// Checks every object and every connection of a repository. What git found is quoted in the error.
pub async fn fsck(folder: &Path) -> Result<()> {
    let output =
        Git::new(folder).await?.args(["fsck", "--full", "--no-dangling", "--no-progress"]).output(None).await?;
    if output.status.success() {
        return Ok(());
    }
    let found = output.excerpt();
    Err(Error::damaged(format!("git fsck finds fault with {}: {found}", folder.display())))
}

/// Where a local repository, bare or not, keeps its objects.
pub async fn objects_dir(folder: &Path) -> Result<PathBuf> {
    let output = Git::new(folder).await?.args(["rev-parse", "--git-path", "objects"]).output(None).await?;
    if output.status.success() {
        Ok(folder.join(output.stdout.trim_end_matches('\n')))
    } else {
        Err(Error::not_found(format!("{} is not a git repository: {}", folder.display(), output.excerpt())))
    }
}

/// Turns a bare repository that lies in `folder/.git` into one with the files of `HEAD` beside it. An unborn `HEAD` has
/// no files.
pub async fn checkout(folder: &Path) -> Result<()> {
    Git::new(folder).await?.args(["config", "core.bare", "false"]).succeed("preparing the files").await?;
    let head = Git::new(folder).await?.args(["rev-parse", "--verify", "--quiet", "HEAD"]).output(None).await?;
    if !head.status.success() {
        return Ok(());
    }
    Git::new(folder).await?.args(["reset", "--hard", "--quiet"]).succeed("checking out the files").await
}
