//! What is wrong with the set-up, and what to do about it.

use serde::Deserialize;
use serenity::model::Permissions;
use url::Url;

use super::api::{Api, Route};
use super::application::Application;
use super::errors;
use super::permissions::{self, Overwrite, Role};
use crate::chat::Finding;
use crate::domain::{Error, Result};

/// Types of channels: <https://docs.discord.com/developers/resources/channel#channel-object-channel-types>
const THREADS: &[u8] = &[10, 11, 12];

/// Our application as Discord has it.
#[derive(Deserialize)]
struct Theirs {
    id: String,
    name: String,
    verify_key: String,
    interactions_endpoint_url: Option<String>,
    bot: Option<User>,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(rename = "type")]
    kind: u8,
    guild_id: Option<String>,
    parent_id: Option<String>,
    name: Option<String>,
    #[serde(default)]
    permission_overwrites: Vec<Overwrite>,
}

#[derive(Deserialize)]
struct Member {
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct Command {
    name: String,
    options: Option<Vec<serde::de::IgnoredAny>>,
}

pub(super) async fn inspect(api: &Api, ours: &Application) -> Vec<Finding> {
    let theirs: Theirs = match api.get(&Route::Application).await {
        Ok(theirs) => theirs,
        // Nothing else can be asked.
        Err(error) => return vec![found("bot token", Err(error))],
    };
    let mut findings = vec![
        found("bot token", Ok(format!("it is the one of {}", theirs.name))),
        found("application id", same_application(ours, &theirs)),
        found("public key", same_key(ours, &theirs)),
        found("interactions endpoint", same_endpoint(ours, &theirs)),
        found("invitation", Ok(ours.invitation())),
        found("commands", commands(api, ours).await),
    ];
    let bot = theirs.bot.as_ref().map_or(&theirs.id, |bot| &bot.id);
    let told = ours.channels.iter().map(|channel| &channel.id);
    let mut channels: Vec<&String> = told.chain(&ours.commands_in).collect();
    channels.sort_unstable();
    channels.dedup();
    for id in channels {
        findings.push(found(format!("channel {id}"), may_write(api, ours, bot, id).await));
    }
    findings
}

fn found(what: impl Into<String>, outcome: Result<String>) -> Finding {
    Finding { what: what.into(), outcome }
}

fn same_application(ours: &Application, theirs: &Theirs) -> Result<String> {
    if theirs.id == ours.id {
        return Ok(ours.id.clone());
    }
    Err(Error::misconfigured(format!("the bot's token is that of the application {}, not of {}", theirs.id, ours.id))
        .hint("set `discord.application_id` and `discord.token_file` to one and the same application"))
}

fn same_key(ours: &Application, theirs: &Theirs) -> Result<String> {
    if theirs.verify_key.eq_ignore_ascii_case(&ours.public_key) {
        return Ok("it is the application's".to_owned());
    }
    Err(Error::misconfigured("it is not the application's, so that nothing that Discord sends would be believed")
        .hint(format!("set `discord.public_key` to {}", theirs.verify_key)))
}

fn same_endpoint(ours: &Application, theirs: &Theirs) -> Result<String> {
    let wanted = match &ours.endpoint {
        Ok(wanted) => wanted,
        Err(error) => return Err(error.share()),
    };
    let hint = format!(
        "Developer Portal, your application, General Information, Interactions Endpoint URL: {wanted}; the service must \
         be running, because Discord tries it at once"
    );
    match theirs.interactions_endpoint_url.as_deref().map(|url| (url, Url::parse(url))) {
        None => Err(Error::misconfigured("Discord does not know where to send what people ask").hint(hint)),
        Some((_, Ok(url))) if url == *wanted => Ok(url.into()),
        Some((url, _)) => Err(Error::misconfigured(format!("Discord sends what people ask to {url}")).hint(hint)),
    }
}

async fn commands(api: &Api, ours: &Application) -> Result<String> {
    let commands: Vec<Command> = api.get(&Route::Commands(ours.server.as_deref())).await?;
    if commands.is_empty() {
        return Err(Error::misconfigured("none are registered").hint("run `refward discord register`"));
    }
    let told = commands.iter().map(|command| {
        let below = command.options.as_ref().map_or(0, Vec::len);
        format!("/{} with {below} below it", command.name)
    });
    Ok(told.collect::<Vec<_>>().join(", "))
}

/// Whether the bot sees a channel and may write there.
async fn may_write(api: &Api, ours: &Application, bot: &str, id: &str) -> Result<String> {
    let channel: Channel = api.get(&Route::Channel(id)).await?;
    let Some(server) = &channel.guild_id else {
        return Err(Error::misconfigured("it is a private conversation, in no server"));
    };
    if let Some(served) = ours.server.as_ref().filter(|served| *served != server) {
        return Err(Error::misconfigured(format!("it belongs to the server {server}, and only {served} is served"))
            .hint("name a channel of that server, or change `discord.server`"));
    }
    // In threads the rights of their channel hold, with one of their own for writing.
    let is_thread = THREADS.contains(&channel.kind);
    let (overwrites, send, called) = match &channel.parent_id {
        Some(parent) if is_thread => {
            let parent: Channel = api.get(&Route::Channel(parent)).await?;
            let send = Permissions::SEND_MESSAGES_IN_THREADS;
            (parent.permission_overwrites, send, "Send Messages in Threads")
        }
        _ => (channel.permission_overwrites, Permissions::SEND_MESSAGES, "Send Messages"),
    };
    let roles: Vec<Role> = api.get(&Route::Roles(server)).await?;
    let member: Member = api.get(&Route::Member { server, user: bot }).await?;
    let allowed = permissions::in_channel(server, bot, &member.roles, &roles, &overwrites);
    let wanted = [(Permissions::VIEW_CHANNEL, "View Channel"), (send, called)];
    let lacking: Vec<&str> =
        wanted.into_iter().filter(|(right, _)| !allowed.contains(*right)).map(|(_, called)| called).collect();
    let name = channel.name.as_deref().unwrap_or(id);
    if lacking.is_empty() {
        return Ok(format!("the bot sees #{name} and may write there"));
    }
    let lacking = lacking.join(" and ");
    Err(Error::misconfigured(format!("in #{name} the bot lacks {lacking}")).hint(errors::rights(&lacking)))
}
