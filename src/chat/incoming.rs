//! What somebody asks, in our words.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::domain::Person;

/// Bytes of which the platform has proved that it sent them. Only platforms make one.
pub struct Verified {
    pub(super) body: Bytes,
}

/// Something that somebody asks.
pub struct Incoming {
    /// The platform's id, unique there: whoever replays it is found out.
    pub id: String,
    /// When it was asked, by the platform's clock.
    pub at: DateTime<Utc>,
    /// The server, guild or workspace; `None`: in private.
    pub place: Option<String>,
    /// The channel.
    pub channel: Option<String>,
    /// Who.
    pub from: Asker,
    /// With what the first answer is replaced; a secret that ends soon.
    pub reply_to: Option<ReplyTo>,
    /// What.
    pub what: What,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// By what never changes.
    pub person: Person,
    /// The ids of the roles that they have on the platform now.
    pub roles: Vec<String>,
}

/// Lets whoever holds it speak in our name until it ends.
#[derive(Clone)]
pub struct ReplyTo(pub SecretString);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A sign of life.
    Ping,
    /// A command.
    Command(Words),
    /// Somebody types one and wants to know how it may go on.
    Complete {
        /// What is there already, the option that is being typed left out.
        words: Words,
        /// The option that is being typed.
        option: String,
        /// What of it.
        typed: String,
    },
    /// A button of ours was pressed.
    Press {
        /// Which.
        button: String,
        /// Only who presses it sees the message that it is on.
        private: bool,
    },
}

/// A command as the platform tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// `["policy", "set"]`, without the name of the program.
    pub path: Vec<String>,
    /// By name. A switch that is on is `true`.
    pub options: Vec<(String, String)>,
}
