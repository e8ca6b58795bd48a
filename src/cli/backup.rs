//! `refward backup`: back up now.

use serde_json::{Value, json};

use super::{Context, output};
use crate::catalog::Repository;
use crate::domain::{Error, Kind, RepoAddress, Result, Skipped, Snapshot};
use crate::ops::backup::{self, Backup};
use crate::ops::repos;
use crate::services::Services;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["repo", "all", "group"])))]
pub(super) struct Args {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
    repo: Option<RepoAddress>,
    /// Every repository that is backed up.
    #[arg(long)]
    all: bool,
    /// Every repository of this group that is backed up.
    #[arg(long)]
    group: Option<String>,
    /// Do it now, in this process, and say what came of it. Without it the running service is asked to.
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let services = context.services().await?;
    match (&args.repo, args.wait) {
        (Some(address), true) => one(context, &services, address).await,
        (None, true) => all(context, &services, &chosen(&services, &args).await?).await,
        (_, false) => {
            let repositories = chosen(&services, &args).await?;
            backup::enqueue(&services, &repositories).await?;
            let count = repositories.len();
            output::print(context.json, &json!({ "queued": count }), |_| {
                format!("Queued {}.", output::count(count, "repository"))
            })
        }
    }
}

async fn chosen(services: &Services, args: &Args) -> Result<Vec<Repository>> {
    match &args.group {
        Some(group) => repos::in_group(services, group).await,
        None => backup::select(services, args.repo.as_ref()).await,
    }
}

async fn one(context: &Context, services: &Services, address: &RepoAddress) -> Result<()> {
    let repository = services.catalog.resolve(address).await?;
    let backup = backup::run(services, &repository).await?;
    let missing = services.catalog.lacking(&repository.id).await?;
    output::print(context.json, &backup, |backup| line(&repository, backup, &missing))?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(output::partial(format!("the newest snapshot of {} is incomplete", repository.full_name)))
}

async fn all(context: &Context, services: &Services, repositories: &[Repository]) -> Result<()> {
    let bar = output::progress("repositories");
    bar.set_length(repositories.len() as u64);
    let outcomes = backup::run_all(services, repositories, || bar.inc(1)).await?;
    bar.finish_and_clear();

    let incomplete = services.catalog.incomplete().await?;
    let missing = |repository: &Repository| incomplete.get(repository.id.as_str()).map_or(&[][..], Vec::as_slice);
    let answers: Vec<Value> = outcomes.iter().map(|(repository, outcome)| answer(repository, outcome)).collect();
    output::print(context.json, &answers, |_| {
        let lines = outcomes.iter().map(|(repository, outcome)| match outcome {
            Ok(backup) => line(repository, backup, missing(repository)),
            Err(error) => format!("{}: FAILED: {error}\n", repository.full_name),
        });
        lines.collect()
    })?;
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    if failed > 0 {
        let told = format!("{failed} of {} repositories could not be backed up", outcomes.len());
        return Err(Error::new(Kind::Partial, told));
    }
    match outcomes.iter().filter(|(repository, _)| !missing(repository).is_empty()).count() {
        0 => Ok(()),
        partly => {
            Err(output::partial(format!("incomplete: {partly} of {}", output::count(outcomes.len(), "repository"))))
        }
    }
}

/// What the single form prints, and whose it is.
fn answer(repository: &Repository, outcome: &Result<Backup>) -> Value {
    let mut answer = match outcome {
        Ok(backup) => json!(backup),
        Err(error) => json!({ "error": error.to_string() }),
    };
    answer["repository"] = json!(repository.full_name);
    answer["connection"] = json!(repository.connection);
    answer
}

/// What came of it, and what the newest snapshot lacks, whoever took it.
fn line(repository: &Repository, backup: &Backup, missing: &[Skipped]) -> String {
    format!("{}: {}\n{}", repository.full_name, describe(backup), output::lacks(missing))
}

fn describe(backup: &Backup) -> String {
    match backup {
        Backup::Snapshot(snapshot) => told(snapshot),
        Backup::Unchanged { seq, .. } => format!("unchanged since snapshot {}", output::or_dash(*seq)),
    }
}

/// A snapshot in one line.
pub(super) fn told(snapshot: &Snapshot) -> String {
    format!(
        "snapshot {}: {} new objects, {} received, {} stored, {} ms",
        snapshot.seq,
        snapshot.objects,
        output::bytes(snapshot.pack_bytes),
        output::bytes(snapshot.stored_bytes),
        snapshot.duration.as_millis()
    )
}
