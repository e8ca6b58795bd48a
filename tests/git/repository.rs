//! Repositories made for tests, on the side of the server.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use refward::domain::{ObjectFormat, ObjectId, RefState};

/// A bare repository with generated history.
pub struct Repository {
    pub path: PathBuf,
    random: u64,
}

impl Repository {
    pub fn create(root: &Path, name: &str, format: ObjectFormat) -> Self {
        let path = root.join(name);
        git(root, &["init", "-q", "--bare", "-b", "main", &format!("--object-format={format}"), name]);
        git(&path, &["config", "http.receivepack", "true"]);
        Self { path, random: 0x9e37_79b9_7f4a_7c15 }
    }

    /// Adds `count` commits on a branch, each editing a few of many-lined files in folders.
    pub fn commit(&mut self, branch: &str, count: usize) -> ObjectId {
        let mut script = String::new();
        let exists = !self.try_git(&["rev-parse", "-q", "--verify", &format!("refs/heads/{branch}")]).is_empty();
        for number in 0..count {
            let message = format!("commit {}\n", self.next(1 << 30));
            let _ = write!(script, "commit refs/heads/{branch}\ncommitter T <t@t> 1700000000 +0000\n");
            let _ = write!(script, "data {}\n{message}", message.len());
            if number == 0 && exists {
                let _ = writeln!(script, "from refs/heads/{branch}^0");
            }
            for _ in 0..3 {
                let file = self.next(12);
                let content = self.content(file);
                let _ = write!(script, "M 100644 inline d{}/f{file}\ndata {}\n{content}\n", file % 3, content.len());
            }
        }
        let mut child = self.command(&["fast-import", "--quiet", "--force"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        self.id(branch)
    }

    /// Text that stays alike from commit to commit, so that deltas are worthwhile.
    fn content(&mut self, file: u64) -> String {
        let edited = self.next(120);
        let fresh = self.next(1 << 40);
        let mut text = String::new();
        for line in 0..120 {
            let _ = writeln!(text, "{file} line {line} {}", if line == edited { fresh } else { line * 7919 });
        }
        text
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    pub fn repack(&self) {
        self.git(&["repack", "-adfq", "--depth=30"]);
    }

    pub fn id(&self, revision: &str) -> ObjectId {
        self.git(&["rev-parse", "--verify", revision]).parse().unwrap()
    }

    /// The references as git sees them.
    pub async fn refs(&self) -> RefState {
        refward::git::program::refs(&self.path).await.unwrap()
    }

    pub fn git(&self, args: &[&str]) -> String {
        git(&self.path, args)
    }

    pub fn try_git(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        command(&self.path, args)
    }
}

/// Runs git in a folder and returns what it prints.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = command(folder, args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).args(args).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "T").env(format!("GIT_{role}_EMAIL"), "t@t");
    }
    command
}
