//! Forges that delay before they refuse, tell of their limit only while it is being used up, and forget what was used evenly:
//! Azure DevOps.

use std::time::Duration;

use refward::domain::Result;
use refward::forge::azure_devops::limits::SERVICES;
use refward::forge::quota::{Call, Domain, Effect, Observed, Permit, Quotas, Refusal, Resource, Urgency};
use tokio::time::{Instant, advance};

use crate::{about, wait, words};

/// A call on dev.azure.com.
async fn admit(quotas: &Quotas, who: &str, urgency: Urgency) -> Result<Permit> {
    let domain = Domain { host: "dev.azure.com".to_owned(), who: who.to_owned() };
    quotas.admit(Call { domain, resource: Resource::Rest, urgency, effect: Effect::Reads, rules: &SERVICES }).await
}

async fn answered(quotas: &Quotas, who: &str, answer: &Observed) {
    admit(quotas, who, Urgency::Person).await.unwrap().answered(answer);
}

/// What is told while an identity uses much: so many of 200 units are left, and all of them in so many minutes.
fn left(remaining: u32, minutes: u64) -> Observed {
    let reset_in = Some(Duration::from_mins(minutes));
    Observed { limit: Some(200), remaining: Some(remaining), reset_in, ..Observed::default() }
}

fn rest(seconds: u64) -> Observed {
    Observed { rest: Some(Duration::from_secs(seconds)), ..Observed::default() }
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_to_rest_rests_alone() {
    let quotas = Quotas::default();
    answered(&quotas, "b", &Observed::default()).await;
    answered(&quotas, "a", &rest(30)).await;
    let error = admit(&quotas, "a", Urgency::Person).await.err().unwrap();
    insta::assert_snapshot!(words(&error), @"throttled: dev.azure.com has asked a to rest; the next request at [time] UTC");
    assert!(about(wait(admit(&quotas, "a", Urgency::Person).await), 30));
    let _permit = admit(&quotas, "b", Urgency::Sweep).await.expect("another identity");
    advance(Duration::from_secs(30)).await;
    let _permit = admit(&quotas, "a", Urgency::Sweep).await.expect("the rest is over");
}

#[tokio::test(start_paused = true)]
async fn a_short_rest_is_waited_for_and_a_longer_one_is_not_shortened_by_it() {
    let quotas = Quotas::default();
    let (first, second) = {
        answered(&quotas, "a", &Observed::default()).await;
        let first = admit(&quotas, "a", Urgency::Person).await.unwrap();
        (first, admit(&quotas, "a", Urgency::Person).await.unwrap())
    };
    first.answered(&rest(4));
    second.answered(&rest(1));
    let started = Instant::now();
    let _permit = admit(&quotas, "a", Urgency::Person).await.expect("within the patience");
    assert_eq!(started.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_holds_up_the_identity_and_not_the_host() {
    let quotas = Quotas::default();
    answered(&quotas, "b", &Observed::default()).await;
    let refused = Some(Refusal::Primary { wait: Duration::from_mins(1) });
    answered(&quotas, "a", &Observed { refused, ..left(0, 5) }).await;
    assert!(about(wait(admit(&quotas, "a", Urgency::Person).await), 61));
    let _permit = admit(&quotas, "b", Urgency::Person).await.expect("another identity");
}

#[tokio::test(start_paused = true)]
async fn what_was_used_comes_back_evenly_and_calls_go_at_that_pace() {
    let quotas = Quotas::default();
    answered(&quotas, "a", &left(0, 5)).await;
    let started = Instant::now();
    for _ in 0..10 {
        answered(&quotas, "a", &left(0, 5)).await;
    }
    let each = started.elapsed() / 10;
    assert!((Duration::from_millis(1_400)..Duration::from_millis(1_700)).contains(&each), "{each:?}, not 300 s / 200");
}

#[tokio::test(start_paused = true)]
async fn sweeps_leave_some_of_it_to_people() {
    let quotas = Quotas::default();
    answered(&quotas, "a", &left(10, 5)).await;
    let time = wait(admit(&quotas, "a", Urgency::Sweep).await);
    assert!(time <= Duration::from_mins(1), "{time:?}: not until everything is there again");
    let permit = admit(&quotas, "a", Urgency::Person).await.expect("kept for them");
    permit.answered(&left(9, 5));
    advance(time + Duration::from_secs(5)).await;
    let _permit = admit(&quotas, "a", Urgency::Sweep).await.expect("enough has come back");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_tells_of_no_limit_means_that_there_is_plenty() {
    let quotas = Quotas::default();
    answered(&quotas, "a", &left(1, 5)).await;
    assert!(admit(&quotas, "a", Urgency::Sweep).await.is_err());
    answered(&quotas, "a", &Observed::default()).await;
    let _permit = admit(&quotas, "a", Urgency::Sweep).await.expect("plenty");
}

#[tokio::test(start_paused = true)]
async fn other_processes_learn_of_a_rest() {
    let (quotas, other) = (Quotas::default(), Quotas::default());
    answered(&quotas, "a", &rest(30)).await;
    other.learn(quotas.standings());
    assert!(about(wait(admit(&other, "a", Urgency::Person).await), 30));
}
