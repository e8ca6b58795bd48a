//! `refward connections`: list, test and remove connections.

use std::path::PathBuf;

use serde_json::json;

use super::connect::secret_from;
use super::{Context, output};
use crate::domain::Result;
use crate::ops::Inspection;
use crate::ops::connect::{self, ConnectionRow};
use crate::ops::rotate;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// All connections; no secrets.
    List,
    /// Ask the forge what the credential may do now.
    Test {
        /// The connection.
        name: String,
    },
    /// Replace the token, e.g. before it expires. The new one is checked first; the old one is deleted.
    SetToken {
        /// The connection.
        name: String,
        /// File with the new token; `-` reads it from standard input.
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
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
    /// Delete a connection's credentials at once. Its backups stay.
    Remove {
        /// The connection.
        name: String,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    let services = context.services().await?;
    match command {
        Command::List => output::print(context.json, &connect::list(&services).await?, |rows| describe_all(rows)),
        Command::Test { name } => output::print(context.json, &connect::test(&services, &name).await?, describe),
        Command::SetToken { name, token_file } => {
            let token = secret_from(&token_file, "the token")?;
            output::print(context.json, &rotate::replace_token(&services, &name, token).await?, describe)
        }
        Command::AddSecret { name, webhook_secret_file } => {
            let secret = secret_from(&webhook_secret_file, "the webhook secret")?;
            rotate::add_webhook_secret(&services, &name, &secret).await?;
            output::print(context.json, &json!({ "added": name }), |_| {
                format!(
                    "{name} accepts the new secret beside the old ones. Change it on the forge, then run `refward connections retire-secrets {name}`."
                )
            })
        }
        Command::RetireSecrets { name } => {
            let retired = rotate::retire_webhook_secrets(&services, &name).await?;
            output::print(context.json, &json!({ "retired": retired }), |_| {
                format!("{retired} older secrets deleted; only the newest is accepted.")
            })
        }
        Command::Remove { name } => {
            connect::remove(&services, &name).await?;
            output::print(context.json, &json!({ "removed": name }), |_| {
                format!("Removed {name}. Its credentials are deleted; its backups stay and can be restored.")
            })
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
            output::or_dash(expires),
            output::or_dash(row.last_error.clone()),
        ]
    });
    output::table(
        ["name", "forge", "url", "owner", "expires", "last error"],
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
