//! Whatever the network does and whoever asks for what: the host never has a reason to refuse.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use refward::domain::Kind;
use refward::forge::github::limits::CLOUD;
use refward::forge::quota::{Call, Effect, Quotas, Resource, Rules, Urgency};
use tokio::time::{Instant, sleep};

use crate::domain;
use crate::simulated::{GitHub, HOUR};

/// Small limits are reached soon.
static SMALL: Rules =
    Rules { concurrent: 7, points_per_minute: 120, graphql_points_per_minute: 60, creations_per_minute: 3, ..CLOUD };

const LIMIT: u32 = 300;

fn calls() -> impl Strategy<Value = Vec<(Resource, Urgency, Effect)>> {
    let resource = prop_oneof![4 => Just(Resource::Rest), 1 => Just(Resource::GraphQl)];
    let urgency = prop_oneof![Just(Urgency::Person), Just(Urgency::Event), Just(Urgency::Sweep)];
    let effect = prop_oneof![8 => Just(Effect::Reads), 1 => Just(Effect::Writes), 1 => Just(Effect::Creates)];
    proptest::collection::vec((resource, urgency, effect), 50..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_host_never_has_a_reason_to_refuse(
        calls in calls(), delays in proptest::collection::vec(1u64..9_000, 1..20), workers in 1usize..30,
    ) {
        in_virtual_time(async move {
            let number = |number: u64| usize::try_from(number).unwrap();
            let github = GitHub::new(&SMALL, LIMIT, move |n| Duration::from_millis(delays[number(n) % delays.len()]));
            let (asked, github) = (calls.len() as u64, ask(calls, github, workers).await);
            let seen = github.seen();
            assert_eq!((seen.requests, seen.refusals), (asked, 0));
            assert!(seen.most_at_a_time <= SMALL.concurrent);
            assert!(seen.most_in_a_minute <= SMALL.points_per_minute);
        });
    }

    #[test]
    fn a_sweep_never_touches_the_reserve_of_the_hour(
        delays in proptest::collection::vec(1u64..2_000, 1..20), workers in 1usize..30,
    ) {
        in_virtual_time(async move {
            let number = |number: u64| usize::try_from(number).unwrap();
            let github = GitHub::new(&SMALL, LIMIT, move |n| Duration::from_millis(delays[number(n) % delays.len()]));
            let calls = vec![(Resource::Rest, Urgency::Sweep, Effect::Reads); 240];
            let started = Instant::now();
            let github = ask(calls, github, workers).await;
            assert!(started.elapsed() < HOUR / 2, "four fifths of the budget are a sweep's at once");
            assert_eq!(github.seen().least_left, Some(LIMIT / 5));
        });
    }
}

/// Workers who share the calls between them.
async fn ask(calls: Vec<(Resource, Urgency, Effect)>, github: GitHub, workers: usize) -> Arc<GitHub> {
    let (github, quotas, calls) = (Arc::new(github), Quotas::default(), Arc::new(calls));
    let tasks = (0..workers).map(|worker| {
        let (github, quotas, calls) = (github.clone(), quotas.clone(), calls.clone());
        tokio::spawn(async move {
            for (resource, urgency, effect) in calls.iter().copied().skip(worker).step_by(workers) {
                let call = Call { domain: domain("a"), resource, urgency, effect, rules: &SMALL };
                let permit = loop {
                    match quotas.admit(call.clone()).await.map_err(|error| error.kind()) {
                        Ok(permit) => break permit,
                        Err(Kind::Throttled { retry_after }) => sleep(retry_after).await,
                        Err(kind) => panic!("{kind:?}"),
                    }
                };
                permit.answered(&github.answer(&call.domain, resource, effect).await);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    github
}

fn in_virtual_time(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(story);
}
