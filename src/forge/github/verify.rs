//! Who sent a delivery: HMAC-SHA256 over the raw body, whatever its type.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::forge::{HookSecret, Posted, Rejected, Verified};

const SIGNATURE: &str = "x-hub-signature-256";

pub(super) fn verify(Posted { headers, body, .. }: Posted<'_>, secrets: &[HookSecret]) -> Result<Verified, Rejected> {
    let claimed =
        headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).and_then(|text| text.strip_prefix("sha256="));
    let claimed = claimed.and_then(|digits| hex::decode(digits).ok()).ok_or(Rejected::Unauthenticated)?;
    // Every secret is tried, so that the time tells nothing about which one fits.
    let signers = secrets.iter().filter(|secret| signs(secret, &body, &claimed));
    let mut signers: Vec<_> = signers.map(|secret| secret.signer).collect();
    signers.sort_unstable();
    signers.dedup();
    if signers.is_empty() {
        return Err(Rejected::Unauthenticated);
    }
    Ok(Verified { headers: headers.clone(), body, signers })
}

fn signs(secret: &HookSecret, body: &[u8], claimed: &[u8]) -> bool {
    let key = secret.secret.expose_secret().as_bytes();
    // Anybody can sign with an empty key.
    if key.is_empty() {
        return false;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.verify_slice(claimed).is_ok()
}
