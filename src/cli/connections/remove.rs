//! `refward connections remove`: says what that means, and does it once that was read.

use crate::cli::{Context, output, recorded};
use crate::domain::{Error, Result};
use crate::ops::disconnect::{self, Chore, Disconnected, Farewell};
use crate::services::Services;

/// `command` is what to write once the plan was read.
pub(super) async fn run(context: &Context, services: &Services, name: &str, yes: bool, command: &str) -> Result<()> {
    if !yes {
        output::print(context.json, &disconnect::plan(services, name).await?, describe_plan)?;
        return Err(Error::bad_request("nothing was changed").hint(format!("to do all of this: {command}")));
    }
    let done = recorded(&services.catalog, "connection.remove", name, disconnect::remove(services, name)).await?;
    output::print(context.json, &done, describe)?;
    disconnect::incomplete(&done).map_or(Ok(()), Err)
}

fn describe_plan(farewell: &Farewell) -> String {
    let mut text = format!("Removing {}:\n", farewell.name);
    for app in &farewell.uninstall {
        let then = if farewell.forget.contains(app) {
            "and forgotten with its keys, as no other account uses it"
        } else {
            "and stays registered, as other accounts use it"
        };
        text += &format!("  uninstalled  the App {app} from {}, {then}\n", farewell.owner);
    }
    if farewell.hooks > 0 {
        let hooks = output::count(farewell.hooks, "hook");
        text += &format!("  taken away   {hooks} that refward has set up at {}\n", farewell.owner);
    }
    for credential in &farewell.credentials {
        text += &format!("  deleted      the credential {credential}\n");
    }
    if farewell.webhook_secrets > 0 {
        text += &format!("  deleted      {}\n", output::count(farewell.webhook_secrets, "webhook secret"));
    }
    for peer in &farewell.peer_of {
        text += &format!("  unpaired     {peer}, whose restores came here\n");
    }
    text += &format!("  kept         {}\n", kept(farewell));
    text + &describe_chores(&farewell.by_hand)
}

fn describe(done: &Disconnected) -> String {
    let mut text = format!("Removed {}. What opened it is deleted here.\n", done.removed);
    for app in &done.uninstalled {
        text += &format!("Uninstalled {app}.\n");
    }
    if done.unhooked > 0 {
        text += &format!("Taken away from the forge: {}.\n", output::count(done.unhooked, "hook"));
    }
    for why in &done.not_uninstalled {
        text += &format!("Still installed: {why}\n");
    }
    text += &format!("Kept, and can be restored: {}.\n", kept(&done.farewell));
    text + &describe_chores(&done.by_hand)
}

fn kept(farewell: &Farewell) -> String {
    let snapshots = usize::try_from(farewell.snapshots).unwrap_or(usize::MAX);
    format!(
        "the backups of {}: {}, {}",
        output::count(farewell.repositories, "repository"),
        output::count(snapshots, "snapshot"),
        output::bytes(farewell.bytes)
    )
}

fn describe_chores(chores: &[Chore]) -> String {
    let mut text = String::new();
    if !chores.is_empty() {
        text += "Left for you to do on the forge:\n";
    }
    for chore in chores {
        let page = chore.page.as_ref().map(|page| format!(": {page}")).unwrap_or_default();
        text += &format!("  {}{page}\n", chore.what);
    }
    text
}
