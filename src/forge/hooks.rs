//! Hooks that we set up on a forge ourselves, and look after: what a forge switches off is switched on again, and what it could
//! not deliver is fetched.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;

use super::{Access, Verified};
use crate::domain::{ConnectionId, DeliveryId, Result};

/// What a forge does for hooks.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Every hook that there should be for all that the credential sees, from the events that the forge itself offers.
    async fn wanted(&self, access: &Access) -> Result<Vec<Wanted>>;

    /// Those on the forge that lead to this door, in whatever state they are.
    async fn found(&self, access: &Access, door: &Door) -> Result<Vec<Found>>;

    /// Sets one up.
    async fn create(&self, access: &Access, door: &Door, wanted: &Wanted) -> Result<Found>;

    /// Puts one right: what it sends, where, with which secrets, and that it is switched on.
    async fn mend(&self, access: &Access, door: &Door, found: &Found, wanted: &Wanted) -> Result<Found>;

    /// Takes one away. One that is not there any more is fine.
    async fn remove(&self, access: &Access, id: &str) -> Result<()>;

    /// What these hooks could not deliver, or have not yet, of what happened since then, as far as the forge remembers.
    async fn undelivered(&self, access: &Access, door: &Door, ids: &[String], since: DateTime<Utc>) -> Result<Missed>;
}

/// Where a connection's hooks come in.
pub struct Door {
    /// Below this service's public address; the hook's own key follows. Ends with a slash.
    pub address: Url,
    /// Whose.
    pub connection: ConnectionId,
    /// The connection's webhook secrets, the newest first: hooks are made with that one.
    pub secrets: Vec<SecretString>,
    /// The forge's ids of hooks that we have set up: ours, whatever somebody has made of their secrets.
    pub known: Vec<String>,
}

/// Part of an owner's repositories that has hooks of its own: a project.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// The forge's id.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// A hook that there should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted {
    /// For what.
    pub scope: Scope,
    /// The forge's name for the event.
    pub event: String,
    /// The forge's word for how it is to be told, of those that it offers.
    pub version: String,
}

/// A hook on the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The forge's id.
    pub id: String,
    /// The id of the scope that it is for.
    pub scope: String,
    /// The forge's name for the event.
    pub event: String,
    /// Whether it is on.
    pub state: HookState,
    /// What about it is not as we make them, in words; empty: nothing.
    pub altered: Vec<String>,
    /// When somebody, or the forge, has changed it last.
    pub changed_at: Option<DateTime<Utc>>,
}

/// Whether a hook is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookState {
    /// It is.
    Enabled,
    /// The forge tries one old delivery again and again, and drops what is new meanwhile.
    Probation,
    /// A person has switched it off.
    DisabledByUser,
    /// The forge has given up.
    DisabledBySystem,
    /// Whoever made it has left, or lost a right.
    DisabledByInactiveIdentity,
}

impl HookState {
    /// The word in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Probation => "probation",
            Self::DisabledByUser => "disabled_by_user",
            Self::DisabledBySystem => "disabled_by_system",
            Self::DisabledByInactiveIdentity => "disabled_by_inactive_identity",
        }
    }

    /// The other way round. `None`: nothing that a hook can be.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Enabled, Self::Probation, Self::DisabledByUser, Self::DisabledBySystem, Self::DisabledByInactiveIdentity]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// What could not be delivered.
#[derive(Default)]
pub struct Missed {
    /// From the forge's history, oldest first.
    pub deliveries: Vec<MissedDelivery>,
    /// The history reaches back to the moment that was asked for, and nothing is missing in between.
    pub complete: bool,
}

/// A delivery in a forge's history.
pub struct MissedDelivery {
    /// As in the webhook itself.
    pub id: DeliveryId,
    /// When.
    pub at: DateTime<Utc>,
    /// What it would have said.
    pub verified: Verified,
}
