//! What the benchmark programs share. Each uses a part of it.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "every benchmark is a program of its own and uses a part of this"
)]

pub mod azure;
pub mod forge;
pub mod history;
pub mod load;
pub mod process;
pub mod refward;
pub mod report;
pub mod service;
pub mod stub;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Whatever goes wrong ends the program with its text.
pub type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// What is kept between runs, and where a run works: below `target`, on the disk that the build uses.
pub fn bench_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench")
}

/// A folder that goes away with the run.
pub fn scratch() -> Result<tempfile::TempDir> {
    std::fs::create_dir_all(bench_dir())?;
    Ok(tempfile::Builder::new().prefix("run-").tempdir_in(bench_dir())?)
}

/// git without the machine's or the user's configuration.
pub fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null());
    command
}

/// The standard output of a command that must succeed.
pub fn text_of(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}{}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The middle one.
pub fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Number and bytes of all files below a folder.
pub fn usage(folder: &Path) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = usage(&entry.path())?;
            (files, bytes) = (files + below.0, bytes + below.1);
        } else {
            (files, bytes) = (files + 1, bytes + entry.metadata()?.len());
        }
    }
    Ok((files, bytes))
}
