//! Who sent a delivery. Azure DevOps signs nothing, so each hook of ours has three things that only we and it know: the key
//! in its path, a password for basic authentication, and a header. Password and header are derived from the connection's
//! secret and the key, so that none opens another hook's door and nothing has to be stored for each.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::forge::{HookSecret, Posted, Rejected, Verified};

/// The user of the basic authentication.
pub(super) const USER: &str = "refward";

/// The header with the other secret.
pub(super) const HEADER: &str = "x-refward-hook";

/// Which of a hook's secrets; what is derived for one purpose is no good for the other. Whoever may look at hooks is shown
/// the header, but never the password.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Password,
    Header,
}

/// The unguessable part of a hook's address.
pub(super) struct Key(String);

impl Key {
    const LENGTH: usize = 32;

    /// 122 random bits.
    pub(super) fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == Self::LENGTH && digits).then(|| Self(text.to_owned()))
    }

    /// The secret for one purpose, in hexadecimal.
    pub(super) fn derive(&self, secret: &SecretString, purpose: Purpose) -> SecretString {
        hex::encode(self.mac(secret, purpose).finalize().into_bytes()).into()
    }

    /// Whether somebody knows the secret for one purpose. Takes the same time whatever is claimed.
    pub(super) fn opens(&self, secret: &SecretString, purpose: Purpose, claimed: &str) -> bool {
        let claimed = hex::decode(claimed).unwrap_or_default();
        // Anybody can derive from an empty secret.
        !secret.expose_secret().is_empty() && self.mac(secret, purpose).verify_slice(&claimed).is_ok()
    }

    fn mac(&self, secret: &SecretString, purpose: Purpose) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
        mac.update(match purpose {
            Purpose::Password => b"refward service hook password\0",
            Purpose::Header => b"refward service hook header\0\0\0",
        });
        mac.update(self.0.as_bytes());
        mac
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn verify(Posted { key, headers, body }: Posted<'_>, secrets: &[HookSecret]) -> Result<Verified, Rejected> {
    let key = key.and_then(Key::parse).ok_or(Rejected::Unauthenticated)?;
    let (user, password) = basic(headers).ok_or(Rejected::Unauthenticated)?;
    let header = headers.get(HEADER).and_then(|value| value.to_str().ok()).ok_or(Rejected::Unauthenticated)?;
    if user != USER {
        return Err(Rejected::Unauthenticated);
    }
    // Every secret is tried with both, so that the time tells nothing about which one fits, and how far.
    let fits = |known: &&HookSecret| {
        key.opens(&known.secret, Purpose::Password, &password)
            & key.opens(&known.secret, Purpose::Header, header.trim())
    };
    let mut signers: Vec<_> = secrets.iter().filter(fits).map(|known| known.signer).collect();
    signers.sort_unstable();
    signers.dedup();
    if signers.is_empty() {
        return Err(Rejected::Unauthenticated);
    }
    Ok(Verified { headers: headers.clone(), body, signers })
}

/// User and password.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    plain.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}
