//! `refward apps`: our Apps on forges, and where they are installed.

use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde_json::json;
use url::Url;

use super::connect::secret_from;
use super::{Context, output, recorded};
use crate::domain::{Error, Result};
use crate::ops::apps::{self, AppRow, ByHand, InstallationRow, InstallationState, Removal, RequestRow, Role};
use crate::ops::setup::{self, Door};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Add an App that was registered by hand. `create` does the same in a browser with less typing.
    Add(Add),
    /// Register Apps in a browser: makes a one-time code and tells where to enter it.
    Create,
    /// Every App: where it is installed, who waits for an owner's approval, what is wrong.
    List,
    /// Look on the forge where Apps are installed, now.
    Sync {
        /// Only this one, by its name in addresses.
        app: Option<String>,
    },
    /// Change an App's webhook secret, here and on the forge. The one before stays accepted until it is retired.
    RotateSecret {
        /// The App, by its name in addresses.
        app: String,
        /// Delete the secrets before the newest; do this an hour after the change.
        #[arg(long)]
        retire: bool,
    },
    /// Replace an App's private key, after checking the new one. The old one can be deleted on the forge then.
    RotateKey {
        /// The App, by its name in addresses.
        app: String,
        /// The new private key: the .pem file that the App's settings made.
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
    },
    /// Uninstall an App everywhere and delete its keys and credentials at once. Backups stay.
    Remove {
        /// The App, by its name in addresses.
        app: String,
        /// Do it. Without this, only say what would be done.
        #[arg(long)]
        yes: bool,
    },
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
    /// What it is for: a backup App reads, a restore App writes.
    #[arg(long, value_enum, default_value = "backup")]
    role: RoleName,
    /// Its number among the owner's Apps in that role; 1 is the main one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    number: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RoleName {
    Backup,
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
    let catalog = &services.catalog;
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
            let about = format!("{} App #{} of {}", wish.role.word(), wish.number, wish.owner);
            let added = recorded(catalog, "app.add", &about, apps::add(&services, wish)).await?;
            output::print(context.json, &added, describe)
        }
        Command::Create => {
            let door = recorded(catalog, "setup.code", "Apps", setup::new_code(&services)).await?;
            let answer = json!({ "url": door.url, "code": door.code.expose_secret() });
            output::print(context.json, &answer, |_| describe_door(&door))
        }
        Command::List => output::print(context.json, &apps::list(&services).await?, |rows| describe_all(rows)),
        Command::Sync { app } => {
            output::print(context.json, &apps::sync(&services, app.as_deref()).await?, |rows| describe_all(rows))
        }
        Command::RotateSecret { app, retire: false } => {
            recorded(catalog, "app.secret", &app, apps::rotate_secret(&services, &app)).await?;
            output::print(context.json, &json!({ "rotated": app }), |_| {
                format!(
                    "The forge signs with a new secret from now on; the one before is accepted, too. In an hour, when no \
                     delivery with it is under way any more: refward apps rotate-secret {app} --retire"
                )
            })
        }
        Command::RotateSecret { app, retire: true } => {
            let retired = recorded(catalog, "app.secret", &app, apps::retire_secrets(&services, &app)).await?;
            output::print(context.json, &json!({ "retired": retired }), |_| {
                format!(
                    "{} deleted; only the newest is accepted.",
                    output::count(retired.try_into().unwrap_or(0), "older secret")
                )
            })
        }
        Command::RotateKey { app, key_file } => {
            let key = secret_from(&key_file, "the private key")?;
            let settings_url = recorded(catalog, "app.key", &app, apps::rotate_key(&services, &app, key)).await?;
            output::print(context.json, &json!({ "rotated": app, "settings_url": settings_url }), |_| {
                format!("The new key is in use. The old one can be deleted now: {settings_url}")
            })
        }
        Command::Remove { app, yes: false } => {
            output::print(context.json, &apps::plan_removal(&services, &app).await?, describe_plan)?;
            Err(Error::bad_request("nothing was done").hint(format!("to do it: refward apps remove {app} --yes")))
        }
        Command::Remove { app, yes: true } => {
            let removed = recorded(catalog, "app.remove", &app, apps::remove(&services, &app)).await?;
            output::print(context.json, &removed, describe_removal)
        }
    }
}

/// Where to go with which code.
pub(super) fn describe_door(door: &Door) -> String {
    let Door { url, code } = door;
    format!("Register Apps in a browser: {url}\nSetup code, good once and for a day: {}", code.expose_secret())
}

fn describe_plan(plan: &Removal) -> String {
    let Removal { name, uninstalled, connections, settings_url, .. } = plan;
    format!(
        "Removing {name} would\n  uninstall it from: {}\n  take a credential from the connections: {}\n  delete its private key, its webhook secret and all tokens made with them, at once\n  keep every backup\n  leave its registration, which only its owner can delete: {settings_url}",
        listed(uninstalled),
        listed(connections)
    )
}

fn describe_removal(done: &Removal) -> String {
    let mut text = format!("Removed {}. Its keys, secrets and credentials are deleted; all backups stay.\n", done.name);
    text += &format!("Uninstalled from: {}\n", listed(&done.uninstalled));
    for (account, why) in &done.left {
        text += &format!("Not uninstalled from {account}: {why}. An owner can do that in its settings, GitHub Apps.\n");
    }
    text + &format!("Delete its registration, if it is not needed any more: {}", done.settings_url)
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
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
