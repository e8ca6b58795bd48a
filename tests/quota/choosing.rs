//! Which credential to use.

use std::time::Duration;

use refward::domain::Kind;
use refward::forge::github::limits::CLOUD;
use refward::forge::quota::{Domain, Quotas, Resource, Urgency};

use crate::{about, admit, domain, left, wait};

async fn standing(quotas: &Quotas, answers: &[(&str, u32, u64)]) -> Vec<Domain> {
    for (who, remaining, minutes) in answers {
        admit(quotas, who, Urgency::Person).await.unwrap().answered(&left(5_000, *remaining, *minutes));
    }
    answers.iter().map(|(who, ..)| domain(who)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_one_with_most_left_is_used() {
    let quotas = Quotas::default();
    let candidates = standing(&quotas, &[("a", 2_000, 50), ("b", 4_000, 50), ("c", 3_000, 50)]).await;
    assert_eq!(quotas.choose(&candidates, Resource::Rest, Urgency::Sweep, &CLOUD).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_busy_this_second_does_not_keep_the_others_idle() {
    let quotas = Quotas::default();
    let candidates = standing(&quotas, &[("a", 5_000, 50), ("b", 2_000, 50)]).await;
    for _ in 0..74 {
        admit(&quotas, "a", Urgency::Sweep).await.unwrap().answered(&left(5_000, 4_900, 50));
    }
    assert_eq!(quotas.choose(&candidates, Resource::Rest, Urgency::Sweep, &CLOUD).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn if_none_may_be_used_the_first_reset_is_told() {
    let quotas = Quotas::default();
    let candidates = standing(&quotas, &[("a", 0, 50), ("b", 0, 10), ("c", 0, 30)]).await;
    let error = quotas.choose(&candidates, Resource::Rest, Urgency::Person, &CLOUD).unwrap_err();
    assert!(error.to_string().contains("by b before"), "{error}");
    assert!(about(wait(Err::<(), _>(error)), 10 * 60));
    tokio::time::advance(Duration::from_secs(601)).await;
    assert_eq!(quotas.choose(&candidates, Resource::Rest, Urgency::Person, &CLOUD).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reserve_is_no_reason_to_wait_while_another_has_plenty() {
    let quotas = Quotas::default();
    let candidates = standing(&quotas, &[("a", 900, 50), ("b", 1_100, 50)]).await;
    assert_eq!(quotas.choose(&candidates, Resource::Rest, Urgency::Sweep, &CLOUD).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_candidates_is_our_mistake() {
    let error = Quotas::default().choose(&[], Resource::Rest, Urgency::Person, &CLOUD).unwrap_err();
    assert_eq!(error.kind(), Kind::Bug);
}
