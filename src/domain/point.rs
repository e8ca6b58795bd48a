//! A moment in a repository's history: a snapshot's number or a time.

use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::{Error, Result, Seq};

/// What `--at` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The snapshot with this number.
    Seq(Seq),
    /// The newest snapshot that is not younger.
    Time(DateTime<Utc>),
}

impl FromStr for Point {
    type Err = Error;

    /// A number, RFC 3339, or words such as `10 minutes ago`, `yesterday 18:00`.
    fn from_str(text: &str) -> Result<Self> {
        // Where no shell takes the quotes away, people write them all the same.
        let text = text.trim().trim_matches('"').trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let seq = text.parse().ok().and_then(Seq::new);
            return seq.map(Self::Seq).ok_or_else(|| Error::bad_request("snapshots are counted from 1"));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        interim::parse_date_string(text, Utc::now(), interim::Dialect::Us).map(Self::Time).map_err(|_| {
            Error::bad_request(format!(
                "`{text}` is not a moment: write a snapshot number, a time like 2026-11-20T14:05:00Z, or \"10 minutes ago\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Point;

    #[test]
    fn quotes_around_a_moment_do_not_matter() {
        assert_eq!("\"7\"".parse::<Point>().expect("a number"), "7".parse::<Point>().expect("a number"));
        let time = "2026-11-20T14:05:00Z";
        assert_eq!(format!("\"{time}\"").parse::<Point>().expect("a time"), time.parse::<Point>().expect("a time"));
        assert!("\"10 minutes ago\"".parse::<Point>().is_ok() && "\"\"".parse::<Point>().is_err());
    }
}
