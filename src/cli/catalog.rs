//! `refward catalog`: tend the database.

use super::{Context, myself, output};
use crate::domain::Result;
use crate::ops::rebuild::rebuild;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make the history in the database anew from the vault alone.
    Rebuild,
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let Command::Rebuild = command;
    let services = context.services().await?;
    let report = rebuild(&services, &myself(), |name, snapshots| tracing::info!(name, snapshots, "rebuilt")).await?;
    output::print(context.json, &report, |report| {
        let (repositories, snapshots) = (report.repositories, report.snapshots);
        format!(
            "{} with {}, from the vault.",
            output::count(repositories, "repository"),
            output::count(snapshots, "snapshot")
        )
    })
}
