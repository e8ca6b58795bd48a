//! Policies: what is backed up, when, how long it stays, and how often it is proved. No clock and no database in here.

mod order;
mod period;
mod retention;
mod selection;
mod trigger;
mod weakens;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use globset::GlobSet;
use serde::{Deserialize, Serialize};

use crate::domain::{Error, Result};

pub use order::{Choice, Order, Why};
pub use period::Period;
pub use retention::{FormerRules, Many, Reason, RecoveryPoint, Retention, Verdict};
pub use selection::{RepositoryFacts, Selection, Selector};
pub use trigger::{Schedule, Trigger, Zone};
pub use weakens::weakens;

/// The policy of all repositories that no other one selects.
pub const DEFAULT_NAME: &str = "default";

/// What is backed up, when, and how long it stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Unique, whatever the case.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whose clocks and calendar count.
    #[serde(default)]
    pub timezone: Zone,
    /// The workers that may do it.
    #[serde(default = "default_pool")]
    pub pool: String,
    /// Labels of credentials that may be used; empty: all that are switched on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
    /// What is backed up.
    #[serde(default = "git_alone")]
    pub data: Vec<DataKind>,
    /// How old the last proof that it can be restored may be.
    #[serde(default)]
    pub drill: Drill,
    /// Which repositories.
    #[serde(default)]
    pub select: Selection,
    /// When.
    #[serde(default)]
    pub trigger: Trigger,
    /// How long.
    #[serde(default)]
    pub retention: Retention,
    /// What people are told.
    #[serde(default, skip_serializing_if = "Notify::is_empty")]
    pub notify: Notify,
}

fn default_pool() -> String {
    "default".to_owned()
}

fn git_alone() -> Vec<DataKind> {
    vec![DataKind::Git]
}

/// A kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", rename_all = "snake_case")]
pub enum DataKind {
    /// References and all that they reach.
    Git,
}

impl TryFrom<String> for DataKind {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match text.as_str() {
            "git" => Ok(Self::Git),
            _ => Err(Error::bad_request(format!("`{text}` cannot be backed up: `data` knows only \"git\" so far"))),
        }
    }
}

/// How often a repository is restored in scratch to prove that it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Drill {
    /// The last proof is never older than that.
    Every(Period),
    /// `never`
    Never,
}

impl Drill {
    /// How old the last proof may be; `None`: none is asked for.
    pub fn window(self) -> Option<Duration> {
        match self {
            Self::Every(period) => Some(period.duration()),
            Self::Never => None,
        }
    }
}

impl Default for Drill {
    fn default() -> Self {
        Self::Every(Period::days(30))
    }
}

impl FromStr for Drill {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "never" {
            return Ok(Self::Never);
        }
        let period: Period = text.parse()?;
        if period.duration() < Duration::from_mins(1) {
            return Err(Error::bad_request(format!("`drill` is {period}: at least a minute, or \"never\"")));
        }
        Ok(Self::Every(period))
    }
}

impl fmt::Display for Drill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(period) => period.fmt(f),
            Self::Never => f.write_str("never"),
        }
    }
}

impl TryFrom<String> for Drill {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Drill> for String {
    fn from(drill: Drill) -> Self {
        drill.to_string()
    }
}

/// What people are told of a policy's repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Globs over branches whose rewritten history is an alarm, besides the default branch: `main`, `release/*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<String>,
    /// By receiver (`mail`, `webhook`): what it is told. Others are told what the settings say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub severity: BTreeMap<String, Threshold>,
}

/// The least that a receiver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of notices")]
pub enum Threshold {
    Info,
    Warning,
    Alarm,
    Never,
}

impl Notify {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The protected branches, to be asked by their short names.
    pub fn protected(&self) -> Result<GlobSet> {
        selection::globs(&self.protected)
    }
}

impl Policy {
    /// With everything as it is by default, for no repository yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            timezone: Zone::default(),
            pool: default_pool(),
            credentials: Vec::new(),
            data: git_alone(),
            drill: Drill::default(),
            select: Selection::default(),
            trigger: Trigger::default(),
            retention: Retention::default(),
            notify: Notify::default(),
        }
    }

    /// What protects everything while nobody has said anything.
    pub fn built_in() -> Self {
        let description = "Everything that no other policy selects".to_owned();
        Self { description, ..Self::new(DEFAULT_NAME) }
    }

    /// It applies where no other one does.
    pub fn is_default(&self) -> bool {
        self.name.eq_ignore_ascii_case(DEFAULT_NAME)
    }

    /// Fails with what makes no sense, and what to write instead.
    pub fn check(&self) -> Result<()> {
        check_word("policy", &self.name)?;
        check_word("worker pool", &self.pool)?;
        self.select.compile()?;
        self.notify.protected()?;
        if self.is_default() && self.select != Selection::default() {
            return Err(Error::bad_request("the default policy selects everything that no other policy selects")
                .hint("make a policy of your own for some repositories: `refward policy create NAME`"));
        }
        if self.data.is_empty() {
            return Err(Error::bad_request("the policy would back nothing up: `data` is empty"));
        }
        self.trigger.check()?;
        self.retention.check()
    }
}

/// Names stand in commands and tables.
fn check_word(what: &str, name: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
        return Err(Error::bad_request(format!(
            "`{name}` cannot be the name of a {what}: use up to 64 letters, digits, `-`, `_` and `.`"
        )));
    }
    Ok(())
}
