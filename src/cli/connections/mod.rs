//! `refward connections`: look at connections, change, pair and remove them.

mod pair;
mod remove;
pub(super) mod set;
mod show;

use std::path::PathBuf;

use serde_json::json;

use super::connect::{proof, secret_from};
use super::{Context, output, recorded};
use crate::domain::{Error, Result};
use crate::ops::Inspection;
use crate::ops::connect::{self, ConnectionRow};
use crate::ops::{inventory, rotate};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// All connections; no secrets.
    List,
    /// All that is stored about a connection, and what is not; no secrets.
    Show {
        /// The connection.
        name: String,
    },
    /// Change which repositories are backed up, how they are grouped and when they are listed.
    Set(set::Args),
    /// Look at a connection, and at its peer if it has one: addresses, versions, rights, webhooks.
    Check {
        /// The connection.
        name: String,
    },
    /// Restore the repositories of one connection to another by default: --to-peer.
    ///
    /// A repository goes to the one of the same name that the peer's owner has. Where a forge has projects, the part before the
    /// name is the project, on the way there and back; `restore --to` names any other repository.
    Pair {
        /// What is backed up from this one …
        name: String,
        /// … is restored to that one. For the other way round as well, pair them the other way round.
        peer: String,
    },
    /// Undo `pair`. Both connections stay, with their credentials.
    Unpair {
        /// The connection whose peer it is no more.
        name: String,
        /// Remove the peer's connection too, with its credentials, as `remove` does. Its backups stay.
        #[arg(long)]
        remove_peer: bool,
        /// With --remove-peer: do it, instead of saying what that means.
        #[arg(long, requires = "remove_peer")]
        yes: bool,
    },
    /// Ask the forge what the credential may do now; exit code 1 if anything is missing.
    Test {
        /// The connection.
        name: String,
    },
    /// Replace the token, or a client's secret or certificate, e.g. before it expires. The new one is checked first; the old one
    /// is deleted.
    #[command(group(clap::ArgGroup::new("new").args(["token_file", "client_secret_file", "client_certificate_file"]).required(true)))]
    SetToken {
        /// The connection.
        name: String,
        /// File with the new token; `-` reads it from standard input.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// File with the client's new secret; `-` reads it from standard input.
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
        /// PEM file with the client's new certificate and its private key; `-` reads it from standard input.
        #[arg(long, value_name = "FILE")]
        client_certificate_file: Option<PathBuf>,
    },
    /// Accept deliveries signed with one more secret. Then change it on the forge, then `retire-secrets`.
    AddSecret {
        /// The connection.
        name: String,
        /// File with the new secret.
        #[arg(long, value_name = "FILE")]
        webhook_secret_file: PathBuf,
    },
    /// Accept only the newest webhook secret from now on.
    RetireSecrets {
        /// The connection.
        name: String,
    },
    /// Uninstall a connection's Apps and delete its credentials at once. Its backups stay. Without --yes: say what that
    /// means, and change nothing (exit code 2).
    Remove {
        /// The connection.
        name: String,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    match command {
        Command::List => output::print(context.json, &connect::list(&services).await?, |rows| describe_all(rows)),
        Command::Show { name } => {
            output::print(context.json, &inventory::show(&services, &name).await?, show::describe)
        }
        Command::Set(args) => set::run(context, &services, args).await,
        Command::Check { name } => pair::check(context, &services, &name).await,
        Command::Pair { name, peer } => pair::pair(context, &services, &name, &peer).await,
        Command::Unpair { name, remove_peer, yes } => pair::unpair(context, &services, &name, remove_peer, yes).await,
        Command::Test { name } => {
            let inspection = connect::test(&services, &name).await?;
            output::print(context.json, &inspection, describe)?;
            connect::lacking(&inspection).map_or(Ok(()), Err)
        }
        Command::SetToken { name, token_file, client_secret_file, client_certificate_file } => {
            let proof = proof(client_secret_file.as_ref(), client_certificate_file.as_ref())?;
            let replacing = async {
                match (proof, token_file) {
                    (Some(proof), _) => rotate::replace_proof(&services, &name, proof).await,
                    (None, Some(file)) => {
                        rotate::replace_token(&services, &name, secret_from(&file, "the token")?).await
                    }
                    (None, None) => Err(Error::bad_request("nothing says what is new")),
                }
            };
            let inspection = recorded(&services.catalog, "connection.token", &name, replacing).await?;
            output::print(context.json, &inspection, describe)
        }
        Command::AddSecret { name, webhook_secret_file } => {
            let secret = secret_from(&webhook_secret_file, "the webhook secret")?;
            let adding = rotate::add_webhook_secret(&services, &name, &secret);
            recorded(&services.catalog, "connection.secret", &name, adding).await?;
            output::print(context.json, &json!({ "added": name }), |_| {
                format!(
                    "{name} accepts the new secret beside the old ones. Change it on the forge, then run `refward connections retire-secrets {name}`."
                )
            })
        }
        Command::RetireSecrets { name } => {
            let retiring = rotate::retire_webhook_secrets(&services, &name);
            let retired = recorded(&services.catalog, "connection.secret", &name, retiring).await?;
            output::print(context.json, &json!({ "retired": retired }), |_| {
                format!("{retired} older secrets deleted; only the newest is accepted.")
            })
        }
        Command::Remove { name, yes } => {
            let command = format!("refward connections remove {name} --yes");
            remove::run(context, &services, &name, yes, &command).await
        }
    }
}

fn describe_all(rows: &[ConnectionRow]) -> String {
    let lines = rows.iter().map(|row| {
        let expires = row.inspection.as_ref().and_then(|inspection| inspection.expires.clone());
        [
            row.name.clone(),
            row.forge.clone(),
            row.url.clone(),
            row.owner.clone(),
            output::or_dash(row.peer.clone()),
            output::or_dash(expires),
            output::or_dash(row.last_error.clone()),
        ]
    });
    output::table(
        ["name", "forge", "url", "owner", "peer", "expires", "last error"],
        lines,
        "No connections yet: refward connect --help",
    )
}

/// Host, identity, and what is missing.
pub(super) fn describe(inspection: &Inspection) -> String {
    let mut text = format!("{}: {}", inspection.host, inspection.credential);
    if let Some(login) = &inspection.login {
        text += &format!(" of {login}");
    }
    if let Some(expires) = &inspection.expires {
        text += &format!(", expires {expires}");
    }
    if inspection.missing.is_empty() {
        return text + "\nNothing is missing.";
    }
    inspection.missing.iter().fold(text, |text, missing| text + &format!("\nmissing: {missing}"))
}
