//! Running `git`: found once, checked once, always in the same clean environment.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::domain::{Error, Result};
use crate::git::Remote;

/// 2.34 (2021) is the first whose fsck, push and sha256 support is good enough for what we ask of it.
const OLDEST: (u32, u32) = (2, 34);

/// How many characters of git's words are quoted.
const QUOTED: usize = 1000;

/// The way to the network, as far as git must be told.
#[derive(Clone, Debug, Default)]
pub struct Net {
    /// Address of an HTTP proxy.
    pub proxy: Option<String>,
    /// Certificates that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Which git there is, for instance `2.47.3`; an error if it is missing or too old.
pub async fn version() -> Result<&'static str> {
    static VERSION: OnceCell<String> = OnceCell::const_new();
    let version = VERSION.get_or_try_init(find).await?;
    Ok(version)
}

async fn find() -> Result<String> {
    let hint = "Restores and drills need git 2.34 or newer: install it, or put it in front in PATH.";
    let output = Command::new("git").arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| Error::misconfigured("git is not installed").hint(hint).detail(error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        return Err(Error::misconfigured(format!("git {version} is too old")).hint(hint));
    }
    Ok(version.to_owned())
}

/// One run of git.
pub(super) struct Git {
    command: Command,
    /// Settings for this run alone, passed through the environment.
    settings: Vec<(String, Zeroizing<String>)>,
}

impl Git {
    /// A run inside `folder`.
    pub async fn new(folder: &Path) -> Result<Self> {
        version().await?;
        let mut command = Command::new("git");
        command.env_clear();
        // What processes need to run at all; nothing that begins with GIT_.
        for name in ["PATH", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .current_dir(folder)
            .env("LC_ALL", "C")
            .env("HOME", "/nonexistent")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut git = Self { command, settings: Vec::new() };
        git.set("core.hooksPath", "/dev/null");
        // The folder may belong to somebody else, as in a container; it is ours to work in all the same.
        git.set("safe.directory", "*");
        git.set("gc.auto", "0");
        Ok(git)
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Lets this run talk to `remote`, and to nobody else.
    pub async fn with_network(mut self, remote: &Remote, net: &Net) -> Result<Self> {
        self.set("http.followRedirects", "false");
        self.set("credential.helper", "");
        // A server that takes nothing for ten minutes is gone.
        self.set("http.lowSpeedLimit", "1");
        self.set("http.lowSpeedTime", "600");
        self.set("protocol.allow", "never");
        self.set("protocol.http.allow", "always");
        self.set("protocol.https.allow", "always");
        if let Some(proxy) = &net.proxy {
            self.set("http.proxy", proxy);
        }
        if let Some(file) = &net.ca_file {
            self.set("http.sslCAInfo", &file.to_string_lossy());
        }
        if let Some(login) = &remote.credential {
            let credential = login.credential().await?;
            let header = Zeroizing::new(format!("Authorization: {}", credential.authorization().as_str()));
            self.settings.push((format!("http.{}.extraHeader", remote.url), header));
        }
        Ok(self)
    }

    /// A setting for this run alone.
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    /// Lets this run see what lies in `objects` as well, as if the repository held it.
    pub fn borrowing(mut self, objects: &Path) -> Result<Self> {
        let objects = std::path::absolute(objects).map_err(failed)?;
        // Quoted, because the list is separated by colons.
        let mut quoted = vec![b'"'];
        for byte in objects.as_os_str().as_bytes() {
            quoted.extend(matches!(byte, b'"' | b'\\').then_some(b'\\'));
            quoted.push(*byte);
        }
        quoted.push(b'"');
        self.command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", OsString::from_vec(quoted));
        Ok(self)
    }

    fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), Zeroizing::new(value.to_owned())));
    }

    /// Runs it, with `input` as its standard input.
    pub async fn output(mut self, input: Option<Vec<u8>>) -> Result<Output> {
        self.command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self.spawn()?;
        let stdin = child.stdin.take();
        let feed = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A git that stops reading says why on its standard error.
                let _ = stdin.write_all(&input).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        Ok(Output::from(output.map_err(failed)?))
    }

    /// Runs it from one file to another: for lists that are too long for memory.
    pub async fn filter(mut self, input: Option<File>, output: File) -> Result<Output> {
        self.command.stdin(input.map_or_else(Stdio::null, Stdio::from)).stdout(output);
        let output = self.spawn()?.wait_with_output().await;
        Ok(Output::from(output.map_err(failed)?))
    }

    fn spawn(&mut self) -> Result<Child> {
        self.command.env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        for (number, (key, value)) in self.settings.iter().enumerate() {
            self.command.env(format!("GIT_CONFIG_KEY_{number}"), key);
            self.command.env(format!("GIT_CONFIG_VALUE_{number}"), value.as_str());
        }
        self.command.spawn().map_err(failed)
    }

    /// Runs it and expects success.
    pub async fn succeed(self, doing: &str) -> Result<()> {
        let output = self.output(None).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::misconfigured(format!("{doing} failed: {}", output.excerpt())))
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::misconfigured("git cannot be run").detail(error)
}

/// What a run left.
pub(super) struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Output {
    /// git's words, shortened and on one line.
    pub fn excerpt(&self) -> String {
        let lines = self.stderr.lines().chain(self.stdout.lines());
        let lines: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
        let text: String = lines.join("; ").chars().filter(|c| !c.is_control()).take(QUOTED).collect();
        if text.is_empty() { format!("git ended with {}", self.status) } else { text }
    }
}
