//! Who sent a delivery: nothing less than all three secrets of a hook.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use refward::forge::{Posted, Rejected, Signer};

use super::azure;
use crate::secret;

pub const KEY: &str = "0123456789abcdef0123456789abcdef";

/// As it comes to a path with a key, or without.
pub fn posted_to<'a>(key: Option<&'a str>, headers: &'a HeaderMap, body: Bytes) -> Posted<'a> {
    Posted { key, headers, body }
}

/// What a hook knows that was made with this secret of its connection.
fn derived(secret: &str, purpose: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(purpose);
    mac.update(KEY.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn headers(user: &str, password: &str, header: &str) -> HeaderMap {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&basic).unwrap());
    headers.insert("x-refward-hook", HeaderValue::from_str(header).unwrap());
    headers
}

fn of(secret: &str) -> HeaderMap {
    let password = derived(secret, b"refward service hook password\0");
    headers("refward", &password, &derived(secret, b"refward service hook header\0\0\0"))
}

/// What the hook sends whose connection has the secret `s3cret`.
pub fn authentic() -> HeaderMap {
    of("s3cret")
}

fn signers(key: Option<&str>, headers: &HeaderMap, secrets: &[(i64, &str)]) -> Result<Vec<Signer>, Rejected> {
    let secrets: Vec<_> = secrets.iter().map(|(id, text)| secret(*id, text)).collect();
    let verified = azure().verify(posted_to(key, headers, Bytes::new()), &secrets)?;
    Ok(verified.signers().to_vec())
}

#[test]
fn the_secret_tells_the_connection() {
    let found = signers(Some(KEY), &of("old"), &[(1, "s3cret"), (2, "new"), (2, "old")]).unwrap();
    assert_eq!(found, [Signer::Connection(refward::domain::ConnectionId(2))]);
}

#[test]
fn nothing_less_than_all_of_it_gets_in() {
    let known = [(1, "s3cret")];
    assert!(signers(Some(KEY), &authentic(), &known).is_ok());
    let password = derived("s3cret", b"refward service hook password\0");
    let header = derived("s3cret", b"refward service hook header\0\0\0");
    let refused = |key: Option<&str>, headers: &HeaderMap| {
        assert_eq!(signers(key, headers, &known).unwrap_err(), Rejected::Unauthenticated);
    };
    refused(None, &authentic());
    refused(Some("fedcba9876543210fedcba9876543210"), &authentic());
    refused(Some(&KEY.to_uppercase()), &authentic());
    refused(Some(KEY), &headers("admin", &password, &header));
    refused(Some(KEY), &headers("refward", &header, &header));
    refused(Some(KEY), &headers("refward", &password, &password));
    refused(Some(KEY), &headers("refward", "", ""));
    refused(Some(KEY), &of("another"));
    for missing in ["authorization", "x-refward-hook"] {
        let mut headers = authentic();
        headers.remove(missing);
        refused(Some(KEY), &headers);
    }
}

#[test]
fn an_empty_secret_and_none_at_all_open_nothing() {
    assert_eq!(signers(Some(KEY), &of(""), &[(1, "")]).unwrap_err(), Rejected::Unauthenticated);
    assert_eq!(signers(Some(KEY), &authentic(), &[]).unwrap_err(), Rejected::Unauthenticated);
}
