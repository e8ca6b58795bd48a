//! `refward hooks`: the hooks that we have set up on forges ourselves.

use super::{Context, output, recorded};
use crate::domain::Result;
use crate::ops::hooks::{self, HookRow, HookSummary, Repaired};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// How each stands.
    List {
        /// Only of this connection.
        connection: Option<String>,
    },
    /// Put them right now: make what is missing, mend what was altered, switch on what is off, fetch what was not delivered.
    Repair {
        /// The connection.
        connection: String,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    match command {
        Command::List { connection } => {
            let rows = hooks::list(&services, connection.as_deref()).await?;
            let summaries = hooks::summary(&services.catalog).await?;
            output::print(context.json, &rows, |rows| describe(rows, &summaries))
        }
        Command::Repair { connection } => {
            let repairing = hooks::repair(&services, &connection);
            let repaired = recorded(&services.catalog, "hooks.repair", &connection, repairing).await?;
            output::print(context.json, &repaired, describe_repair)
        }
    }
}

fn describe(rows: &[HookRow], summaries: &[HookSummary]) -> String {
    let lines = rows.iter().map(|row| {
        let since = row.troubled_since.map(|at| format!(" since {} UTC", output::time(at))).unwrap_or_default();
        let trouble = row.trouble.as_ref().map(|what| format!("{what}{since}"));
        let state = row.state.replace('_', " ");
        [row.connection.clone(), row.scope.clone(), row.event.clone(), state, output::or_dash(trouble)]
    });
    let header = ["connection", "for", "event", "state", "was wrong"];
    let mut text = output::table(header, lines, "No hooks were set up yet.");
    for summary in summaries {
        if let Some(problem) = &summary.problem {
            text += &format!("\n\n{}: {problem}", summary.connection);
        }
    }
    text
}

fn describe_repair(repaired: &Repaired) -> String {
    let (now, on) = (&repaired.now, repaired.switched_on);
    let again = if on > 0 { format!(" {} switched on again.", output::count(on, "hook")) } else { String::new() };
    format!("{}: {} of {} deliver.{again}", now.connection, now.enabled, output::count(now.total, "hook"))
}
