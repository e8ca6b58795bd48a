//! The recovery kit: the key that opens the vault when everything else is lost, with how to use it.
//!
//! The file is an age identity file: whatever explains starts with `#`, so `age -d -i recovery-kit.txt` takes it.

use age::x25519::Identity;
use chrono::{DateTime, Utc};
use ed25519_dalek::VerifyingKey;
use secrecy::ExposeSecret as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::{Error, Result};

/// Read back by [`signing_key`].
const SIGNING_KEY: &str = "# signing key (Ed25519):";

pub(super) fn render(
    recovery: &Identity,
    vault: Uuid,
    url: &str,
    signing: &VerifyingKey,
    made: DateTime<Utc>,
) -> Zeroizing<String> {
    let recipient = recovery.to_public();
    let signing = hex::encode(signing.as_bytes());
    let date = made.format("%Y-%m-%d");
    let secret = recovery.to_string();
    Zeroizing::new(format!(
        "\
# REFWARD RECOVERY KIT
#
# Whoever holds this page can read the whole backup. If the server and its keys are lost, nothing else can.
# PRINT IT, STORE IT OFFLINE (a safe, a sealed envelope), THEN DELETE THE FILE.
# The key at the end is kept nowhere else.
#
# vault: {url}
# vault id: {vault}
# made: {date}
# public key: {recipient}
{SIGNING_KEY} {signing}
#
# To restore, type this page into a file `recovery-kit.txt` (the lines with # may be left out) and run
#
#   refward restore OWNER/NAME --vault {url} --identity recovery-kit.txt --to-dir FOLDER
#
# Without refward, with age, tar, gzip, git and jq (the script and its explanation lie in the source, src/vault):
#
#   sh recover.sh recovery-kit.txt VAULT-FOLDER/repos/REPOSITORY-ID FOLDER
#
# What one snapshot holds:
#
#   age -d -i recovery-kit.txt VAULT-FOLDER/repos/REPOSITORY-ID/0000000001.tar.gz.age | tar tz
#
{}
",
        secret.expose_secret()
    ))
}

/// The signing key that a kit tells to trust. `None` in a plain identity file.
pub(super) fn signing_key(text: &str) -> Result<Option<VerifyingKey>> {
    let Some(told) = text.lines().find_map(|line| line.trim().strip_prefix(SIGNING_KEY)) else { return Ok(None) };
    parse_signing_key(told.trim()).map(Some).ok_or_else(|| {
        Error::misconfigured("the signing key in the recovery kit is not 64 hex digits of an Ed25519 key")
    })
}

pub(super) fn parse_signing_key(text: &str) -> Option<VerifyingKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_is_an_identity_file_that_pins_the_signing_key() {
        let recovery = Identity::generate();
        let signing = ed25519_dalek::SigningKey::generate(&mut rand_core::OsRng).verifying_key();
        let kit = render(&recovery, Uuid::nil(), "s3://bucket/prefix", &signing, DateTime::UNIX_EPOCH);
        let lines: Vec<_> = kit.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, [recovery.to_string().expose_secret()]);
        assert_eq!(signing_key(&kit).unwrap(), Some(signing));
        assert_eq!(signing_key("AGE-SECRET-KEY-1").unwrap(), None);
    }
}
