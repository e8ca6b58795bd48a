//! `refward backup`: back up now.

use serde_json::{Value, json};

use super::{Context, output};
use crate::domain::{Error, Kind, RepoAddress, Result, Snapshot};
use crate::ops::backup::{self, Backup};

#[derive(clap::Args)]
pub(super) struct Args {
    /// OWNER/NAME or CONNECTION:OWNER/NAME
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    repo: Option<RepoAddress>,
    /// Every repository that is backed up.
    #[arg(long)]
    all: bool,
    /// Do it now, in this process, and say what came of it. Without it the running service is asked to.
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let services = context.services().await?;
    let repositories = backup::select(&services, args.repo.as_ref()).await?;
    if !args.wait {
        backup::enqueue(&services, &repositories).await?;
        let count = repositories.len();
        return output::print(context.json, &json!({ "queued": count }), |_| format!("Queued {count} repositories."));
    }

    let bar = output::progress("repositories");
    bar.set_length(repositories.len() as u64);
    let mut answers: Vec<(String, Value)> = Vec::new();
    let mut failed: Vec<Error> = Vec::new();
    backup::run(&services, &repositories, |repository, outcome| {
        bar.inc(1);
        match outcome {
            Ok(backup) => answers.push((repository.full_name.clone(), json!(backup))),
            Err(error) => {
                answers.push((repository.full_name.clone(), json!({ "error": error.to_string() })));
                bar.suspend(|| output::error(error, context.json));
                failed.push(Error::new(error.kind(), error.to_string()));
            }
        }
        bar.suspend(|| {
            outcome
                .as_ref()
                .ok()
                .filter(|_| !context.json)
                .map(|backup| println!("{}: {}", repository.full_name, describe(backup)))
        });
    })
    .await;
    bar.finish_and_clear();
    report(context, &args, answers, failed, repositories.len())
}

fn report(
    context: &Context,
    args: &Args,
    answers: Vec<(String, Value)>,
    mut failed: Vec<Error>,
    total: usize,
) -> Result<()> {
    if context.json && args.all {
        let by_name: serde_json::Map<String, Value> = answers.into_iter().collect();
        output::print(true, &by_name, |_| String::new())?;
    } else if let (true, true, Some((_, answer))) = (context.json, failed.is_empty(), answers.first()) {
        output::print(true, answer, |_| String::new())?;
    }
    match failed.len() {
        0 => Ok(()),
        1 if total == 1 => Err(failed.remove(0)),
        count => Err(Error::new(Kind::Partial, format!("{count} of {total} repositories could not be backed up"))),
    }
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
