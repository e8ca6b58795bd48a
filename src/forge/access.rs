//! How to reach an owner's repositories: the host, the owner, and a pool of credentials.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::quota::Urgency;
use crate::domain::Result;

/// How to reach one owner's repositories on one host.
#[derive(Clone)]
pub struct Access {
    /// The host's web address, as [`super::Forge::settle_url`] returned it.
    pub url: Url,
    /// Organization or user.
    pub owner: String,
    /// The credentials that may be used, the main one first; never empty.
    pub credentials: Vec<Credential>,
    /// Who waits for what is done with them.
    pub urgency: Urgency,
}

/// One credential of a pool.
#[derive(Clone)]
pub struct Credential {
    /// What people call it.
    pub label: String,
    /// Who shares its budget on the host: `user mona`, `installation 123`. Two tokens of one user are one.
    pub who: String,
    /// What it is.
    pub kind: CredentialKind,
}

/// What a credential is.
#[derive(Clone)]
pub enum CredentialKind {
    /// A token, good as it is.
    Token(SecretString),
    /// An App on an account: tokens that end soon are made from it.
    Installation {
        /// The App.
        app: AppKey,
        /// The forge's id of the installation.
        id: String,
        /// The owner gave it all repositories, not chosen ones.
        all_repositories: bool,
    },
    /// A client of an OAuth authority that acts for itself: tokens that end soon are made from what proves it.
    Client {
        /// Which.
        client: OauthClient,
        /// That it is that one.
        proof: Proof,
    },
    /// A client that acts for somebody who has signed in: tokens that end soon are made from their refresh token.
    Delegated {
        /// Which.
        client: OauthClient,
        /// That it is that one.
        proof: Proof,
        /// Whose sign-in.
        refresh: Arc<dyn Refresh>,
    },
}

/// A client that somebody has registered with an OAuth authority. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthClient {
    /// Where it is registered: `https://login.microsoftonline.com/`.
    pub authority: Url,
    /// The organization's part of that, by its id or one of its domains; empty where an authority has no such parts.
    pub tenant: String,
    /// The client's id.
    pub client_id: String,
}

/// What proves that we are a client.
#[derive(Clone)]
pub enum Proof {
    /// A password of its own.
    Secret(SecretString),
    /// A certificate and its private key, PEM, in any order.
    Certificate(SecretString),
}

/// A refresh token: somebody's sign-in, for as long as the authority lets it last. A new one may come with every use, and is
/// the one to use from then on, in every process.
#[async_trait]
pub trait Refresh: Send + Sync {
    /// Which sign-in; the same whatever its newest token is.
    fn id(&self) -> String;

    /// The newest.
    async fn token(&self) -> Result<SecretString>;

    /// Keeps a newer one than `used`.
    async fn keep(&self, used: &SecretString, newer: &SecretString) -> Result<()>;
}

impl fmt::Display for OauthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} of {}", self.client_id, self.tenant)
    }
}

/// What proves that we are an App.
#[derive(Clone)]
pub struct AppKey {
    /// The host's web address.
    pub url: Url,
    /// The forge's id of the App.
    pub forge_id: String,
    /// Its other id.
    pub client_id: String,
    /// Its private key, PEM.
    pub key: SecretString,
}

impl Access {
    /// With one token and nothing else.
    pub fn with_token(url: Url, owner: impl Into<String>, token: SecretString) -> Self {
        Self::with(url, owner, CredentialKind::Token(token))
    }

    /// With one credential, to be tried.
    pub fn with(url: Url, owner: impl Into<String>, kind: CredentialKind) -> Self {
        let credential = Credential { label: "token".to_owned(), who: "token".to_owned(), kind };
        Self { url, owner: owner.into(), credentials: vec![credential], urgency: Urgency::Person }
    }
}

/// What a credential turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// What runs there: `GitHub.com`, `GitHub Enterprise Server 3.19.0`.
    pub host: String,
    /// Who the credential acts as.
    pub login: Option<String>,
    /// `classic token`, `fine-grained token`, `App installation`, …
    pub credential: String,
    /// When it ends, RFC 3339, where the forge says.
    pub expires: Option<String>,
    /// What it can do, where the forge tells: the names of its rights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// What it cannot do that a backup needs; each says how to get it. Empty: all is well.
    pub missing: Vec<String>,
}
