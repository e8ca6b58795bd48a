//! The job queue.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use refward::catalog::job_kind::{DISCOVER, SYNC_REPO};
use refward::catalog::{Catalog, JobState, Lease, Priority};

use crate::world::{World, pools};

const LEASE: Duration = Duration::from_mins(1);

on_both_databases! {
    pushes_while_one_runs_are_one_more_run,
    what_somebody_waits_for_goes_first,
    racing_workers_never_share_a_subject,
    a_silent_workers_job_goes_to_another_who_alone_may_finish_it,
    a_job_that_finds_nothing_new_ends_with_what_it_found,
    a_lease_is_renewed_until_it_has_run_out,
    a_retry_waits_and_is_not_hurried_by_events,
    a_retry_merges_into_a_younger_wish,
    a_released_job_runs_again_at_once,
    two_processes_work_through_one_queue,
    workers_of_this_process_hear_of_new_jobs,
}

async fn wish(catalog: &Catalog, subject: &str) {
    catalog.enqueue(SYNC_REPO, subject, Priority::Event).await.unwrap();
}

async fn claim(catalog: &Catalog, holder: &str) -> Option<Lease> {
    catalog.claim(holder, LEASE, &pools()).await.unwrap()
}

async fn pushes_while_one_runs_are_one_more_run(world: World) {
    let catalog = &world.catalog;
    wish(catalog, "a").await;
    wish(catalog, "a").await;
    let first = claim(catalog, "w1").await.unwrap();
    assert_eq!((first.kind.as_str(), first.subject.as_str(), first.attempts), (SYNC_REPO, "a", 1));
    for _ in 0..10 {
        wish(catalog, "a").await;
    }
    assert_eq!(claim(catalog, "w2").await, None, "one at a time");
    assert!(catalog.finish(&first).await.unwrap());
    let second = claim(catalog, "w2").await.unwrap();
    assert!(catalog.finish(&second).await.unwrap());
    assert_eq!(claim(catalog, "w2").await, None);
    assert_eq!(catalog.jobs().await.unwrap(), []);
}

async fn what_somebody_waits_for_goes_first(world: World) {
    let catalog = &world.catalog;
    catalog.enqueue(SYNC_REPO, "swept", Priority::Sweep).await.unwrap();
    catalog.enqueue(SYNC_REPO, "both", Priority::Sweep).await.unwrap();
    catalog.enqueue(SYNC_REPO, "pushed", Priority::Event).await.unwrap();
    catalog.enqueue(SYNC_REPO, "both", Priority::Manual).await.unwrap();
    catalog.enqueue(DISCOVER, "1", Priority::Event).await.unwrap();
    let mut order = Vec::new();
    while let Some(lease) = claim(catalog, "w").await {
        order.push(lease.subject);
    }
    assert_eq!(order, ["both", "pushed", "1", "swept"]);
}

async fn racing_workers_never_share_a_subject(world: World) {
    let catalog = &world.catalog;
    let subjects: Vec<String> = (0..40).map(|number| format!("r{number}")).collect();
    catalog.enqueue_all(SYNC_REPO, &subjects, Priority::Sweep).await.unwrap();
    let workers = (0..8).map(|number| {
        let catalog = catalog.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Some(lease) = claim(&catalog, &format!("w{number}")).await {
                taken.push(lease.subject);
            }
            taken
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    assert_eq!(all.len(), 40);
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), subjects.into_iter().collect());
}

async fn a_silent_workers_job_goes_to_another_who_alone_may_finish_it(world: World) {
    let catalog = &world.catalog;
    wish(catalog, "a").await;
    let silent = catalog.claim("w1", Duration::ZERO, &pools()).await.unwrap().unwrap();
    wish(catalog, "a").await;
    let heir = claim(catalog, "w2").await.unwrap();
    assert_eq!(heir.attempts, 2, "the same job, not the one that waits");
    assert_eq!(claim(catalog, "w3").await, None);

    assert!(!catalog.renew(&silent, LEASE).await.unwrap());
    assert!(!catalog.retry(&silent, Utc::now(), "late").await.unwrap());
    assert!(!catalog.release(&silent).await.unwrap());
    assert!(!catalog.finish(&silent).await.unwrap());
    assert!(catalog.finish(&heir).await.unwrap());
    assert!(claim(catalog, "w3").await.is_some(), "what was asked for meanwhile");

    // The same worker, started again under its old name, holds nothing either.
    wish(catalog, "b").await;
    let before = catalog.claim("w4", Duration::ZERO, &pools()).await.unwrap().unwrap();
    let after = claim(catalog, "w4").await.unwrap();
    assert!(!catalog.finish(&before).await.unwrap());
    assert!(catalog.finish(&after).await.unwrap());
}

async fn a_job_that_finds_nothing_new_ends_with_what_it_found(world: World) {
    let World { catalog, rocket, .. } = &world;
    wish(catalog, rocket.as_str()).await;
    let lease = claim(catalog, "w").await.unwrap();
    catalog.record_unchanged(rocket, Some([1; 32]), &[], None, Some(&lease)).await.unwrap();
    assert_eq!(catalog.jobs().await.unwrap(), []);
    assert_eq!(catalog.fingerprint(rocket).await.unwrap(), Some([1; 32]));
}

async fn a_lease_is_renewed_until_it_has_run_out(world: World) {
    let catalog = &world.catalog;
    wish(catalog, "a").await;
    let lease = catalog.claim("w1", LEASE, &pools()).await.unwrap().unwrap();
    assert!(catalog.renew(&lease, Duration::from_millis(50)).await.unwrap());
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert!(!catalog.renew(&lease, LEASE).await.unwrap());
}

async fn a_retry_waits_and_is_not_hurried_by_events(world: World) {
    let catalog = &world.catalog;
    wish(catalog, "a").await;
    let lease = claim(catalog, "w").await.unwrap();
    assert!(catalog.retry(&lease, Utc::now() + TimeDelta::hours(1), "the forge is down").await.unwrap());
    let jobs = catalog.jobs().await.unwrap();
    assert_eq!(jobs[0].last_error.as_deref(), Some("the forge is down"));
    wish(catalog, "a").await;
    assert_eq!(claim(catalog, "w").await, None);

    let lease = catalog.enqueue_and_claim(SYNC_REPO, "a", "w", LEASE).await.unwrap().unwrap();
    assert_eq!(lease.attempts, 2, "still the same trouble");
    assert!(catalog.finish(&lease).await.unwrap());
    wish(catalog, "a").await;
    assert_eq!(claim(catalog, "w").await.unwrap().attempts, 1);
}

async fn a_retry_merges_into_a_younger_wish(world: World) {
    let catalog = &world.catalog;
    wish(catalog, "a").await;
    let lease = claim(catalog, "w").await.unwrap();
    wish(catalog, "a").await;
    assert!(catalog.retry(&lease, Utc::now() + TimeDelta::hours(1), "the forge is down").await.unwrap());
    let jobs = catalog.jobs().await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].state, jobs[0].attempts), (JobState::Ready, 1));
    assert!(jobs[0].run_at > Utc::now() + TimeDelta::minutes(59), "the forge is still down");

    catalog.enqueue(SYNC_REPO, "b", Priority::Event).await.unwrap();
    let lease = claim(catalog, "w").await.unwrap();
    catalog.enqueue(SYNC_REPO, "b", Priority::Manual).await.unwrap();
    assert!(catalog.retry(&lease, Utc::now() + TimeDelta::hours(1), "the forge is down").await.unwrap());
    assert_eq!(claim(catalog, "w").await.unwrap().subject, "b", "somebody waits for it");
}

async fn a_released_job_runs_again_at_once(world: World) {
    let catalog = &world.catalog;
    wish(catalog, "a").await;
    let lease = claim(catalog, "w").await.unwrap();
    wish(catalog, "a").await;
    assert!(catalog.release(&lease).await.unwrap());
    let lease = claim(catalog, "w").await.unwrap();
    assert_eq!(lease.attempts, 1);
    assert!(catalog.finish(&lease).await.unwrap());
    assert_eq!(claim(catalog, "w").await, None);
}

async fn two_processes_work_through_one_queue(world: World) {
    let subjects: Vec<String> = (0..30).map(|number| format!("r{number}")).collect();
    let others = [world.catalog.clone(), world.another_process().await];
    let runs = others.map(|catalog| {
        let subjects = subjects.clone();
        tokio::spawn(async move {
            let mut done = 0;
            for subject in &subjects {
                wish(&catalog, subject).await;
                while let Some(lease) = claim(&catalog, "w").await {
                    done += u32::from(catalog.finish(&lease).await.unwrap());
                }
            }
            done
        })
    });
    let mut done = 0;
    for run in runs {
        done += run.await.unwrap();
    }
    assert!((30..=60).contains(&done), "{done}");
    assert_eq!(world.catalog.jobs().await.unwrap(), []);
}

async fn workers_of_this_process_hear_of_new_jobs(world: World) {
    let mut bell = world.catalog.new_jobs();
    wish(&world.catalog, "a").await;
    tokio::time::timeout(Duration::from_secs(1), bell.changed()).await.unwrap().unwrap();
}
