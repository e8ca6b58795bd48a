//! Policies as people write them.

use refward::domain::policy::{Drill, Policy};

use crate::policy;

/// The error that a person gets.
fn refused(text: &str) -> String {
    match toml::from_str::<Policy>(text) {
        Err(error) => error.to_string(),
        Ok(policy) => {
            let error = policy.check().unwrap_err();
            format!("{error}\n{}", error.next_step().unwrap_or_default())
        }
    }
}

#[test]
fn the_built_in_policy_keeps_what_the_documentation_says() {
    insta::assert_snapshot!(toml::to_string(&Policy::built_in()).unwrap(), @r#"
    name = "default"
    description = "Everything that no other policy selects"
    timezone = "UTC"
    pool = "default"
    data = ["git"]
    drill = "30d"

    [select]

    [trigger]
    on_push = true

    [retention]
    within = "30d"
    daily = "90d"
    weekly = "1y"
    monthly = "7y"
    "#);
    Policy::built_in().check().unwrap();
}

#[test]
fn a_policy_reads_back_as_it_was_written() {
    let text = r#"
        name = "critical"
        description = "What we cannot lose"
        timezone = "Europe/Berlin"
        pool = "fast"
        credentials = ["ci"]
        drill = "7d"

        [select]
        connections = ["work"]
        groups = ["web"]
        include = ["acme/*"]
        exclude = ["*-old"]
        archived = false
        private = true
        repositories = ["acme/api"]

        [trigger]
        coalesce = "30s"
        schedule = "0 3 * * *"

        [retention]
        last = 5
        within = "30d"
        daily = 90
        yearly = "10y"
        labels = ["*"]

        [notify]
        protected = ["release/*"]
        severity = { mail = "alarm", webhook = "never" }
    "#;
    let read = policy(text);
    read.check().unwrap();
    assert_eq!(policy(&toml::to_string(&read).unwrap()), read);
    assert_eq!(serde_json::from_value::<Policy>(serde_json::to_value(&read).unwrap()).unwrap(), read);
    assert!(read.notify.protected().unwrap().is_match("release/1.0"));
    assert!(matches!(read.drill, Drill::Every(_)) && read.trigger.on_push);
    assert_eq!(policy("name = \"bare\"").drill.window().unwrap().as_secs(), 30 * 86_400);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    insta::assert_snapshot!(refused("name = \"one\"\n[retention]\ndaily = 0"), @r#"
    the retention would keep nothing
    say what stays, e.g. `retention.within = "30d"` or `retention.daily = 14`
    "#);
    insta::assert_snapshot!(refused("name = \"one\"\n[retention]\ndailly = 7"), @"
    TOML parse error at line 3, column 1
      |
    3 | dailly = 7
      | ^^^^^^
    unknown field `dailly`, expected one of `last`, `within`, `hourly`, `daily`, `weekly`, `monthly`, `yearly`, `labels`
    ");
    insta::assert_snapshot!(refused("name = \"one\"\n[retention]\nwithin = \"a while\""), @r#"
    TOML parse error at line 3, column 10
      |
    3 | within = "a while"
      |          ^^^^^^^^^
    `a while` is not a length of time: write it like 30d, 12h, 6months or 7y
    "#);
    insta::assert_snapshot!(refused("name = \"one\"\n[trigger]\non_push = false"), @"
    the policy would never back anything up
    set `trigger.on_push = true` or a `trigger.schedule`; `refward repos remove` excludes one
    ");
    insta::assert_snapshot!(refused("name = \"one\"\n[trigger]\nschedule = \"0 25 * * *\""), @r#"
    TOML parse error at line 3, column 12
      |
    3 | schedule = "0 25 * * *"
      |            ^^^^^^^^^^^^
    `0 25 * * *` is not a schedule: Component error: Number out of bounds; write `every 6h`, or cron's five fields (minute, hour, day, month, weekday), e.g. `0 3 * * 1-5` for 3:00 from Monday to Friday
    "#);
    insta::assert_snapshot!(refused("name = \"one\"\ntimezone = \"Berlin\""), @r#"
    TOML parse error at line 2, column 12
      |
    2 | timezone = "Berlin"
      |            ^^^^^^^^
    `Berlin` is not a time zone: write an IANA name such as Europe/Berlin or UTC
    "#);
    insta::assert_snapshot!(refused("name = \"one\"\ndata = [\"git\", \"issues\"]"), @r#"
    TOML parse error at line 2, column 8
      |
    2 | data = ["git", "issues"]
      |        ^^^^^^^^^^^^^^^^^
    `issues` cannot be backed up: `data` knows only "git" so far
    "#);
    insta::assert_snapshot!(refused("name = \"one\"\n[select]\ninclude = [\"[\"]"), @"`[` is not a glob: error parsing glob '[': unclosed character class; missing ']'");
    insta::assert_snapshot!(refused("name = \"two words\""), @"`two words` cannot be the name of a policy: use up to 64 letters, digits, `-`, `_` and `.`");
    insta::assert_snapshot!(refused("name = \"default\"\n[select]\ninclude = [\"*\"]"), @"
    the default policy selects everything that no other policy selects
    make a policy of your own for some repositories: `refward policy create NAME`
    ");
}
