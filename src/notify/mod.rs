//! Receivers of notices: whatever a person reads that is not the command line. One file per receiver.
//!
//! A receiver takes a whole message or fails, and its error says whether trying again may help. It may be given the same
//! message twice, under the same id, because between sending and noting that it was sent anything may happen.

mod mail;
mod message;
mod webhook;

use std::path::Path;

use async_trait::async_trait;
use secrecy::SecretString;
use url::{Host, Url};

use crate::config::Settings;
use crate::domain::{Error, Result, Severity};

pub use message::{Message, Told};

/// Takes messages.
#[async_trait]
pub trait Receiver: Send + Sync {
    /// Hands a message over. When this returns, the other side has taken charge of it.
    async fn send(&self, message: &Message) -> Result<()>;
}

const MAIL: &str = "mail";
const WEBHOOK: &str = "webhook";

/// The receivers that the settings switch on, with the least severe notice that each wants.
pub fn configured(settings: &Settings) -> Vec<(&'static str, Severity)> {
    let mail = (!settings.mail.server.is_empty()).then_some((MAIL, settings.mail.severity));
    let webhook = (!settings.webhook.url.is_empty()).then_some((WEBHOOK, settings.webhook.severity));
    mail.into_iter().chain(webhook).collect()
}

/// The receiver with this name, ready to send; `None`: the settings have no such, or no longer. Fails with the setting that
/// is wrong.
pub fn open(settings: &Settings, http: &reqwest::Client, name: &str) -> Result<Option<Box<dyn Receiver>>> {
    if !configured(settings).iter().any(|(known, _)| *known == name) {
        return Ok(None);
    }
    Ok(Some(match name {
        MAIL => Box::new(mail::Mail::new(&settings.mail, &settings.http)?),
        _ => Box::new(webhook::Webhook::new(&settings.webhook, http.clone())?),
    }))
}

/// The first line of a file that a setting names.
fn secret_of(file: &Path, setting: &str) -> Result<SecretString> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::misconfigured(format!("cannot read the file {} of the setting `{setting}`: {error}", file.display()))
    })?;
    let secret = text.lines().next().unwrap_or_default().trim();
    if secret.is_empty() {
        return Err(Error::misconfigured(format!("the file {} of the setting `{setting}` is empty", file.display())));
    }
    Ok(secret.into())
}

/// Nobody else can listen in.
fn is_loopback(url: &Url) -> bool {
    // In schemes that it does not know the parser leaves addresses as they are written.
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
