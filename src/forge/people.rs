//! People: who somebody is on a forge, and what they may do there now.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::{Access, OauthClient, Place};
use crate::domain::{Error, Result};

/// What a forge tells of people.
#[async_trait]
pub trait People: Send + Sync {
    /// Why nobody can sign in on this host as long as no client of ours is registered there, and what to do about it.
    fn no_client(&self, url: &Url) -> Error;

    /// Begins a sign-in that somebody finishes on another device. `client`: one of ours that the host's people can use.
    async fn begin(&self, client: &OauthClient) -> Result<DeviceCode>;

    /// Whether that has been done. Who it was is told once.
    async fn poll(&self, client: &OauthClient, device_code: &SecretString) -> Result<Polled>;

    /// What a user may do in a repository now, asked with our credentials. Fails where that cannot be found out.
    async fn rights(&self, access: &Access, repository: Place<'_>, user: &ForgeUser) -> Result<Rights>;
}

/// A sign-in that was begun.
pub struct DeviceCode {
    /// What we ask with whether it was done.
    pub device_code: SecretString,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub page: Url,
    /// How long it can be done.
    pub expires_in: Duration,
    /// The least pause between two questions.
    pub interval: Duration,
}

/// What came of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nothing yet.
    Waiting {
        /// The least pause from now on; `None`: as before.
        interval: Option<Duration>,
    },
    /// They are this user.
    Done(ForgeUser),
    /// They do not want to be.
    Denied,
    /// The code opens nothing (any more).
    Expired,
}

/// Somebody on a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgeUser {
    /// The forge's id; stays when they rename themselves.
    pub id: String,
    /// What they were called when they signed in.
    pub login: String,
}

/// What somebody may do in a repository. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rights {
    /// Not even see it.
    None,
    /// Read it.
    Read,
    /// Push to it.
    Write,
    /// Change its settings.
    Admin,
}

/// Why a forge did not take a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that it breaks.
    pub rule: String,
    /// What somebody can do about that.
    pub way_out: String,
}
