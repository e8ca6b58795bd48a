//! `refward apps`: our Apps on forges, and where they are installed.

use std::path::PathBuf;

use url::Url;

use super::connect::secret_from;
use super::{Context, output};
use crate::domain::Result;
use crate::ops::apps::{self, AppRow, ByHand, InstallationRow, InstallationState, RequestRow, Role};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Add an App that was registered by hand. `create` does the same in a browser with less typing.
    Add(Add),
    /// Every App: where it is installed, who waits for an owner's approval, what is wrong.
    List,
}

#[derive(clap::Args)]
pub(super) struct Add {
    /// The host's web address: of github.com, SUBDOMAIN.ghe.com or a GitHub Enterprise Server.
    #[arg(long, default_value = "https://github.com")]
    url: Url,
    /// The organization or user that the App is registered with.
    #[arg(long)]
    owner: String,
    /// The App ID, as the App's settings show it.
    #[arg(long, value_name = "ID")]
    app_id: String,
    /// The Client ID, as the App's settings show it.
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// The private key: the .pem file that the App's settings made.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// File with the webhook secret that was entered there. A restore App has none.
    #[arg(long, value_name = "FILE", required_if_eq("role", "backup"))]
    webhook_secret_file: Option<PathBuf>,
    /// What it is for.
    #[arg(long, value_enum, default_value = "backup")]
    role: RoleName,
    /// Its number among the owner's Apps in that role; 1 is the main one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    number: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RoleName {
    /// Reads, for backups.
    Backup,
    /// Writes, for restores.
    Restore,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Backup => Self::Backup,
            RoleName::Restore => Self::Restore,
        }
    }
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    match command {
        Command::Add(args) => {
            let secret = args.webhook_secret_file.map(|file| secret_from(&file, "the webhook secret"));
            let wish = ByHand {
                forge: "github".to_owned(),
                url: args.url,
                owner: args.owner,
                app_id: args.app_id,
                client_id: args.client_id,
                key: secret_from(&args.key_file, "the private key")?,
                webhook_secret: secret.transpose()?,
                role: args.role.into(),
                number: args.number,
            };
            output::print(context.json, &apps::add(&services, wish).await?, describe)
        }
        Command::List => output::print(context.json, &apps::list(&services).await?, |rows| describe_all(rows)),
    }
}

fn describe_all(rows: &[AppRow]) -> String {
    if rows.is_empty() {
        return "No Apps yet: refward apps create".to_owned();
    }
    rows.iter().map(describe).collect::<Vec<_>>().join("\n")
}

fn describe(row: &AppRow) -> String {
    let AppRow { slug, name, role, number, owner, url, .. } = row;
    let mut text = format!("{slug}: {name}, {role} App #{number} of {owner} on {url}\n");
    text += &row.installations.iter().map(describe_installation).collect::<String>();
    text += &row.requests.iter().map(describe_request).collect::<String>();
    if row.installations.iter().all(|known| known.state == InstallationState::Gone) {
        text += &format!("  installed nowhere; an owner can do that at {}\n", row.install_url);
    } else {
        text += &format!("  install it elsewhere: {}\n", row.install_url);
    }
    if row.webhook_secrets > 1 {
        text += &format!(
            "  {} webhook secrets are accepted: refward apps rotate-secret {slug} --retire\n",
            row.webhook_secrets
        );
    }
    text += &format!("  last looked at: {}\n", output::or_dash(row.checked_at.map(output::time)));
    if let Some(error) = &row.last_error {
        text += &format!("  error: {error}\n");
    }
    text
}

fn describe_installation(known: &InstallationRow) -> String {
    let state = match known.state {
        InstallationState::Active => "active",
        InstallationState::Suspended => "suspended, so nothing is backed up through it",
        InstallationState::Gone => "uninstalled",
    };
    let mut text = format!("  {}: {state}", known.account);
    if known.state != InstallationState::Gone {
        text += &format!(", {} repositories", known.selection);
    }
    if let Some(connection) = &known.connection {
        text += &format!(", connected as {connection}");
    }
    if let Some(requester) = &known.requested_by {
        text += &format!(", {requester} asked for it");
    }
    if let Some(why) = &known.refused {
        text += &format!("\n    not used: {why}");
    }
    if !known.missing.is_empty() {
        text += &format!("\n    not granted: {}", known.missing.join(", "));
    }
    text + "\n"
}

fn describe_request(request: &RequestRow) -> String {
    let RequestRow { account, requester, requested_at } = request;
    let since = output::time(*requested_at);
    format!(
        "  {account}: {requester} asked for it on {since}; an owner of {account} has to approve that in its settings, \
         GitHub Apps\n"
    )
}
