//! A moment in a repository's history: a snapshot's number or a time.

use std::str::FromStr;

use chrono::{DateTime, Months, TimeDelta, Utc};
use interim::{Dialect, Interval};

use super::{Error, Result, Seq};

/// Two clocks are never quite the same: a time that is so little ahead of ours is now.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(1);

/// What `--at` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The snapshot with this number.
    Seq(Seq),
    /// The newest snapshot that is not younger.
    Time(DateTime<Utc>),
}

impl Point {
    /// A number or an RFC 3339 time, as the program itself writes points down; whatever the clock says.
    pub fn written(text: &str) -> Option<Self> {
        if is_number(text) {
            return text.parse().ok().and_then(Seq::new).map(Self::Seq);
        }
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self::Time(time.to_utc()))
    }

    /// What somebody has typed at this moment. Every question is about the past: a time in the future is a slip, and taken
    /// at its word it would quietly be the newest snapshot.
    fn typed(text: &str, now: DateTime<Utc>) -> Result<Self> {
        let point = match Self::written(text) {
            Some(point) => point,
            None if is_number(text) => return Err(Error::bad_request("snapshots are counted from 1")),
            None => in_words(text, now).map(Self::Time).ok_or_else(|| {
                Error::bad_request(format!(
                    "`{text}` is not a moment: write a snapshot number, a time like 2026-11-20T14:05:00Z, or \"10 minutes ago\""
                ))
            })?,
        };
        match point {
            Self::Time(time) if time > now + CLOCKS_DIFFER => Err(in_the_future(text)),
            _ => Ok(point),
        }
    }
}

impl FromStr for Point {
    type Err = Error;

    /// A number, RFC 3339, or words such as `10 minutes ago`, `yesterday 18:00`.
    fn from_str(text: &str) -> Result<Self> {
        // Where no shell takes the quotes away, people write them all the same.
        Self::typed(text.trim().trim_matches('"').trim(), Utc::now())
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn in_words(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // `interim` reads three letters of a name, and finds the last Monday.
    if text.eq_ignore_ascii_case("last month") {
        return now.checked_sub_months(Months::new(1));
    }
    // From months and years `interim` makes midnight, while days and weeks keep the time of day.
    if let Ok(Interval::Months(months)) = interim::parse_duration(text) {
        let by = Months::new(months.unsigned_abs());
        return if months < 0 { now.checked_sub_months(by) } else { now.checked_add_months(by) };
    }
    interim::parse_date_string(text, now, Dialect::Us).ok()
}

fn in_the_future(text: &str) -> Error {
    let meant = match interim::parse_duration(text) {
        Ok(_) if !text.starts_with("next") => format!("; did you mean `{text} ago`?"),
        // A day's name by itself is the next one.
        _ if text.bytes().all(|b| b.is_ascii_alphabetic()) => format!("; did you mean `last {text}`?"),
        _ => String::new(),
    };
    Error::bad_request(format!("`{text}` lies in the future{meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a Tuesday.
    fn typed(text: &str) -> Result<String> {
        let now = "2026-03-31T14:05:06Z".parse().expect("a time");
        Point::typed(text, now).map(|point| match point {
            Point::Seq(seq) => seq.to_string(),
            Point::Time(time) => time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        })
    }

    #[test]
    fn quotes_around_a_moment_do_not_matter() {
        assert_eq!("\"7\"".parse::<Point>().expect("a number"), "7".parse::<Point>().expect("a number"));
        let time = "2026-11-20T14:05:00Z";
        assert_eq!(format!("\"{time}\"").parse::<Point>().expect("a time"), time.parse::<Point>().expect("a time"));
        assert!("\"10 minutes ago\"".parse::<Point>().is_ok() && "\"\"".parse::<Point>().is_err());
    }

    #[test]
    fn whoever_forgets_to_say_ago_is_asked_what_was_meant() {
        for text in ["10 minutes", "2 weeks", "1 month", "1 year"] {
            let refused = typed(text).expect_err("nothing was ever backed up in the future").to_string();
            assert_eq!(refused, format!("`{text}` lies in the future; did you mean `{text} ago`?"));
        }
    }

    #[test]
    fn no_moment_lies_in_the_future() {
        for text in ["2026-03-31T14:07:00Z", "2099-01-01", "tomorrow", "friday", "next friday 8pm", "23:00"] {
            let refused = typed(text).expect_err("nothing was ever backed up in the future").to_string();
            assert!(refused.starts_with(&format!("`{text}` lies in the future")), "{refused}");
        }
        assert!(typed("friday").expect_err("it is to come").to_string().ends_with("did you mean `last friday`?"));
    }

    #[test]
    fn a_clock_that_is_a_little_ahead_is_no_error() {
        assert_eq!(typed("2026-03-31T14:06:00Z").expect("it is almost now"), "2026-03-31T14:06:00Z");
        assert_eq!(typed("now").expect("it is now"), "2026-03-31T14:05:06Z");
    }

    #[test]
    fn what_is_so_long_ago_was_at_the_same_time_of_day() {
        for (text, meant) in [
            ("10 minutes ago", "2026-03-31T13:55:06Z"),
            ("2 weeks ago", "2026-03-17T14:05:06Z"),
            ("1 month ago", "2026-02-28T14:05:06Z"),
            ("last month", "2026-02-28T14:05:06Z"),
            ("1 year ago", "2025-03-31T14:05:06Z"),
            ("1 month ago 18:00", "2026-02-28T18:00:00Z"),
            ("yesterday 18:00", "2026-03-30T18:00:00Z"),
            ("last friday", "2026-03-27T00:00:00Z"),
        ] {
            assert_eq!(typed(text).expect(text), meant, "{text}");
        }
    }

    #[test]
    fn snapshots_are_counted_from_1() {
        assert_eq!(typed("1").expect("the first"), "1");
        assert_eq!(typed("0").expect_err("there is none").to_string(), "snapshots are counted from 1");
    }

    #[test]
    fn what_was_written_down_is_read_whatever_the_clock_says() {
        assert!(Point::written("2999-01-01T00:00:00Z").is_some() && Point::written("7").is_some());
        assert!(Point::written("0").is_none() && Point::written("yesterday").is_none());
    }
}
