//! `refward repos`: what there is and what is backed up.

use std::collections::HashMap;

use serde_json::json;

use super::{Context, output, recorded};
use crate::cli::connections::set::describe_found;
use crate::domain::{Availability, RepoAddress, Result};
use crate::ops::repos::{self, RepoRow};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// All repositories ever seen.
    List {
        /// Only those of this group; see `refward connections set --help`.
        #[arg(long)]
        group: Option<String>,
    },
    /// Read the forge's list again.
    Sync {
        /// Only of this connection.
        #[arg(long)]
        connection: Option<String>,
    },
    /// Start backing a repository up.
    Add {
        /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
        repo: RepoAddress,
    },
    /// Stop backing a repository up. Its backups stay.
    Remove {
        /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
        repo: RepoAddress,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    match command {
        Command::List { group } => {
            output::print(context.json, &repos::list(&services, group.as_deref()).await?, |rows| describe(rows))
        }
        Command::Sync { connection } => {
            let found = repos::sync(&services, connection.as_deref()).await?;
            let by_name: serde_json::Map<_, _> =
                found.iter().map(|(name, discovered)| (name.clone(), json!(discovered))).collect();
            output::print(context.json, &by_name, |_| {
                let lines = found.iter().map(|(name, found)| {
                    format!("{name}: {}\n{}", output::count(found.listed, "repository"), describe_found(found))
                });
                lines.collect()
            })
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
    let action = if selected { "repository.select" } else { "repository.leave_out" };
    let selecting = repos::select(services, repo, selected);
    let repository = recorded(&services.catalog, action, &repo.to_string(), selecting).await?;
    let answer = json!({ "repository": repository.full_name, "selected": selected });
    output::print(context.json, &answer, |_| {
        let what = if selected { "is backed up from now on" } else { "is no longer backed up; its backups stay" };
        format!("{} {what}.", repository.full_name)
    })
}

fn describe(rows: &[RepoRow]) -> String {
    let called = |row: &RepoRow| (row.connection.clone(), row.repository.to_lowercase());
    let mut named: HashMap<_, usize> = HashMap::new();
    for row in rows {
        *named.entry(called(row)).or_default() += 1;
    }
    let lines = rows.iter().map(|row| {
        let state = match row {
            row if !row.connected => "its connection was removed",
            row if row.gone => "gone from the forge",
            row if row.left_out => "left out by globs",
            row if !row.selected => "not backed up",
            row if row.availability == Availability::Disabled => "disabled on the forge",
            row if row.availability == Availability::Recycled => "in the forge's recycle bin",
            row if row.last_seq.is_none() => "waiting for its first snapshot",
            _ => "backed up",
        };
        let state = if named[&called(row)] > 1 { format!("{state}; its id: {}", row.id) } else { state.to_owned() };
        let groups = (!row.groups.is_empty()).then(|| row.groups.join(", "));
        [row.repository.clone(), row.connection.clone(), output::or_dash(groups), output::or_dash(row.last_seq), state]
    });
    output::table(
        ["repository", "connection", "groups", "snapshots", "state"],
        lines,
        "No repositories yet: refward connect --help",
    )
}
