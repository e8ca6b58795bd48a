//! The part of a restore drill that needs nothing but the vault: rebuild in scratch, have git check it, measure.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Source, assemble};
use crate::domain::{Error, Point, RefState, Result, Seq};
use crate::git::{Limits, bare, program};

/// What became of a snapshot that was rebuilt and that git found no fault with.
#[derive(Debug)]
pub struct Rehearsal {
    /// The references as git reads them from the rebuilt repository.
    pub rebuilt: RefState,
    /// Which git checked it.
    pub git: &'static str,
    /// From nothing to a repository that git can use.
    pub ready: Duration,
    /// What `git fsck` took.
    pub fsck: Duration,
}

/// Rebuilds a snapshot in scratch and has git check every object. `Damaged`: the backup is not what it should be; any
/// other error: the drill could not be carried out. `expected` bytes are about to be written.
pub async fn rehearse(source: &Source, seq: Seq, expected: u64) -> Result<Rehearsal> {
    let git = program::version().await?;
    let scratch = Scratch::make(&source.limits)?;
    scratch.refuse_too_small(expected)?;
    let clock = Instant::now();
    let (_, state) = source.vault.state_at(&source.repo, Some(Point::Seq(seq))).await?;
    let git_dir = scratch.folder.path().join("drill.git");
    bare::create(&git_dir, &state)?;
    assemble(source, seq, &git_dir.join("objects/pack"), &|_| {}).await?;
    let rebuilt = program::refs(&git_dir).await?;
    let ready = clock.elapsed();
    let clock = Instant::now();
    program::fsck(&git_dir).await?;
    Ok(Rehearsal { rebuilt, git, ready, fsck: clock.elapsed() })
}

const PREFIX: &str = "refward-drill-";

/// Deletes what drills left that were killed, unless one is running here just now: every drill holds a lock on the folder
/// together with the others, so whoever gets it alone knows that nobody drills.
pub fn clear_drills(limits: &Limits) {
    let folder = root(limits);
    let Ok(lock) = File::open(&folder) else { return };
    if lock.try_lock().is_err() {
        return;
    }
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(folder = %entry.path().display(), "cannot delete what a drill left: {error}");
        }
    }
}

/// A drill's folder; gone when dropped, or at the next drill if this process is killed.
struct Scratch {
    folder: TempDir,
    _lock: Option<File>,
}

impl Scratch {
    fn make(limits: &Limits) -> Result<Self> {
        clear_drills(limits);
        let root = root(limits);
        // Waits for nobody but who clears up. Where folders cannot be locked, nobody clears up either.
        let lock = File::open(&root).ok().filter(|lock| lock.lock_shared().is_ok());
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&root).map_err(|error| {
            Error::misconfigured(format!("cannot make a scratch folder in {}: {error}", root.display()))
                .hint("see `git.scratch_dir`")
        })?;
        Ok(Self { folder, _lock: lock })
    }

    /// Backups need room there, too: it is not for us to take the last of it.
    fn refuse_too_small(&self, expected: u64) -> Result<()> {
        let path = self.folder.path();
        let Ok(disk) = rustix::fs::statvfs(path) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= expected {
            return Ok(());
        }
        let (free, expected) = (free >> 20, expected.div_ceil(1 << 20));
        let root = path.parent().unwrap_or(path).display();
        Err(Error::busy(format!(
            "no room for a drill: it needs about {expected} MiB in {root}, where {free} MiB are free"
        ))
        .hint("free space there, or name a larger disk: the setting `git.scratch_dir`"))
    }
}

fn root(limits: &Limits) -> PathBuf {
    limits.scratch_dir.clone().unwrap_or_else(std::env::temp_dir)
}
