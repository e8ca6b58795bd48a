//! When a repository is backed up: when something is pushed, on a schedule, or both.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};

use super::Period;
use crate::domain::{Error, Result};

/// When a repository is backed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// As soon as the forge tells of a change.
    #[serde(default = "yes")]
    pub on_push: bool,
    /// How long to wait for more pushes, so that a burst becomes one recovery point.
    #[serde(default, skip_serializing_if = "Period::is_zero")]
    pub coalesce: Period,
    /// Also without any push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

fn yes() -> bool {
    true
}

impl Default for Trigger {
    fn default() -> Self {
        Self { on_push: true, coalesce: Period::default(), schedule: None }
    }
}

impl fmt::Display for Trigger {
    /// `on push; 0 3 * * *`, `30s after a push; every 6h`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.on_push, self.coalesce.is_zero()) {
            (false, _) => {}
            (true, true) => f.write_str("on push")?,
            (true, false) => write!(f, "{} after a push", self.coalesce)?,
        }
        let Some(schedule) = &self.schedule else { return Ok(()) };
        let and = if self.on_push { "; " } else { "" };
        write!(f, "{and}{schedule}")
    }
}

impl Trigger {
    pub(super) fn check(&self) -> Result<()> {
        if !self.on_push && self.schedule.is_none() {
            return Err(Error::bad_request("the policy would never back anything up")
                .hint("set `trigger.on_push = true` or a `trigger.schedule`; `refward repos remove` excludes one"));
        }
        if self.coalesce > Period::days(1) {
            return Err(Error::bad_request(format!("`trigger.coalesce` is {}: a day at most", self.coalesce)));
        }
        Ok(())
    }
}

/// Moments that come again and again: `every 6h`, or cron's five fields: minute, hour, day, month, weekday.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Schedule {
    /// After as long a pause, whatever the clocks show.
    Every(Period),
    /// By the clock on the wall of the policy's time zone.
    Cron(Box<Cron>),
}

impl Schedule {
    /// The first moment after `after`. Moments of [`Schedule::Every`] are counted from `anchor`, so that repositories with
    /// different ones do not run all at once. `None`: there is none.
    ///
    /// Where clocks are put forward, a moment that is skipped comes right after the gap; where they are put back, one
    /// that is repeated comes once. Schedules by wildcards (`*/15 * * * *`) go on evenly.
    pub fn next_run(&self, after: DateTime<Utc>, anchor: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::Every(pause) => {
                let pause = pause.delta().num_milliseconds().max(1);
                let passed = (after - anchor).num_milliseconds().rem_euclid(pause);
                after.checked_add_signed(chrono::TimeDelta::milliseconds(pause - passed))
            }
            Self::Cron(cron) => {
                let next = cron.find_next_occurrence(&after.with_timezone(&zone), false).ok()?;
                Some(next.to_utc())
            }
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(pause) = text.trim().strip_prefix("every ") {
            let pause: Period = pause.parse()?;
            if pause.duration().as_secs() < 60 {
                return Err(Error::bad_request(format!("`{text}`: once a minute at most")));
            }
            return Ok(Self::Every(pause));
        }
        let refused = |why: String| {
            Error::bad_request(format!("`{text}` is not a schedule: {}", why.trim_end_matches('.'))).hint(
                "write `every 6h`, or cron's five fields (minute, hour, day, month, weekday), e.g. `0 3 * * 1-5` for 3:00 from Monday to Friday",
            )
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| refused(error.to_string()))?;
        let schedule = Self::Cron(Box::new(cron));
        // Any start does: what does not come within the search, such as 30 February, never comes.
        match schedule.next_run(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH, Tz::UTC) {
            Some(_) => Ok(schedule),
            None => Err(refused("that moment never comes".to_owned())),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(pause) => write!(f, "every {pause}"),
            Self::Cron(cron) => f.write_str(cron.as_str()),
        }
    }
}

impl TryFrom<String> for Schedule {
    type Error = Error;

    /// What reads documents gives the message on and drops the hint.
    fn try_from(text: String) -> Result<Self> {
        text.parse().map_err(|error: Error| match error.next_step() {
            Some(hint) => Error::bad_request(format!("{error}; {hint}")),
            None => error,
        })
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}

/// A place whose clocks count, by its IANA name: `Europe/Berlin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(pub Tz);

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self).map_err(|_| {
            Error::bad_request(format!("`{text}` is not a time zone: write an IANA name such as Europe/Berlin or UTC"))
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl TryFrom<String> for Zone {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}
