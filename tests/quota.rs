//! The budgets of forges: nobody is refused, nobody waits longer than needed, and the urgent go first.
//! Time is virtual: it passes only while everybody waits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

#[path = "quota/choosing.rs"]
mod choosing;
#[path = "quota/gradual.rs"]
mod gradual;
#[path = "quota/pace.rs"]
mod pace;
#[path = "quota/primary.rs"]
mod primary;
#[path = "quota/properties.rs"]
mod properties;
#[path = "quota/secondary.rs"]
mod secondary;
#[path = "quota/sharing.rs"]
mod sharing;
#[path = "quota/simulated.rs"]
mod simulated;

use std::time::Duration;

use refward::domain::{Error, Kind, Result};
use refward::forge::github::limits::CLOUD;
use refward::forge::quota::{Call, Domain, Effect, Observed, Permit, Quotas, Resource, Urgency};
use simulated::Organization;

#[tokio::test(start_paused = true)]
async fn an_organization_is_backed_up_in_the_time_that_its_budgets_allow_and_github_refuses_nothing() {
    let organization = Organization { repositories: 10_000, requests_each: 6, installations: 3, workers: 200 };
    assert_eq!(organization.requests(), 60_100, "four times all that three budgets allow in an hour, and some");
    let outcome = organization.back_up(&CLOUD).await;
    assert_eq!(outcome.seen.requests, 60_100);
    assert_eq!(outcome.seen.refusals, 0);
    assert!(outcome.time >= outcome.at_least, "{:?} is too good to be true", outcome.time);
    assert!(
        outcome.time <= outcome.at_least.mul_f64(1.05),
        "{:?} where {:?} is possible",
        outcome.time,
        outcome.at_least
    );
    assert!(outcome.sent_away < 60_100, "workers are sent away {} times, more than they work", outcome.sent_away);
}

fn domain(who: &str) -> Domain {
    Domain { host: "github.com".to_owned(), who: who.to_owned() }
}

/// A read over REST on github.com.
fn read(who: &str, urgency: Urgency) -> Call {
    Call { domain: domain(who), resource: Resource::Rest, urgency, effect: Effect::Reads, rules: &CLOUD }
}

async fn admit(quotas: &Quotas, who: &str, urgency: Urgency) -> Result<Permit> {
    quotas.admit(read(who, urgency)).await
}

/// What GitHub answers when so many of `limit` are left for so many minutes.
fn left(limit: u32, remaining: u32, minutes: u64) -> Observed {
    let reset_in = Some(Duration::from_mins(minutes));
    Observed { limit: Some(limit), remaining: Some(remaining), reset_in, ..Observed::default() }
}

/// Budgets of somebody of whom GitHub has just said this.
async fn knowing(who: &str, answer: &Observed) -> Quotas {
    let quotas = Quotas::default();
    admit(&quotas, who, Urgency::Person).await.unwrap().answered(answer);
    quotas
}

/// How long somebody is told to stay away.
fn wait<T>(outcome: Result<T>) -> Duration {
    let error = outcome.err().expect("sent away");
    match error.kind() {
        Kind::Throttled { retry_after } => retry_after,
        other => panic!("{other:?}: {error}"),
    }
}

/// An error's words, the time of day aside.
fn words(error: &Error) -> String {
    let words = error.to_string();
    let at = words.find(" UTC").expect("says until when");
    format!("{}[time]{}", &words[..at - 8], &words[at..])
}

fn about(time: Duration, seconds: u64) -> bool {
    time.abs_diff(Duration::from_secs(seconds)) <= Duration::from_secs(2)
}
