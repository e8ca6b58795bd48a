//! `refward grants`: who may do what from a chat.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::policy::Asks;
use super::{Context, output};
use crate::domain::policy::Selection;
use crate::domain::{Holder, Result, Role};
use crate::ops::people::{self, GrantRow};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// The grants that stand.
    List,
    /// Allow a person, or everybody with a role on the platform, something. Grants add up.
    Add {
        /// PLATFORM:user:ID or PLATFORM:role:ID, e.g. discord:user:80351110224678912
        holder: Holder,
        /// viewer, operator, restorer or admin; each may what those before it may.
        role: Role,
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        asks: Asks,
    },
    /// End a grant at once.
    Revoke {
        /// Its number.
        id: i64,
        #[command(flatten)]
        asks: Asks,
    },
    /// Make a code for the first admin: whoever says it in the chat within an hour is admin of everything.
    Code {
        #[command(flatten)]
        asks: Asks,
    },
}

#[derive(clap::Args)]
pub(super) struct Scope {
    /// Only with repositories of this connection. May be repeated.
    #[arg(long = "connection", value_name = "NAME")]
    connections: Vec<String>,
    /// Only with repositories in this group. May be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Only with repositories whose name, or OWNER/NAME, fits. May be repeated.
    #[arg(long = "repo", value_name = "GLOB")]
    repos: Vec<String>,
}

impl Scope {
    /// `None`: everything.
    fn selection(self) -> Option<Selection> {
        let Self { connections, groups, repos } = self;
        let selection = Selection { connections, groups, include: repos, ..Selection::default() };
        (selection != Selection::default()).then_some(selection)
    }
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::List => {
            let grants = people::grants(&context.catalog().await?).await?;
            output::print(context.json, &grants, |grants| {
                let header = ["no", "who", "may", "with", "since (UTC)", "by"];
                output::table(header, grants.iter().map(row), "Nobody may anything yet: refward grants code")
            })
        }
        Command::Add { holder, role, scope, asks } => {
            let services = context.services().await?;
            let grant = people::grant(&services, &holder, role, scope.selection(), &asks.by()).await?;
            output::print(context.json, &grant, |grant| format!("Grant {}: {}.", grant.id, describe(grant)))
        }
        Command::Revoke { id, asks } => {
            let grant = people::revoke(&*context.services().await?, id, &asks.by()).await?;
            output::print(context.json, &grant, |grant| format!("No more: {}.", describe(grant)))
        }
        Command::Code { asks } => {
            let claim = people::claim_code(&*context.services().await?, &asks.by()).await?;
            let code = claim.code.expose_secret();
            output::print(context.json, &json!({ "code": code, "expires_at": claim.expires_at }), |_| {
                let until = output::time(claim.expires_at);
                format!("Say this in the chat, once, until {until} UTC:\n  /refward claim code:{code}")
            })
        }
    }
}

fn describe(grant: &GrantRow) -> String {
    format!("{} is {} of {}", grant.holder, grant.role, people::scope_in_words(grant.scope.as_ref()))
}

fn row(grant: &GrantRow) -> [String; 6] {
    let scope = people::scope_in_words(grant.scope.as_ref());
    let (who, role, by) = (grant.holder.to_string(), grant.role.to_string(), grant.created_by.clone());
    [grant.id.to_string(), who, role, scope, output::time(grant.created_at), by]
}
