//! `refward credentials`: the tokens, clients and Apps behind a connection.

use std::fmt;

use serde_json::json;

use super::connect::Opens;
use super::connections::describe as describe_inspection;
use super::{Context, output, recorded};
use crate::domain::Result;
use crate::ops::credentials::{self, Added, Backlog, CredentialRow, Left, Pool};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// What there is, what is left of its limits, and what waits.
    List {
        /// Only of this connection.
        connection: Option<String>,
    },
    /// Add a token or a service principal to a connection's pool. It is checked first, and not used before it is switched on.
    Add(Box<Add>),
    /// Use it when the main one has nothing left or does not work.
    Enable(Which),
    /// Use it no more.
    Disable(Which),
    /// Do everything with this one first from now on.
    Main(Which),
    /// Ask the forge what it may do now.
    Test(Which),
    /// Delete it at once.
    Remove(Which),
}

#[derive(clap::Args)]
pub(super) struct Add {
    /// The connection.
    connection: String,
    #[command(flatten)]
    opens: Opens,
    /// What to call it.
    #[arg(long)]
    label: String,
    /// Switch it on at once.
    #[arg(long)]
    enable: bool,
}

#[derive(clap::Args)]
pub(super) struct Which {
    /// The connection.
    connection: String,
    /// The credential.
    label: String,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.connection, self.label)
    }
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    let catalog = &services.catalog;
    let done = |word: &str, which: &Which, text: &str| {
        let Which { connection, label } = which;
        output::print(context.json, &json!({ word: label }), |_| format!("{connection}: {label} {text}"))
    };
    match command {
        Command::List { connection } => {
            output::print(context.json, &credentials::list(&services, connection.as_deref()).await?, describe)
        }
        Command::Add(add) => {
            let Add { connection, opens, label, enable } = *add;
            let given = opens.given()?;
            let about = format!("{connection}: {label}");
            let adding = credentials::add(&services, &connection, &label, given, enable);
            let added = recorded(catalog, "credential.add", &about, adding).await?;
            output::print(context.json, &added, describe_added)
        }
        Command::Enable(which) => {
            let enabling = credentials::enable(&services, &which.connection, &which.label, true);
            recorded(catalog, "credential.enable", &which.to_string(), enabling).await?;
            done("enabled", &which, "is used when the main credential has nothing left or does not work.")
        }
        Command::Disable(which) => {
            let disabling = credentials::enable(&services, &which.connection, &which.label, false);
            recorded(catalog, "credential.disable", &which.to_string(), disabling).await?;
            done("disabled", &which, "is not used any more.")
        }
        Command::Main(which) => {
            let choosing = credentials::make_main(&services, &which.connection, &which.label);
            recorded(catalog, "credential.main", &which.to_string(), choosing).await?;
            done("main", &which, "is the main credential now; the one before stays switched on.")
        }
        Command::Test(which) => {
            let inspection = credentials::test(&services, &which.connection, &which.label).await?;
            output::print(context.json, &inspection, describe_inspection)
        }
        Command::Remove(which) => {
            let removing = credentials::remove(&services, &which.connection, &which.label);
            recorded(catalog, "credential.remove", &which.to_string(), removing).await?;
            done("removed", &which, "is deleted.")
        }
    }
}

fn describe(pool: &Pool) -> String {
    let header = ["connection", "label", "kind", "who", "use", "rest", "graphql", "expires"];
    let rows = pool.credentials.iter().map(describe_row);
    let mut text = output::table(header, rows, "No credentials yet: refward connect --help");
    for row in &pool.credentials {
        let about = format!("\n{}: {}", row.connection, row.label);
        if let Some(until) = row.paused_until {
            let why = match row.why.as_deref() {
                Some("used_up") => "its limit is used up",
                _ => "the host has asked us to slow down",
            };
            text += &format!("{about} waits until {} UTC: {why}.", output::time(until));
        }
        if !row.shares_with.is_empty() {
            text += &format!("{about} shares one budget with {}.", row.shares_with.join(", "));
        }
    }
    pool.backlog.iter().fold(text, |text, backlog| text + "\n" + &describe_backlog(backlog))
}

fn describe_row(row: &CredentialRow) -> [String; 8] {
    let used = match (row.main, row.enabled) {
        (true, _) => "main",
        (_, true) => "on",
        _ => "off",
    };
    [
        row.connection.clone(),
        row.label.clone(),
        row.kind.to_owned(),
        row.who.clone(),
        used.to_owned(),
        output::or_dash(row.rest.as_ref().map(describe_left)),
        output::or_dash(row.graphql.as_ref().map(describe_left)),
        output::or_dash(row.expires.clone()),
    ]
}

fn describe_left(left: &Left) -> String {
    let until = left.reset_at.map(|reset| format!(" until {}", reset.format("%H:%M:%S"))).unwrap_or_default();
    format!("{} of {}{until}", left.remaining, left.limit)
}

fn describe_backlog(backlog: &Backlog) -> String {
    let Backlog { connection, jobs, throttled, .. } = backlog;
    let verb = if *jobs == 1 { "waits" } else { "wait" };
    let mut text = format!("{connection}: {} {verb}", output::count(*jobs, "job"));
    if *throttled > 0 {
        text += &format!(", {throttled} of them for a limit");
    }
    if let Some(done) = backlog.done_by {
        text += &format!("; the limits let the last of them go at {} UTC", output::time(done));
    }
    text += ".";
    backlog.why.as_ref().map_or(text.clone(), |why| format!("{text}\n  {why}"))
}

fn describe_added(added: &Added) -> String {
    let Added { connection, label, .. } = added;
    let mut text = format!("Added {label} to {connection}: {}", describe_inspection(&added.inspection));
    if !added.shares_with.is_empty() {
        let others = added.shares_with.join(", ");
        text +=
            &format!("\nIt belongs to the same user as {others}: they share one budget, so it adds nothing to that.");
    }
    if !added.enabled {
        text += &format!("\nIt is not used yet. Next: refward credentials enable {connection} {label}");
    }
    text
}
