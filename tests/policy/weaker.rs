//! What a change would protect less is told before it acts.

use refward::domain::policy::{Policy, weakens};

use crate::policy;

fn with(more: &str) -> Policy {
    policy(&format!("name = \"one\"\n{more}"))
}

fn told(before: &str, after: &str) -> String {
    weakens(&with(before), &with(after)).join("\n")
}

#[test]
fn what_is_kept_shorter_is_told() {
    let before = "[retention]\nlast = 5\nwithin = \"30d\"\ndaily = 90\nweekly = \"1y\"\nmonthly = \"7y\"\nlabels = [\"release\"]";
    let after = "[retention]\nlast = 3\nwithin = \"14d\"\ndaily = \"90d\"\nmonthly = 12";
    insta::assert_snapshot!(told(before, after), @"
    the last 3 are kept instead of the last 5
    all recovery points are kept for 14d instead of for 30d
    daily recovery points: 90d instead of 90
    weekly recovery points (1y) are not kept any more
    monthly recovery points: 12 instead of 7y
    the label `release` keeps nothing any more
    ");
    assert_eq!(
        told("[retention]\ndaily = \"90d\"", "[retention]\ndaily = 90"),
        "daily recovery points: 90 instead of 90d",
        "90 days may touch 91 of the calendar"
    );
    assert_eq!(told("[retention]\ndaily = \"90d\"", "[retention]\ndaily = 95"), "");
}

#[test]
fn what_another_rule_keeps_as_well_is_not_told() {
    assert_eq!(told("[retention]\ndaily = \"90d\"", "[retention]\nwithin = \"90d\""), "");
    assert_eq!(told("[retention]\nweekly = \"1y\"", "[retention]\ndaily = \"1y\""), "");
    assert_eq!(told("[retention]\nweekly = \"1y\"", "[retention]\nweekly = 60"), "");
    assert_ne!(told("[retention]\nweekly = \"1y\"", "[retention]\nweekly = 52"), "");
    assert_eq!(told("[retention]\nlast = 1\nlabels = [\"a\"]", "[retention]\nlast = 2\nlabels = [\"*\"]"), "");
}

#[test]
fn what_is_backed_up_or_proved_less_is_told() {
    insta::assert_snapshot!(told("", "drill = \"60d\"\n[trigger]\non_push = false\nschedule = \"every 1d\""), @"
    pushes are not backed up as they come
    a restore is drilled every 60d instead of every 30d
    ");
    insta::assert_snapshot!(told("[trigger]\nschedule = \"0 3 * * *\"", "drill = \"never\"\n[trigger]\ncoalesce = \"5m\"\nschedule = \"0 3 * * 1-5\""), @"
    a push waits 5m for others instead of 0s
    the schedule is `0 3 * * 1-5` instead of `0 3 * * *`
    no restore is drilled any more
    ");
    insta::assert_snapshot!(told("[trigger]\nschedule = \"every 6h\"", "timezone = \"Asia/Tokyo\""), @"
    the schedule `every 6h` ends
    ");
    let daily = "[trigger]\nschedule = \"0 3 * * *\"";
    assert_eq!(told(daily, "[trigger]\nschedule = \"0 */4 * * *\""), "");
    assert_eq!(told(daily, &format!("timezone = \"Europe/Berlin\"\n{daily}")), "", "once a day there as well");
}
