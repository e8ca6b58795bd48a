//! How to reach an owner's repositories: the host, the owner, and a pool of credentials.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::quota::Urgency;

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
        let credential =
            Credential { label: "token".to_owned(), who: "token".to_owned(), kind: CredentialKind::Token(token) };
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
    /// What it cannot do that a backup needs; each says how to get it. Empty: all is well.
    pub missing: Vec<String>,
}
