//! `refward connect`: connect an owner on a forge.

mod azure_devops;
mod github;
mod opens;

use std::io::Read as _;
use std::path::Path;

use secrecy::SecretString;

use super::connections::describe as describe_inspection;
use super::{Context, output, recorded};
use crate::domain::{Error, Result};
use crate::ops::ConnectionSettings;
use crate::ops::connect::{Connected, Webhooks, connect};

pub(super) use opens::{Opens, proof};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// An organization or user on github.com, a ghe.com address or a GitHub Enterprise Server.
    Github(github::Args),
    /// An organization of Azure DevOps Services, or a collection of an Azure DevOps Server.
    AzureDevops(azure_devops::Args),
}

/// Which repositories.
#[derive(clap::Args)]
struct Selection {
    /// Back up repositories that appear later as well (the default).
    #[arg(long, overrides_with = "no_auto_add")]
    auto_add: bool,
    /// Only back up what is there now; choose later ones with `refward repos add`.
    #[arg(long)]
    no_auto_add: bool,
    /// Only repositories whose NAME or OWNER/NAME matches; may be repeated.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Not these, even if included; may be repeated.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
}

impl From<Selection> for ConnectionSettings {
    fn from(selection: Selection) -> Self {
        Self {
            auto_add: selection.auto_add || !selection.no_auto_add,
            include: selection.include,
            exclude: selection.exclude,
            ..Self::default()
        }
    }
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let request = match command {
        Command::Github(args) => args.request()?,
        Command::AzureDevops(args) => args.request()?,
    };
    let services = context.services().await?;
    let name = request.name.clone();
    let connected = recorded(&services.catalog, "connection.add", &name, connect(&services, request)).await?;
    output::print(context.json, &connected, describe)
}

fn describe(connected: &Connected) -> String {
    let hooks = match connected.webhooks {
        Webhooks::ByHand => format!(
            "Next: let the forge send webhooks (all events, application/json, your secret) to this service's address + {}",
            connected.webhook_path
        ),
        Webhooks::Ours => "The service sets its hooks up there by itself, and looks after them.".to_owned(),
        Webhooks::NoAddress => {
            "Next: say in `server.public_url` where the forge reaches this service, which then sets its hooks up \
                                there by itself. Until then changes are found by looking."
                .to_owned()
        }
    };
    format!(
        "Connected {}: {}\n{} repositories; the service takes a first snapshot of each.\n{hooks}",
        connected.name,
        describe_inspection(&connected.inspection),
        connected.repositories.listed,
    )
}

/// A secret as an editor leaves it: without the line end.
pub(super) fn secret_from(file: &Path, what: &str) -> Result<SecretString> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Error::bad_request(format!("cannot read {what} from {}: {error}", file.display())))?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(Error::bad_request(format!("{what} in {} is empty", file.display())));
    }
    Ok(SecretString::from(secret.to_owned()))
}
