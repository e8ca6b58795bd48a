//! Chat platforms: where people ask, and where they are told.
//!
//! A platform is one folder and one line in [`ALL`]. Every folder holds the same files: `mod.rs` (implements [`Platform`]),
//! `verify.rs` (who sent this), `read.rs` (foreign JSON to [`Incoming`]), `render.rs` ([`Reply`] to foreign JSON), `api.rs`
//! (calls), `register.rs` (the commands) and `inspect.rs` (what is wrong with the set-up). Nothing outside a folder names
//! a platform, and nothing in here knows what commands mean: that is the desk's.

mod daily;
pub mod discord;
mod grammar;
mod incoming;
mod reply;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;

use crate::config::{ChatChannel, Settings};
use crate::domain::Result;

pub use daily::Daily;
pub use grammar::{Kind, Parameter, Spec};
pub use incoming::{Asker, Incoming, ReplyTo, Verified, What, Words};
pub use reply::{Block, Button, Choice, First, Line, Look, Piece, Reply, Tone};

/// Opens a platform. `None`: the settings do not switch it on. Fails with the setting that is wrong.
pub type Open = fn(&Settings, reqwest::Client) -> Result<Option<Box<dyn Platform>>>;

/// Every platform that this program knows, by slug.
pub const ALL: &[(&str, Open)] = &[(discord::SLUG, discord::open)];

/// A chat platform. One value serves all that is asked and told there.
#[async_trait]
pub trait Platform: Send + Sync {
    /// The stable word in paths, the database and [`Person`](crate::domain::Person)s: `discord`.
    fn slug(&self) -> &'static str;

    /// Checks that the platform itself sent this, lately.
    fn verify(&self, headers: &HeaderMap, body: Bytes) -> Result<Verified, Rejected>;

    /// Reads what was verified into our words.
    fn read(&self, verified: &Verified) -> Result<Incoming, Rejected>;

    /// The body of the HTTP answer to it, JSON.
    fn first(&self, answer: &First) -> Result<Bytes>;

    /// Says what came of it, in the place of the first answer. Whoever is too late gets `NotFound`.
    async fn reply(&self, to: &ReplyTo, reply: &Reply) -> Result<()>;

    /// A message of our own. The same `once` within a few minutes makes one message. Gives its id.
    async fn post(&self, channel: &str, reply: &Reply, once: &str) -> Result<String>;

    /// Changes a message of our own. `NotFound`: somebody has deleted it, or its channel.
    async fn edit(&self, channel: &str, message: &str, reply: &Reply) -> Result<()>;

    /// Makes these the commands that people are offered; says where.
    async fn register(&self, commands: &Spec) -> Result<String>;

    /// Whether the platform takes our credentials, reaches us, and lets us speak where the settings say.
    async fn inspect(&self) -> Vec<Finding>;

    /// Where notices go, and which.
    fn channels(&self) -> &[ChatChannel];

    /// When its channels are told once a day what went well; `None`: never.
    fn digest(&self) -> Option<Daily>;

    /// Commands are answered in this channel.
    fn answers_in(&self, channel: Option<&str>) -> bool;
}

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// What it is: `bot token`, `channel 123`.
    pub what: String,
    /// What was found, or what is wrong and what to do about it.
    pub outcome: Result<String>,
}

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// No signature, a wrong one, or one of long ago.
    Unauthenticated,
    /// It is signed, and not what we know. The text is shown to the sender.
    Malformed(&'static str),
}
