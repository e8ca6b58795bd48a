//! Runs git as a person would, without the machine's configuration.

use std::path::Path;
use std::process::{Command, Output};

/// A git command with a fixed identity.
pub fn git_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Mona")
        .env("GIT_AUTHOR_EMAIL", "mona@example.com")
        .env("GIT_COMMITTER_NAME", "Mona")
        .env("GIT_COMMITTER_EMAIL", "mona@example.com")
        .env_remove("GIT_DIR")
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy");
    command
}

/// Runs git off the async threads and gives what it did.
pub async fn try_git(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = git_command(folder, arguments);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// Runs git, which must succeed; gives its trimmed output.
pub async fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = try_git(folder, arguments).await;
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
