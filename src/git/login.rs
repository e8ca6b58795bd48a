//! What opens a repository on a server.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::domain::Result;

/// Where a credential comes from. It is asked before every request, because some end while a transfer goes on.
#[async_trait]
pub trait Login: Send + Sync {
    /// The credential for the next request.
    async fn credential(&self) -> Result<Credential>;

    /// The server refused the credential with this HTTP status (401 also stands for a page to sign in on). `true`:
    /// another one, or the same a moment later, may do. Called again for as long as it says so.
    async fn try_again(&self, _status: u16, _refused: &Credential) -> Result<bool> {
        Ok(false)
    }

    /// The server asks for a pause before the next request, even if it answered this one.
    async fn slow_down(&self, _pause: Duration) {}
}

/// What a git server is told to believe us.
#[derive(Clone)]
pub enum Credential {
    /// HTTP basic authentication.
    Basic {
        /// Many forges take any word here.
        username: String,
        /// Password or token.
        password: SecretString,
    },
    /// A token of its own scheme.
    Bearer(SecretString),
}

impl Credential {
    /// What must not be told to anybody else.
    pub fn secret(&self) -> &SecretString {
        match self {
            Self::Basic { password, .. } => password,
            Self::Bearer(token) => token,
        }
    }

    /// The value of the header `Authorization`.
    pub(super) fn authorization(&self) -> Zeroizing<String> {
        match self {
            Self::Basic { username, password } => {
                let plain = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
                let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(plain.as_bytes()));
                Zeroizing::new(format!("Basic {}", encoded.as_str()))
            }
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.expose_secret())),
        }
    }
}

/// One that lasts.
#[async_trait]
impl Login for Credential {
    async fn credential(&self) -> Result<Credential> {
        Ok(self.clone())
    }
}
