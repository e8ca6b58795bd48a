//! The developer in the tour: a clone, commits, pushes; real `git` throughout.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::process::Command;
use url::Url;

use crate::domain::{Error, Result};

/// Whose repository it is.
pub(super) const OWNER: &str = "demo";

/// What it is called.
pub(super) const NAME: &str = "hello";

/// A branch that will be deleted.
pub(super) const BRANCH: &str = "refward-demo-feature";

/// Someone's working copy of the hosted repository.
pub(super) struct Workshop {
    clone: PathBuf,
    authorization: SecretString,
    /// The default branch.
    pub(super) main: String,
}

impl Workshop {
    /// Clones the hosted repository, fills it (with a copy of `from`, or a small history made up on the spot), and pushes
    /// a branch to lose later.
    pub(super) async fn open(folder: PathBuf, host: &Url, token: &SecretString, from: Option<&Path>) -> Result<Self> {
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
        let authorization = SecretString::from(format!("Authorization: Basic {basic}"));
        std::fs::create_dir_all(&folder).map_err(|error| super::cannot("make a folder", &error))?;
        let mut workshop = Self { clone: folder, authorization, main: String::new() };
        match from {
            Some(from) => workshop.copy(from, host).await?,
            None => workshop.invent(host).await?,
        }
        workshop.git(&["checkout", "--quiet", "-b", BRANCH]).await?;
        workshop.commit("feature.md", "An idea that will be lost").await?;
        workshop.git(&["push", "--quiet", "origin", BRANCH]).await?;
        let main = workshop.main.clone();
        workshop.git(&["checkout", "--quiet", &main]).await?;
        Ok(workshop)
    }

    async fn copy(&mut self, from: &Path, host: &Url) -> Result<()> {
        let from = std::path::absolute(from).map_err(|error| super::cannot("use --repo", &error))?;
        self.git(&["clone", "--quiet", "--no-hardlinks", &from.to_string_lossy(), "."]).await?;
        self.main = self.git(&["symbolic-ref", "--short", "HEAD"]).await?;
        self.git(&["remote", "add", "source", &from.to_string_lossy()]).await?;
        self.git(&["remote", "set-url", "origin", host.as_str()]).await?;
        let heads = "refs/remotes/origin/*:refs/heads/*";
        self.git(&[
            "push",
            "--quiet",
            "origin",
            &self.main,
            heads,
            "refs/tags/*:refs/tags/*",
            "^refs/remotes/origin/HEAD",
        ])
        .await?;
        Ok(())
    }

    async fn invent(&mut self, host: &Url) -> Result<()> {
        self.git(&["init", "--quiet", "--initial-branch=main", "."]).await?;
        self.git(&["remote", "add", "origin", host.as_str()]).await?;
        "main".clone_into(&mut self.main);
        for chapter in 1..=12 {
            self.commit(&format!("chapter-{chapter:02}.md"), &format!("Chapter {chapter}")).await?;
        }
        self.git(&["tag", "-a", "v1.0", "-m", "First edition"]).await?;
        self.git(&["push", "--quiet", "origin", &self.main, "v1.0"]).await?;
        Ok(())
    }

    /// One more commit on the default branch, pushed. Its id.
    pub(super) async fn commit_and_push(&self) -> Result<String> {
        self.commit("news.md", "Something new").await?;
        self.git(&["push", "--quiet", "origin", &self.main]).await?;
        self.tip(&self.main).await
    }

    /// Pushes the default branch back to `id`, as somebody in a hurry would.
    pub(super) async fn force_push(&self, id: &str) -> Result<()> {
        self.git(&["reset", "--quiet", "--hard", id]).await?;
        self.git(&["push", "--quiet", "--force", "origin", &self.main]).await.map(drop)
    }

    /// Deletes the branch on the server.
    pub(super) async fn delete_branch(&self) -> Result<()> {
        self.git(&["push", "--quiet", "--delete", "origin", BRANCH]).await.map(drop)
    }

    /// Where a local branch is.
    pub(super) async fn tip(&self, branch: &str) -> Result<String> {
        self.git(&["rev-parse", branch]).await
    }

    async fn commit(&self, file: &str, message: &str) -> Result<()> {
        let text = format!("# {message}\n\nWritten for the tour.\n");
        std::fs::write(self.clone.join(file), text).map_err(|error| super::cannot("write a file", &error))?;
        self.git(&["add", file]).await?;
        self.git(&["commit", "--quiet", "-m", message]).await.map(drop)
    }

    async fn git(&self, arguments: &[&str]) -> Result<String> {
        git(&self.clone, Some(&self.authorization), arguments).await
    }
}

/// Fails unless the repository holds the commit.
pub(super) async fn expect_commit(repository: &Path, id: &str) -> Result<()> {
    git(repository, None, &["cat-file", "-e", &format!("{id}^{{commit}}")]).await.map(drop)
}

/// Runs git without the user's configuration: a signing key or a hook of theirs has no business in a tour.
async fn git(folder: &Path, authorization: Option<&SecretString>, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for (name, value) in
        [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_TERMINAL_PROMPT", "0")]
    {
        command.env(name, value);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Mona").env(format!("GIT_{role}_EMAIL"), "mona@example.com");
    }
    if let Some(header) = authorization {
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "http.extraHeader");
        command.env("GIT_CONFIG_VALUE_0", header.expose_secret());
    }
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = command.output().await.map_err(|error| super::cannot("run git", &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::misconfigured(format!("`git {}` failed: {said}", arguments.first().unwrap_or(&""))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
