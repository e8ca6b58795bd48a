//! `refward compact`: fewer objects now, not when it is their turn.

use super::{Context, output};
use crate::domain::{RepoAddress, Result};
use crate::ops::backup;
use crate::ops::compact::{Compacted, Objects, compact};

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub(super) struct Args {
    /// OWNER/NAME or CONNECTION:OWNER/NAME
    #[arg(group = "which")]
    repo: Option<RepoAddress>,
    /// Every repository that has a snapshot.
    #[arg(long, group = "which")]
    all: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let services = context.services().await?;
    let repositories = match &args.repo {
        Some(address) => backup::select(&services, Some(address)).await?,
        None => services.catalog.repositories().await?.into_iter().filter(|one| one.last_seq.is_some()).collect(),
    };
    let bar = output::progress("repositories");
    bar.set_length(repositories.len() as u64);
    let mut done = Vec::new();
    for repository in &repositories {
        done.push(compact(&services, repository).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    output::print(context.json, &done, |done| {
        output::table(["repository", "before", "after"], done.iter().map(row), "Nothing to join yet.")
    })
}

fn row(done: &Compacted) -> [String; 3] {
    [done.repository.clone(), describe(done.before), describe(done.after)]
}

fn describe(Objects { objects, bytes }: Objects) -> String {
    format!("{}, {}", output::count(objects, "object"), output::bytes(bytes))
}
