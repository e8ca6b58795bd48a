//! A restore that somebody asked for, as everybody sees it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::domain::{By, Error, ObjectId, Person, Point, RefName, RepoAddress, RepoId, Result, Seq, Skipped};
use crate::ops::restore::Action;

pub use crate::catalog::RestoreState as State;

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Beside what is there: `main` becomes `restored-SEQ/main`. Overwrites nothing.
    NewBranch,
    /// Under the same names in the repository itself.
    InPlace,
    /// Another repository that we know, under the same names; what is there already stays.
    Repository(RepoAddress),
    /// A file for whoever asks.
    Download,
}

/// What somebody wants back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Only these (`main`, `refs/tags/v1`); none: all that changed.
    pub refs: Vec<String>,
    /// As of when; `None`: as the newest snapshot has it.
    #[serde(with = "point")]
    pub at: Option<Point>,
    /// Where to.
    #[serde(with = "text")]
    pub to: Destination,
}

/// Somebody who asks, confirms or decides.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Who. Whoever is at the command line may everything.
    pub person: &'a Person,
    /// The ids of the roles that they have on their platform.
    pub roles: &'a [String],
    /// The same for the record.
    pub by: &'a By,
    /// In which channel.
    pub channel: Option<&'a str>,
}

/// Where a restore was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `discord`, `cli`.
    pub platform: String,
    /// The platform's id of the channel.
    pub channel: Option<String>,
    /// The roles that the requester had there, by id.
    pub roles: Vec<String>,
    /// Those of whoever approved.
    #[serde(default)]
    pub approver_roles: Vec<String>,
}

/// A restore that somebody asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Proposal {
    /// Its number.
    pub id: i64,
    /// Of which repository, by name.
    pub repository: String,
    /// The same, by what never changes.
    pub repo: RepoId,
    /// Everybody may read that repository.
    pub public: bool,
    /// Who asked. Only they can confirm.
    pub requested_by: Person,
    /// Where.
    pub origin: Origin,
    /// What.
    pub wish: Wish,
    /// What would be done.
    pub plan: DetailedPlan,
    /// SHA-256 of the plan, hex: whoever confirms or approves names it.
    pub hash: String,
    /// A second person must agree.
    pub needs_approval: bool,
    /// How far it has come.
    pub state: State,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// What does not go on until then has ended.
    pub expires_at: DateTime<Utc>,
    /// When the requester confirmed.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// The second person, who approved or rejected it.
    pub decided_by: Option<Person>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// When it began to be carried out.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, well or not.
    pub finished_at: Option<DateTime<Utc>>,
    /// How far carrying it out is.
    pub progress: Option<Done>,
    /// What was done.
    pub receipt: Option<Receipt>,
    /// Why it was not done.
    pub error: Option<String>,
    /// The restore with the plan that took the place of this one.
    pub replaced_by: Option<i64>,
    /// Where the download is fetched. Told to the requester when they confirm, and never again: only its hash is kept.
    #[serde(skip)]
    pub link: Option<Link>,
}

/// What fetches a download.
#[derive(Clone, Debug)]
pub struct Link {
    /// The address; whoever knows it gets the file.
    pub url: SecretString,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// What would be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetailedPlan {
    /// `OWNER/NAME` of what is restored.
    pub repository: String,
    /// `CONNECTION:OWNER/NAME` of what is written to, or `download`.
    pub target: String,
    /// The snapshot that it is taken from.
    pub seq: Seq,
    /// When that was taken.
    pub time: DateTime<Utc>,
    /// The references that would change, and those that cannot be written there.
    pub refs: Vec<PlannedMove>,
    /// What the snapshot does not hold, and what would complete it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Skipped>,
    /// What does not come along to where it is restored, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<Skipped>,
    /// How long it should take.
    pub estimate_ms: Option<u64>,
}

/// One reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedMove {
    /// Its name in the backup.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// Its name in the target.
    pub target: RefName,
    /// What the target holds under that name now.
    pub now: Option<ObjectId>,
    /// What it would hold.
    pub then: ObjectId,
    /// What would be done.
    #[serde(flatten)]
    pub action: Action,
    /// Commits of the target that the reference would not reach any more; `None`: not counted.
    pub lost: Option<u64>,
    /// Commits that it would reach and that the repository does not reach under this name now.
    pub regained: Option<u64>,
    /// What the repository itself holds under `name` now.
    pub current: Option<ObjectId>,
    /// Who moved it there, where the forge said.
    pub moved_by: Option<String>,
    /// When we saw that.
    pub moved_at: Option<DateTime<Utc>>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Objects of the vault that were read, or pushes that are done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
    /// It is pushes that are counted: one does not hold everything.
    #[serde(default)]
    pub pushes: bool,
    /// The snapshot that holds what is about to be overwritten.
    #[serde(default)]
    pub before: Option<Seq>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// References that are as planned.
    pub written: Vec<Written>,
    /// References that the forge did not take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// What a large push needed on the way, and the forge did not let go again: somebody has to delete it there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_over: Vec<RefName>,
    /// How to undo it; `None`: nothing was overwritten.
    pub undo: Option<Undo>,
    /// Where it shows on the forge.
    pub page: Option<String>,
    /// From the first byte to the last answer.
    pub duration_ms: u64,
}

/// A reference that is as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Written {
    #[serde(rename = "ref")]
    pub name: RefName,
    pub old: Option<ObjectId>,
    pub new: ObjectId,
}

/// A reference that the forge did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// In the forge's words.
    pub why: String,
    /// The rule that it breaks, where we know it.
    pub rule: Option<String>,
    /// What to do about that.
    pub way_out: Option<String>,
}

/// How to undo a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// The snapshot that holds what was there before.
    pub seq: Seq,
    /// The command that brings it back.
    pub command: Option<String>,
}

const NEW_BRANCH: &str = "new-branch";
const SAME: &str = "same";
const DOWNLOAD: &str = "download";

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewBranch => f.write_str(NEW_BRANCH),
            Self::InPlace => f.write_str(SAME),
            Self::Repository(address) => address.fmt(f),
            Self::Download => f.write_str(DOWNLOAD),
        }
    }
}

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            NEW_BRANCH => Ok(Self::NewBranch),
            SAME => Ok(Self::InPlace),
            DOWNLOAD => Ok(Self::Download),
            address => address.parse().map(Self::Repository).map_err(|_| {
                Error::bad_request(format!("`{text}` is no place to restore to"))
                    .hint("write new-branch, same, download or CONNECTION:OWNER/NAME")
            }),
        }
    }
}

/// As text that is read back.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A moment, as [`Point::written`] reads it back.
mod point {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};

    use super::{Point, SecondsFormat};

    #[expect(clippy::ref_option, reason = "serde hands the field over like this")]
    pub fn serialize<S: Serializer>(at: &Option<Point>, serializer: S) -> Result<S::Ok, S::Error> {
        let text = at.map(|at| match at {
            Point::Seq(seq) => seq.to_string(),
            Point::Time(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        });
        text.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Point>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read =
            |text: String| Point::written(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no point")));
        text.map(read).transpose()
    }
}
