//! `refward hold`: nothing of a repository goes.

use serde_json::json;

use super::policy::Asks;
use super::{Context, output};
use crate::domain::{self, RepoAddress, Result};
use crate::ops::holds::{self, HoldRow};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// From now on nothing of a repository goes.
    Set {
        /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
        repo: RepoAddress,
        /// Why, for those who find it later.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        asks: Asks,
    },
    /// Lift all holds of a repository, also those that an alarm has placed: rules decide again.
    Lift {
        /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
        repo: RepoAddress,
        #[command(flatten)]
        asks: Asks,
    },
    /// The holds that stand.
    List,
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    match command {
        Command::Set { repo, reason, asks } => {
            let held = holds::place(&services, &repo, &reason, &asks.by()).await?;
            output::print(context.json, &json!({ "held": held.full_name, "reason": reason }), |_| {
                let lift = domain::command(["hold", "lift", &repo.to_string()]).unwrap_or_default();
                format!("{}: nothing goes until the hold is lifted: {lift}", held.full_name)
            })
        }
        Command::Lift { repo, asks } => {
            let lifted = holds::lift(&services, &repo, &asks.by()).await?;
            output::print(context.json, &json!({ "lifted": lifted.full_name }), |_| {
                format!("{}: rules decide again what is kept.", lifted.full_name)
            })
        }
        Command::List => output::print(context.json, &holds::list(&services.catalog).await?, |rows| {
            let header = ["repository", "since (UTC)", "by", "because"];
            output::table(header, rows.iter().map(row), "No hold stands.")
        }),
    }
}

fn row(hold: &HoldRow) -> [String; 4] {
    [hold.repository.clone(), output::time(hold.since), hold.actor.clone(), hold.reason.clone()]
}
