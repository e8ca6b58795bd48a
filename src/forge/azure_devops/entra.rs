//! Tokens from Entra: made once however many wait for them, renewed before they end, kept in memory only.

use secrecy::SecretString;

use super::unbuilt;
use crate::domain::Result;
use crate::forge::{CredentialKind, Net};

/// Tokens for all credentials.
pub(super) struct Entra {
    net: Net,
}

/// What to sign a request with.
pub(super) enum Bearer {
    /// A personal access token, for basic authentication.
    Pat(SecretString),
    /// A token of Entra.
    Token(SecretString),
}

impl Entra {
    pub fn new(net: Net) -> Self {
        Self { net }
    }

    /// What a credential signs with now.
    pub async fn bearer(&self, kind: &CredentialKind) -> Result<Bearer> {
        match kind {
            CredentialKind::Token(pat) => Ok(Bearer::Pat(pat.clone())),
            _ => {
                _ = &self.net;
                Err(unbuilt())
            }
        }
    }

    /// What a credential's token was refused with: the next one is made anew. `false`: that would not help.
    pub async fn forget(&self, _kind: &CredentialKind) -> bool {
        false
    }
}
