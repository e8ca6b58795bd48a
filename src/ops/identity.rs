//! Who somebody in a chat is on a forge, and what that lets them do there now.
//!
//! A person links themselves: the forge asks them, on a page of its own, whether this is they. What they may do is asked
//! of the forge each time, with our credentials; where it cannot be found out, nothing is allowed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use url::Url;

use crate::catalog::Repository;
use crate::domain::{Error, Person, Result};
use crate::forge::Rights;
use crate::services::Services;

/// A forge's host on which we have connections.
pub struct Host {
    /// The forge's slug.
    pub forge: String,
    /// The host's web address.
    pub url: Url,
    /// The id of the App that people sign in with; or what is missing.
    pub client_id: Result<String>,
}

/// A sign-in that was begun.
pub struct Begun {
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub page: Url,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// What [`poll`] asks with.
    pub attempt: String,
}

/// What came of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// Nothing yet.
    Waiting {
        /// Ask again after this long.
        interval: Duration,
    },
    /// They are linked.
    Done {
        /// To this name on the forge.
        login: String,
    },
    /// They said no.
    Denied,
    /// It took too long, or came to its end before.
    Expired,
}

/// Where people can link themselves.
pub async fn hosts(services: &Services) -> Result<Vec<Host>> {
    _ = services.catalog.apps().await?;
    Ok(Vec::new())
}

/// Begins to link a person. `host`: where, if there are several.
pub async fn begin(services: &Services, person: &Person, host: Option<&str>) -> Result<Begun> {
    _ = (hosts(services).await?, person, host);
    Err(Error::bug("not there yet"))
}

/// Whether they have signed in by now, and keeps who they are if so.
pub async fn poll(services: &Services, attempt: &str) -> Result<Linked> {
    _ = (hosts(services).await?, attempt);
    Err(Error::bug("not there yet"))
}

/// What a person may do in a repository now. Fails with [`crate::domain::Kind::NotAllowed`] and what to do about it, where
/// that is not known.
pub async fn rights(services: &Services, person: &Person, repository: &Repository) -> Result<Rights> {
    _ = (hosts(services).await?, person, repository);
    Err(Error::bug("not there yet"))
}
