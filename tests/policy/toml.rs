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
    insta::assert_snapshot!(toml::to_string(&Policy::built_in()).unwrap(), @"");
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
    insta::assert_snapshot!(refused("name = \"one\"\n[retention]\ndaily = 0"), @"");
    insta::assert_snapshot!(refused("name = \"one\"\n[retention]\ndailly = 7"), @"");
    insta::assert_snapshot!(refused("name = \"one\"\n[retention]\nwithin = \"a while\""), @"");
    insta::assert_snapshot!(refused("name = \"one\"\n[trigger]\non_push = false"), @"");
    insta::assert_snapshot!(refused("name = \"one\"\n[trigger]\nschedule = \"0 25 * * *\""), @"");
    insta::assert_snapshot!(refused("name = \"one\"\ntimezone = \"Berlin\""), @"");
    insta::assert_snapshot!(refused("name = \"one\"\ndata = [\"git\", \"issues\"]"), @"");
    insta::assert_snapshot!(refused("name = \"one\"\n[select]\ninclude = [\"[\"]"), @"");
    insta::assert_snapshot!(refused("name = \"two words\""), @"");
    insta::assert_snapshot!(refused("name = \"default\"\n[select]\ninclude = [\"*\"]"), @"");
}
