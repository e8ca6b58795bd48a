//! What holds for all rules and all histories.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::collection::vec;
use proptest::prelude::*;
use refward::domain::Seq;
use refward::domain::policy::{Many, Period, RecoveryPoint, Retention};

use crate::at;

fn many() -> impl Strategy<Value = Option<Many>> {
    prop_oneof![
        Just(None),
        (1u32..6).prop_map(|count| Some(Many::Count(count))),
        (1u64..400).prop_map(|days| Some(Many::Within(Period::days(days)))),
    ]
}

prop_compose! {
    fn rules()(
        last in 0u32..5,
        within in prop::option::of((1u64..60).prop_map(Period::days)),
        hourly in many(),
        daily in many(),
        weekly in many(),
        monthly in many(),
        yearly in many(),
        labels in prop_oneof![Just(vec![]), Just(vec!["*".to_owned()])],
    ) -> Retention {
        Retention { last, within, hourly, daily, weekly, monthly, yearly, labels }
    }
}

/// Recovery points whose clock never goes back, some of them incomplete or labelled.
fn history() -> impl Strategy<Value = Vec<RecoveryPoint>> {
    let one = (1i64..20_000, prop::bool::weighted(0.8), prop::bool::weighted(0.1));
    vec(one, 1..80).prop_map(|steps| {
        let mut time: DateTime<Utc> = at("2026-01-31T12:00:00Z");
        let points = (1..).zip(steps).map(|(seq, (minutes, complete, labelled))| {
            time += TimeDelta::minutes(minutes);
            let labels = if labelled { vec!["kept".to_owned()] } else { Vec::new() };
            RecoveryPoint { seq: Seq::new(seq).unwrap(), time, complete, labels }
        });
        points.collect()
    })
}

/// The same with clocks that jump.
fn jumping() -> impl Strategy<Value = Vec<RecoveryPoint>> {
    (history(), vec((any::<prop::sample::Index>(), -90_000i64..90_000), 0..4)).prop_map(|(mut points, jumps)| {
        for (index, hours) in jumps {
            let nth = index.index(points.len());
            points[nth].time += TimeDelta::hours(hours);
        }
        points
    })
}

fn zone() -> impl Strategy<Value = Tz> {
    prop::sample::select(vec![Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata])
}

fn later(points: &[RecoveryPoint]) -> DateTime<Utc> {
    points.last().unwrap().time + TimeDelta::days(1000)
}

fn kept(rules: &Retention, points: &[RecoveryPoint], now: DateTime<Utc>, zone: Tz) -> Vec<Seq> {
    let verdicts = rules.judge(points, now, zone);
    verdicts.iter().filter(|verdict| verdict.kept()).map(|verdict| verdict.seq).collect()
}

fn only(points: &[RecoveryPoint], seqs: &[Seq]) -> Vec<RecoveryPoint> {
    points.iter().filter(|point| seqs.contains(&point.seq)).cloned().collect()
}

proptest! {
    #[test]
    fn the_newest_and_the_newest_good_one_stay(rules in rules(), points in jumping(), zone in zone(), days in -2000i64..2000) {
        let kept = kept(&rules, &points, points.last().unwrap().time + TimeDelta::days(days), zone);
        prop_assert!(kept.contains(&points.last().unwrap().seq));
        if let Some(good) = points.iter().rev().find(|point| point.complete) {
            prop_assert!(kept.contains(&good.seq));
        }
    }

    #[test]
    fn what_stays_stays_when_the_rest_is_gone(rules in rules(), points in jumping(), zone in zone()) {
        let now = later(&points);
        let kept_first = kept(&rules, &points, now, zone);
        let rest = only(&points, &kept_first);
        prop_assert_eq!(kept(&rules, &rest, now, zone), kept_first);
    }

    #[test]
    fn a_rule_more_keeps_no_less(rules in rules(), more in rules(), points in jumping(), zone in zone()) {
        let now = later(&points);
        let both = Retention {
            last: rules.last.max(more.last),
            within: rules.within.max(more.within),
            hourly: rules.hourly.or(more.hourly),
            daily: rules.daily.or(more.daily),
            weekly: rules.weekly.or(more.weekly),
            monthly: rules.monthly.or(more.monthly),
            yearly: rules.yearly.or(more.yearly),
            labels: [rules.labels.clone(), more.labels].concat(),
        };
        let with_more = kept(&both, &points, now, zone);
        for seq in kept(&rules, &points, now, zone) {
            prop_assert!(with_more.contains(&seq), "{seq}");
        }
    }

    #[test]
    fn a_higher_number_keeps_no_less(rules in rules(), points in jumping(), zone in zone(), by in 1u32..5) {
        let now = later(&points);
        let raise = |many: Option<Many>| many.map(|many| match many {
            Many::Count(count) => Many::Count(count + by),
            Many::Within(period) => Many::Within(Period::days(period.duration().as_secs() / 86_400 + u64::from(by))),
        });
        let higher = Retention {
            last: rules.last + by,
            within: rules.within,
            hourly: raise(rules.hourly),
            daily: raise(rules.daily),
            weekly: raise(rules.weekly),
            monthly: raise(rules.monthly),
            yearly: raise(rules.yearly),
            labels: rules.labels.clone(),
        };
        let more = kept(&higher, &points, now, zone);
        for seq in kept(&rules, &points, now, zone) {
            prop_assert!(more.contains(&seq), "{seq}");
        }
    }

    /// While clocks go right. One that was wrong can make a moment look implausible that is not: then more is kept.
    #[test]
    fn what_no_rule_keeps_is_not_kept_again_when_others_come(rules in rules(), points in history(), zone in zone(), first in any::<prop::sample::Index>()) {
        let now = later(&points);
        let before = &points[..=first.index(points.len())];
        if !before.iter().any(|point| point.complete) {
            return Ok(());
        }
        let kept_before = kept(&rules, before, now, zone);
        let after = kept(&rules, &points, now, zone);
        for point in before.iter().filter(|point| !kept_before.contains(&point.seq)) {
            prop_assert!(!after.contains(&point.seq), "{} came back", point.seq);
        }
    }

    #[test]
    fn a_point_is_kept_until_the_moment_that_was_told(rules in rules(), points in history(), zone in zone()) {
        // Another good one, taken just before and just after that moment.
        for verdict in rules.judge(&points, later(&points), zone) {
            let Some(until) = verdict.until else { continue };
            let newest = points.last().unwrap();
            let with = |time| {
                let next = RecoveryPoint { seq: newest.seq.next(), time, complete: true, labels: Vec::new() };
                let points = [points.as_slice(), &[next]].concat();
                kept(&rules, &points, time, zone).contains(&verdict.seq)
            };
            if until > newest.time + TimeDelta::days(370) {
                prop_assert!(with(until - TimeDelta::milliseconds(1)), "{} goes too early", verdict.seq);
            }
            if until > newest.time {
                prop_assert!(!with(until), "{} stays too long", verdict.seq);
            }
        }
    }
}
