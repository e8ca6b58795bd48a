//! `[discord]`, checked.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serenity::model::Permissions;
use url::{Host, Url};

use crate::chat::Daily;
use crate::config::{self, ChatChannel, Settings};
use crate::domain::{Error, Result};

/// The application that somebody made for us, and where it may speak.
pub(super) struct Application {
    pub id: String,
    /// 32 bytes in hex.
    pub public_key: String,
    /// The one server that is served; `None`: all that the application is installed in.
    pub server: Option<String>,
    /// Where commands are answered; empty: everywhere.
    pub commands_in: Vec<String>,
    pub channels: Vec<ChatChannel>,
    pub digest: Option<Daily>,
    /// Where Discord has to send what people ask; the error says why that is not known.
    pub endpoint: Result<Url>,
}

impl Application {
    /// With the bot's token. `None`: there is no application.
    pub fn from(settings: &Settings) -> Result<Option<(Self, SecretString)>> {
        let discord = &settings.discord;
        if discord.application_id.is_empty() {
            return Ok(None);
        }
        snowflake("discord.application_id", &discord.application_id)?;
        if !discord.server.is_empty() {
            snowflake("discord.server", &discord.server)?;
        }
        for id in &discord.commands_in {
            snowflake("discord.commands_in", id)?;
        }
        for channel in &discord.channels {
            snowflake("discord.channels.id", &channel.id)?;
        }
        check_api(discord)?;
        let token = token(&discord.token_file)?;
        let application = Self {
            id: discord.application_id.clone(),
            public_key: discord.public_key.clone(),
            server: Some(discord.server.clone()).filter(|server| !server.is_empty()),
            commands_in: discord.commands_in.clone(),
            channels: discord.channels.clone(),
            digest: Daily::parse("discord.digest", &discord.digest, discord.timezone)?,
            endpoint: endpoint(settings),
        };
        Ok(Some((application, token)))
    }

    /// With what somebody installs it in a server.
    pub fn invitation(&self) -> String {
        let rights = (Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES).bits();
        let id = &self.id;
        format!(
            "https://discord.com/oauth2/authorize?client_id={id}&scope=bot+applications.commands&permissions={rights}"
        )
    }
}

fn endpoint(settings: &Settings) -> Result<Url> {
    let address = settings.server.public_url()?.join("hooks/discord");
    address.map_err(|error| Error::bug("cannot write the address for interactions").detail(error))
}

/// <https://docs.discord.com/developers/reference#snowflakes>
fn snowflake(setting: &str, id: &str) -> Result<()> {
    if id.parse::<u64>().is_ok_and(|id| id > 0) {
        return Ok(());
    }
    Err(Error::misconfigured(format!("the setting `{setting}` has `{id}`, which is no id of Discord's")).hint(
        "ids are numbers of 17 to 20 digits: in Discord, switch on User Settings, Advanced, Developer Mode; then \
         right-click a server, channel, role or person: Copy ID",
    ))
}

/// The token goes there with every request.
fn check_api(discord: &config::Discord) -> Result<()> {
    let refuse = |why: &str| Err(Error::misconfigured(format!("the setting `discord.api` {why}")));
    let loopback = match discord.api.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return refuse("is not a web address"),
    };
    match discord.api.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => refuse("must be an https address: the bot's token goes there"),
    }
}

fn token(file: &Path) -> Result<SecretString> {
    const WHICH: &str = "the setting `discord.token_file`";
    let hint = "put the bot's token there, alone on its line: Developer Portal, your application, Bot, Reset Token";
    if file.as_os_str().is_empty() {
        return Err(Error::misconfigured(format!("{WHICH} is not set")).hint(hint));
    }
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map(SecretString::from)
        .map_err(|error| Error::misconfigured(format!("cannot read the file {name} of {WHICH}: {error}")).hint(hint))?;
    let token = text.expose_secret().trim();
    // Copied from a program's source, it often comes with the word that stands before it in the header.
    let token = token.strip_prefix("Bot ").unwrap_or(token);
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::misconfigured(format!("the file {name} of {WHICH} has no token in it")).hint(hint));
    }
    Ok(token.to_owned().into())
}
