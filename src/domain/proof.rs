//! What was proved of a backup: a report that can be signed, kept and shown to whoever asks.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, RepoId, Result, Seq, Skipped};

/// How something was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// Restored in scratch, checked by git, every reference compared.
    Drill,
    /// Objects of the vault read and compared with what was written.
    Verify,
}

impl ProofKind {
    /// As the database and reports call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Verify => "verify",
        }
    }
}

/// What was proved, or not, of one repository. Numbers are integers and times have milliseconds, so that the text that is
/// signed can be made again from the parsed report, by any program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Tells this from whatever else the vault's key signs.
    pub kind: ProofKind,
    /// Of this format: 1.
    pub version: u32,
    /// The program that proved it.
    pub program: String,
    /// The vault's id.
    pub vault: Uuid,
    /// The repository's id in the vault.
    pub repo: RepoId,
    /// `OWNER/NAME` at that time.
    pub repository: String,
    /// The recovery point; `None` where single objects were read.
    pub snapshot: Option<ProvedSnapshot>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long all of it took.
    pub duration_ms: u64,
    /// Nothing was found wrong.
    pub passed: bool,
    /// What was done, in words.
    pub method: String,
    /// What is wrong; empty: nothing.
    pub findings: Vec<Problem>,
    /// What was read from the vault.
    pub read: ReadAmount,
    /// Of a drill.
    pub restore: Option<Restored>,
}

/// The recovery point that a proof is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvedSnapshot {
    /// Its number.
    pub seq: Seq,
    /// When it was taken.
    pub time: DateTime<Utc>,
    /// What it does not hold, and what would complete it; empty: it is complete.
    pub missing: Vec<Skipped>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The object in the vault, or the repository's folder there.
    pub object: String,
    /// Its snapshot, if it is about one.
    pub seq: Option<Seq>,
    /// What is wrong.
    pub problem: String,
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAmount {
    /// Objects of the vault.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a drill measured and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Which git checked it.
    pub git: String,
    /// From nothing to a repository that git can use.
    pub ready_ms: u64,
    /// What `git fsck` took.
    pub fsck_ms: u64,
    /// References, each compared with the catalog's journal.
    pub references: u64,
    /// And with the forge.
    pub forge: ForgeComparison,
}

/// How the restored references stand to those of the forge at the time of the drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ForgeComparison {
    /// The forge was asked.
    Compared {
        /// The same there and here.
        same: u64,
        /// Another value there, or only there or here: it moved after the snapshot, which is no fault of the backup.
        moved: u64,
    },
    /// The forge could not be asked.
    NotCompared {
        /// Why not.
        why: String,
    },
}

impl Report {
    /// The version of this format.
    pub const VERSION: u32 = 1;

    /// The text that is signed: JSON without white space, keys sorted. `jq -cSj .` makes the same.
    pub fn canonical(&self) -> Result<String> {
        let broken = |error: serde_json::Error| Error::bug("cannot write a report").detail(error);
        let mut value = serde_json::to_value(self).map_err(broken)?;
        value.sort_all_objects();
        serde_json::to_string(&value).map_err(broken)
    }
}
