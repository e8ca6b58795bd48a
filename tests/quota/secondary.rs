//! Secondary limits that were hit all the same: the whole host is left alone.

use std::time::Duration;

use refward::forge::quota::{Call, Domain, Observed, Quotas, Refusal, Urgency};
use tokio::time::{Instant, advance, timeout};

use crate::{about, admit, domain, knowing, left, read, wait, words};
use refward::forge::github::limits::CLOUD;
use refward::forge::quota::Resource;

fn slow_down(wait: Option<u64>) -> Observed {
    let wait = wait.map(Duration::from_secs);
    Observed { refused: Some(Refusal::Secondary { wait }), ..left(5_000, 4_000, 50) }
}

async fn refused(quotas: &Quotas, answer: &Observed) {
    admit(quotas, "a", Urgency::Person).await.unwrap().answered(answer);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_asks_to_slow_down_is_not_asked_with_another_credential() {
    let quotas = knowing("a", &left(5_000, 4_000, 50)).await;
    admit(&quotas, "b", Urgency::Person).await.unwrap().answered(&left(5_000, 5_000, 60));
    refused(&quotas, &slow_down(Some(90))).await;
    assert!(about(wait(admit(&quotas, "b", Urgency::Person).await), 90));
    let candidates = [domain("a"), domain("b")];
    let error = quotas.choose(&candidates, Resource::Rest, Urgency::Person, &CLOUD).unwrap_err();
    insta::assert_snapshot!(words(&error), @"throttled: github.com has asked us to slow down; nobody calls it before [time] UTC");
    let elsewhere = Domain { host: "github.example.com".to_owned(), who: "a".to_owned() };
    let call = Call { domain: elsewhere, ..read("a", Urgency::Person) };
    let _permit = quotas.admit(call).await.expect("another host");
    advance(Duration::from_secs(91)).await;
    let _permit = admit(&quotas, "b", Urgency::Person).await.expect("the pause is over");
}

#[tokio::test(start_paused = true)]
async fn pauses_without_a_term_double_until_a_call_succeeds() {
    let quotas = knowing("a", &left(5_000, 4_000, 50)).await;
    for expected in [60, 120, 240, 480, 960, 1_920, 1_920] {
        refused(&quotas, &slow_down(None)).await;
        let time = wait(admit(&quotas, "a", Urgency::Person).await);
        assert_eq!(time.as_secs(), expected);
        advance(time).await;
    }
    refused(&quotas, &left(5_000, 4_000, 50)).await;
    refused(&quotas, &slow_down(None)).await;
    assert_eq!(wait(admit(&quotas, "a", Urgency::Person).await).as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_refused_together_count_once_and_old_successes_not_at_all() {
    let quotas = knowing("a", &left(5_000, 4_000, 50)).await;
    let mut permits = Vec::new();
    for _ in 0..10 {
        permits.push(admit(&quotas, "a", Urgency::Person).await.unwrap());
    }
    let success = permits.pop().unwrap();
    for permit in permits {
        permit.answered(&slow_down(None));
    }
    success.answered(&left(5_000, 3_999, 50));
    let time = wait(admit(&quotas, "a", Urgency::Person).await);
    assert_eq!(time.as_secs(), 60);
    advance(time).await;
    refused(&quotas, &slow_down(None)).await;
    assert_eq!(wait(admit(&quotas, "a", Urgency::Person).await).as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_never_shortened() {
    let quotas = knowing("a", &left(5_000, 4_000, 50)).await;
    let first = admit(&quotas, "a", Urgency::Person).await.unwrap();
    let second = admit(&quotas, "a", Urgency::Person).await.unwrap();
    first.answered(&slow_down(Some(300)));
    second.answered(&slow_down(Some(5)));
    assert_eq!(wait(admit(&quotas, "a", Urgency::Person).await).as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_one_call_finds_out_whether_the_host_has_calmed_down() {
    let quotas = knowing("a", &left(5_000, 4_000, 50)).await;
    admit(&quotas, "b", Urgency::Person).await.unwrap().answered(&left(5_000, 4_000, 50));
    refused(&quotas, &slow_down(Some(60))).await;
    advance(Duration::from_mins(1)).await;
    let trial = admit(&quotas, "a", Urgency::Person).await.unwrap();
    for who in ["a", "b"] {
        let other = admit(&quotas, who, Urgency::Person);
        assert!(timeout(Duration::from_secs(1), other).await.is_err(), "{who} waits for the answer");
    }
    let (waiting, started) = (quotas.clone(), Instant::now());
    let waiter = tokio::spawn(async move { admit(&waiting, "b", Urgency::Person).await });
    tokio::task::yield_now().await;
    trial.answered(&left(5_000, 3_999, 50));
    let _permit = waiter.await.unwrap().expect("it has");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_line_when_the_host_is_paused_is_told_at_once() {
    let quotas = knowing("a", &left(5_000, 4_000, 50)).await;
    let probe = admit(&quotas, "b", Urgency::Person).await.unwrap();
    let (waiting, started) = (quotas.clone(), Instant::now());
    let waiter = tokio::spawn(async move { admit(&waiting, "b", Urgency::Person).await });
    tokio::task::yield_now().await;
    refused(&quotas, &slow_down(Some(60))).await;
    assert_eq!(wait(waiter.await.unwrap()).as_secs(), 60);
    assert_eq!(started.elapsed(), Duration::ZERO);
    drop(probe);
}
