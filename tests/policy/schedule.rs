//! When a schedule runs, also on the days when clocks are changed.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use refward::domain::Kind;
use refward::domain::policy::{Schedule, Zone};

use crate::at;

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap()
}

/// So many runs after a moment, in UTC.
fn runs(text: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(text);
    let next = |after: &DateTime<Utc>| schedule.next_run(*after, DateTime::UNIX_EPOCH, zone);
    let runs = std::iter::successors(next(&at(after)), next).take(count);
    runs.map(|run| run.to_rfc3339_opts(SecondsFormat::Secs, true)).collect()
}

#[test]
fn cron_goes_by_the_clocks_of_its_time_zone() {
    assert_eq!(
        runs("30 3 * * 1-5", Tz::Asia__Kolkata, "2026-11-20T00:00:00Z", 2),
        ["2026-11-22T22:00:00Z", "2026-11-23T22:00:00Z"],
        "3:30 in Kolkata is 22:00 UTC of the day before; it was a Friday morning there"
    );
}

#[test]
fn a_time_that_is_skipped_comes_right_after_the_gap() {
    // Berlin, 29 March 2026: 2:00 is followed by 3:00 (1:00 UTC). New York, 8 March: 2:00 is followed by 3:00 (7:00 UTC).
    assert_eq!(
        runs("30 2 * * *", Tz::Europe__Berlin, "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    assert_eq!(
        runs("30 2 * * *", Tz::America__New_York, "2026-03-07T06:00:00Z", 3),
        ["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]
    );
}

#[test]
fn a_time_that_is_repeated_comes_once() {
    // Berlin, 25 October 2026: 2:30 comes at 0:30 UTC and again at 1:30 UTC. New York, 1 November: 1:30 at 5:30 and 6:30 UTC.
    assert_eq!(
        runs("30 2 * * *", Tz::Europe__Berlin, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    assert_eq!(
        runs("30 1 * * *", Tz::America__New_York, "2026-10-31T12:00:00Z", 2),
        ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
    );
}

#[test]
fn every_quarter_of_an_hour_goes_on_evenly() {
    let night = runs("*/15 * * * *", Tz::Europe__Berlin, "2026-10-24T23:59:00Z", 12);
    assert_eq!((night[0].as_str(), night[11].as_str()), ("2026-10-25T00:00:00Z", "2026-10-25T02:45:00Z"));
}

#[test]
fn an_interval_counts_from_its_anchor_and_knows_no_clocks() {
    let anchor = at("2026-03-28T22:17:00Z");
    let next = |after| schedule("every 6h").next_run(at(after), anchor, Tz::Europe__Berlin).unwrap();
    assert_eq!(next("2026-03-28T22:17:00Z"), at("2026-03-29T04:17:00Z"), "never the moment itself");
    assert_eq!(next("2026-03-29T04:16:59Z"), at("2026-03-29T04:17:00Z"));
    assert_eq!(next("2026-03-20T00:00:00Z"), at("2026-03-20T04:17:00Z"), "also before its anchor");
}

#[test]
fn what_is_no_schedule_is_refused_with_what_to_write() {
    for wrong in
        ["", "hourly", "0 3 * *", "61 * * * *", "0 0 3 * * *", "0 3 * * * 2027", "0 0 30 2 *", "every soon", "every 5s"]
    {
        let error = wrong.parse::<Schedule>().unwrap_err();
        assert_eq!(error.kind(), Kind::BadRequest, "{wrong}");
    }
    let error = "0 0 3 * * *".parse::<Schedule>().unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.next_step().unwrap()), @"
    `0 0 3 * * *` is not a schedule: Invalid pattern: Pattern must have 5 fields when seconds are disallowed
    write `every 6h`, or cron's five fields (minute, hour, day, month, weekday), e.g. `0 3 * * 1-5` for 3:00 from Monday to Friday
    ");
    insta::assert_snapshot!("0 0 30 2 *".parse::<Schedule>().unwrap_err(), @"`0 0 30 2 *` is not a schedule: that moment never comes");
    insta::assert_snapshot!("Mars/Phobos".parse::<Zone>().unwrap_err(), @"`Mars/Phobos` is not a time zone: write an IANA name such as Europe/Berlin or UTC");
}
