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
    insta::assert_snapshot!(told(before, after), @"");
    assert_eq!(told(after, before), "daily recovery points: 90 instead of 90d", "90 days need not be within 90 days");
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
    insta::assert_snapshot!(told("", "drill = \"60d\"\n[trigger]\non_push = false\nschedule = \"every 1d\""), @"");
    insta::assert_snapshot!(told("[trigger]\nschedule = \"0 3 * * *\"", "drill = \"never\"\n[trigger]\ncoalesce = \"5m\"\nschedule = \"0 3 * * 1-5\""), @"");
    insta::assert_snapshot!(told("[trigger]\nschedule = \"every 6h\"", "timezone = \"Asia/Tokyo\""), @"");
    let daily = "[trigger]\nschedule = \"0 3 * * *\"";
    assert_eq!(told(daily, "[trigger]\nschedule = \"0 */4 * * *\""), "");
    let elsewhere = format!("timezone = \"Europe/Berlin\"\n{daily}\n[retention]\nlast = 9");
    assert_eq!(told(&format!("{daily}\n[retention]\nlast = 9"), &elsewhere), "", "once a day there as well");
}
