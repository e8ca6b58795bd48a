//! Clients of OAuth authorities: what is sealed of them, and sign-ins that renew themselves.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::catalog::{Catalog, OauthKind, Source, StoredCredential};
use crate::domain::{CredentialId, Error, Result};
use crate::forge::{CredentialKind, Forge, OauthClient, Proof, Refresh};
use crate::vault::CredentialKey;

use super::Services;

/// What opens an owner's account, as somebody gave it to us.
pub enum Given {
    /// A token.
    Token(SecretString),
    /// A client that acts for itself.
    Client {
        /// Which.
        client: OauthClient,
        /// That it is that one.
        proof: Proof,
    },
    /// A client that acts for whoever has just signed in.
    Delegated {
        /// Which.
        client: OauthClient,
        /// That it is that one.
        proof: Proof,
        /// Their sign-in.
        refresh: Arc<Unkept>,
    },
}

impl Given {
    /// What it is called as long as nobody calls it otherwise.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Client { .. } => "client",
            Self::Delegated { .. } => "sign-in",
        }
    }

    /// With its client as that is stored. Fails where the forge takes none.
    pub fn settled(self, forge: &dyn Forge) -> Result<Self> {
        let settle = |client: &OauthClient| match forge.sign_in() {
            Some(sign_in) => sign_in.settle_client(client),
            None => Err(Error::bad_request(format!("{} takes no clients of other authorities", forge.title()))
                .hint("give a token instead")),
        };
        Ok(match self {
            Self::Token(token) => Self::Token(token),
            Self::Client { client, proof } => Self::Client { client: settle(&client)?, proof },
            Self::Delegated { client, proof, refresh } => Self::Delegated { client: settle(&client)?, proof, refresh },
        })
    }

    /// To be tried, before it is kept.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Token(token) => CredentialKind::Token(token.clone()),
            Self::Client { client, proof } => CredentialKind::Client { client: client.clone(), proof: proof.clone() },
            Self::Delegated { client, proof, refresh } => CredentialKind::Delegated {
                client: client.clone(),
                proof: proof.clone(),
                refresh: Arc::clone(refresh) as Arc<dyn Refresh>,
            },
        }
    }
}

/// A sign-in that is nowhere but here yet.
pub struct Unkept {
    id: Uuid,
    token: Mutex<SecretString>,
}

impl Unkept {
    /// As the authority gave it.
    pub fn new(token: SecretString) -> Arc<Self> {
        Arc::new(Self { id: Uuid::new_v4(), token: Mutex::new(token) })
    }

    /// What came of it by now.
    pub fn newest(&self) -> SecretString {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Refresh for Unkept {
    fn id(&self) -> String {
        self.id.to_string()
    }

    async fn token(&self) -> Result<SecretString> {
        Ok(self.newest())
    }

    async fn keep(&self, _used: &SecretString, newer: &SecretString) -> Result<()> {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = newer.clone();
        Ok(())
    }
}

/// What is sealed of a client. The order of the fields is no matter; what is missing is none.
#[derive(Default, Serialize, Deserialize)]
struct Sealed {
    secret: Option<Zeroizing<String>>,
    certificate: Option<Zeroizing<String>>,
    refresh: Option<Zeroizing<String>>,
}

impl Sealed {
    fn of(proof: &Proof, refresh: Option<&SecretString>) -> Self {
        let text = |secret: &SecretString| Some(Zeroizing::new(secret.expose_secret().to_owned()));
        let sealed = Self { refresh: refresh.and_then(text), ..Self::default() };
        match proof {
            Proof::Secret(secret) => Self { secret: text(secret), ..sealed },
            Proof::Certificate(pem) => Self { certificate: text(pem), ..sealed },
        }
    }

    fn open(key: &CredentialKey, sealed: &[u8]) -> Result<Self> {
        serde_json::from_str(key.open(sealed)?.expose_secret()).map_err(|_| unreadable())
    }

    fn seal(&self, key: &CredentialKey) -> Result<Vec<u8>> {
        let text = serde_json::to_string(self).map_err(|_| unreadable())?;
        key.seal(&SecretString::from(text))
    }

    fn proof(&self) -> Result<Proof> {
        match (&self.secret, &self.certificate) {
            (Some(secret), None) => Ok(Proof::Secret(secret.as_str().into())),
            (None, Some(pem)) => Ok(Proof::Certificate(pem.as_str().into())),
            _ => Err(unreadable()),
        }
    }

    fn refresh(&self) -> Result<SecretString> {
        self.refresh.as_ref().map(|token| token.as_str().into()).ok_or_else(unreadable)
    }
}

fn unreadable() -> Error {
    Error::bug("what is kept of an OAuth client cannot be read")
}

impl Services {
    /// As the database keeps what was given.
    pub fn source(&self, given: &Given) -> Result<Source> {
        let (kind, client, sealed) = match given {
            Given::Token(token) => return Ok(Source::Token(self.credentials.seal(token)?)),
            Given::Client { client, proof } => (OauthKind::Client, client, Sealed::of(proof, None)),
            Given::Delegated { client, proof, refresh } => {
                (OauthKind::Delegated, client, Sealed::of(proof, Some(&refresh.newest())))
            }
        };
        let client = serde_json::to_value(client).map_err(|_| unreadable())?;
        Ok(Source::Oauth { kind, client, sealed: sealed.seal(&self.credentials)? })
    }

    /// Puts another proof of the client, or somebody's new sign-in, in the place of what a credential has. Whoever uses it
    /// begins anew.
    pub async fn reseal(&self, id: CredentialId, proof: Option<&Proof>, refresh: Option<&SecretString>) -> Result<()> {
        let stored = self.catalog.credential_by_id(id).await?.map(|stored| stored.source);
        let Some(Source::Oauth { sealed, .. }) = stored else {
            return Err(Error::misconfigured("the credential has been removed"));
        };
        let mut open = Sealed::open(&self.credentials, &sealed)?;
        if let Some(proof) = proof {
            let refresh = open.refresh.take();
            open = Sealed { refresh, ..Sealed::of(proof, None) };
        }
        if let Some(refresh) = refresh {
            open.refresh = Some(Zeroizing::new(refresh.expose_secret().to_owned()));
        }
        self.catalog.replace_token(id, open.seal(&self.credentials)?).await
    }

    /// What proves the client that a credential is of.
    pub fn proof_of(&self, stored: &StoredCredential) -> Result<Proof> {
        match &stored.source {
            Source::Oauth { sealed, .. } => Sealed::open(&self.credentials, sealed)?.proof(),
            Source::Token(_) | Source::Installation { .. } => Err(unreadable()),
        }
    }

    pub(super) fn oauth(
        &self,
        stored: &StoredCredential,
        kind: OauthKind,
        client: &serde_json::Value,
        sealed: &[u8],
    ) -> Result<CredentialKind> {
        let client: OauthClient = serde_json::from_value(client.clone()).map_err(|_| unreadable())?;
        let proof = Sealed::open(&self.credentials, sealed)?.proof()?;
        Ok(match kind {
            OauthKind::Client => CredentialKind::Client { client, proof },
            OauthKind::Delegated => {
                let (id, since) = (stored.id, stored.created_at);
                let kept = Kept { id, since, catalog: self.catalog.clone(), key: self.credentials.clone() };
                CredentialKind::Delegated { client, proof, refresh: Arc::new(kept) }
            }
        })
    }
}

/// A sign-in in the database, which other processes renew, too.
struct Kept {
    id: CredentialId,
    /// Somebody else may sign in in its place.
    since: DateTime<Utc>,
    catalog: Catalog,
    key: CredentialKey,
}

impl Kept {
    async fn read(&self) -> Result<(Vec<u8>, Sealed)> {
        match self.catalog.credential_by_id(self.id).await?.map(|stored| stored.source) {
            Some(Source::Oauth { sealed, .. }) => {
                let open = Sealed::open(&self.key, &sealed)?;
                Ok((sealed, open))
            }
            _ => Err(Error::misconfigured("the credential has been removed")),
        }
    }
}

#[async_trait]
impl Refresh for Kept {
    fn id(&self) -> String {
        format!("{} since {}", self.id, self.since.timestamp_micros())
    }

    async fn token(&self) -> Result<SecretString> {
        self.read().await?.1.refresh()
    }

    /// Another process may have been quicker: then what it has kept stays.
    async fn keep(&self, used: &SecretString, newer: &SecretString) -> Result<()> {
        let (before, mut open) = self.read().await?;
        if open.refresh()?.expose_secret() == used.expose_secret() {
            open.refresh = Some(Zeroizing::new(newer.expose_secret().to_owned()));
            self.catalog.replace_sealed(self.id, &before, open.seal(&self.key)?).await?;
        }
        Ok(())
    }
}
