//! `refward policy`: what is backed up, when, and how long it stays.

mod show;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, output};
use crate::config;
use crate::domain::{By, Error, RepoAddress, Result};
use crate::ops::policy::{self, Asked};
use crate::services::Services;

pub(super) use show::describe_points;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// All policies in the order in which they are asked.
    List,
    /// What a policy says.
    Show {
        /// The policy.
        name: String,
    },
    /// Make a policy. What is not set is as in the built-in one: on push; all of 30 days, then one a day, week, month.
    Create {
        /// What to call it.
        name: String,
        #[command(flatten)]
        set: Assignments,
        #[command(flatten)]
        asks: Asks,
        /// It may select nothing that there is so far.
        #[arg(long)]
        allow_empty: bool,
    },
    /// Change what a policy says.
    Set {
        /// The policy.
        name: String,
        #[command(flatten)]
        set: Assignments,
        #[command(flatten)]
        asks: Asks,
        /// It may select nothing that there is so far.
        #[arg(long)]
        allow_empty: bool,
    },
    /// Delete a policy. Its repositories are under the next one that selects them then.
    Delete {
        /// The policy.
        name: String,
        #[command(flatten)]
        asks: Asks,
    },
    /// Have a policy name repositories: it applies to them before all policies that only fit.
    Assign {
        /// The policy.
        name: String,
        /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
        #[arg(required = true, value_name = "REPO")]
        repos: Vec<RepoAddress>,
        #[command(flatten)]
        asks: Asks,
    },
    /// Have these policies asked first, in this order; the others follow as they are, the default one last.
    Order {
        /// The policies.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        asks: Asks,
    },
    /// Which policy applies to a repository and why, the next run, and why each snapshot is kept and until when.
    Explain {
        /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
        repo: RepoAddress,
    },
    /// Check a file of policies, and say what importing it would change.
    Test {
        /// TOML, as `refward policy export` writes it; `-`: standard input.
        file: PathBuf,
        /// Policies may select nothing that there is so far.
        #[arg(long)]
        allow_empty: bool,
    },
    /// Write policies as TOML.
    Export {
        /// Only these.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Make and change policies as a file says. Those that are not in it stay as they are.
    Import {
        /// TOML, as `refward policy export` writes it; `-`: standard input.
        file: PathBuf,
        #[command(flatten)]
        asks: Asks,
        /// Policies may select nothing that there is so far.
        #[arg(long)]
        allow_empty: bool,
    },
    /// Every change of a policy or of all: who, when, before and after.
    History {
        /// The policy.
        name: Option<String>,
    },
    /// Agree to a change that somebody else has asked for and that waits.
    Approve {
        /// Its number.
        change: i64,
        #[command(flatten)]
        asks: Asks,
    },
    /// Take a change back that waits.
    Revoke {
        /// Its number.
        change: i64,
        #[command(flatten)]
        asks: Asks,
    },
}

#[derive(clap::Args)]
pub(super) struct Assignments {
    /// E.g. retention.daily=90 retention.within=30d trigger.schedule="0 3 * * *" timezone=Europe/Berlin
    /// select.include='acme/*'; without a value: as if it had never been set.
    #[arg(value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

#[derive(clap::Args)]
pub(super) struct Asks {
    /// Who does this, for the record; by default who runs this program.
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
}

impl Asks {
    pub(super) fn by(self) -> By {
        By::cli(&self.by.unwrap_or_else(config::user))
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| "write KEY=VALUE".to_owned())?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    match command {
        Command::Create { name, set, asks, allow_empty } => {
            let asked = Asked { by: &asks.by(), allow_empty, plan: false };
            let submitted = policy::create(&services, &name, &set.set, asked).await?;
            output::print(context.json, &submitted, show::submitted)
        }
        Command::Set { name, set, asks, allow_empty } => {
            let asked = Asked { by: &asks.by(), allow_empty, plan: false };
            let submitted = policy::set(&services, &name, &set.set, asked).await?;
            output::print(context.json, &submitted, show::submitted)
        }
        Command::Delete { name, asks } => {
            let submitted = policy::delete(&services, &name, asking(&asks.by())).await?;
            output::print(context.json, &submitted, show::submitted)
        }
        Command::Assign { name, repos, asks } => {
            let submitted = policy::assign(&services, &name, &repos, asking(&asks.by())).await?;
            output::print(context.json, &submitted, |all| show::all_submitted(all))
        }
        Command::Order { names, asks } => {
            let submitted = policy::reorder(&services, &names, asking(&asks.by())).await?;
            output::print(context.json, &submitted, show::submitted)
        }
        Command::Import { file, asks, allow_empty } => {
            let asked = Asked { by: &asks.by(), allow_empty, plan: false };
            let submitted = policy::import(&services, &read(&file)?, asked).await?;
            output::print(context.json, &submitted, |all| show::all_submitted(all))
        }
        Command::Test { file, allow_empty } => {
            let asked = Asked { by: &By::refward(), allow_empty, plan: true };
            let planned = policy::import_plan(&services, &read(&file)?, asked).await?;
            output::print(context.json, &planned, |all| show::all_planned(all))
        }
        Command::Approve { change, asks } => {
            let approved = policy::approve(&services, change, &asks.by()).await?;
            output::print(context.json, &approved, show::approved)
        }
        Command::Revoke { change, asks } => {
            let revoked = policy::revoke(&services, change, &asks.by()).await?;
            output::print(context.json, &revoked, show::revoked)
        }
        looks => look(context, &services, looks).await,
    }
}

/// What changes nothing.
async fn look(context: &Context, services: &Services, command: Command) -> Result<()> {
    match command {
        Command::Show { name } => {
            let policy = policy::show(services, &name).await?;
            output::print(context.json, &policy, show::policy)
        }
        Command::Explain { repo } => {
            output::print(context.json, &policy::explain(services, &repo).await?, show::explained)
        }
        Command::History { name } => {
            output::print(context.json, &policy::history(services, name.as_deref()).await?, |all| show::history(all))
        }
        Command::Export { names } => {
            let text = policy::export(services, &names).await?;
            output::print(context.json, &json!({ "toml": text }), |_| text.clone())
        }
        _ => output::print(context.json, &policy::list(services).await?, |rows| show::list(rows)),
    }
}

fn asking(by: &By) -> Asked<'_> {
    Asked { by, allow_empty: false, plan: false }
}

fn read(file: &Path) -> Result<String> {
    let text =
        if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    text.map_err(|error| Error::bad_request(format!("cannot read {}: {error}", file.display())))
}
