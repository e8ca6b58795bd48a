//! The pace that a forge asks for and never reports on.

use std::future::Future as _;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use refward::domain::Kind;
use refward::forge::github::limits::{CLOUD, ENTERPRISE_SERVER};
use refward::forge::quota::{Call, Effect, Observed, Quotas, Urgency};
use tokio::time::{Instant, sleep, timeout};

use crate::{admit, knowing, left, read, wait};

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_under_way_than_a_host_bears() {
    let quotas = Quotas::default();
    let call = Call { rules: &ENTERPRISE_SERVER, ..read("a", Urgency::Sweep) };
    quotas.admit(call.clone()).await.unwrap().answered(&Observed::default());
    let mut permits = Vec::new();
    for _ in 0..10 {
        permits.push(quotas.admit(call.clone()).await.unwrap());
    }
    assert!(timeout(Duration::from_secs(1), quotas.admit(call.clone())).await.is_err());
    permits.pop();
    let _permit = quotas.admit(call).await.expect("a place is free");
}

#[tokio::test(start_paused = true)]
async fn writes_come_one_after_another_with_a_second_between_and_hold_up_no_reads() {
    let quotas = knowing("a", &left(5_000, 5_000, 60)).await;
    let write = Call { effect: Effect::Writes, ..read("a", Urgency::Person) };
    let first = quotas.admit(write.clone()).await.unwrap();
    let (waiting, started) = (quotas.clone(), Instant::now());
    let second = tokio::spawn(async move { waiting.admit(write).await.map(|_permit| started.elapsed()) });
    tokio::task::yield_now().await;
    let _read = admit(&quotas, "a", Urgency::Sweep).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO, "a read passes a write that waits");
    sleep(Duration::from_millis(300)).await;
    first.answered(&left(5_000, 4_999, 60));
    assert_eq!(second.await.unwrap().unwrap(), Duration::from_millis(1_300));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_got_side_by_side_and_cost_what_a_write_costs() {
    let quotas = knowing("a", &left(5_000, 5_000, 60)).await;
    let get = Call { effect: Effect::SignsIn, ..read("a", Urgency::Event) };
    let (started, mut permits) = (Instant::now(), Vec::new());
    for _ in 0..10 {
        permits.push(quotas.admit(get.clone()).await.unwrap());
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    drop(permits);
    // A twelfth of a minute's 900 points are 15 such calls; the one read before took a point of them.
    for _ in 0..5 {
        let _permit = quotas.admit(get.clone()).await.unwrap();
    }
    assert!(started.elapsed() > Duration::ZERO, "five points each");
}

#[tokio::test(start_paused = true)]
async fn content_is_created_no_faster_than_500_times_an_hour() {
    let quotas = knowing("a", &left(5_000, 5_000, 60)).await;
    let create = Call { effect: Effect::Creates, ..read("a", Urgency::Person) };
    let mut created = Vec::new();
    while created.len() < 501 {
        match quotas.admit(create.clone()).await {
            Ok(permit) => {
                created.push(Instant::now());
                permit.answered(&left(5_000, 5_000, 60));
            }
            Err(error) => {
                let Kind::Throttled { retry_after } = error.kind() else { panic!("{error}") };
                sleep(retry_after).await;
            }
        }
    }
    assert!(created[500] - created[0] >= Duration::from_hours(1));
    assert!(created[500] - created[0] < Duration::from_secs(3_602));
    for minute in created.windows(81) {
        assert!(minute[80] - minute[0] >= Duration::from_mins(1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_urgent_go_first_and_then_whoever_came_first() {
    let quotas = Quotas::default();
    let first = admit(&quotas, "a", Urgency::Person).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    let arrivals = [Urgency::Sweep, Urgency::Event, Urgency::Person, Urgency::Sweep, Urgency::Person, Urgency::Event];
    for (number, urgency) in arrivals.into_iter().enumerate() {
        let (quotas, order) = (quotas.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let call = Call { effect: Effect::Writes, ..read("a", urgency) };
            let permit = quotas.admit(call).await.unwrap();
            order.lock().unwrap().push((urgency, number));
            permit.answered(&left(5_000, 5_000, 60));
        }));
        tokio::task::yield_now().await;
    }
    first.answered(&left(5_000, 5_000, 60));
    // Writes are a second apart, so that they show their order; the sixth would run out of patience.
    for task in tasks {
        task.await.unwrap();
    }
    let mut expected: Vec<_> = arrivals.into_iter().zip(0..).collect();
    expected.sort();
    assert_eq!(*order.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_leaves_no_gap_in_the_line() {
    let quotas = Quotas::default();
    let first = admit(&quotas, "a", Urgency::Person).await.unwrap();
    assert!(timeout(Duration::from_secs(1), admit(&quotas, "a", Urgency::Person)).await.is_err());
    first.answered(&left(5_000, 1, 60));
    let _permit = admit(&quotas, "a", Urgency::Person).await.expect("nobody is before us");
}

#[tokio::test(start_paused = true)]
async fn small_calls_do_not_overtake_a_large_one_that_waits_for_the_same_points() {
    let quotas = knowing("a", &left(5_000, 5_000, 60)).await;
    for _ in 0..71 {
        admit(&quotas, "a", Urgency::Person).await.unwrap().answered(&left(5_000, 4_900, 60));
    }
    let waiting = quotas.clone();
    let write = Call { effect: Effect::Writes, ..read("a", Urgency::Person) };
    let write = tokio::spawn(async move { waiting.admit(write).await });
    tokio::task::yield_now().await;
    let small = timeout(Duration::from_secs(1), admit(&quotas, "a", Urgency::Person)).await;
    assert!(small.is_err(), "three points are free, but the write came first and needs five");
    write.await.unwrap().expect("its turn comes").answered(&left(5_000, 4_899, 60));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_patience_allows() {
    let quotas = Quotas::default();
    let _never_answered = admit(&quotas, "a", Urgency::Person).await.unwrap();
    let started = Instant::now();
    let time = wait(admit(&quotas, "a", Urgency::Person).await);
    assert_eq!(started.elapsed(), CLOUD.patience);
    assert!(time >= Duration::from_secs(1), "to come back at once would be a busy loop: {time:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_sleeps() {
    let quotas = knowing("a", &left(5_000, 5_000, 60)).await;
    for _ in 0..74 {
        admit(&quotas, "a", Urgency::Person).await.unwrap().answered(&left(5_000, 4_900, 60));
    }
    let started = Instant::now();
    let mut polls = 0;
    let mut waiting = pin!(admit(&quotas, "a", Urgency::Person));
    let _permit = std::future::poll_fn(|context| {
        polls += 1;
        waiting.as_mut().poll(context)
    })
    .await
    .unwrap();
    assert_eq!(started.elapsed(), Duration::from_secs(5), "75 in five seconds are 900 in a minute");
    assert!(polls <= 4, "woken {polls} times");
}
