//! Apps: identities of our own that owners install on their accounts, each with rights, limits and webhooks of its own.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{AppKey, HookSecret, Verified};
use crate::domain::{DeliveryId, Error, Result};

/// What a forge does for Apps.
#[async_trait]
pub trait Apps: Send + Sync {
    /// The form that a browser has to post so that the forge registers an App.
    fn manifest(&self, wish: &Registration) -> Result<ManifestForm>;

    /// Exchanges the code that the browser came back with. It works once, so keep the answer before anything else.
    async fn register(&self, url: &Url, code: &str) -> Result<Registered>;

    /// The page on which an owner installs an App.
    fn install_page(&self, url: &Url, slug: &str, state: Option<&str>) -> Result<Url>;

    /// The page on which an owner sets an App up: keys, permissions, its logo.
    fn settings_page(&self, url: &Url, owner: &str, slug: &str) -> Result<Url>;

    /// Who the forge takes the holder of this key for. Slug, name and owner may change.
    async fn whoami(&self, app: &AppKey) -> Result<AppIdentity>;

    /// Where the App is installed.
    async fn installations(&self, app: &AppKey) -> Result<Vec<Installation>>;

    /// Who has asked an owner to install it.
    async fn requests(&self, app: &AppKey) -> Result<Vec<InstallRequest>>;

    /// Takes the App off an account. One that is not there any more is fine.
    async fn uninstall(&self, app: &AppKey, installation: &str) -> Result<()>;

    /// Where the forge sends the App's webhooks, and with which secret from now on.
    async fn set_hook(&self, app: &AppKey, url: Option<&Url>, secret: Option<&SecretString>) -> Result<()>;

    /// What was delivered since then, as far back as the forge's log reaches.
    async fn deliveries(&self, app: &AppKey, since: Option<DateTime<Utc>>) -> Result<DeliveryLog>;

    /// What a delivery held, from the forge's log. `None`: it is not there any more.
    async fn delivered(&self, app: &AppKey, delivery: &Delivered, signer: &HookSecret) -> Result<Option<Verified>>;

    /// The permissions that a role's code relies on and that were not granted, each as `name: level`.
    fn missing_permissions(&self, role: Role, granted: &BTreeMap<String, String>) -> Vec<String>;
}

/// What an App is for. A backup reads; whatever can write is another App, installed only when it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Backup,
    /// Writes.
    Restore,
}

impl Role {
    /// `backup` or `restore`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }

    /// The other way round.
    pub fn from_word(word: &str) -> Result<Self> {
        let known = [Self::Backup, Self::Restore].into_iter().find(|role| role.word() == word);
        known.ok_or_else(|| Error::bug(format!("an App has the role `{word}`, which this program does not know")))
    }
}

/// An App to be registered.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The host's web address.
    pub url: Url,
    /// The organization that is to own it. `None`: whoever is signed in.
    pub organization: Option<String>,
    /// What it is for.
    pub role: Role,
    /// 1 is the main one.
    pub number: u8,
    /// This service's public address.
    pub public_url: Url,
    /// Comes back with the browser.
    pub state: String,
}

/// What a browser has to post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestForm {
    /// Where.
    pub action: Url,
    /// The value of the field `manifest`.
    pub manifest: String,
}

/// An App as the forge knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppIdentity {
    /// The forge's id.
    pub forge_id: String,
    /// Its other id.
    pub client_id: String,
    /// Its name in addresses.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// The account that owns it.
    pub owner: String,
    /// What it may ask its installations for.
    pub permissions: BTreeMap<String, String>,
    /// What it is told about.
    pub events: Vec<String>,
}

/// An App that the forge has just registered, with its secrets.
pub struct Registered {
    /// What it is.
    pub identity: AppIdentity,
    /// Its private key, PEM.
    pub key: SecretString,
    /// Signs people in.
    pub client_secret: SecretString,
    /// Signs its deliveries. `None`: it has no webhook.
    pub webhook_secret: Option<SecretString>,
}

/// An App on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The forge's id.
    pub id: String,
    /// Organization or user.
    pub account: String,
    /// The forge's id of that.
    pub account_id: String,
    /// It can read all repositories, not only chosen ones.
    pub all_repositories: bool,
    /// What the account has granted.
    pub permissions: BTreeMap<String, String>,
    /// Somebody has suspended it: no calls, no webhooks.
    pub suspended: bool,
}

/// Somebody who may not install an App has asked an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallRequest {
    /// Where it should be installed.
    pub account: String,
    /// Who asked.
    pub requester: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a forge remembers of an App's deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryLog {
    /// Those of which no attempt succeeded, oldest first.
    pub failed: Vec<Delivered>,
    /// The newest that was seen.
    pub newest: Option<DateTime<Utc>>,
    /// The log reaches back to the moment that was asked for.
    pub complete: bool,
}

/// A delivery in a forge's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The log's name for this attempt.
    pub attempt: String,
    /// The delivery's id, as in the webhook itself.
    pub id: DeliveryId,
    /// When.
    pub at: DateTime<Utc>,
}
