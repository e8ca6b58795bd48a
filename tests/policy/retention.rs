//! What is kept, why and until when.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use refward::domain::Seq;
use refward::domain::policy::{RecoveryPoint, Retention};

use crate::{at, point, points, retention};

fn told_in(rules: &Retention, points: &[RecoveryPoint], now: DateTime<Utc>, zone: Tz) -> String {
    let verdicts = rules.judge(points, now, zone);
    let lines = points.iter().zip(&verdicts).map(|(point, verdict)| {
        assert_eq!(point.seq, verdict.seq);
        let reasons: Vec<&str> = verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
        let until = verdict.until.map(|until| format!(" until {}", until.format("%F %H:%M"))).unwrap_or_default();
        let why = if reasons.is_empty() { "no rule".to_owned() } else { reasons.join("; ") };
        format!("{} {}: {why}{until}\n", point.seq, point.time.format("%F %H:%M"))
    });
    lines.collect()
}

/// What becomes of each, long after all were taken.
fn told(rules: &str, points: &[RecoveryPoint]) -> String {
    told_in(&retention(rules), points, at("2027-06-01T00:00:00Z"), Tz::UTC)
}

fn kept(rules: &Retention, points: &[RecoveryPoint], now: DateTime<Utc>) -> Vec<u64> {
    let verdicts = rules.judge(points, now, Tz::UTC);
    verdicts.iter().filter(|verdict| verdict.kept()).map(|verdict| verdict.seq.get()).collect()
}

#[test]
fn the_last_ones_stay_whenever_they_were_taken() {
    let points =
        points(&["2020-01-01T00:00:00Z", "2026-11-19T08:00:00Z", "2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z"]);
    insta::assert_snapshot!(told("last = 2", &points), @"
    1 2020-01-01 00:00: no rule
    2 2026-11-19 08:00: no rule
    3 2026-11-20 08:00: last 2 of 2
    4 2026-11-20 09:00: the newest; last 1 of 2
    ");
}

#[test]
fn the_newest_of_each_day_week_month_and_year_stays() {
    let points = points(&[
        "2024-12-30T10:00:00Z",
        "2025-12-31T10:00:00Z",
        "2026-10-31T10:00:00Z",
        "2026-11-01T10:00:00Z",
        "2026-11-15T10:00:00Z",
        "2026-11-16T10:00:00Z",
        "2026-11-20T10:00:00Z",
        "2026-11-20T11:00:00Z",
        "2026-11-20T11:30:00Z",
    ]);
    insta::assert_snapshot!(told("hourly = 1\ndaily = 3\nweekly = 3\nmonthly = 3\nyearly = 3", &points), @"
    1 2024-12-30 10:00: yearly 3 of 3: newest of 2024
    2 2025-12-31 10:00: monthly 3 of 3: newest of 2025-12; yearly 2 of 3: newest of 2025
    3 2026-10-31 10:00: monthly 2 of 3: newest of 2026-10
    4 2026-11-01 10:00: weekly 3 of 3: newest of 2026-W44
    5 2026-11-15 10:00: daily 3 of 3: newest of 2026-11-15; weekly 2 of 3: newest of 2026-W46
    6 2026-11-16 10:00: daily 2 of 3: newest of 2026-11-16
    7 2026-11-20 10:00: no rule
    8 2026-11-20 11:00: no rule
    9 2026-11-20 11:30: the newest; hourly 1 of 1: newest of 2026-11-20 11:00 UTC; daily 1 of 3: newest of 2026-11-20; weekly 1 of 3: newest of 2026-W47; monthly 1 of 3: newest of 2026-11; yearly 1 of 3: newest of 2026
    ");
}

#[test]
fn a_rule_with_a_length_of_time_says_until_when() {
    let points =
        points(&["2026-08-01T12:00:00Z", "2026-11-19T12:00:00Z", "2026-11-20T08:00:00Z", "2026-11-20T12:00:00Z"]);
    insta::assert_snapshot!(told("within = \"1d\"\ndaily = \"90d\"", &points), @"
    1 2026-08-01 12:00: no rule
    2 2026-11-19 12:00: daily for 90d: newest of 2026-11-19 until 2027-02-17 12:00
    3 2026-11-20 08:00: within 1d until 2026-11-21 08:00
    4 2026-11-20 12:00: the newest; within 1d; daily for 90d: newest of 2026-11-20
    ");
}

#[test]
fn nothing_is_kept_shorter_because_nothing_new_comes() {
    let rules = Retention::default();
    let points: Vec<_> =
        (1..=60).map(|day| point(day, at("2026-01-01T12:00:00Z") + TimeDelta::days(day.cast_signed()))).collect();
    let soon = kept(&rules, &points, at("2026-03-05T00:00:00Z"));
    assert_eq!(soon.len(), 60);
    assert_eq!(kept(&rules, &points, at("2056-03-05T00:00:00Z")), soon, "thirty years later, without a push since");
}

#[test]
fn a_label_keeps_as_long_as_it_is_there() {
    let mut points = points(&["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "2026-11-20T08:00:00Z"]);
    points[0].labels = vec!["before the move".to_owned(), "release".to_owned()];
    points[1].labels = vec!["spare".to_owned()];
    insta::assert_snapshot!(told("last = 1\nlabels = [\"release\"]", &points), @"
    1 2020-01-01 00:00: label release
    2 2020-01-02 00:00: no rule
    3 2026-11-20 08:00: the newest; last 1 of 1
    ");
    assert_eq!(kept(&retention("last = 1\nlabels = [\"*\"]"), &points, at("2027-01-01T00:00:00Z")), [1, 2, 3]);
}

#[test]
fn incomplete_ones_never_push_a_good_one_out() {
    let mut points = points(&[
        "2026-11-15T10:00:00Z",
        "2026-11-16T10:00:00Z",
        "2026-11-17T10:00:00Z",
        "2026-11-18T10:00:00Z",
        "2026-11-18T12:00:00Z",
        "2026-11-19T10:00:00Z",
        "2026-11-20T10:00:00Z",
    ]);
    for nth in [2, 4, 5, 6] {
        points[nth].complete = false;
    }
    insta::assert_snapshot!(told("daily = 2", &points), @"
    1 2026-11-15 10:00: no rule
    2 2026-11-16 10:00: daily 2 of 2: newest of 2026-11-16
    3 2026-11-17 10:00: daily: incomplete, the newest of 2026-11-17
    4 2026-11-18 10:00: the newest complete one; daily 1 of 2: newest of 2026-11-18
    5 2026-11-18 12:00: no rule
    6 2026-11-19 10:00: daily: incomplete, the newest of 2026-11-19
    7 2026-11-20 10:00: the newest; daily: incomplete, the newest of 2026-11-20
    ");
    insta::assert_snapshot!(told("last = 2", &points), @"
    1 2026-11-15 10:00: no rule
    2 2026-11-16 10:00: last 2 of 2
    3 2026-11-17 10:00: incomplete, among the last 2
    4 2026-11-18 10:00: the newest complete one; last 1 of 2
    5 2026-11-18 12:00: incomplete, among the last 2
    6 2026-11-19 10:00: incomplete, among the last 2
    7 2026-11-20 10:00: the newest; incomplete, among the last 2
    ");
}

#[test]
fn without_a_good_one_nothing_goes() {
    let mut points = points(&["2020-11-15T10:00:00Z", "2026-11-16T10:00:00Z"]);
    for point in &mut points {
        point.complete = false;
    }
    assert_eq!(kept(&retention("last = 1"), &points, at("2027-01-01T00:00:00Z")), [1, 2]);
}

#[test]
fn a_clock_that_jumped_ahead_drops_nothing_and_what_it_stamped_stays() {
    let rules = retention("within = \"30d\"");
    let times = ["2026-11-18T10:00:00Z", "2026-11-19T10:00:00Z", "2046-01-01T00:00:00Z", "2026-11-20T10:00:00Z"];
    let four = points(&times);
    assert_eq!(kept(&rules, &four, at("2026-11-20T12:00:00Z")), [1, 2, 3, 4]);
    // Also when it was the newest, and when that future has come.
    assert_eq!(kept(&rules, &four[..3], at("2026-11-20T12:00:00Z")), [1, 2, 3]);
    assert_eq!(kept(&rules, &four, at("2046-02-01T00:00:00Z")), [1, 2, 3, 4]);
    insta::assert_snapshot!(told_in(&rules, &four, at("2026-11-20T12:00:00Z"), Tz::UTC), @"
    1 2026-11-18 10:00: within 30d until 2026-12-18 10:00
    2 2026-11-19 10:00: within 30d until 2026-12-19 10:00
    3 2046-01-01 00:00: its time is not plausible
    4 2026-11-20 10:00: the newest; within 30d
    ");
}

#[test]
fn a_clock_that_was_set_back_drops_nothing_at_once() {
    let points = points(&["2026-11-18T10:00:00Z", "2026-11-19T10:00:00Z", "1970-01-01T00:05:00Z"]);
    assert_eq!(kept(&retention("within = \"1h\""), &points, at("1970-01-01T00:10:00Z")), [1, 2, 3]);
    assert_eq!(kept(&retention("within = \"1h\""), &points, at("2026-11-19T10:10:00Z")), [1, 2, 3]);
}

#[test]
fn days_begin_at_midnight_of_the_policys_time_zone() {
    // In New York both are of 19 November.
    let points = points(&["2026-11-20T01:00:00Z", "2026-11-20T04:00:00Z", "2026-11-20T06:00:00Z"]);
    let rules = retention("daily = 7");
    let now = at("2026-11-21T00:00:00Z");
    insta::assert_snapshot!(told_in(&rules, &points, now, Tz::America__New_York), @"
    1 2026-11-20 01:00: no rule
    2 2026-11-20 04:00: daily 2 of 7: newest of 2026-11-19
    3 2026-11-20 06:00: the newest; daily 1 of 7: newest of 2026-11-20
    ");
    insta::assert_snapshot!(told_in(&rules, &points, now, Tz::UTC), @"
    1 2026-11-20 01:00: no rule
    2 2026-11-20 04:00: no rule
    3 2026-11-20 06:00: the newest; daily 1 of 7: newest of 2026-11-20
    ");
}

#[test]
fn an_hour_that_comes_twice_is_two_hours() {
    // Berlin put its clocks back on 25 October 2026 at 3:00; both are 2:30 there.
    let points = points(&["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
    insta::assert_snapshot!(told_in(&retention("hourly = 24"), &points, at("2026-10-26T00:00:00Z"), Tz::Europe__Berlin), @"
    1 2026-10-25 00:30: hourly 2 of 24: newest of 2026-10-25 02:00 CEST
    2 2026-10-25 01:30: the newest; hourly 1 of 24: newest of 2026-10-25 02:00 CET
    ");
}

#[test]
fn ten_years_of_pushes_thin_out_as_the_default_policy_says() {
    let start = at("2016-11-20T12:00:00Z");
    let points: Vec<_> =
        (0..3653 * 4).map(|nth| point(nth + 1, start + TimeDelta::hours(6 * nth.cast_signed()))).collect();
    let verdicts = Retention::default().judge(&points, points.last().unwrap().time, Tz::UTC);
    let kept: Vec<Seq> = verdicts.iter().filter(|verdict| verdict.kept()).map(|verdict| verdict.seq).collect();
    let younger = |days: u64| kept.iter().filter(|seq| seq.get() > (3653 - days) * 4).count();
    assert_eq!(younger(30), 120, "all of 30 days");
    assert_eq!(younger(90) - younger(30), 60, "then one a day");
    // 39 Sundays, and the ends of months that are no Sunday.
    assert!((39..=50).contains(&(younger(365) - younger(90))), "{}", younger(365) - younger(90));
    let years = kept.len() - younger(365);
    assert!((71..=73).contains(&years), "then one a month, for seven years in all: {years}");
}
