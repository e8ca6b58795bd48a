//! What went wrong between Discord and us, in words that say what to do.

use std::error::Error as StdError;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::api::{Answer, Route};
use crate::domain::{Error, Kind};

/// <https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes>
mod code {
    pub const UNKNOWN_CHANNEL: u32 = 10003;
    pub const UNKNOWN_MESSAGE: u32 = 10008;
    pub const UNKNOWN_WEBHOOK: u32 = 10015;
    pub const UNKNOWN_INTERACTION: u32 = 10062;
    pub const TOO_MANY_EDITS: u32 = 30046;
    pub const MISSING_ACCESS: u32 = 50001;
    pub const MISSING_PERMISSIONS: u32 = 50013;
    pub const INVALID_WEBHOOK_TOKEN: u32 = 50027;
}

/// The longest piece of a foreign message that we repeat.
const MAX_QUOTE: usize = 300;

/// Messages older than an hour may be edited only so often; Discord does not say how often.
const EDIT_PAUSE: Duration = Duration::from_mins(10);

/// What Discord says of a refusal.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    code: u32,
    message: String,
    /// Below the fields that they are about, in `_errors`: <https://docs.discord.com/developers/reference#error-messages>
    errors: Value,
}

/// What is wrong with an answer to what was sent, if anything is.
pub(super) fn refusal(route: &Route<'_>, sent: Option<&Value>, answer: &Answer) -> Option<Error> {
    let status = answer.status;
    if status.is_success() {
        return None;
    }
    if status.is_server_error() {
        return Some(Error::remote(format!("Discord is in trouble: it answers {status}")));
    }
    let Ok(said) = serde_json::from_slice::<Said>(&answer.body) else {
        return Some(
            Error::remote(format!("Discord answers {status} with a page instead of data"))
                .hint("something stands in between: check the settings `discord.api` and `http.proxy`"),
        );
    };
    let quote = said.quote();
    Some(match (status.as_u16(), said.code) {
        (_, code::UNKNOWN_CHANNEL) => {
            let name = route.channel().unwrap_or("that was named");
            Error::not_found(format!("the channel {name} is gone"))
                .hint("if the settings name it, name another one there")
        }
        (_, code::UNKNOWN_MESSAGE) => Error::not_found("the message is gone"),
        (_, code::UNKNOWN_WEBHOOK | code::UNKNOWN_INTERACTION | code::INVALID_WEBHOOK_TOKEN) => {
            Error::not_found("it is too late to answer: Discord takes answers for 15 minutes")
        }
        (_, code::TOO_MANY_EDITS) => {
            let message = "Discord wants old messages to be edited less often";
            Error::new(Kind::Remote { retry_after: Some(EDIT_PAUSE) }, message)
        }
        (_, code::MISSING_ACCESS) => no_access(route),
        (_, code::MISSING_PERMISSIONS) => no_right(route),
        (401, _) => Error::misconfigured(format!("Discord refuses the bot's token: {quote}")).hint(
            "Developer Portal, your application, Bot, Reset Token; put the new one into the file that the setting \
             `discord.token_file` names, and restart",
        ),
        (404, _) => Error::not_found(format!("Discord has no such thing: {quote}")),
        (400, _) => {
            let what = sent.and_then(|sent| blamed(&said.errors, sent)).unwrap_or(quote);
            Error::bug(format!("Discord does not take what we send: {what}")).detail(&said.errors)
        }
        (300..=399, _) => Error::misconfigured(format!("Discord answers {status}, and the token goes nowhere else"))
            .hint("set `discord.api` to where it really is"),
        _ => Error::misconfigured(format!("Discord refuses: {quote}")),
    })
}

/// No answer at all: name resolution, connection, TLS, time.
pub(super) fn silence(error: &(dyn StdError + 'static)) -> Error {
    let mut chain = vec![error];
    while let Some(cause) = chain[chain.len() - 1].source() {
        chain.push(cause);
    }
    let client: Vec<&reqwest::Error> = chain.iter().filter_map(|error| error.downcast_ref()).collect();
    let is = |what: fn(&reqwest::Error) -> bool| client.iter().any(|error| what(error));
    let why = if is(reqwest::Error::is_timeout) {
        "does not answer in time"
    } else if is(reqwest::Error::is_connect) {
        "cannot be reached"
    } else {
        "breaks the connection off"
    };
    // What the client itself says may quote the address.
    let causes = chain.iter().filter(|error| !error.is::<reqwest::Error>()).map(ToString::to_string);
    Error::remote(format!("Discord {why}")).detail(causes.collect::<Vec<_>>().join(": "))
}

/// The right to see it lacks.
fn no_access(route: &Route<'_>) -> Error {
    if let Some(channel) = route.channel() {
        return Error::misconfigured(format!("the bot may not see the channel {channel}"))
            .hint(rights("View Channel and Send Messages"));
    }
    match route {
        Route::Commands(Some(server)) | Route::Roles(server) | Route::Member { server, .. } => {
            Error::misconfigured(format!("the application is not installed in the server {server}"))
                .hint("open the invitation that `refward discord test` shows, and choose that server")
        }
        _ => Error::misconfigured("Discord says that the bot has no access there"),
    }
}

/// It sees it, and may not do it.
fn no_right(route: &Route<'_>) -> Error {
    match route.channel() {
        Some(channel) => Error::misconfigured(format!("the bot may not write in the channel {channel}"))
            .hint(rights("Send Messages")),
        None => Error::misconfigured("Discord says that the bot lacks a right"),
    }
}

/// How somebody gives the bot rights in a channel.
pub(super) fn rights(which: &str) -> String {
    format!("in Discord: Edit Channel, Permissions, Advanced Permissions: add the bot's role and allow {which}")
}

/// The first fault, and where it is: `refward policy set, description: Must be …`. What has a name is called by it.
fn blamed(errors: &Value, sent: &Value) -> Option<String> {
    let (mut errors, mut sent) = (errors, sent);
    let (mut names, mut field) = (Vec::new(), String::new());
    let fault = loop {
        let (key, below) = errors.as_object()?.iter().next()?;
        if key == "_errors" {
            break below[0]["message"].as_str()?;
        }
        sent = match key.parse::<usize>() {
            Ok(index) => &sent[index],
            Err(_) => &sent[key],
        };
        match sent["name"].as_str() {
            Some(name) => names.push(printable(name)),
            None => field.clone_from(key),
        }
        errors = below;
    };
    Some(format!("{}, {field}: {}", names.join(" "), printable(fault)))
}

/// Without control characters, and not too much of it.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_QUOTE).collect()
}

impl Said {
    /// Discord's own words.
    fn quote(&self) -> String {
        let words = printable(&self.message);
        match (words.is_empty(), self.code) {
            (true, _) => "it does not say why".to_owned(),
            (false, 0) => words,
            (false, code) => format!("{words} ({code})"),
        }
    }
}
