//! How a client proves with a certificate that it is one: a short-lived JWT, signed with the certificate's key.
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use pem::Pem;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::{Error, Result};
use crate::forge::OauthClient;

/// <https://datatracker.ietf.org/doc/html/rfc7523#section-2.2>
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Begun a little in the past, because Entra's clock may be behind ours.
const BACKDATED: TimeDelta = TimeDelta::minutes(1);

/// Entra wants five to ten minutes; our clock may be ahead.
const VALID: TimeDelta = TimeDelta::minutes(9);

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// A JWT that is good for the next minutes, at this address.
pub(super) fn assertion(client: &OauthClient, endpoint: &Url, pem: &SecretString) -> Result<SecretString> {
    let blocks = pem::parse_many(pem.expose_secret()).map_err(|error| unusable("is not PEM").detail(error))?;
    let find = |what: fn(&str) -> bool| blocks.iter().find(|block| what(block.tag()));
    if find(|tag| tag == "ENCRYPTED PRIVATE KEY").is_some() {
        return Err(unusable("has a private key with a passphrase"));
    }
    // The first is its own; those of its authorities follow.
    let certificate = find(|tag| tag == "CERTIFICATE").ok_or_else(|| unusable("holds no certificate"))?;
    let key = find(|tag| tag.ends_with("PRIVATE KEY")).ok_or_else(|| unusable("holds no private key"))?;
    let mut header = Header::new(Algorithm::PS256);
    header.x5t_s256 = Some(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.contents())));
    let now = Utc::now();
    let claims = Claims {
        aud: endpoint.as_str(),
        iss: &client.client_id,
        sub: &client.client_id,
        jti: Uuid::new_v4(),
        iat: now.timestamp(),
        nbf: (now - BACKDATED).timestamp(),
        exp: (now + VALID).timestamp(),
    };
    let signed = jsonwebtoken::encode(&header, &claims, &signing_key(key)?);
    signed.map(SecretString::from).map_err(|error| Error::bug("cannot sign as an application").detail(error))
}

fn signing_key(key: &Pem) -> Result<EncodingKey> {
    let alone = Zeroizing::new(pem::encode(key));
    let key = EncodingKey::from_rsa_pem(alone.as_bytes());
    key.map_err(|error| unusable("has a private key that is not RSA, which is all that Entra takes").detail(error))
}

fn unusable(why: &str) -> Error {
    Error::misconfigured(format!("the certificate's file {why}"))
        .hint("it has to hold the certificate and its private key, RSA and without a passphrase, as PEM")
}
