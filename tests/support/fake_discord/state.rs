//! What the double knows: one server with its roles, members, channels and messages, and the one application.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::SigningKey;
use serde_json::Value;
use url::Url;

use super::faults::Faults;
use super::interactions::Asked;
use super::limits::Limits;
use super::messages::Post;

/// Milliseconds of 2015 begin here, which ids count from.
const EPOCH: i64 = 1_420_070_400_000;

/// Where commands are that no one server has.
pub const EVERYWHERE: &str = "";

pub struct State {
    pub application: String,
    /// The bot's user; other than the application's id, as with old applications.
    pub bot: String,
    pub token: String,
    pub key: SigningKey,
    pub guild: String,
    /// Where interactions are sent.
    pub endpoint: Option<Url>,
    pub roles: Vec<Role>,
    pub members: Vec<Somebody>,
    pub channels: Vec<Room>,
    pub posts: Vec<Post>,
    /// By server, or [`EVERYWHERE`].
    pub commands: BTreeMap<String, Vec<Value>>,
    pub asked: Vec<Asked>,
    pub limits: Limits,
    pub faults: Faults,
    /// How far the double's clock is ahead of ours.
    pub ahead: TimeDelta,
    /// The next first answer comes too late.
    pub late: bool,
    /// And every one that takes longer than this.
    pub first_answer_within: Option<Duration>,
    /// The next first answer is on its way until somebody edits too soon.
    pub overtaken: bool,
    pub seen: Vec<Seen>,
    pub violations: Vec<String>,
    made: u64,
}

pub struct Role {
    pub id: String,
    pub name: String,
    pub permissions: u64,
    pub managed: bool,
}

/// A member of the server, or the bot.
#[derive(Clone)]
pub struct Somebody {
    pub id: String,
    pub name: String,
    pub roles: Vec<String>,
    pub bot: bool,
}

pub struct Room {
    pub id: String,
    pub name: String,
    /// What the bot may not do here.
    pub denied: u64,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, …
    pub method: String,
    /// Without `/api/v10`, and without the token of an interaction.
    pub path: String,
    /// Null if there was none.
    pub body: Value,
    /// How it was answered; 0: not at all.
    pub status: u16,
}

/// Rights on a server: <https://docs.discord.com/developers/topics/permissions>
pub mod rights {
    pub const VIEW_CHANNEL: u64 = 1 << 10;
    pub const SEND_MESSAGES: u64 = 1 << 11;
    pub const EMBED_LINKS: u64 = 1 << 14;
    pub const READ_HISTORY: u64 = 1 << 16;
    pub const USE_COMMANDS: u64 = 1 << 31;
    /// What the role of everybody has.
    pub const EVERYBODY: u64 = VIEW_CHANNEL | SEND_MESSAGES | EMBED_LINKS | READ_HISTORY | USE_COMMANDS;
}

impl State {
    pub fn new() -> Self {
        let key = SigningKey::generate(&mut rand_core::OsRng);
        let mut state = Self {
            application: String::new(),
            bot: String::new(),
            token: String::new(),
            key,
            guild: String::new(),
            endpoint: None,
            roles: Vec::new(),
            members: Vec::new(),
            channels: Vec::new(),
            posts: Vec::new(),
            commands: BTreeMap::new(),
            asked: Vec::new(),
            limits: Limits::default(),
            faults: Faults::default(),
            ahead: TimeDelta::zero(),
            late: false,
            first_answer_within: None,
            overtaken: false,
            seen: Vec::new(),
            violations: Vec::new(),
            made: 0,
        };
        (state.application, state.bot, state.guild) = (state.new_id(), state.new_id(), state.new_id());
        state.token = format!("{}.{}", state.bot, uuid::Uuid::new_v4().simple());
        // The role of everybody has the server's id.
        let everybody = Role {
            id: state.guild.clone(),
            name: "@everyone".to_owned(),
            permissions: rights::EVERYBODY,
            managed: false,
        };
        let own =
            Role { id: state.new_id(), name: "Refward".to_owned(), permissions: rights::EVERYBODY, managed: true };
        let bot =
            Somebody { id: state.bot.clone(), name: "refward".to_owned(), roles: vec![own.id.clone()], bot: true };
        state.roles = vec![everybody, own];
        state.members.push(bot);
        state
    }

    /// The time by the double's clock.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.ahead
    }

    /// A new id, greater than all before; it tells when it was made.
    pub fn new_id(&mut self) -> String {
        self.made += 1;
        let millis = u64::try_from(self.now().timestamp_millis() - EPOCH).unwrap();
        ((millis << 22) | (self.made & 0x3f_ffff)).to_string()
    }

    pub fn member(&self, id: &str) -> Option<&Somebody> {
        self.members.iter().find(|known| known.id == id)
    }

    pub fn channel(&self, id: &str) -> Option<&Room> {
        self.channels.iter().find(|known| known.id == id)
    }

    pub fn post(&self, id: &str) -> Option<&Post> {
        self.posts.iter().find(|known| known.id == id)
    }

    pub fn post_mut(&mut self, id: &str) -> Option<&mut Post> {
        self.posts.iter_mut().find(|known| known.id == id)
    }

    /// A role's id, by its name; made when it is first asked for.
    pub fn role(&mut self, name: &str) -> String {
        if let Some(known) = self.roles.iter().find(|known| known.name == name) {
            return known.id.clone();
        }
        let id = self.new_id();
        self.roles.push(Role { id: id.clone(), name: name.to_owned(), permissions: 0, managed: false });
        id
    }

    pub fn violated(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }
}
