//! Reports: what was proved, when, how, what is not covered, and how anybody can check that it is so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;
use serde_json::Value;

use super::health::Health;
use super::status::{RepoStatus, status};
use crate::catalog::{Repository, StoredProof};
use crate::domain::{Error, RepoAddress, Report, Result, Skipped};
use crate::services::Services;
use crate::vault::Vault;

/// What is handed to somebody who wants to see proof.
#[derive(Debug, Serialize)]
pub struct Document {
    /// The vault's id.
    pub vault: uuid::Uuid,
    /// The key that checks the signatures, as openssl reads it.
    pub public_key: String,
    /// When this was put together.
    pub made_at: DateTime<Utc>,
    /// Only proofs since then; `null`: all that are kept.
    pub since: Option<DateTime<Utc>>,
    /// How the repositories stand.
    pub repositories: Vec<Summary>,
    /// The proofs, oldest first.
    pub proofs: Vec<SignedReport>,
}

/// How a repository stands.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Summary {
    pub repository: String,
    pub health: Health,
    /// Why it is not green.
    pub reason: Option<&'static str>,
    pub proved_at: Option<DateTime<Utc>>,
    /// What its newest snapshot does not hold, and what would complete it.
    pub missing: Vec<Skipped>,
}

/// A report with what proves it.
#[derive(Debug, Serialize)]
pub struct SignedReport {
    /// What was proved, by whatever version of this program.
    pub report: Value,
    /// Ed25519 over the report as JSON without white space, keys sorted; base64.
    pub signature: String,
    /// The same report, as far as this version understands it.
    #[serde(skip)]
    pub told: Report,
    /// The text that was signed.
    #[serde(skip)]
    pub text: String,
}

/// Puts together what was proved of one repository or of all, since then or ever.
pub async fn report(
    services: &Services,
    address: Option<&RepoAddress>,
    since: Option<DateTime<Utc>>,
) -> Result<Document> {
    let only = match address {
        Some(address) => Some(services.catalog.resolve(address).await?),
        None => None,
    };
    let rows = status(&services.catalog).await?.repositories.into_iter();
    let is = |only: &Repository, row: &RepoStatus| {
        only.full_name == row.repository && row.connection.as_ref().is_none_or(|name| *name == only.connection)
    };
    let wanted = |row: &RepoStatus| only.as_ref().is_none_or(|only| is(only, row));
    let repositories = rows.filter(wanted).map(summary).collect();
    let proofs = services.catalog.proofs(only.as_ref().map(|only| &only.id), since.unwrap_or_default()).await?;
    Ok(Document {
        vault: services.vault.id(),
        public_key: services.vault.public_key_pem()?,
        made_at: Utc::now().trunc_subsecs(0),
        since,
        repositories,
        proofs: proofs.into_iter().map(signed).collect::<Result<_>>()?,
    })
}

fn summary(row: RepoStatus) -> Summary {
    Summary {
        repository: row.repository,
        health: row.health,
        reason: row.health_reason,
        proved_at: row.proof.passed_at,
        missing: row.last_snapshot.map(|last| last.missing).unwrap_or_default(),
    }
}

fn signed(proof: StoredProof) -> Result<SignedReport> {
    let report = serde_json::from_str(&proof.text)
        .map_err(|error| Error::damaged("a report in the database cannot be read").detail(error))?;
    Ok(SignedReport { report, signature: STANDARD.encode(&proof.signature), told: proof.report, text: proof.text })
}

/// Checks every signature in a document that [`report`] made, or in a report out of the vault, by this vault's key. Says how
/// many there are.
pub fn check(vault: &Vault, text: &str) -> Result<usize> {
    let document: Value = serde_json::from_str(text).map_err(|error| no_report().detail(error))?;
    let reports = match document.get("proofs").and_then(Value::as_array) {
        Some(proofs) => proofs.iter().collect(),
        None => vec![&document],
    };
    for (number, signed) in reports.iter().enumerate() {
        let (report, signature) =
            signed.get("report").zip(signed.get("signature").and_then(Value::as_str)).ok_or_else(no_report)?;
        let mut report = report.clone();
        report.sort_all_objects();
        let signature = STANDARD.decode(signature).unwrap_or_default();
        if !vault.has_signed(report.to_string().as_bytes(), &signature) {
            let of = report.get("repository").and_then(Value::as_str).unwrap_or("an unknown repository");
            return Err(Error::damaged(format!("report {} (of {of}) was not signed by this vault's key", number + 1))
                .hint("it was changed, or it is another vault's: nothing in it is proved"));
        }
    }
    Ok(reports.len())
}

fn no_report() -> Error {
    Error::bad_request("this is no report").hint("a report is made by `refward report --format json --output FILE`")
}
