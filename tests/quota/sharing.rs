//! Processes that share budgets through the database, and what people are shown.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use refward::forge::quota::{Observed, Quotas, Refusal, Resource, Standing, Urgency, Why};

use crate::{about, admit, domain, knowing, left, wait};

#[tokio::test(start_paused = true)]
async fn what_one_process_has_used_another_does_not_use_again() {
    let one = knowing("a", &left(5_000, 0, 30)).await;
    let other = Quotas::default();
    other.learn(through_the_database(&one.standings()));
    let time = wait(admit(&other, "a", Urgency::Person).await);
    assert!(about(time, 30 * 60), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn what_others_saw_earlier_brings_nothing_back() {
    let one = knowing("a", &left(5_000, 3_000, 30)).await;
    let earlier = one.standings();
    admit(&one, "a", Urgency::Person).await.unwrap().answered(&left(5_000, 2_000, 30));
    one.learn(earlier);
    assert_eq!(one.standings()[0].remaining, Some(2_000));
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_learned_and_never_shortened() {
    let answer = |seconds| {
        let wait = Some(Duration::from_secs(seconds));
        Observed { refused: Some(Refusal::Secondary { wait }), ..left(5_000, 4_000, 30) }
    };
    let (long, short) = (knowing("a", &answer(600)).await, knowing("b", &answer(60)).await);
    let standing = &long.standings()[0];
    assert_eq!(standing.pause.unwrap().why, Why::SlowDown);
    let (told_long, told_short) = (long.standings(), short.standings());
    long.learn(told_short);
    short.learn(told_long);
    for quotas in [long, short] {
        assert!(about(wait(admit(&quotas, "c", Urgency::Person).await), 600));
    }
}

#[tokio::test(start_paused = true)]
async fn standings_say_what_is_left_and_until_when() {
    let quotas = knowing("installation 123", &left(5_000, 4_321, 30)).await;
    let standing = quotas.standings().remove(0);
    assert_eq!(standing.domain.to_string(), "github.com installation 123");
    assert_eq!(standing.resource.as_str(), "rest");
    assert_eq!((standing.limit, standing.remaining, standing.used()), (Some(5_000), Some(4_321), Some(679)));
    let reset = standing.reset_at.unwrap() - Utc::now();
    assert!(about(reset.to_std().unwrap(), 30 * 60), "{reset}");
    assert!(Utc::now() - standing.observed_at < TimeDelta::seconds(10));
    assert_eq!((standing.pause, standing.waiting), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_forecast_says_when_a_backlog_will_be_done() {
    let quotas = knowing("a", &left(5_000, 1_000, 30)).await;
    let minutes = |requests| {
        let done = quotas.forecast(&[domain("a")], Resource::Rest, requests).unwrap();
        (done - Utc::now()).num_seconds().div_euclid(60)
    };
    assert_eq!(minutes(900), 0, "a minute's points, give or take a moment");
    assert_eq!(minutes(1_900), 31, "1,000 now, 900 in the first minute after the reset");
    assert_eq!(minutes(6_900), 91, "5,000 more: another hour");
    assert_eq!(quotas.forecast(&[domain("a"), domain("unknown")], Resource::Rest, 9_000), None);
}

fn through_the_database(standings: &[Standing]) -> Vec<Standing> {
    serde_json::from_str(&serde_json::to_string(standings).unwrap()).unwrap()
}
