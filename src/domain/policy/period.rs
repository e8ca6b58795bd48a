//! Lengths of time as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use humantime_serde::re::humantime;
use serde::{Deserialize, Serialize};

use crate::domain::{Error, Result};

/// A length of time, written with the largest unit that divides it: `90d`, `36h`, `7y`; never longer than 1000 years.
///
/// Read as humantime does, whose year has 365.25 days and whose month 30.44,
/// <https://docs.rs/humantime/latest/humantime/fn.parse_duration.html>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Duration);

const YEAR: u64 = 31_557_600;

const UNITS: [(u64, &str); 6] = [(YEAR, "y"), (2_630_016, "month"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

impl Period {
    /// Whole days.
    pub const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * 86_400))
    }

    /// Years of 365.25 days.
    pub const fn years(years: u64) -> Self {
        Self(Duration::from_secs(years * YEAR))
    }

    /// The length.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// Nothing at all.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// The length, to count with.
    pub fn delta(self) -> TimeDelta {
        // 1000 years fit.
        TimeDelta::from_std(self.0).unwrap_or(TimeDelta::MAX)
    }
}

impl FromStr for Period {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = humantime::parse_duration(text.trim());
        let period = parsed.map_err(|_| {
            Error::bad_request(format!("`{text}` is not a length of time: write it like 30d, 12h, 6months or 7y"))
        })?;
        if period.as_secs() > 1000 * YEAR {
            return Err(Error::bad_request(format!("`{text}` is longer than 1000 years")));
        }
        Ok(Self(period))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if self.0.subsec_nanos() > 0 {
            return humantime::format_duration(self.0).fmt(f);
        }
        let divides = |unit: &&(u64, _)| seconds > 0 && seconds.is_multiple_of(unit.0);
        let (unit, name) = UNITS.iter().find(divides).unwrap_or(&(1, "s"));
        write!(f, "{}{name}", seconds / unit)
    }
}

impl TryFrom<String> for Period {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Period;

    #[test]
    fn a_period_reads_back_as_it_was_written() {
        for text in ["0s", "90s", "30d", "36h", "1y", "7y", "1month", "5m", "1s 500ms"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!("2 weeks".parse::<Period>().unwrap().to_string(), "14d");
        assert!("soon".parse::<Period>().is_err());
        assert!("1001y".parse::<Period>().is_err());
    }
}
