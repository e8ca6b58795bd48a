//! How an App proves that it is one: a short-lived JWT, signed with its private key.
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::hosts::{Host, Product};
use crate::domain::{Error, Result};
use crate::forge::AppKey;

/// Issued a little in the past, because the host's clock may be behind ours.
const BACKDATED: TimeDelta = TimeDelta::seconds(60);

/// GitHub accepts ten minutes; our clock may be ahead.
const VALID: TimeDelta = TimeDelta::minutes(9);

/// How far each host's clock is ahead of ours, as far as it mattered yet.
#[derive(Default)]
pub(super) struct Clocks(Mutex<HashMap<String, TimeDelta>>);

impl Clocks {
    /// The host's time.
    pub fn now(&self, host: &Host) -> DateTime<Utc> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Utc::now() + known.get(&host.name()).copied().unwrap_or_default()
    }

    /// The host told its time when it refused a JWT.
    pub fn set(&self, host: &Host, now: DateTime<Utc>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.name(), now - Utc::now());
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

/// A JWT that is good for the next minutes.
pub(super) fn sign(app: &AppKey, host: &Host, now: DateTime<Utc>) -> Result<SecretString> {
    let key = EncodingKey::from_rsa_pem(app.key.expose_secret().as_bytes()).map_err(|error| {
        Error::misconfigured(format!("what was given as the private key of App {} is none", app.forge_id))
            .hint("give the .pem file that GitHub made for the App: its settings, Private keys")
            .detail(error)
    })?;
    // Older Enterprise Servers know an App by its id only.
    let iss = if host.product == Product::Server { &app.forge_id } else { &app.client_id };
    let claims = Claims { iat: (now - BACKDATED).timestamp(), exp: (now + VALID).timestamp(), iss };
    let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key);
    signed.map(SecretString::from).map_err(|error| Error::bug("cannot sign as an App").detail(error))
}
