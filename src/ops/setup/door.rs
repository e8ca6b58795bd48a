//! Who may come in: a code opens a session, once.

use chrono::TimeDelta;
use rand_core::RngCore as _;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::Setup;
use crate::catalog::SetupKind;
use crate::domain::Result;
use crate::services::Services;

/// How long a code may lie about.
const CODE_LASTS: TimeDelta = TimeDelta::hours(24);

/// How long a browser may take for all of it.
const SESSION_LASTS: TimeDelta = TimeDelta::hours(2);

/// Where to go and what opens it.
pub struct Door {
    /// The page.
    pub url: Url,
    /// Opens it once, within a day.
    pub code: SecretString,
}

/// Makes a code.
pub async fn new_code(services: &Services) -> Result<Door> {
    let url = services.settings.server.public_url()?;
    let url = url.join("setup").unwrap_or(url);
    let code = random();
    services.catalog.put_setup(SetupKind::Code, &hash(&code), Value::Null, CODE_LASTS).await?;
    Ok(Door { url, code })
}

/// A browser that has shown a code.
pub struct Session {
    key: SecretString,
    /// What the database knows of it.
    pub(super) hash: Vec<u8>,
    /// What was wished for in it.
    pub(super) draft: Value,
}

impl Session {
    /// What the browser keeps.
    pub fn key(&self) -> &SecretString {
        &self.key
    }

    /// What is to be registered next.
    pub fn next_number(&self) -> Option<u8> {
        super::register::next_number(self)
    }

    /// Stands in this session's forms; nobody else's page can know it.
    pub fn form_token(&self) -> String {
        hex::encode(Sha256::new().chain_update("form").chain_update(self.key.expose_secret()).finalize())
    }

    /// A form came from one of this session's pages.
    pub fn sent(&self, form_token: &str) -> bool {
        self.form_token().as_bytes().ct_eq(form_token.as_bytes()).into()
    }
}

impl Setup {
    /// Exchanges a code for a session. `None`: it opens nothing (any more).
    pub async fn open(&self, code: &SecretString) -> Result<Option<Session>> {
        let catalog = &self.services.catalog;
        if catalog.take_setup(SetupKind::Code, &hash(code)).await?.is_none() {
            return Ok(None);
        }
        let key = random();
        let hash = hash(&key);
        catalog.put_setup(SetupKind::Session, &hash, Value::Null, SESSION_LASTS).await?;
        Ok(Some(Session { key, hash, draft: Value::Null }))
    }

    /// The session that a browser says it has.
    pub async fn session(&self, key: SecretString) -> Result<Option<Session>> {
        let hash = hash(&key);
        let draft = self.services.catalog.setup(SetupKind::Session, &hash).await?;
        Ok(draft.map(|draft| Session { key, hash, draft }))
    }
}

/// 128 bits.
pub(in crate::ops) fn random() -> SecretString {
    let mut bytes = [0; 16];
    rand_core::OsRng.fill_bytes(&mut bytes);
    hex::encode(bytes).into()
}

/// What is random needs no slow hash.
pub(in crate::ops) fn hash(secret: &SecretString) -> Vec<u8> {
    Sha256::digest(secret.expose_secret().trim()).to_vec()
}
