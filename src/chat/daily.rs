//! Once a day, at a time of a place.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;

use crate::domain::{Error, Result};

/// Once a day, at a time of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daily {
    at: NaiveTime,
    zone: Tz,
}

impl Daily {
    /// From a setting's `HH:MM`; empty: never.
    pub fn parse(setting: &str, time: &str, zone: Tz) -> Result<Option<Self>> {
        if time.is_empty() {
            return Ok(None);
        }
        let at = NaiveTime::parse_from_str(time, "%H:%M").map_err(|error| {
            Error::misconfigured(format!("the setting `{setting}` has `{time}`, which is no time of day"))
                .hint("write it like 09:00; empty means never")
                .detail(error)
        })?;
        Ok(Some(Self { at, zone }))
    }

    /// The newest day whose time has come. Where clocks skip that time, it comes when they go on.
    pub fn latest(&self, now: DateTime<Utc>) -> NaiveDate {
        let there = now.with_timezone(&self.zone).naive_local();
        let today = there.date();
        if there.time() >= self.at { today } else { today.pred_opt().unwrap_or(today) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latest(time: &str, zone: Tz, now: &str) -> String {
        let daily = Daily::parse("x", time, zone).expect("a time").expect("not never");
        daily.latest(now.parse().expect("a moment")).to_string()
    }

    #[test]
    fn a_day_has_come_when_its_time_has_where_people_are() {
        let tokyo = chrono_tz::Asia::Tokyo;
        assert_eq!(latest("09:00", tokyo, "2026-11-20T23:59:59Z"), "2026-11-20");
        assert_eq!(latest("09:00", tokyo, "2026-11-21T00:00:00Z"), "2026-11-21");
        assert_eq!(latest("00:00", Tz::UTC, "2026-11-21T00:00:00Z"), "2026-11-21");
    }

    #[test]
    fn a_time_that_clocks_skip_comes_all_the_same() {
        let berlin = chrono_tz::Europe::Berlin;
        assert_eq!(latest("02:30", berlin, "2027-03-28T00:59:59Z"), "2027-03-27");
        assert_eq!(latest("02:30", berlin, "2027-03-28T01:00:00Z"), "2027-03-28");
    }

    #[test]
    fn a_time_that_comes_twice_counts_once() {
        let berlin = chrono_tz::Europe::Berlin;
        let moments = ["2027-10-31T00:29:00Z", "2027-10-31T00:30:00Z", "2027-10-31T01:00:00Z", "2027-10-31T01:30:00Z"];
        let mut told: Vec<String> = vec!["2027-10-30".to_owned()];
        for now in moments {
            let day = latest("02:30", berlin, now);
            if Some(&day) > told.last() {
                told.push(day);
            }
        }
        assert_eq!(told, ["2027-10-30", "2027-10-31"]);
    }

    #[test]
    fn what_is_no_time_is_told_with_its_setting() {
        assert_eq!(Daily::parse("discord.digest", "", Tz::UTC).expect("never"), None);
        let error = Daily::parse("discord.digest", "9 o'clock", Tz::UTC).expect_err("no time").to_string();
        assert!(error.contains("discord.digest") && error.contains("9 o'clock"), "{error}");
    }
}
