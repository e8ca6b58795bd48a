//! Policies: which one applies, when it runs, and what it keeps. Pure, with clocks that the tests set.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod policy {
    mod choosing;
    mod properties;
    mod retention;
    mod schedule;
    mod toml;
    mod weaker;
}

use chrono::{DateTime, Utc};
use refward::domain::Seq;
use refward::domain::policy::{Policy, RecoveryPoint, Retention};

/// A moment, from RFC 3339.
fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A complete recovery point.
fn point(seq: u64, time: DateTime<Utc>) -> RecoveryPoint {
    RecoveryPoint { seq: Seq::new(seq).unwrap(), time, complete: true, labels: Vec::new() }
}

/// Complete ones of these moments, numbered from 1.
fn points(times: &[&str]) -> Vec<RecoveryPoint> {
    (1..).zip(times).map(|(seq, time)| point(seq, at(time))).collect()
}

/// A policy as a person writes it.
fn policy(text: &str) -> Policy {
    toml::from_str(text).unwrap()
}

/// Rules as a person writes them.
fn retention(text: &str) -> Retention {
    toml::from_str(text).unwrap()
}
