//! `refward people`: who people are on the forges.

use serde_json::json;

use super::policy::Asks;
use super::{Context, output};
use crate::domain::{Person, Result};
use crate::ops::people::{self, IdentityLink};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// End what somebody has linked: they reach no private repository until they link again.
    Unlink {
        /// PLATFORM:ID, e.g. discord:80351110224678912
        person: Person,
        #[command(flatten)]
        asks: Asks,
    },
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let catalog = context.catalog().await?;
    if let Some(Command::Unlink { person, asks }) = args.command {
        let ended = people::unlink(&catalog, &person, &asks.by()).await?;
        return output::print(context.json, &json!({ "unlinked": person, "links": ended }), |_| {
            format!("{person} is nobody on any forge any more.")
        });
    }
    output::print(context.json, &people::links(&catalog).await?, |links| {
        let header = ["person", "on", "is", "user", "since (UTC)", "until (UTC)"];
        output::table(header, links.iter().map(row), "Nobody is linked: people say /refward link in the chat.")
    })
}

fn row(link: &IdentityLink) -> [String; 6] {
    let IdentityLink { person, host, login, forge_user, created_at, expires_at, .. } = link;
    let (since, until) = (output::time(*created_at), output::time(*expires_at));
    [person.to_string(), host.clone(), login.clone(), forge_user.clone(), since, until]
}
