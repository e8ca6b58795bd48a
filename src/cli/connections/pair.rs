//! `refward connections pair`, `unpair` and `check`: two ends that belong together.

use super::remove;
use crate::cli::{Context, output, recorded};
use crate::domain::Result;
use crate::ops::pair::{self, Check, Checked, State};
use crate::services::Services;

pub(super) async fn pair(context: &Context, services: &Services, name: &str, peer: &str) -> Result<()> {
    let made = recorded(&services.catalog, "connection.pair", name, pair::pair(services, name, peer)).await?;
    output::print(context.json, &made, |pair| {
        let (name, peer) = (&pair.name, pair.peer.as_deref().unwrap_or_default());
        let before = pair.before.as_ref().filter(|before| before.as_str() != peer);
        let before = before.map(|before| format!(" So far that was {before}.")).unwrap_or_default();
        format!(
            "Repositories of {name} are restored to {peer} with `refward restore REPO --to-peer`.{before}\n\
             Look at both ends: refward connections check {name}"
        )
    })
}

pub(super) async fn unpair(
    context: &Context,
    services: &Services,
    name: &str,
    remove_peer: bool,
    yes: bool,
) -> Result<()> {
    if remove_peer {
        let peer = pair::peer(services, name).await?;
        let command = format!("refward connections unpair {name} --remove-peer --yes");
        return remove::run(context, services, &peer, yes, &command).await;
    }
    let undone = recorded(&services.catalog, "connection.unpair", name, pair::unpair(services, name)).await?;
    output::print(context.json, &undone, |pair| {
        let peer = pair.before.as_deref().unwrap_or_default();
        format!("{} and {peer} are no longer paired. Both stay connected.", pair.name)
    })
}

pub(super) async fn check(context: &Context, services: &Services, name: &str) -> Result<()> {
    let checked = pair::check(services, name).await?;
    output::print(context.json, &checked, describe)?;
    pair::failed(&checked).map_or(Ok(()), Err)
}

fn describe(checked: &Checked) -> String {
    let mut text = format!("Proxy: {}\n", checked.proxy.as_deref().unwrap_or("none"));
    let mut end = "";
    for check in &checked.checks {
        if check.connection != end {
            end = &check.connection;
            let what = if checked.peer.as_deref() == Some(end) { ", the peer" } else { "" };
            text += &format!("\n{end}{what}\n");
        }
        text += &describe_check(check);
    }
    text
}

fn describe_check(check: &Check) -> String {
    let state = match check.state {
        State::Ok => "ok",
        State::Failed => "FAILED",
        State::Unknown => "unknown",
    };
    let mut text = format!("  {state:<7}  {}: {}\n", check.what, check.told);
    for step in &check.next_steps {
        text += &format!("           {step}\n");
    }
    text
}
