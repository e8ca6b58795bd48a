//! What a change would protect less.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::retention::Stretch;
use super::{Drill, Many, Period, Policy, Retention, Schedule};

/// What would be kept shorter, backed up less or proved less if `after` applied in the place of `before`, in words; empty:
/// nothing. In doubt it is told: to wait for a change that turns out to be harmless harms nobody.
pub fn weakens(before: &Policy, after: &Policy) -> Vec<String> {
    let mut less = kept_shorter(&before.retention, &after.retention);
    less.extend(backed_up_less(before, after));
    less.extend(proved_less(before.drill, after.drill));
    less
}

fn kept_shorter(before: &Retention, after: &Retention) -> Vec<String> {
    let mut less = Vec::new();
    if before.last > after.last {
        less.push(format!("the last {} are kept instead of the last {}", after.last, before.last));
    }
    if let Some(was) = before.window()
        && after.window().is_none_or(|is| is < was)
    {
        let is = after.window().map_or_else(|| "not at all".to_owned(), |is| format!("for {is}"));
        less.push(format!("all recovery points are kept {is} instead of for {was}"));
    }
    for (stretch, was) in before.by_calendar() {
        if !covers(after, stretch, was) {
            let rule = stretch.rule();
            let mut rules = after.by_calendar().into_iter();
            less.push(match rules.find(|(other, _)| *other == stretch) {
                Some((_, is)) => format!("{rule} recovery points: {is} instead of {was}"),
                None => format!("{rule} recovery points ({was}) are not kept any more"),
            });
        }
    }
    let any = after.labels.iter().any(|label| label == "*");
    for label in before.labels.iter().filter(|label| !any && !after.labels.contains(label)) {
        less.push(format!("the label `{label}` keeps nothing any more"));
    }
    less
}

/// All that a rule kept, the new rules keep. The newest of a week is the newest of its day, so finer rules count too.
fn covers(after: &Retention, stretch: Stretch, was: Many) -> bool {
    let by_age = match was {
        Many::Within(was) => after.window().is_some_and(|window| window >= was),
        Many::Count(_) => false,
    };
    by_age || after.by_calendar().into_iter().any(|(finer, is)| finer <= stretch && reaches(finer, is, stretch, was))
}

fn reaches(finer: Stretch, is: Many, stretch: Stretch, was: Many) -> bool {
    match (was, is) {
        (Many::Count(was), Many::Count(is)) => finer == stretch && is >= was,
        (Many::Within(was), Many::Within(is)) => is >= was,
        (Many::Within(was), Many::Count(is)) => i64::from(is) > longest_count(was, finer),
        // So many that have a recovery point may reach back as far as they like.
        (Many::Count(_), Many::Within(_)) => false,
    }
}

/// Whole stretches that fit into a period; one more may be cut at its ends.
fn longest_count(period: Period, stretch: Stretch) -> i64 {
    period.delta().num_hours() / stretch.hours() + 1
}

fn backed_up_less(before: &Policy, after: &Policy) -> Vec<String> {
    let (was, is) = (&before.trigger, &after.trigger);
    let mut less = Vec::new();
    if was.on_push && !is.on_push {
        less.push("pushes are not backed up as they come".to_owned());
    }
    if was.on_push && is.on_push && is.coalesce > was.coalesce {
        less.push(format!("a push waits {} for others instead of {}", is.coalesce, was.coalesce));
    }
    match (&was.schedule, &is.schedule) {
        (Some(was), None) => less.push(format!("the schedule `{was}` ends")),
        (Some(was), Some(is)) if rarer(is, after.timezone.0, was, before.timezone.0) => {
            less.push(format!("the schedule is `{is}` instead of `{was}`"));
        }
        _ => {}
    }
    let gone = before.data.iter().any(|kind| !after.data.contains(kind));
    if gone {
        less.push("fewer kinds of data are backed up".to_owned());
    }
    less
}

fn rarer(is: &Schedule, zone: Tz, was: &Schedule, old_zone: Tz) -> bool {
    // An hour more comes of putting clocks back.
    longest_pause(is, zone) > longest_pause(was, old_zone) + TimeDelta::hours(1)
}

/// The longest pause between two runs, within a year or some hundred runs.
fn longest_pause(schedule: &Schedule, zone: Tz) -> TimeDelta {
    let start: DateTime<Utc> = DateTime::UNIX_EPOCH + TimeDelta::days(56 * 365);
    let next = |after: &DateTime<Utc>| schedule.next_run(*after, start, zone);
    let runs: Vec<_> = std::iter::successors(next(&start), next)
        .take(1000)
        .take_while(|run| *run < start + TimeDelta::days(2 * 366))
        .collect();
    let longest = runs.windows(2).map(|pair| pair[1] - pair[0]).max();
    longest.unwrap_or(TimeDelta::days(366))
}

fn proved_less(before: Drill, after: Drill) -> Option<String> {
    match (before, after) {
        (Drill::Every(was), Drill::Every(is)) if is > was => {
            Some(format!("a restore is drilled every {is} instead of every {was}"))
        }
        (Drill::Every(_), Drill::Never) => Some("no restore is drilled any more".to_owned()),
        _ => None,
    }
}
