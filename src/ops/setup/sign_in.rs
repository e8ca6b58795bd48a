//! Connecting in a browser: whoever may lets us act for them, on the pages of the forge's OAuth authority, and comes back.
//!
//! What the session keeps of it is who the client is, and its secret sealed. Each way to the authority and back has a state
//! of its own, which works once and only in the browser that it was made for; for a sign-in there is also a verifier that never
//! leaves us, so that a code which somebody has caught on the way opens nothing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::Setup;
use super::door::{Session, hash, random};
use super::register::{STATE_LASTS, at_the_page, json};
use crate::catalog::{ConnectionSettings, NewRecord, OauthKind, SetupKind, Source, Verdict};
use crate::domain::{Error, Result};
use crate::forge::{Forge, OauthClient, Proof, SignIn};
use crate::ops::connect::{Connect, ConnectionRow, check_name, connect, list, main_credential, named, refuse_second};
use crate::ops::rotate::replace_sign_in;
use crate::services::{Given, Unkept};

/// What somebody wants to connect.
pub struct Wanted {
    /// The forge's slug.
    pub forge: String,
    /// What to call the connection.
    pub name: String,
    /// The owner's address.
    pub url: Url,
    /// The client that is to act.
    pub client: OauthClient,
    /// Its secret.
    pub secret: SecretString,
}

/// A forge with an authority.
pub struct Authority {
    /// The forge's slug.
    pub slug: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Where whoever names none is registered.
    pub url: Url,
}

/// The pages of the authority that a browser goes to next.
pub struct Steps {
    /// The connection that there is or will be.
    pub name: String,
    /// The authority's host.
    pub host: String,
    /// Where an administrator agrees for everybody.
    pub agree: Url,
    /// That has been done in this session.
    pub agreed: bool,
    /// Where somebody signs in.
    pub sign_in: Url,
    /// Where the authority must let the browser come back to.
    pub back: Url,
}

/// What a browser came back with.
pub struct Came {
    /// Of a sign-in.
    pub code: Option<SecretString>,
    /// Why there is none.
    pub error: Option<String>,
    /// The same for people.
    pub description: Option<String>,
}

/// What came of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An administrator has agreed.
    Agreed,
    /// There is a connection, or it works again.
    Connected,
}

/// What a session keeps.
#[derive(Serialize, Deserialize)]
struct Draft {
    forge: String,
    name: String,
    url: Url,
    client: OauthClient,
    /// The client's secret; none where there is the connection already.
    sealed: Option<Vec<u8>>,
    agreed: bool,
    done: bool,
}

/// A way to the authority that the browser is away for.
#[derive(Serialize, Deserialize)]
struct Errand {
    to_authority_of: String,
    /// What it is about: a session may come to want something else meanwhile.
    client: OauthClient,
    connection: String,
    /// Of a sign-in, sealed.
    verifier: Option<Vec<u8>>,
}

impl Draft {
    fn of(session: &Session) -> Option<Self> {
        serde_json::from_value(session.draft.clone()).ok()
    }
}

impl Setup {
    /// Every forge where people can let us act for them.
    pub fn authorities(&self) -> Vec<Authority> {
        let forges = self.services.forges.iter();
        let authority = |forge: &dyn Forge| {
            let url = forge.sign_in()?.authority();
            Some(Authority { slug: forge.slug(), title: forge.title(), url })
        };
        forges.filter_map(|forge| authority(forge.as_ref())).collect()
    }

    /// The connections that act for somebody who has signed in.
    pub async fn signed_in(&self) -> Result<Vec<String>> {
        let catalog = &self.services.catalog;
        let delegated = |source: &Source| matches!(source, Source::Oauth { kind: OauthKind::Delegated, .. });
        let credentials = catalog.credentials(None).await?.into_iter();
        let theirs: Vec<_> = credentials.filter(|known| known.main && delegated(&known.source)).collect();
        let connections = catalog.connections().await?.into_iter();
        let mine = connections.filter(|known| theirs.iter().any(|credential| credential.connection == known.id));
        Ok(mine.map(|connection| connection.name).collect())
    }

    /// Keeps what a session wants to connect. Whether that can be is said now, as far as it is known.
    pub async fn want(&self, session: &Session, wanted: Wanted) -> Result<()> {
        let services = &self.services;
        check_name("connection", &wanted.name)?;
        let forge = services.forge(&wanted.forge)?;
        let url = forge.settle_url(&wanted.url)?;
        let owner = forge.owner_in(&url);
        let owner =
            owner.ok_or_else(|| Error::bad_request("the address does not say whose repositories to back up"))?;
        refuse_second(services, &wanted.forge, &wanted.name, &url, &owner).await?;
        if wanted.secret.expose_secret().trim().is_empty() {
            return Err(Error::bad_request("the client secret is empty"));
        }
        let client = self.authority(&wanted.forge)?.settle_client(&wanted.client)?;
        let sealed = Some(services.credentials.seal(&wanted.secret.expose_secret().trim().to_owned().into())?);
        let Wanted { forge, name, .. } = wanted;
        self.keep_draft(session, &Draft { forge, name, url, client, sealed, agreed: false, done: false }).await
    }

    /// Somebody is going to sign in once more for a connection that acts for them.
    pub async fn want_again(&self, session: &Session, name: &str) -> Result<()> {
        let connection = named(&self.services, name).await?;
        let main = main_credential(&self.services, connection.id).await?;
        let Source::Oauth { kind: OauthKind::Delegated, client, .. } = main.source else {
            return Err(Error::bad_request(format!("nobody has signed in for {name}")));
        };
        let client = serde_json::from_value(client)
            .map_err(|error| Error::bug("a client was kept as something else").detail(error))?;
        let (url, forge, name) = (connection.address()?, connection.forge, connection.name);
        self.keep_draft(session, &Draft { forge, name, url, client, sealed: None, agreed: false, done: false }).await
    }

    /// Where the session's browser goes next. `None`: it wants nothing.
    pub async fn steps(&self, session: &Session) -> Result<Option<Steps>> {
        let Some(draft) = Draft::of(session).filter(|draft| !draft.done) else { return Ok(None) };
        let (authority, back) = (self.authority(&draft.forge)?, self.back()?);
        // RFC 7636 wants 43 characters at least.
        let verifier = SecretString::from([random().expose_secret(), random().expose_secret()].concat());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret()));
        let agreeing = self.away(session, &draft, None).await?;
        let signing_in = self.away(session, &draft, Some(&verifier)).await?;
        Ok(Some(Steps {
            agree: authority.consent_page(&draft.client, &back, agreeing.expose_secret())?,
            sign_in: authority.sign_in_page(&draft.client, &back, signing_in.expose_secret(), &challenge)?,
            agreed: draft.agreed,
            host: draft.client.authority.host_str().unwrap_or_default().to_owned(),
            name: draft.name,
            back,
        }))
    }

    /// The browser is back from the authority.
    pub async fn came_back(&self, session: &Session, state: &SecretString, came: &Came) -> Result<Step> {
        let (catalog, state_hash) = (&self.services.catalog, hash(state));
        // Looked at before it is used up: somebody else's browser must not spoil it for the one that it is for.
        let kept = catalog.setup(SetupKind::State, &state_hash).await?;
        let errand = kept.clone().and_then(|kept| serde_json::from_value::<Errand>(kept).ok());
        let mine = |errand: &Errand| errand.to_authority_of == hex::encode(&session.hash);
        let (Some(errand), Some(mut draft)) = (errand.filter(mine), Draft::of(session)) else {
            return Err(no_answer());
        };
        // What one authority gave must not go to another one.
        if errand.client != draft.client || errand.connection != draft.name {
            return Err(no_answer());
        }
        if catalog.take_setup(SetupKind::State, &state_hash).await?.is_none() {
            return Err(no_answer());
        }
        if let Some(error) = &came.error {
            let description = came.description.as_deref().unwrap_or_default();
            return Err(self.authority(&draft.forge)?.refused(&draft.client, error, description));
        }
        let (verifier, code) = match (errand.verifier, &came.code) {
            (None, _) => {
                draft.agreed = true;
                self.keep_draft(session, &draft).await?;
                return Ok(Step::Agreed);
            }
            (Some(verifier), Some(code)) => (self.services.credentials.open(&verifier)?, code),
            (Some(_), None) => return Err(no_answer()),
        };
        if let Err(error) = self.finish(&draft, code, &verifier).await {
            if let Some(kept) = kept.filter(|_| error.kind().is_transient()) {
                // The code may still be good: loading the page again tries again.
                catalog.put_setup(SetupKind::State, &state_hash, kept, STATE_LASTS).await?;
            }
            return Err(error);
        }
        (draft.done, draft.sealed) = (true, None);
        self.keep_draft(session, &draft).await?;
        Ok(Step::Connected)
    }

    /// The connection that the session has made, or mended.
    pub async fn connected(&self, session: &Session) -> Result<Option<ConnectionRow>> {
        let Some(draft) = Draft::of(session).filter(|draft| draft.done) else { return Ok(None) };
        Ok(list(&self.services).await?.into_iter().find(|row| row.name == draft.name))
    }

    async fn finish(&self, draft: &Draft, code: &SecretString, verifier: &SecretString) -> Result<()> {
        let (services, back) = (&self.services, self.back()?);
        let authority = self.authority(&draft.forge)?;
        let (client, name) = (draft.client.clone(), draft.name.clone());
        let action = if let Some(sealed) = &draft.sealed {
            let proof = Proof::Secret(services.credentials.open(sealed)?);
            let refresh = Unkept::new(authority.redeem(&client, &proof, &back, code, verifier).await?);
            let request = Connect {
                forge: draft.forge.clone(),
                name,
                url: draft.url.clone(),
                owner: None,
                given: Given::Delegated { client, proof, refresh },
                webhook_secret: None,
                settings: ConnectionSettings::default(),
            };
            connect(services, request).await?;
            "connection.add"
        } else {
            let proof = services.proof_of(&main_credential(services, named(services, &name).await?.id).await?)?;
            let refresh = Unkept::new(authority.redeem(&client, &proof, &back, code, verifier).await?);
            replace_sign_in(services, &name, refresh).await?;
            "connection.token"
        };
        let record = NewRecord::new(&at_the_page(), action, Verdict::Done).about(draft.name.clone());
        services.catalog.record(record).await
    }

    /// Where every browser comes back to: one address, which the client's registration has to know.
    fn back(&self) -> Result<Url> {
        let url = self.public_url()?;
        url.join("setup/signed-in").map_err(|error| Error::bug("a page of ours has no address").detail(error))
    }

    fn authority(&self, forge: &str) -> Result<&dyn SignIn> {
        let forge = self.services.forge(forge)?;
        let silent = || Error::bad_request(format!("{} lets nobody sign in for us", forge.title()));
        forge.sign_in().ok_or_else(silent)
    }

    async fn away(&self, session: &Session, draft: &Draft, verifier: Option<&SecretString>) -> Result<SecretString> {
        let state = random();
        let verifier = verifier.map(|verifier| self.services.credentials.seal(verifier)).transpose()?;
        let (client, connection) = (draft.client.clone(), draft.name.clone());
        let errand = Errand { to_authority_of: hex::encode(&session.hash), client, connection, verifier };
        self.services.catalog.put_setup(SetupKind::State, &hash(&state), json(&errand)?, STATE_LASTS).await?;
        Ok(state)
    }

    async fn keep_draft(&self, session: &Session, draft: &Draft) -> Result<()> {
        self.services.catalog.set_setup_draft(SetupKind::Session, &session.hash, json(draft)?).await
    }
}

fn no_answer() -> Error {
    Error::bad_request("this is no answer to a sign-in that began in this browser, or a repeated one")
        .hint("begin again at /setup")
}
