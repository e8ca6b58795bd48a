//! `refward connections show`: what is stored, and what is not.

use crate::cli::output;
use crate::ops::adjust::{added, globs, listed};
use crate::ops::inventory::{CredentialRow, InstalledApp, Inventory};

pub(super) fn describe(inventory: &Inventory) -> String {
    let Inventory { name, owner, url, settings, listing, repositories, .. } = inventory;
    let host = inventory.host.as_deref().unwrap_or("a host that was not asked for its version yet");
    let mut text = format!("{name}: {owner} on {host}, {url}\n");
    text += &format!(
        "connected since {} UTC\n\nIn the database, secrets encrypted:\n",
        output::time(inventory.connected_at)
    );
    let mut line = |what: &str, told: String| text += &format!("  {what:<16}  {told}\n");
    for app in &inventory.apps {
        line("App", describe_app(app));
        line("", describe_installation(app));
    }
    for credential in &inventory.credentials {
        line("credential", describe_credential(credential));
    }
    line("webhook secrets", since(inventory));
    line("last webhook", output::or_dash(inventory.last_delivery_at.map(|at| format!("{} UTC", output::time(at)))));
    line("new repositories", added(settings.auto_add));
    line("include", globs(&settings.include, "all"));
    line("exclude", globs(&settings.exclude, "none"));
    for (group, patterns) in &settings.groups {
        line("group", format!("{group}: {}", globs(patterns, "none")));
    }
    line("listing", listed(settings.listing));
    let times = [("last", listing.last_at), ("next", listing.next_at)];
    let times = times.into_iter().filter_map(|(what, at)| Some(format!("{what} {} UTC", output::time(at?))));
    line("", times.collect::<Vec<_>>().join(", "));
    if let Some(error) = &listing.last_error {
        line("", format!("failed: {error}"));
    }
    line("peer", output::or_dash(inventory.peer.clone()));
    line(
        "repositories",
        format!(
            "{} backed up, {} switched off, {} left out by globs, {} gone from the forge",
            repositories.selected, repositories.unselected, repositories.left_out, repositories.gone
        ),
    );
    text += &format!(
        "\nIn the vault:\n  {}, {}\n\nNot stored:\n",
        output::count(usize::try_from(inventory.snapshots).unwrap_or(usize::MAX), "snapshot"),
        output::bytes(inventory.bytes)
    );
    for sentence in &inventory.not_stored {
        text += &format!("  {sentence}\n");
    }
    text
}

fn describe_app(app: &InstalledApp) -> String {
    format!(
        "{}: {} App #{}, registered {} UTC, {}, {}, {}",
        app.name,
        app.role,
        app.number,
        output::time(app.registered_at),
        output::count(app.private_keys, "private key"),
        output::count(app.webhook_secrets, "webhook secret"),
        output::count(app.client_secrets, "client secret")
    )
}

fn describe_installation(app: &InstalledApp) -> String {
    let permissions: Vec<String> = app.permissions.iter().map(|(name, level)| format!("{name}: {level}")).collect();
    let state = serde_json::to_value(app.state).ok().and_then(|state| state.as_str().map(str::to_owned));
    let mut text = format!(
        "installation {}: {}, {} repositories, may {}",
        app.installation,
        state.unwrap_or_default(),
        app.selection,
        permissions.join(", ")
    );
    if let Some(requester) = &app.requested_by {
        text += &format!(", asked for by {requester}");
    }
    if let Some(why) = &app.refused {
        text += &format!(", not used: {why}");
    }
    text
}

fn describe_credential(credential: &CredentialRow) -> String {
    let whose = credential.whose.as_ref().map(|whose| format!(" of {whose}")).unwrap_or_default();
    let main = if credential.main { ", main" } else { "" };
    let enabled = if credential.enabled { "" } else { ", switched off" };
    let expires = credential.expires.as_ref().map(|at| format!(", expires {at}")).unwrap_or_default();
    let since = output::time(credential.since);
    format!("{}: {}{whose}{main}{enabled}, since {since} UTC{expires}", credential.label, credential.kind)
}

fn since(inventory: &Inventory) -> String {
    let since: Vec<String> =
        inventory.webhook_secrets_since.iter().map(|at| format!("{} UTC", output::time(*at))).collect();
    if since.is_empty() { "none".to_owned() } else { format!("{}, since {}", since.len(), since.join(" and ")) }
}
