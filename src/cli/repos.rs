//! `refward repos`: what there is and what is backed up.

use serde_json::json;

use super::{Context, output};
use crate::domain::{RepoAddress, Result};
use crate::jobs::Discovered;
use crate::ops::repos::{self, RepoRow};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// All repositories ever seen.
    List,
    /// Read the forge's list again.
    Sync {
        /// Only of this connection.
        #[arg(long)]
        connection: Option<String>,
    },
    /// Start backing a repository up.
    Add {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
    },
    /// Stop backing a repository up. Its backups stay.
    Remove {
        /// OWNER/NAME or CONNECTION:OWNER/NAME
        repo: RepoAddress,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    match command {
        Command::List => output::print(context.json, &repos::list(&services).await?, |rows| describe(rows)),
        Command::Sync { connection } => {
            let found = repos::sync(&services, connection.as_deref()).await?;
            let by_name: serde_json::Map<_, _> =
                found.iter().map(|(name, discovered)| (name.clone(), json!(discovered))).collect();
            output::print(context.json, &by_name, |_| found.iter().map(describe_found).collect())
        }
        Command::Add { repo } => select(context, &services, &repo, true).await,
        Command::Remove { repo } => select(context, &services, &repo, false).await,
    }
}

async fn select(
    context: &Context,
    services: &crate::services::Services,
    repo: &RepoAddress,
    selected: bool,
) -> Result<()> {
    let repository = repos::select(services, repo, selected).await?;
    let answer = json!({ "repository": repository.full_name, "selected": selected });
    output::print(context.json, &answer, |_| {
        let what = if selected { "is backed up from now on" } else { "is no longer backed up; its backups stay" };
        format!("{} {what}.", repository.full_name)
    })
}

fn describe(rows: &[RepoRow]) -> String {
    let lines = rows.iter().map(|row| {
        let state = match row {
            row if row.gone => "gone from the forge",
            row if !row.selected => "not backed up",
            row if row.last_seq.is_none() => "waiting for its first snapshot",
            _ => "backed up",
        };
        [row.repository.clone(), row.connection.clone(), output::or_dash(row.last_seq), state.to_owned()]
    });
    output::table(
        ["repository", "connection", "snapshots", "state"],
        lines,
        "No repositories yet: refward connect --help",
    )
}

fn describe_found((name, found): &(String, Discovered)) -> String {
    let mut text = format!("{name}: {}\n", output::count(found.listed, "repository"));
    for (what, names) in [("new", &found.created), ("renamed", &found.renamed), ("gone", &found.gone)] {
        for name in names {
            text += &format!("  {what}: {name}\n");
        }
    }
    text
}
