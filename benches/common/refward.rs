//! An installation of the release binary in a folder of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use url::Url;

use super::process::{self, Run};
use super::{Result, text_of};

/// What webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "a-webhook-secret-of-the-benchmark";

/// What the forges of the benchmarks take for a token.
pub const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

/// The program to measure: the one that was built with the benchmark, unless the environment names another build.
pub fn program() -> OsString {
    std::env::var_os("REFWARD_BENCH_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_refward").into())
}

/// An initialized folder.
pub struct Refward {
    /// The folder.
    pub dir: PathBuf,
}

impl Refward {
    /// `refward init`.
    pub fn init(dir: &Path) -> Result<Self> {
        let refward = Self { dir: dir.to_path_buf() };
        text_of(Command::new(program()).arg("init").arg("--dir").arg(dir))?;
        Ok(refward)
    }

    /// `refward connect github` to an owner.
    pub fn connect(&self, url: &Url, owner: &str, more: &[&str]) -> Result<()> {
        let (token, secret) = (self.dir.join("token"), self.dir.join("webhook-secret"));
        std::fs::write(&token, TOKEN)?;
        std::fs::write(&secret, WEBHOOK_SECRET)?;
        let mut command = self.command(&["connect", "github", "--name", "bench", "--url", url.as_str()]);
        command.args(["--owner", owner, "--token-file"]).arg(token).arg("--webhook-secret-file").arg(secret).args(more);
        text_of(&mut command)?;
        Ok(())
    }

    /// `refward connect azure-devops` to an organization.
    pub fn connect_azure(&self, url: &Url) -> Result<()> {
        let token = self.dir.join("token");
        std::fs::write(&token, TOKEN)?;
        let mut command = self.command(&["connect", "azure-devops", "--name", "bench", "--url", url.as_str()]);
        text_of(command.arg("--token-file").arg(token))?;
        Ok(())
    }

    /// A subcommand, to be run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.current_dir(&self.dir).arg("--config").arg(self.dir.join("refward.toml")).args(arguments);
        command
    }

    /// `refward backup REPO --wait --json`: how it ran and what it said.
    pub fn backup(&self, repository: &str) -> Result<(Run, Value)> {
        let run = process::run(&mut self.command(&["backup", repository, "--wait", "--json"]))?;
        let answer = serde_json::from_slice(&run.stdout)?;
        Ok((run, answer))
    }

    /// The local vault.
    pub fn vault(&self) -> PathBuf {
        self.dir.join("vault")
    }
}
