//! A repository in one file.

use std::path::Path;

use super::command::Git;
use crate::domain::{Error, RefName, Result};

/// Writes these references of a repository, and all that they reach, to a file that `git clone` and `git fetch` take. With
/// `HEAD`, if that is one of them.
/// <https://git-scm.com/docs/git-bundle>
pub async fn bundle(folder: &Path, names: &[RefName], head: bool, file: &Path) -> Result<()> {
    let mut input: String = names.iter().map(|name| format!("{name}\n")).collect();
    if head {
        input += "HEAD\n";
    }
    let run = Git::new(folder).await?.args(["bundle", "create", "--quiet"]).arg(file).arg("--stdin");
    let output = run.output(Some(input.into_bytes())).await?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::misconfigured(format!("writing a bundle failed: {}", output.excerpt())))
}
