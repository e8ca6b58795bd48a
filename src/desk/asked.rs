//! What was asked, as it is kept until it is answered and a while longer.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::grammar;
use super::waits::Waits;
use crate::catalog::StoredInteraction;
use crate::chat::{Asker, Incoming, Reply, ReplyTo, What};
use crate::domain::{By, Error, Person, Result};
use crate::services::Services;

/// Something that was asked.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) platform: String,
    pub(super) person: Person,
    /// The ids of their roles on the platform.
    pub(super) roles: Vec<String>,
    pub(super) place: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) wish: Wish,
    /// What it waits for, if it was begun.
    #[serde(default)]
    pub(super) waits: Option<Waits>,
    /// What is to be said, as soon as that is known: it is not done twice.
    #[serde(default)]
    pub(super) said: Option<Reply>,
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wish {
    /// A command.
    Command {
        path: Vec<String>,
        /// Without those that are kept sealed.
        options: Vec<(String, String)>,
    },
    /// What a button does.
    Press(String),
}

/// What is kept sealed, until it is answered.
#[derive(Serialize, Deserialize)]
struct Sealed {
    reply_to: String,
    options: Vec<(String, String)>,
}

impl Asked {
    /// `None`: it is not for the workers.
    pub(super) fn of(platform: &str, incoming: &Incoming) -> Option<Self> {
        let wish = match &incoming.what {
            What::Command(words) if grammar::is_secret(words) => {
                Wish::Command { path: words.path.clone(), options: Vec::new() }
            }
            What::Command(words) => Wish::Command { path: words.path.clone(), options: words.options.clone() },
            What::Press { button, .. } => Wish::Press(button.clone()),
            What::Ping | What::Complete { .. } => return None,
        };
        Some(Self {
            platform: platform.to_owned(),
            person: incoming.from.person.clone(),
            roles: incoming.from.roles.clone(),
            place: incoming.place.clone(),
            channel: incoming.channel.clone(),
            wish,
            waits: None,
            said: None,
        })
    }

    /// Somebody is still typing: only who it is matters.
    pub(super) fn typing(from: &Asker) -> Self {
        Self {
            platform: from.person.platform().to_owned(),
            person: from.person.clone(),
            roles: from.roles.clone(),
            place: None,
            channel: None,
            wish: Wish::Press(String::new()),
            waits: None,
            said: None,
        }
    }

    /// Who, and from where, for the record.
    pub(super) fn by(&self) -> By {
        let place = self.place.as_deref().unwrap_or("private");
        let channel = self.channel.as_deref().unwrap_or("-");
        By { who: self.person.to_string(), whence: format!("{}:{place}/{channel}", self.platform) }
    }

    /// As it was kept.
    pub(super) fn read(stored: &StoredInteraction) -> Result<Self> {
        serde_json::from_value(stored.asked.clone())
            .map_err(|error| Error::damaged("what was asked cannot be read").detail(error))
    }

    pub(super) fn to_json(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|error| Error::bug("cannot keep what was asked").detail(error))
    }
}

/// Seals what must not lie about: what lets anybody speak in our name, and options that are secret.
pub(super) fn seal(services: &Services, incoming: &Incoming) -> Result<Option<Vec<u8>>> {
    let Some(ReplyTo(token)) = &incoming.reply_to else { return Ok(None) };
    let options = match &incoming.what {
        What::Command(words) if grammar::is_secret(words) => words.options.clone(),
        _ => Vec::new(),
    };
    let sealed = Sealed { reply_to: token.expose_secret().to_owned(), options };
    let text = serde_json::to_string(&sealed).map_err(|error| Error::bug("cannot seal a request").detail(error))?;
    services.credentials.seal(&SecretString::from(text)).map(Some)
}

/// With what the answer is given, and the command with its sealed options.
pub(super) fn open(services: &Services, asked: &Asked, sealed: &[u8]) -> Result<(ReplyTo, Wish)> {
    let text = services.credentials.open(sealed)?;
    let Sealed { reply_to, options: secret } = serde_json::from_str(text.expose_secret())
        .map_err(|_| Error::damaged("what opens the answer cannot be read"))?;
    let mut wish = asked.wish.clone();
    if let Wish::Command { options, .. } = &mut wish {
        options.extend(secret);
    }
    Ok((ReplyTo(reply_to.into()), wish))
}
