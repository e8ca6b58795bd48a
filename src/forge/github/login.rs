//! What git signs in with: the main credential, and another of the pool where that one has come to nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::tokens::{self, Purpose, Rights, Tokens};
use crate::domain::{Error, Result};
use crate::forge::{AppKey, Credential, CredentialKind};
use crate::git;

/// The name that goes with a token over git. GitHub documents it for App tokens and takes any name with personal ones;
/// the login, which one report wants for those, is not always known (a token of an App has none).
const USER: &str = "x-access-token";

/// Between two tries of a token that a replica does not know yet.
const PAUSE: Duration = Duration::from_millis(500);

/// Tokens of the older form have 40 characters, the others some 500.
const OLD_FORM: usize = 100;

/// For one repository, for as long as a job lasts.
pub(super) struct PoolLogin {
    credentials: Vec<Credential>,
    repository: String,
    rights: Rights,
    tokens: Arc<Tokens>,
    current: AtomicUsize,
    short: AtomicBool,
    /// A token that had been good was refused, and another was made in its place.
    renewed: AtomicBool,
}

impl PoolLogin {
    /// An App's tokens are narrowed to `repository`, by the forge's id, and `rights`.
    pub fn new(credentials: &[Credential], repository: &str, rights: Rights, tokens: Arc<Tokens>) -> Self {
        Self {
            credentials: credentials.to_vec(),
            repository: repository.to_owned(),
            rights,
            tokens,
            current: AtomicUsize::new(0),
            short: AtomicBool::new(false),
            renewed: AtomicBool::new(false),
        }
    }

    fn current(&self) -> Result<&Credential> {
        let credential = self.credentials.get(self.current.load(Ordering::Relaxed));
        credential.ok_or_else(|| Error::misconfigured("there is no credential to fetch with"))
    }

    /// On to the next credential, if there is one.
    fn advance(&self) -> bool {
        let next = self.current.fetch_add(1, Ordering::Relaxed) + 1;
        if next < self.credentials.len() {
            self.short.store(false, Ordering::Relaxed);
            self.renewed.store(false, Ordering::Relaxed);
            return true;
        }
        self.current.store(self.credentials.len().saturating_sub(1), Ordering::Relaxed);
        false
    }

    fn purpose(&self, installation: &str) -> Purpose {
        Purpose {
            installation: installation.to_owned(),
            repository: Some(self.repository.clone()),
            rights: self.rights,
            short: self.short.load(Ordering::Relaxed),
        }
    }

    /// Whether it is worth trying again with a token of the same installation.
    async fn installed(
        &self,
        app: &AppKey,
        installation: &str,
        status: u16,
        refused: &git::Credential,
    ) -> Result<bool> {
        let purpose = self.purpose(installation);
        let token = self.tokens.get(app, &purpose).await?;
        if token.token.expose_secret() != refused.secret().expose_secret() {
            // It ended on its way, and this is its successor.
            return Ok(true);
        }
        match status {
            401 if token.is_new() => {
                tokio::time::sleep(PAUSE).await;
                Ok(true)
            }
            401 => {
                self.tokens.forget(app, &purpose).await;
                Ok(!self.renewed.swap(true, Ordering::Relaxed))
            }
            // Some git servers know only the older form of token.
            // https://github.com/orgs/community/discussions/211387
            404 if !purpose.short && token.token.expose_secret().len() > OLD_FORM => {
                self.short.store(true, Ordering::Relaxed);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

#[async_trait]
impl git::Login for PoolLogin {
    async fn credential(&self) -> Result<git::Credential> {
        loop {
            let token = match &self.current()?.kind {
                CredentialKind::Token(token) => Ok(token.clone()),
                CredentialKind::Client { .. } | CredentialKind::Delegated { .. } => Err(super::no_client()),
                CredentialKind::Installation { app, id, .. } => {
                    self.tokens.get(app, &self.purpose(id)).await.map(|minted| minted.token.clone())
                }
            };
            match token {
                Ok(password) => return Ok(git::Credential::Basic { username: USER.to_owned(), password }),
                Err(error) if tokens::is_lost(&error) && self.advance() => {
                    tracing::warn!("{}; going on with another credential", error.for_log());
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_again(&self, status: u16, refused: &git::Credential) -> Result<bool> {
        if let CredentialKind::Installation { app, id, .. } = &self.current()?.kind
            && self.installed(app, id, status, refused).await?
        {
            return Ok(true);
        }
        Ok(self.advance())
    }
}
