//! `vault.json`: what everybody may know about a vault. Plain, created once, signed in `vault.json.sig`.

use age::x25519::Recipient;
use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys::{Keys, NewKeys};
use super::layout::{DESCRIPTION, DESCRIPTION_SIGNATURE};
use super::record::{FORMAT, refuse_newer};
use super::recovery_kit::parse_signing_key;
use super::store::Store;
use crate::domain::{Error, Result};

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    vault: Uuid,
    created: DateTime<Utc>,
    recipients: Vec<Labelled>,
    signing_keys: Vec<Labelled>,
}

#[derive(Serialize, Deserialize)]
struct Labelled {
    label: String,
    key: String,
}

/// A `vault.json` whose keys have been parsed and, as far as we can, found trustworthy.
pub(super) struct Description {
    pub vault: Uuid,
    pub recipients: Vec<Recipient>,
    /// Whose signatures on records count.
    pub signers: Vec<VerifyingKey>,
}

impl Description {
    /// For a new vault. Returns the file and its signature.
    pub fn write(vault: Uuid, created: DateTime<Utc>, keys: &NewKeys) -> Result<(Vec<u8>, Vec<u8>)> {
        let labelled = |label: &str, key: String| Labelled { label: label.to_owned(), key };
        let signing = keys.keys.signer()?;
        let document = Document {
            format: FORMAT,
            vault,
            created,
            recipients: vec![
                labelled("service", keys.keys.identities[0].to_public().to_string()),
                labelled("recovery", keys.recovery.to_public().to_string()),
            ],
            signing_keys: vec![labelled("service", hex::encode(signing.verifying_key().as_bytes()))],
        };
        let mut json =
            serde_json::to_vec_pretty(&document).map_err(|e| Error::bug("cannot write vault.json").detail(e))?;
        json.push(b'\n');
        let signature = signing.sign(&json).to_bytes().to_vec();
        Ok((json, signature))
    }

    /// Tells a vault from another one, and no more.
    pub fn is_of(json: &[u8], vault: Uuid) -> bool {
        serde_json::from_slice::<Document>(json).is_ok_and(|document| document.vault == vault)
    }

    /// Reads and checks the description of the vault in `store`.
    ///
    /// The signature must be by our own key or by the one that the recovery kit names, so that whoever can write to the
    /// store cannot add a recipient of theirs to future snapshots. With a bare identity there is nothing to compare
    /// with; the description then vouches for itself.
    pub async fn open(store: &Store, keys: &Keys) -> Result<Self> {
        let json = store.read_small(DESCRIPTION).await?.ok_or_else(|| {
            Error::misconfigured(format!("there is no vault at {}: {DESCRIPTION} is missing", store.url()))
                .hint(
                    "check `vault.url` and that the disk is mounted; if only that file was lost, put a copy of it back, or \
                     restore with plain age and git (RECOVERY.md); where there is no backup yet, `refward init` makes a vault",
                )
        })?;
        let signature = store.read_small(DESCRIPTION_SIGNATURE).await?.unwrap_or_default();
        let damaged = |why: String| {
            Error::damaged(format!("{DESCRIPTION} in {} {why}", store.url())).hint(
                "put a copy of it back, or restore with plain age and git (RECOVERY.md); the snapshots are not harmed",
            )
        };

        let document: Document =
            serde_json::from_slice(&json).map_err(|e| damaged("cannot be read".into()).detail(e))?;
        refuse_newer(document.format, DESCRIPTION)?;
        let parsed = || {
            let recipients = document.recipients.iter().map(|r| r.key.parse().ok()).collect::<Option<Vec<_>>>()?;
            let signers =
                document.signing_keys.iter().map(|k| parse_signing_key(&k.key)).collect::<Option<Vec<_>>>()?;
            (!recipients.is_empty()).then_some((recipients, signers))
        };
        let (recipients, listed) = parsed().ok_or_else(|| damaged("holds a malformed key".into()))?;

        let signers = match keys.pinned {
            Some(pinned) if listed.contains(&pinned) => vec![pinned],
            Some(_) => {
                return Err(Error::misconfigured(format!(
                    "the vault at {} belongs to another signing key",
                    store.url()
                ))
                .hint(
                    "use the keys that `refward init` wrote for this vault; if they are right, the vault was replaced",
                ));
            }
            None => listed,
        };
        let signature = Signature::from_slice(&signature).map_err(|e| {
            damaged(format!("is not signed: {DESCRIPTION_SIGNATURE} is missing or malformed")).detail(e)
        })?;
        if !signers.iter().any(|key| key.verify_strict(&json, &signature).is_ok()) {
            return Err(damaged("was changed: its signature does not match".into()).hint(
                "put back the original; until then nothing is written, so that no stranger becomes a recipient",
            ));
        }
        let known = |text: String| document.recipients.iter().any(|recipient| recipient.key == text);
        if !keys.is_sealed() && !keys.identities.iter().any(|identity| known(identity.to_public().to_string())) {
            return Err(Error::misconfigured(format!("the key does not open the vault at {}", store.url()))
                .hint("use the identity file of this installation (`keys.identity`) or this vault's recovery kit"));
        }
        Ok(Self { vault: document.vault, recipients, signers })
    }
}
