//! `refward discord`: the commands that people are offered, and what is wrong with the set-up.

use serde::Serialize;

use super::{Context, output};
use crate::chat::{self, Finding, Platform};
use crate::desk;
use crate::domain::{Error, Kind, Result};
use crate::services;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Offer the commands in Discord, in place of those that were offered before.
    Register,
    /// Say what is wrong: token, public key, endpoint, commands, the rights in every channel.
    Test,
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let discord = open(context)?;
    match command {
        Command::Register => register(context, &*discord).await,
        Command::Test => test(context, &*discord).await,
    }
}

/// Needs neither database nor vault.
fn open(context: &Context) -> Result<Box<dyn Platform>> {
    let settings = context.settings()?;
    let http = services::http_client(&settings.http)?;
    chat::discord::open(&settings, http)?.ok_or_else(|| {
        Error::misconfigured("the setting `discord.application_id` is not set")
            .hint("docs/discord.md says, click by click, how to make an application and where its id stands")
    })
}

async fn register(context: &Context, discord: &dyn Platform) -> Result<()> {
    #[derive(Serialize)]
    struct Registered {
        registered: String,
    }
    let registered = discord.register(&desk::spec()).await?;
    output::print(context.json, &Registered { registered }, |done| format!("{}\n", done.registered))
}

async fn test(context: &Context, discord: &dyn Platform) -> Result<()> {
    let findings: Vec<Looked> = discord.inspect().await.into_iter().map(Looked::from).collect();
    output::print(context.json, &findings, |findings| findings.iter().map(describe).collect())?;
    let wrong = findings.iter().filter_map(|looked| looked.kind);
    // What a person has to mend says more than that something did not answer.
    let Some(kind) = wrong.max_by_key(|kind| *kind == Kind::Misconfigured) else { return Ok(()) };
    Err(Error::new(kind, "Discord is not set up as it should be"))
}

#[derive(Serialize)]
struct Looked {
    what: String,
    well: bool,
    found: String,
    hint: Option<String>,
    #[serde(skip)]
    kind: Option<Kind>,
}

impl From<Finding> for Looked {
    fn from(Finding { what, outcome }: Finding) -> Self {
        match outcome {
            Ok(found) => Self { what, well: true, found, hint: None, kind: None },
            Err(error) => {
                let hint = error.next_step().map(str::to_owned);
                Self { what, well: false, found: error.to_string(), hint, kind: Some(error.kind()) }
            }
        }
    }
}

fn describe(looked: &Looked) -> String {
    let mark = if looked.well { "ok   " } else { "WRONG" };
    let hint = looked.hint.as_ref().map(|hint| format!("      {hint}\n")).unwrap_or_default();
    format!("{mark} {}: {}\n{hint}", looked.what, looked.found)
}
