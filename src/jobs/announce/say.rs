//! Messages of ours that change as what they are about goes on.

use sha2::{Digest as _, Sha256};

use crate::catalog::{Catalog, ChatMessage};
use crate::chat::{Platform, Reply};
use crate::domain::{Error, Kind, Result};

/// Where one message of ours stands, and for what.
pub struct Spot<'a> {
    /// The chat.
    pub platform: &'a dyn Platform,
    /// Its channel.
    pub channel: &'a str,
    /// What the message is about: one thing has one message in a channel.
    pub subject: &'a str,
}

/// Makes our message about something say this: changes the one that is there, or posts one. Whoever deletes it gets another.
///
/// It may run twice. Where it was killed between posting and keeping which message that is, the platform knows `once`.
pub async fn say(catalog: &Catalog, spot: &Spot<'_>, reply: &Reply, once: &str) -> Result<()> {
    let Spot { platform, channel, subject } = spot;
    let text = serde_json::to_vec(reply).map_err(|error| Error::bug("cannot write a message").detail(error))?;
    let digest = Sha256::digest(text).into();
    let changed = match catalog.chat_message(platform.slug(), channel, subject).await? {
        Some(said) if said.digest == digest => return Ok(()),
        Some(said) => match platform.edit(channel, &said.message, reply).await {
            Ok(()) => Some(said.message),
            Err(error) if error.kind() == Kind::NotFound => None,
            Err(error) => return Err(error),
        },
        None => None,
    };
    let message = match changed {
        Some(message) => message,
        None => platform.post(channel, reply, once).await?,
    };
    catalog.put_chat_message(platform.slug(), channel, subject, &ChatMessage { message, digest }).await
}
