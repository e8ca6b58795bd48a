//! `refward verify`: prove that backups are whole.

use super::{Context, output};
use crate::domain::{Error, RepoAddress, Result};
use crate::ops::verify::{Depth, Verified, verify};
use crate::ops::{Level, backup};

#[derive(clap::Args)]
pub(super) struct Args {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id; by default all.
    repo: Option<RepoAddress>,
    /// Read every byte in the vault, not only the records.
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,
    /// Read this share of the objects, chosen anew each time, e.g. 5%.
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    read_data_subset: Option<f64>,
    /// Also rebuild each repository in scratch, run `git fsck` and compare every reference.
    #[arg(long)]
    drill: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let level = match (args.read_data, args.read_data_subset) {
        (true, _) => Level::ReadData(1.0),
        (_, Some(share)) => Level::ReadData(share),
        _ => Level::Structure,
    };
    let services = context.services().await?;
    let repositories = match &args.repo {
        Some(address) => backup::select(&services, Some(address)).await?,
        None => services.catalog.repositories().await?,
    };
    let bar = output::progress("snapshots");
    let mut verified = Vec::new();
    for repository in repositories.iter().filter(|repository| repository.last_seq.is_some() || args.repo.is_some()) {
        let progress = |progress| output::advance(&bar, progress);
        verified.push(verify(&services, repository, Depth { level, drill: args.drill }, &progress).await?);
    }
    bar.finish_and_clear();
    output::print(context.json, &verified, |verified| match verified[..] {
        [] => "Nothing to verify yet.".to_owned(),
        _ => verified.iter().map(describe).collect(),
    })?;
    let damaged = verified.iter().map(|one| one.findings.len()).sum::<usize>();
    if damaged == 0 {
        return match verified.iter().filter(|one| !one.missing.is_empty()).count() {
            0 => Ok(()),
            partly => Err(output::partial(format!(
                "incomplete, though in order: {partly} of {}",
                output::count(verified.len(), "repository")
            ))),
        };
    }
    Err(Error::damaged(format!("{} found", output::count(damaged, "problem")))
        .hint("what the other snapshots hold can be restored; `refward backup REPO` takes what the forge still has"))
}

fn describe(verified: &Verified) -> String {
    let proof = if verified.drilled { ", restored in a drill" } else { "" };
    let mut text = format!("{}: {}", verified.repository, output::count(verified.snapshots, "snapshot"));
    if verified.findings.is_empty() {
        text += &format!(" in order{proof}");
    }
    for finding in &verified.findings {
        text += &format!("\n  {}: {}", finding.object, finding.problem);
    }
    text + "\n" + &output::lacks(&verified.missing)
}

fn share(text: &str) -> Result<f64, String> {
    let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| "write a share like 5%".to_owned())?;
    if percent > 0.0 && percent <= 100.0 {
        Ok(percent / 100.0)
    } else {
        Err("the share must be above 0% and at most 100%".to_owned())
    }
}
