//! How far restores have come: one step at a time, and of two who take one at the same moment one does.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use refward::catalog::{JobState, NewRecord, NewRestore, RestoreState, RestoreStep, StoredRestore, Verdict, job_kind};
use refward::domain::{By, Person};
use serde_json::json;

use crate::world::World;

on_both_databases!(
    each_step_leads_from_where_it_should_and_from_nowhere_else,
    of_two_who_decide_at_the_same_moment_one_does,
    what_is_over_goes_on_no_more,
    a_step_comes_with_its_jobs_and_its_record,
    what_was_asked_for_in_no_channel_is_shown_in_none,
    a_new_plan_takes_the_place_of_the_old_one_or_there_is_none,
);

fn person(id: &str) -> Person {
    Person::new("discord", id).unwrap()
}

fn told() -> NewRecord {
    NewRecord::new(&By::cli("root"), "restore.test", Verdict::Done)
}

fn planned(world: &World) -> NewRestore {
    NewRestore {
        repo: world.rocket.clone(),
        requested_by: person("1"),
        origin: json!({ "channel": "7" }),
        wish: json!({}),
        plan: json!({}),
        plan_hash: "ab".repeat(32),
        needs_approval: true,
        expires_at: Utc::now() + TimeDelta::hours(1),
    }
}

async fn add(world: &World) -> i64 {
    world.catalog.add_restore(planned(world), told()).await.unwrap()
}

async fn step(world: &World, id: i64, step: RestoreStep) -> bool {
    world.catalog.step_restore(id, &world.rocket, step, Some(told())).await.unwrap()
}

async fn stands(world: &World, id: i64) -> StoredRestore {
    world.catalog.restore(id).await.unwrap()
}

/// Every step, with the states that it may be taken from and the one it leads to.
fn steps() -> Vec<(RestoreStep, Vec<RestoreState>, RestoreState)> {
    use RestoreState::{Approved, Cancelled, Confirmed, Done, Failed, Planned, Rejected, Running, Stale};
    let until = Utc::now() + TimeDelta::hours(1);
    let (by, receipt) = (person("2"), json!({}));
    vec![
        (RestoreStep::Confirm { until }, vec![Planned], Confirmed),
        (RestoreStep::Begin { until }, vec![Planned], Approved),
        (RestoreStep::HandOut { until }, vec![Planned, Done], Done),
        (RestoreStep::Approve { by: by.clone(), origin: json!({}), until }, vec![Confirmed], Approved),
        (RestoreStep::Reject { by }, vec![Confirmed], Rejected),
        (RestoreStep::Cancel, vec![Planned, Confirmed, Approved], Cancelled),
        (RestoreStep::Run { progress: json!({}) }, vec![Approved, Running], Running),
        (RestoreStep::Finish { receipt }, vec![Approved, Running], Done),
        (RestoreStep::Fail { error: "no".to_owned(), receipt: None }, vec![Approved, Running], Failed),
        (
            RestoreStep::Outdate { error: "moved".to_owned(), receipt: None, replacement: None },
            vec![Planned, Confirmed, Approved, Running],
            Stale,
        ),
    ]
}

/// A restore that has come so far, by the steps that people and workers take.
async fn come_to(world: &World, state: RestoreState) -> i64 {
    use RestoreState::{Approved, Cancelled, Confirmed, Done, Expired, Failed, Planned, Rejected, Running, Stale};
    let before = match state {
        Planned => return add(world).await,
        Confirmed | Stale | Cancelled => Planned,
        Approved | Rejected => Confirmed,
        Running | Done | Failed => Approved,
        Expired => {
            let over = NewRestore { expires_at: Utc::now() - TimeDelta::seconds(1), ..planned(world) };
            let id = world.catalog.add_restore(over, told()).await.unwrap();
            assert!(step(world, id, RestoreStep::Expire).await);
            return id;
        }
    };
    let id = Box::pin(come_to(world, before)).await;
    let leads = |(_, from, to): &(RestoreStep, Vec<RestoreState>, RestoreState)| *to == state && from.contains(&before);
    let (way, ..) = steps().into_iter().find(leads).unwrap();
    assert!(step(world, id, way).await);
    id
}

async fn each_step_leads_from_where_it_should_and_from_nowhere_else(world: World) {
    for state in RestoreState::ALL {
        for (taken, from, to) in steps() {
            let id = come_to(&world, state).await;
            assert_eq!(stands(&world, id).await.state, state);
            let allowed = from.contains(&state);
            assert_eq!(step(&world, id, taken.clone()).await, allowed, "{taken:?} from {state:?}");
            assert_eq!(stands(&world, id).await.state, if allowed { to } else { state }, "{taken:?} from {state:?}");
        }
    }
}

async fn of_two_who_decide_at_the_same_moment_one_does(world: World) {
    let (one, other) = (world.another_process().await, world.another_process().await);
    for _ in 0..10 {
        let id = come_to(&world, RestoreState::Confirmed).await;
        let until = Utc::now() + TimeDelta::hours(1);
        let approve = |by| RestoreStep::Approve { by: person(by), origin: json!({}), until };
        let (first, second) = tokio::join!(
            one.step_restore(id, &world.rocket, approve("2"), Some(told())),
            other.step_restore(id, &world.rocket, approve("3"), Some(told())),
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first != second, "{first} {second}");
        let winner = if first { "2" } else { "3" };
        assert_eq!(stands(&world, id).await.decided_by, Some(person(winner)));
    }
}

async fn what_is_over_goes_on_no_more(world: World) {
    let over = NewRestore { expires_at: Utc::now() - TimeDelta::milliseconds(1), ..planned(&world) };
    let id = world.catalog.add_restore(over, told()).await.unwrap();
    assert!(!step(&world, id, RestoreStep::Confirm { until: Utc::now() }).await);
    assert!(!step(&world, id, RestoreStep::Cancel).await);
    assert!(step(&world, id, RestoreStep::Expire).await);
    assert!(!step(&world, id, RestoreStep::Expire).await, "it ends once");

    let id = add(&world).await;
    assert!(!step(&world, id, RestoreStep::Expire).await, "its time is not over");
    // What a worker has begun is brought to its end, however late.
    assert!(step(&world, id, RestoreStep::Begin { until: Utc::now() - TimeDelta::seconds(1) }).await);
    assert!(step(&world, id, RestoreStep::Run { progress: json!({ "before": 7 }) }).await);
    assert!(!step(&world, id, RestoreStep::Expire).await);
    let began = stands(&world, id).await.started_at;
    assert!(step(&world, id, RestoreStep::Run { progress: json!({}) }).await);
    assert_eq!(stands(&world, id).await.started_at, began, "it began once");
    assert!(step(&world, id, RestoreStep::Finish { receipt: json!({ "written": [] }) }).await);
    assert!(world.catalog.open_restores(&world.rocket).await.unwrap().is_empty());
}

async fn a_step_comes_with_its_jobs_and_its_record(world: World) {
    let id = add(&world).await;
    let looks_later = world.catalog.jobs().await.unwrap();
    assert!(looks_later.iter().all(|job| job.kind == job_kind::RESTORE && job.run_at > Utc::now()), "{looks_later:?}");
    assert!(step(&world, id, RestoreStep::Begin { until: Utc::now() + TimeDelta::hours(1) }).await);
    let jobs = world.catalog.jobs().await.unwrap();
    let mut due: Vec<(&str, &str)> = jobs
        .iter()
        .filter(|job| job.state == JobState::Ready && job.run_at <= Utc::now())
        .map(|job| (job.kind.as_str(), job.subject.as_str()))
        .collect();
    due.sort_unstable();
    let shown = format!("restore:{id}");
    assert_eq!(due, [(job_kind::RESTORE, world.rocket.as_str()), (job_kind::SHOW, &shown)]);
    let recorded = world.catalog.recorded(None, 10).await.unwrap();
    assert!(recorded.iter().all(|row| row.subject.as_deref() == Some(&format!("restore {id}"))), "{recorded:?}");
    assert_eq!(recorded.len(), 2);
    // What nobody could take leaves nothing behind.
    assert!(!step(&world, id, RestoreStep::Confirm { until: Utc::now() }).await);
    assert_eq!(world.catalog.recorded(None, 10).await.unwrap().len(), 2);

    assert!(step(&world, id, RestoreStep::Run { progress: json!({}) }).await);
    world.catalog.restore_progress(id, json!({ "done": 1, "total": 2 })).await.unwrap();
    assert_eq!(stands(&world, id).await.progress, Some(json!({ "done": 1, "total": 2 })));
    let later = Utc::now() + Duration::from_mins(1);
    world.catalog.look_at_restores(&world.rocket, later).await.unwrap();
}

/// No process that takes no chat's requests would ever work such jobs off.
async fn what_was_asked_for_in_no_channel_is_shown_in_none(world: World) {
    let asked = NewRestore { origin: json!({ "channel": null }), ..planned(&world) };
    let id = world.catalog.add_restore(asked, told()).await.unwrap();
    assert!(step(&world, id, RestoreStep::Begin { until: Utc::now() + TimeDelta::hours(1) }).await);
    assert!(step(&world, id, RestoreStep::Run { progress: json!({}) }).await);
    world.catalog.restore_progress(id, json!({ "done": 1, "total": 2 })).await.unwrap();
    let jobs = world.catalog.jobs().await.unwrap();
    assert!(jobs.iter().all(|job| job.kind == job_kind::RESTORE), "{jobs:?}");
}

async fn a_new_plan_takes_the_place_of_the_old_one_or_there_is_none(world: World) {
    let id = add(&world).await;
    let outdate = || RestoreStep::Outdate {
        error: "main moved".to_owned(),
        receipt: None,
        replacement: Some(Box::new(planned(&world))),
    };
    assert!(step(&world, id, outdate()).await);
    let old = stands(&world, id).await;
    let new = stands(&world, old.replaced_by.unwrap()).await;
    assert_eq!(
        (old.state, old.error.as_deref(), new.state),
        (RestoreState::Stale, Some("main moved"), RestoreState::Planned)
    );
    assert!(!step(&world, id, outdate()).await);
    let all = world.catalog.restores(Some(&world.rocket), 10).await.unwrap();
    assert_eq!(all.iter().map(|row| row.id).collect::<Vec<_>>(), [new.id, id], "no plan of who came too late");
}
