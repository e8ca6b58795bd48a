//! Webhooks come in bursts, twice, late, in the wrong order, or never.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::world::World;

/// Which deliveries each snapshot answers.
fn answered(snapshots: &[Value]) -> Vec<&str> {
    let deliveries = snapshots.iter().filter_map(|snapshot| snapshot["trigger"]["deliveries"].as_array());
    deliveries.flatten().map(|id| id.as_str().unwrap()).collect()
}

#[tokio::test]
async fn ten_pushes_during_one_backup_are_one_more_backup() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("zero").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let _service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;

    world.github.hold_fetches();
    let first = work.commit("one").await;
    work.push(&["main"]).await;
    world.github.fetch_is_held().await;
    for nth in 2..=11 {
        work.commit(&format!("commit {nth}")).await;
        work.push(&["main"]).await;
    }
    world.github.delivered(11).await;
    let status = world.status("acme/api").await;
    assert_eq!((&status["queue"], &status["state"]), (&json!("running"), &json!("behind")));
    assert!(status["lag_ms"].as_u64().is_some(), "{status}");
    world.github.let_fetches_go();
    world.idle().await;

    let snapshots = world.snapshots("acme/api").await;
    assert_eq!(snapshots.len(), 3, "{snapshots:#?}");
    assert_eq!(world.ok(&["refs", "acme/api", "--at", "2"]).await["refs/heads/main"], first);
    assert_eq!(answered(&snapshots[1..2]).len(), 1);
    assert_eq!(answered(&snapshots[2..]).len(), 10);
    assert_eq!(snapshots[2]["objects"], 30);
    world.matches(&api).await;
    let status = world.status("acme/api").await;
    assert_eq!((&status["state"], &status["lag_ms"]), (&json!("ok"), &Value::Null));
}

#[tokio::test]
async fn late_repeated_and_reordered_deliveries_change_nothing() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    let start = work.commit("zero").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let _service = world.serve().await;
    world.snapshot("acme/api", 1).await;

    world.github.hold();
    work.commit("one").await;
    work.push(&["main", "HEAD:refs/heads/topic"]).await;
    work.git(&["reset", "--quiet", "--hard", &start]).await;
    work.commit("two").await;
    work.push(&["--force", "main", ":refs/heads/topic"]).await;
    work.push(&["HEAD:refs/heads/topic", "HEAD:refs/tags/v1"]).await;
    world.github.release(|held| held.reverse()).await;
    world.idle().await;
    assert!(world.answers().iter().all(|status| *status == Some(202)), "{:?}", world.answers());
    for sent in &world.github.deliveries() {
        assert_eq!(world.github.redeliver(&sent.guid).await, 200);
    }
    world.idle().await;

    let snapshots = world.snapshots("acme/api").await;
    let seqs: Vec<_> = snapshots.iter().map(|snapshot| snapshot["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=snapshots.len() as u64).collect::<Vec<_>>());
    assert_eq!(world.objects().len(), snapshots.len());
    assert_eq!(world.snapshot("acme/api", 2).await["refs"]["total"], 3, "the first look found it all");
    let answered = answered(&snapshots);
    assert_eq!(answered.iter().collect::<HashSet<_>>().len(), answered.len(), "no delivery leads to two snapshots");
    world.matches(&api).await;
}

#[tokio::test]
async fn a_lost_webhook_costs_one_sweep_or_a_restart() {
    let world = World::with(&[("sweep.interval", "1s")]).await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;

    world.github.hold();
    work.commit("two").await;
    work.push(&["main"]).await;
    world.github.release(Vec::clear).await;
    let swept = world.snapshot("acme/api", 2).await;
    assert_eq!(swept["trigger"], json!({ "kind": "sweep" }));
    world.matches(&api).await;

    assert_eq!(service.stop().await, 0);
    work.commit("three").await;
    work.push(&["main"]).await;
    let _service = world.serve().await;
    world.snapshot("acme/api", 3).await;
    world.matches(&api).await;
}

#[tokio::test]
async fn a_start_looks_at_everything_at_once() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;
    service.kill().await;
    work.commit("two").await;
    work.push(&["main"]).await;
    let _service = world.serve().await;
    world.snapshot("acme/api", 2).await;
    world.matches(&api).await;
}
