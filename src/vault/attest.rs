//! Statements that we sign: by the vault's key, so that whoever trusts the vault can check them.
//!
//! The same key signs records and `vault.json`. None of these can pass for another: each has fields that the others lack.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Vault;
use super::store::Created;
use crate::domain::{Error, Report, Result};

/// The folder of all reports.
const PROOFS: &str = "proofs";

/// The folder with the ends of the record.
const AUDIT: &str = "audit";

/// Where the record of who did what ended at some moment: the number and the hash of its last row. A chain proves
/// everything but its end; this does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordEnd {
    /// The vault.
    pub vault: Uuid,
    /// When it was looked at.
    pub audited_at: DateTime<Utc>,
    /// The row's number.
    pub last_seq: i64,
    /// Its hash, hex.
    pub last_hash: String,
}

#[derive(Serialize, Deserialize)]
struct SignedEnd {
    record: RecordEnd,
    /// Base64.
    signature: String,
}

impl Vault {
    /// Ed25519 by the vault's key.
    pub fn sign(&self, statement: &[u8]) -> Result<[u8; 64]> {
        Ok(self.keys.signer()?.sign(statement).to_bytes())
    }

    /// Whether one of the vault's keys signed this.
    pub fn has_signed(&self, statement: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        self.signers.iter().any(|key| key.verify_strict(statement, &signature).is_ok())
    }

    /// The key that checks signatures, as openssl reads it.
    pub fn public_key_pem(&self) -> Result<String> {
        let key = self.signers.first().ok_or_else(|| Error::bug("a vault without a signing key"))?;
        pem(key)
    }

    /// Keeps a report in the vault, sealed like a snapshot because it names the repository: it survives the database.
    /// Returns the object's name.
    pub async fn keep_report(&self, report: &Report, signature: &[u8; 64]) -> Result<String> {
        let broken = |error: serde_json::Error| Error::bug("cannot write a report").detail(error);
        let document = json!({ "report": report, "signature": STANDARD.encode(signature) });
        let plain = serde_json::to_vec_pretty(&document).map_err(broken)?;
        let sealed = self.seal_small(&plain)?;
        let time = report.started_at.format("%Y%m%dT%H%M%S%3fZ");
        let name = format!("{PROOFS}/{}/{time}-{}.json.age", report.repo, report.kind.word());
        match self.store.create_small(&name, Bytes::from(sealed)).await? {
            // Two drills that began within the same millisecond: one report is as good.
            Created::Written | Created::Occupied => Ok(name),
        }
    }

    /// Keeps where the record ends now. `false`: that of the same day is there already. Names nobody, so it is not sealed.
    pub async fn keep_record_end(&self, end: &RecordEnd) -> Result<bool> {
        let signature = STANDARD.encode(self.sign(&statement(end)?)?);
        let document = serde_json::to_vec_pretty(&SignedEnd { record: end.clone(), signature });
        let document = document.map_err(|error| Error::bug("cannot write where the record ends").detail(error))?;
        let name = format!("{AUDIT}/{}.json", end.audited_at.format("%Y-%m-%d"));
        Ok(self.store.create_small(&name, document.into()).await? == Created::Written)
    }

    /// The newest end of the record that the vault holds, and its name. Fails where it is not ours.
    pub async fn record_end(&self) -> Result<Option<(String, RecordEnd)>> {
        // In a local folder, writes that were broken off lie beside them under other names.
        let files = self.store.files(AUDIT).await?.into_iter().map(|(file, _)| file);
        let Some(file) = files.filter(|file| file.ends_with(".json")).max() else { return Ok(None) };
        let name = format!("{AUDIT}/{file}");
        let Some(document) = self.store.read_small(&name).await? else { return Ok(None) };
        let forged = || {
            Error::damaged(format!("{name} in the vault was not signed by this vault's key"))
                .hint("somebody has changed it: it proves nothing of the record")
        };
        let SignedEnd { record, signature } = serde_json::from_slice(&document).map_err(|_| forged())?;
        let signature = STANDARD.decode(signature).unwrap_or_default();
        if record.vault != self.id || !self.has_signed(&statement(&record)?, &signature) {
            return Err(forged());
        }
        Ok(Some((name, record)))
    }

    fn seal_small(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let broken = |error| Error::bug("cannot seal a report").detail(error);
        let mut sealed = age::Encryptor::with_recipients(self.recipients.iter().map(|recipient| recipient as _))
            .map_err(|error| Error::bug("cannot encrypt to the vault's recipients").detail(error))?
            .wrap_output(Vec::new())
            .map_err(broken)?;
        sealed.write_all(plain).map_err(broken)?;
        sealed.finish().map_err(broken)
    }
}

/// JSON without white space, keys sorted.
fn statement(end: &RecordEnd) -> Result<Vec<u8>> {
    let broken = |error| Error::bug("cannot write where the record ends").detail(error);
    let mut statement = serde_json::to_value(end).map_err(broken)?;
    statement.sort_all_objects();
    Ok(statement.to_string().into_bytes())
}

fn pem(key: &VerifyingKey) -> Result<String> {
    key.to_public_key_pem(LineEnding::LF).map_err(|error| Error::bug("cannot encode a key").detail(error))
}
