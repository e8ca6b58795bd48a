//! What lies between two points of history.

use std::path::Path;

use super::command::Git;
use crate::domain::{ObjectId, Result};

/// How many commits only `left` reaches, and how many only `right`. `None`: one of the two is no commit, or not there.
pub async fn commits_between(folder: &Path, left: &ObjectId, right: &ObjectId) -> Result<Option<(u64, u64)>> {
    let range = format!("{left}...{right}");
    let run = Git::new(folder).await?.args(["rev-list", "--count", "--left-right", &range, "--"]);
    let output = run.output(None).await?;
    let counts = output.stdout.trim().split_once('\t').filter(|_| output.status.success());
    Ok(counts.and_then(|(left, right)| Some((left.parse().ok()?, right.parse().ok()?))))
}

/// How many commits `tip` reaches and none of `others` does. `None`: one of them is not there, or `tip` is no commit.
pub async fn commits_beyond(folder: &Path, tip: &ObjectId, others: &[ObjectId]) -> Result<Option<u64>> {
    let mut input = format!("{tip}\n");
    for other in others {
        input += &format!("^{other}\n");
    }
    let run = Git::new(folder).await?.args(["rev-list", "--count", "--stdin"]);
    let output = run.output(Some(input.into_bytes())).await?;
    Ok(output.stdout.trim().parse().ok().filter(|_| output.status.success()))
}
