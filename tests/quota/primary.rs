//! Primary limits: learned from answers, never overdrawn, with a reserve.

use std::time::Duration;

use refward::forge::quota::{Call, Observed, Quotas, Refusal, Resource, Urgency};
use tokio::time::{advance, timeout};

use crate::{about, admit, knowing, left, read, wait, words};

const SHORT: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_first_call_finds_out_alone_how_much_is_left() {
    let quotas = Quotas::default();
    let first = admit(&quotas, "a", Urgency::Person).await.unwrap();
    assert!(timeout(SHORT, admit(&quotas, "a", Urgency::Person)).await.is_err(), "nobody knows yet what is left");
    first.answered(&left(5_000, 2, 30));
    let _second = admit(&quotas, "a", Urgency::Person).await.unwrap();
    let _third = admit(&quotas, "a", Urgency::Person).await.unwrap();
    assert!(timeout(SHORT, admit(&quotas, "a", Urgency::Person)).await.is_err(), "two are left, two are under way");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_first_answer_goes_as_soon_as_it_comes() {
    let quotas = Quotas::default();
    let first = admit(&quotas, "a", Urgency::Person).await.unwrap();
    let others = [(); 3].map(|()| {
        let quotas = quotas.clone();
        tokio::spawn(async move { admit(&quotas, "a", Urgency::Person).await })
    });
    advance(SHORT).await;
    let asked = tokio::time::Instant::now();
    first.answered(&left(5_000, 4_000, 30));
    for other in others {
        other.await.unwrap().unwrap().answered(&left(5_000, 3_999, 30));
    }
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn late_answers_do_not_bring_requests_back() {
    let quotas = knowing("a", &left(5_000, 100, 30)).await;
    let early = admit(&quotas, "a", Urgency::Person).await.unwrap();
    let late = admit(&quotas, "a", Urgency::Person).await.unwrap();
    late.answered(&left(5_000, 98, 30));
    early.answered(&left(5_000, 99, 30));
    assert_eq!(quotas.standings()[0].remaining, Some(98));
    assert_eq!(quotas.standings()[0].used(), Some(4_902));
}

#[tokio::test(start_paused = true)]
async fn a_used_up_budget_says_until_when_and_is_full_again_then() {
    let quotas = knowing("installation 123", &left(5_000, 0, 30)).await;
    let error = admit(&quotas, "installation 123", Urgency::Person).await.err().unwrap();
    insta::assert_snapshot!(words(&error), @"throttled: github.com allows no further requests by installation 123 before [time] UTC (5000 used up)");
    assert_eq!(error.kind().exit_code(), 5);
    assert!(error.kind().is_transient());
    admit(&quotas, "installation 124", Urgency::Person)
        .await
        .expect("has a budget of its own")
        .answered(&left(5_000, 9, 30));
    let time = wait(admit(&quotas, "installation 123", Urgency::Person).await);
    assert!(about(time, 30 * 60), "{time:?}");
    assert!(time >= Duration::from_secs(30 * 60 + 1), "it was told in whole seconds, and may be one more: {time:?}");
    advance(time).await;
    admit(&quotas, "installation 123", Urgency::Sweep).await.unwrap().answered(&left(5_000, 4_999, 60));
    assert_eq!(quotas.standings()[0].remaining, Some(4_999));
}

#[tokio::test(start_paused = true)]
async fn answers_from_before_the_reset_say_nothing_about_the_time_after() {
    let quotas = knowing("a", &left(5_000, 10, 1)).await;
    let straggler = admit(&quotas, "a", Urgency::Person).await.unwrap();
    let other = admit(&quotas, "a", Urgency::Person).await.unwrap();
    advance(Duration::from_secs(62)).await;
    other.answered(&left(5_000, 4_999, 60));
    straggler.answered(&left(5_000, 0, 0));
    assert_eq!(quotas.standings()[0].remaining, Some(4_999));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_closes_this_budget_until_its_reset_and_no_other() {
    let quotas = knowing("a", &left(5_000, 400, 30)).await;
    let refused = Some(Refusal::Primary { wait: Duration::from_mins(20) });
    let permit = admit(&quotas, "a", Urgency::Person).await.unwrap();
    permit.answered(&Observed { refused, ..left(5_000, 0, 20) });
    let time = wait(admit(&quotas, "a", Urgency::Person).await);
    assert!(about(time, 20 * 60), "{time:?}");
    admit(&quotas, "b", Urgency::Person).await.expect("another budget").answered(&left(5_000, 9, 30));
    let graphql = Call { resource: Resource::GraphQl, ..read("a", Urgency::Person) };
    quotas.admit(graphql).await.expect("GraphQL is counted apart").answered(&left(5_000, 4_990, 60));
}

#[tokio::test(start_paused = true)]
async fn graphql_has_points_of_its_own() {
    let quotas = knowing("a", &left(5_000, 0, 30)).await;
    let graphql = Call { resource: Resource::GraphQl, ..read("a", Urgency::Sweep) };
    quotas.admit(graphql.clone()).await.unwrap().answered(&left(10_000, 8_000, 60));
    quotas.admit(graphql.clone()).await.unwrap().answered(&left(10_000, 1_900, 60));
    let time = wait(quotas.admit(graphql).await);
    assert!(time > Duration::from_mins(40), "that query cost 6,100 points; the rest is a reserve: {time:?}");
}

#[tokio::test(start_paused = true)]
async fn without_headers_there_is_no_limit() {
    let quotas = knowing("a", &Observed::default()).await;
    let mut permits = Vec::new();
    for _ in 0..75 {
        permits.push(admit(&quotas, "a", Urgency::Sweep).await.unwrap());
    }
    assert_eq!(quotas.standings()[0].limit, None);
    assert_eq!(quotas.forecast(&[crate::domain("a")], Resource::Rest, 1_000_000), None);
}

#[tokio::test(start_paused = true)]
async fn a_reserve_is_kept_from_sweeps_and_a_smaller_one_from_webhooks() {
    for (remaining, sweep, event) in
        [(1_001, true, true), (1_000, false, true), (251, false, true), (250, false, false)]
    {
        let quotas = knowing("a", &left(5_000, remaining, 50)).await;
        assert_eq!(admit(&quotas, "a", Urgency::Sweep).await.is_ok(), sweep, "a sweep with {remaining} left");
        let quotas = knowing("a", &left(5_000, remaining, 50)).await;
        assert_eq!(admit(&quotas, "a", Urgency::Event).await.is_ok(), event, "a webhook with {remaining} left");
        let quotas = knowing("a", &left(5_000, remaining, 50)).await;
        assert!(admit(&quotas, "a", Urgency::Person).await.is_ok(), "a person with {remaining} left");
    }
    let quotas = knowing("installation 123", &left(5_000, 1_000, 50)).await;
    let error = admit(&quotas, "installation 123", Urgency::Sweep).await.err().unwrap();
    insta::assert_snapshot!(words(&error), @"throttled: github.com allows 5000 requests by installation 123 until the next reset, and the rest of them is kept for what is more urgent until [time] UTC");
}

#[tokio::test(start_paused = true)]
async fn the_reserve_is_given_out_when_the_reset_comes_near() {
    let quotas = knowing("a", &left(5_000, 500, 50)).await;
    let time = wait(admit(&quotas, "a", Urgency::Sweep).await);
    let half_of_the_reserve = 50 * 60 - 15 * 60 / 2;
    assert!(about(time, half_of_the_reserve), "{time:?}");
    advance(time).await;
    let _permit = admit(&quotas, "a", Urgency::Sweep).await.expect("nobody else needed it");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_counts_as_made_and_frees_its_place() {
    let quotas = knowing("a", &left(5_000, 2, 30)).await;
    drop(admit(&quotas, "a", Urgency::Person).await.unwrap());
    drop(admit(&quotas, "a", Urgency::Person).await.unwrap());
    assert!(wait(admit(&quotas, "a", Urgency::Person).await) > Duration::from_mins(29));

    let quotas = Quotas::default();
    drop(admit(&quotas, "b", Urgency::Person).await.unwrap());
    let _permit = admit(&quotas, "b", Urgency::Person).await.expect("the next one finds out");
}

#[tokio::test(start_paused = true)]
async fn those_who_are_sent_away_do_not_all_come_back_at_once() {
    let quotas = knowing("a", &left(5_000, 0, 30)).await;
    let first = wait(admit(&quotas, "a", Urgency::Event).await);
    let mut last = first;
    for _ in 0..150 {
        last = wait(admit(&quotas, "a", Urgency::Event).await);
    }
    let spread = last.checked_sub(first).unwrap();
    assert!(about(spread, 10), "150 of 900 points a minute take 10 s, not {spread:?}");
    let person = wait(admit(&quotas, "a", Urgency::Person).await);
    assert_eq!(person, first, "a person does not queue behind them");
}
