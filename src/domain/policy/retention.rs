//! How long recovery points stay, and why.
//!
//! What one rule keeps is kept, as with restic, <https://restic.readthedocs.io/en/stable/060_forget.html>. Rules count
//! from the newest good recovery point, not from now: a repository that is no longer backed up keeps what it has. Recovery
//! points that lack something are never counted, so that no number of them pushes a good one out.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Period, Zone};
use crate::domain::{Error, Result, Seq};

/// How long recovery points stay. What any of the rules keeps is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// So many of the newest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last: u32,
    /// All that are not older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Period>,
    /// The newest of each hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly: Option<Many>,
    /// The newest of each day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<Many>,
    /// The newest of each week from Monday to Sunday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Many>,
    /// The newest of each month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Many>,
    /// The newest of each year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yearly: Option<Many>,
    /// Those with one of these labels; `*`: with any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Default for Retention {
    fn default() -> Self {
        let within = |period| Some(Many::Within(period));
        Self {
            within: Some(Period::days(30)),
            daily: within(Period::days(90)),
            weekly: within(Period::years(1)),
            monthly: within(Period::years(7)),
            ..Self::none()
        }
    }
}

/// For how many hours, days, weeks, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, try_from = "NumberOrWords")]
pub enum Many {
    /// So many that have a recovery point.
    Count(u32),
    /// All that are not older.
    Within(Period),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "write a number such as 14, or a length of time such as \"90d\"")]
enum NumberOrWords {
    Number(u32),
    Words(String),
}

impl TryFrom<NumberOrWords> for Many {
    type Error = Error;

    fn try_from(value: NumberOrWords) -> Result<Self> {
        match value {
            NumberOrWords::Number(count) => Ok(Self::Count(count)),
            NumberOrWords::Words(words) => words.parse(),
        }
    }
}

impl FromStr for Many {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self::Count).or_else(|_| text.parse().map(Self::Within))
    }
}

impl fmt::Display for Many {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Within(period) => period.fmt(f),
        }
    }
}

impl Many {
    fn is_zero(&self) -> bool {
        match self {
            Self::Count(count) => *count == 0,
            Self::Within(period) => period.is_zero(),
        }
    }
}

/// A stretch of the calendar, the shortest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stretch {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Stretch {
    /// The rule's name.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }

    /// The shortest that it can be, in hours.
    pub(super) fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            // When clocks are put forward.
            Self::Day => 23,
            Self::Week => 7 * 24 - 1,
            Self::Month => 28 * 24,
            Self::Year => 365 * 24,
        }
    }

    /// Names the one that a moment falls into. An hour that comes twice, because clocks were put back, is two.
    fn name(self, time: DateTime<Utc>, zone: Tz) -> String {
        let format = match self {
            Self::Hour => "%Y-%m-%d %H:00 %Z",
            Self::Day => "%Y-%m-%d",
            Self::Week => "%G-W%V",
            Self::Month => "%Y-%m",
            Self::Year => "%Y",
        };
        time.with_timezone(&zone).format(format).to_string()
    }
}

/// A snapshot, as far as retention looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryPoint {
    /// Its number: the order in which they were taken, whatever the clocks said.
    pub seq: Seq,
    /// When it was taken.
    pub time: DateTime<Utc>,
    /// Nothing that was expected is missing.
    pub complete: bool,
    /// What people call it.
    pub labels: Vec<String>,
}

/// What is to become of a recovery point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub seq: Seq,
    /// Why it is kept; empty: no rule keeps it.
    pub reasons: Vec<Reason>,
    /// When no rule keeps it any more, if others are taken by then; `None`: no date is set, or no rule keeps it now.
    pub until: Option<DateTime<Utc>>,
}

impl Verdict {
    /// A rule keeps it.
    pub fn kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// Why a recovery point is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// In words: `last 3 of 5`, `within 30d`.
    pub text: String,
    /// When it stops to be one at the earliest; `None`: no date is set.
    pub until: Option<DateTime<Utc>>,
}

/// Rules that go on to count for a while where a repository came under weaker ones without anybody changing a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormerRules {
    /// The name of the policy whose rules they were.
    pub policy: String,
    /// The rules.
    pub retention: Retention,
    /// Whose calendar they went by.
    pub timezone: Zone,
    /// How long they count.
    pub until: DateTime<Utc>,
}

impl FormerRules {
    /// Adds to the verdicts what these rules keep at `now` and no other one does.
    pub fn spare(&self, points: &[RecoveryPoint], now: DateTime<Utc>, verdicts: &mut [Verdict]) {
        if self.until <= now {
            return;
        }
        let formerly = self.retention.judge(points, now, self.timezone.0);
        for (verdict, _) in verdicts.iter_mut().zip(formerly).filter(|(is, was)| !is.kept() && was.kept()) {
            let text = format!("the policy {} kept it until lately", self.policy);
            verdict.reasons.push(Reason { text, until: Some(self.until) });
            verdict.until = Some(self.until);
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Retention {
    /// `last 5, within 30d, daily 90d, label release`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules = Vec::new();
        rules.extend((self.last > 0).then(|| format!("last {}", self.last)));
        rules.extend(self.window().map(|within| format!("within {within}")));
        rules.extend(self.by_calendar().iter().map(|(stretch, many)| format!("{} {many}", stretch.rule())));
        rules.extend(self.labels.iter().map(|label| format!("label {label}")));
        f.write_str(&rules.join(", "))
    }
}

impl Retention {
    pub(super) fn none() -> Self {
        Self {
            last: 0,
            within: None,
            hourly: None,
            daily: None,
            weekly: None,
            monthly: None,
            yearly: None,
            labels: Vec::new(),
        }
    }

    /// The rules by calendar that say something, the finest first.
    pub(super) fn by_calendar(&self) -> Vec<(Stretch, Many)> {
        let rules = [
            (Stretch::Hour, self.hourly),
            (Stretch::Day, self.daily),
            (Stretch::Week, self.weekly),
            (Stretch::Month, self.monthly),
            (Stretch::Year, self.yearly),
        ];
        let said = rules.into_iter().filter_map(|(stretch, many)| many.map(|many| (stretch, many)));
        said.filter(|(_, many)| !many.is_zero()).collect()
    }

    /// [`Self::within`], if it says something.
    pub(super) fn window(&self) -> Option<Period> {
        self.within.filter(|period| !period.is_zero())
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.last == 0 && self.window().is_none() && self.by_calendar().is_empty() {
            return Err(Error::bad_request("the retention would keep nothing")
                .hint("say what stays, e.g. `retention.within = \"30d\"` or `retention.daily = 14`"));
        }
        Ok(())
    }

    /// What is to become of each of a repository's recovery points; `points` and the verdicts are the oldest first.
    ///
    /// The newest is kept, and so is the newest good one. One whose time lies in the future, or after that of a good one
    /// that was taken later, was taken while a clock was wrong: it is kept, and nothing is counted from it.
    pub fn judge(&self, points: &[RecoveryPoint], now: DateTime<Utc>, zone: Tz) -> Vec<Verdict> {
        let good = |point: &&RecoveryPoint| point.complete;
        let anchor = points.iter().rev().filter(good).find(|point| point.time <= now);
        let clock_was_wrong = |point: &RecoveryPoint| {
            point.time > now || anchor.is_some_and(|anchor| point.seq < anchor.seq && point.time > anchor.time)
        };
        let mut reasons: Vec<Vec<Reason>> = points.iter().map(|point| self.always(point)).collect();
        let mut keep = |nth: usize, text: String, until| reasons[nth].push(Reason { text, until });
        if let Some(newest) = points.len().checked_sub(1) {
            keep(newest, "the newest".to_owned(), None);
        }
        if let Some(newest) = points.iter().rposition(|point| point.complete).filter(|nth| nth + 1 < points.len()) {
            keep(newest, "the newest complete one".to_owned(), None);
        }
        let mut judged = Vec::new();
        for (nth, point) in points.iter().enumerate().rev() {
            match anchor {
                _ if clock_was_wrong(point) => keep(nth, "its time is not plausible".to_owned(), None),
                None => keep(nth, "no complete one was taken yet".to_owned(), None),
                Some(_) => judged.push((nth, point)),
            }
        }
        if let Some(anchor) = anchor {
            self.by_number(&judged, &mut keep);
            self.by_age(&judged, anchor, &mut keep);
            for (stretch, many) in self.by_calendar() {
                by_stretch(stretch, many, &judged, anchor, zone, &mut keep);
            }
        }
        points.iter().zip(reasons).map(|(point, reasons)| verdict(point.seq, reasons)).collect()
    }

    /// What neither time nor number can change.
    fn always(&self, point: &RecoveryPoint) -> Vec<Reason> {
        let kept = |label: &&String| self.labels.iter().any(|rule| rule == "*" || rule == *label);
        let label = point.labels.iter().find(kept);
        label.map(|label| Reason { text: format!("label {label}"), until: None }).into_iter().collect()
    }

    fn by_number(&self, newest_first: &[(usize, &RecoveryPoint)], keep: &mut impl FnMut(usize, String, Until)) {
        let mut counted = 0;
        for (nth, point) in newest_first {
            if counted == self.last {
                return;
            }
            if point.complete {
                counted += 1;
                keep(*nth, format!("last {counted} of {}", self.last), None);
            } else {
                keep(*nth, format!("incomplete, among the last {}", self.last), None);
            }
        }
    }

    fn by_age(
        &self,
        newest_first: &[(usize, &RecoveryPoint)],
        anchor: &RecoveryPoint,
        keep: &mut impl FnMut(usize, String, Until),
    ) {
        let Some(within) = self.window() else { return };
        for (nth, point) in newest_first.iter().filter(|(_, point)| young(point, within, anchor)) {
            keep(*nth, format!("within {within}"), Some(point.time + within.delta()));
        }
    }
}

type Until = Option<DateTime<Utc>>;

fn young(point: &RecoveryPoint, period: Period, anchor: &RecoveryPoint) -> bool {
    point.time + period.delta() > anchor.time
}

/// The newest good one of each; where there is none, the newest that is incomplete, without counting it.
fn by_stretch(
    stretch: Stretch,
    many: Many,
    newest_first: &[(usize, &RecoveryPoint)],
    anchor: &RecoveryPoint,
    zone: Tz,
    keep: &mut impl FnMut(usize, String, Until),
) {
    let good: HashSet<String> = newest_first
        .iter()
        .filter(|(_, point)| point.complete)
        .map(|(_, point)| stretch.name(point.time, zone))
        .collect();
    let (mut seen, mut counted) = (HashSet::new(), 0);
    for (nth, point) in newest_first {
        let name = stretch.name(point.time, zone);
        if seen.contains(&name) || (!point.complete && good.contains(&name)) {
            continue;
        }
        let rule = stretch.rule();
        match many {
            Many::Count(count) if counted == count => return,
            Many::Count(count) if point.complete => {
                counted += 1;
                keep(*nth, format!("{rule} {counted} of {count}: newest of {name}"), None);
            }
            Many::Count(_) => keep(*nth, format!("{rule}: incomplete, the newest of {name}"), None),
            Many::Within(period) if young(point, period, anchor) => {
                let text = format!("{rule} for {period}: newest of {name}");
                keep(*nth, text, Some(point.time + period.delta()));
            }
            Many::Within(_) => {}
        }
        seen.insert(name);
    }
}

fn verdict(seq: Seq, reasons: Vec<Reason>) -> Verdict {
    let dated: Option<Vec<_>> = reasons.iter().map(|reason| reason.until).collect();
    Verdict { seq, reasons, until: dated.and_then(|dates| dates.into_iter().max()) }
}
