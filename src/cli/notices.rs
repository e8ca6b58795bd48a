//! `refward notices`: what people were told, and whether it reaches them.

use super::{Context, output};
use crate::domain::{Result, Severity};
use crate::ops::notices::{self, Backlog, Notice, Tried};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u64,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Send a message to every receiver in the settings, and say what is wrong with those that do not take it.
    Test,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    if let Some(Command::Test) = args.command {
        return test(context).await;
    }
    let catalog = context.catalog().await?;
    let told = notices::notices(&catalog, args.limit).await?;
    let waiting = notices::backlog(&catalog).await?;
    output::print(context.json, &told, |told| {
        let table = output::table(["time (UTC)", "connection", "notice"], told.iter().map(row), "Nothing to tell yet.");
        waiting.iter().fold(table, |text, backlog| text + &describe_backlog(backlog))
    })
}

async fn test(context: &Context) -> Result<()> {
    let tried = notices::test(&*context.services().await?).await?;
    output::print(context.json, &tried, |tried| describe_trials(tried))?;
    notices::failed(&tried).map_or(Ok(()), Err)
}

fn row(notice: &Notice) -> [String; 3] {
    let mark = if notice.severity == Severity::Info { String::new() } else { format!("{}: ", notice.severity) };
    let command = notice.command.as_ref().map(|command| format!("\n  {command}")).unwrap_or_default();
    let text = format!("{}{}{command}", mark.to_uppercase(), notice.text);
    [output::time(notice.at), output::or_dash(notice.connection.clone()), text]
}

fn describe_backlog(backlog: &Backlog) -> String {
    let why = backlog.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    let count = output::count(usize::try_from(backlog.notices).unwrap_or(usize::MAX), "notice");
    format!("\nNot handed over to {} since {} UTC: {count}{why}", backlog.receiver, output::time(backlog.since))
}

fn describe_trials(tried: &[Tried]) -> String {
    let width = tried.iter().map(|tried| tried.receiver.len()).max().unwrap_or_default().max(8);
    let describe = |Tried { receiver, error, hint }: &Tried| match error {
        None => format!("{receiver:<width$} took the message\n"),
        Some(error) => {
            let hint = hint.as_ref().map(|hint| format!("{:<width$} {hint}\n", "")).unwrap_or_default();
            format!("{receiver:<width$} {error}\n{hint}")
        }
    };
    tried.iter().map(describe).collect()
}
