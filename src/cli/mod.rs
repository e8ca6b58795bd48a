//! The command line: one file per subcommand, each turning words into a call of `ops` and its answer into a table or JSON.

mod apps;
mod ask;
mod audit;
mod backup;
mod catalog;
mod compact;
mod config;
mod connect;
mod connections;
mod credentials;
pub mod demo;
mod discord;
mod drill;
mod forget;
mod grants;
mod history;
mod hold;
mod hooks;
mod init;
mod notices;
mod output;
mod people;
mod policy;
mod prune;
mod report;
mod repos;
mod restore;
mod restores;
mod serve;
mod status;
mod tag;
mod verify;
mod which;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::catalog::{Catalog, NewRecord, Verdict};
use crate::config::Settings;
use crate::domain::{By, Error, Result};
use crate::ops;
use crate::services::Services;

/// What every command takes stands apart in its help.
const GLOBAL: &str = "Global options";

/// How long the end may take.
const CLOSING: Duration = Duration::from_secs(2);

/// Backs up git repositories the moment they change, and brings any snapshot, reference or moment back.
#[derive(Parser)]
#[command(name = "refward", version, max_term_width = 100)]
pub struct Cli {
    /// The settings file.
    #[arg(
        long,
        global = true,
        env = "REFWARD_CONFIG",
        hide_env_values = true,
        default_value = "refward.toml",
        value_name = "FILE",
        help_heading = GLOBAL
    )]
    config: PathBuf,
    /// Answer, and log, in JSON.
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// Log more: -v for every step, -vv for all.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A guided tour on this machine: real service, real git server, no account, no network.
    Demo(demo::Args),
    /// Make a folder with settings, database, vault, keys and a recovery kit.
    Init(init::Args),
    /// Run the service: webhooks, workers, scheduler.
    Serve(serve::Args),
    /// Look at the settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Connect an owner on a forge.
    #[command(subcommand)]
    Connect(connect::Command),
    /// Look at connections, change, pair and remove them.
    #[command(subcommand)]
    Connections(connections::Command),
    /// Our Apps on forges: add, list, where they are installed, change their secrets.
    #[command(subcommand)]
    Apps(apps::Command),
    /// The tokens and Apps behind a connection, and what is left of their limits.
    #[command(subcommand)]
    Credentials(credentials::Command),
    /// The hooks that we have set up on forges: how each stands; put them right.
    #[command(subcommand)]
    Hooks(hooks::Command),
    /// List repositories, read the forge's list again, choose what is backed up.
    #[command(subcommand)]
    Repos(repos::Command),
    /// Back up now.
    Backup(backup::Args),
    /// Bring a repository back: into a folder or onto a git server.
    Restore(restore::Args),
    /// Restores that people have asked for from a chat: how far each has come; cancel one.
    #[command(subcommand)]
    Restores(restores::Command),
    /// What is backed up, when, how long it stays: policies, why which applies, and every change of one.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Let go what no rule keeps, or say what would go and why everything else stays.
    Forget(forget::Args),
    /// Keep everything of a repository, whatever the rules say, until the hold is lifted.
    #[command(subcommand)]
    Hold(hold::Command),
    /// Call a snapshot something, so that a policy can keep it by that.
    Tag(tag::Args),
    /// The snapshots of a repository.
    Snapshots(history::SnapshotsArgs),
    /// The references of a repository at a moment.
    Refs(history::RefsArgs),
    /// Every move of every reference.
    Journal(history::JournalArgs),
    /// How every repository stands.
    Status,
    /// What people were told: repositories that came, went and changed, Apps that were installed or suspended.
    Notices(notices::Args),
    /// Prove that backups are whole.
    Verify(verify::Args),
    /// Join the snapshots of repositories into fewer objects now, as far as the settings say that they should be.
    Compact(which::Which),
    /// Delete what no recovery point needs any more, once its grace is over.
    Prune(prune::Args),
    /// Prove now that repositories can be restored: in scratch, checked by git, every reference compared.
    Drill(which::Which),
    /// What was proved, when and how, signed: for people as Markdown, for programs as JSON.
    Report(report::Args),
    /// Ask as people do in a chat, with every right.
    Ask(ask::Args),
    /// Discord, as people ask from there: offer the commands, say what is wrong with the set-up.
    #[command(subcommand)]
    Discord(discord::Command),
    /// Who may do what from a chat.
    #[command(subcommand)]
    Grants(grants::Command),
    /// Who people are on the forges.
    People(people::Args),
    /// Who asked for what, and what became of it; and that none of it was changed.
    Audit(audit::Args),
    /// Tend the database.
    #[command(subcommand)]
    Catalog(catalog::Command),
}

/// What every subcommand gets.
struct Context {
    config: PathBuf,
    json: bool,
    /// The database, once it is open.
    opened: OnceLock<Catalog>,
}

impl Context {
    fn settings(&self) -> Result<Settings> {
        Settings::load(&self.config)
    }

    async fn services(&self) -> Result<Arc<Services>> {
        let services = Services::open(self.settings()?).await?;
        self.opened.get_or_init(|| services.catalog.clone());
        Ok(services)
    }

    /// For what needs no more: it works while the vault is away.
    async fn catalog(&self) -> Result<Catalog> {
        let catalog = Catalog::connect(&self.settings()?.database).await?;
        Ok(self.opened.get_or_init(|| catalog).clone())
    }

    /// Closes the database where somebody would miss it.
    async fn close(&self) {
        let Some(catalog) = self.opened.get().filter(|catalog| catalog.is_worth_closing()) else { return };
        // All is stored whether or not that works, and a task that was left behind must not hold up the end.
        if !matches!(tokio::time::timeout(CLOSING, catalog.close()).await, Ok(Ok(()))) {
            tracing::debug!("the database was not closed in time");
        }
    }
}

/// Whoever runs this program.
fn myself() -> By {
    By::cli(&crate::config::user())
}

/// Does what a command asks for, and puts into the record what came of it.
fn recorded<'a, T: 'a>(
    catalog: &'a Catalog,
    action: &'static str,
    about: &str,
    doing: impl Future<Output = Result<T>> + 'a,
) -> impl Future<Output = Result<T>> + 'a {
    let what = NewRecord::new(&myself(), action, Verdict::Asked).about(about);
    // Not within this future, which would make each command's future several times as large.
    ops::audit::recorded(catalog, what, Box::pin(doing))
}

/// Reads the command line. `Err`: it makes no sense or asks for help, which has been said; exit like this.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|refused| {
        let code = ExitCode::from(u8::try_from(refused.exit_code()).unwrap_or(2));
        if refused.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
            let text = refused.render().to_string();
            let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            output::error(&Error::bad_request(what).hint("see `refward help`"), true);
        } else {
            // Nobody is left to tell if that fails.
            let _ = refused.print();
        }
        code
    })
}

/// Runs a command to its exit code.
pub fn run(cli: Cli) -> ExitCode {
    start_logging(&cli);
    let context = Context { config: cli.config, json: cli.json, opened: OnceLock::new() };
    // actix-web wants its own runtime; the workers run beside it on all processors.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(async {
            let outcome = dispatch(&context, cli.command).await;
            context.close().await;
            outcome
        }),
        Err(error) => Err(Error::misconfigured(format!("cannot start threads: {error}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, context.json);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

async fn dispatch(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Init(args) => init::run(context, args).await,
        Command::Serve(args) => serve::run(context, args).await,
        Command::Config(command) => config::run(context, &command),
        Command::Connect(command) => connect::run(context, command).await,
        Command::Connections(command) => connections::run(context, command).await,
        Command::Apps(command) => apps::run(context, command).await,
        Command::Credentials(command) => credentials::run(context, command).await,
        Command::Hooks(command) => hooks::run(context, command).await,
        Command::Repos(command) => repos::run(context, command).await,
        Command::Backup(args) => backup::run(context, args).await,
        Command::Restore(args) => restore::run(context, args).await,
        Command::Restores(command) => restores::run(context, command).await,
        Command::Policy(command) => policy::run(context, command).await,
        Command::Forget(args) => forget::run(context, args).await,
        Command::Hold(command) => hold::run(context, command).await,
        Command::Tag(args) => tag::run(context, args).await,
        Command::Snapshots(args) => history::snapshots(context, args).await,
        Command::Refs(args) => history::refs(context, args).await,
        Command::Journal(args) => history::journal(context, args).await,
        Command::Status => status::run(context).await,
        Command::Notices(args) => notices::run(context, args).await,
        Command::Verify(args) => verify::run(context, args).await,
        Command::Compact(args) => compact::run(context, args).await,
        Command::Prune(args) => prune::run(context, args).await,
        Command::Drill(args) => drill::run(context, args).await,
        Command::Ask(args) => ask::run(context, args).await,
        Command::Report(args) => report::run(context, args).await,
        Command::Discord(command) => discord::run(context, command).await,
        Command::Grants(command) => grants::run(context, command).await,
        Command::People(args) => people::run(context, args).await,
        Command::Audit(args) => audit::run(context, args).await,
        Command::Catalog(command) => catalog::run(context, command).await,
    }
}

/// Only the service talks about its work; a command's answer is its output. Logs go to standard error.
fn start_logging(cli: &Cli) {
    let level = match (&cli.command, cli.verbose) {
        (Command::Serve(_), 0) => "warn,refward=info",
        (_, 0) => "error",
        (_, 1) => "warn,refward=debug",
        (_, _) => "info,refward=trace",
    };
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(level)).with_writer(std::io::stderr);
    if cli.json { log.json().flatten_event(true).init() } else { log.with_target(false).init() }
}
