//! kill -9 at every step between a push and its snapshot.

use std::time::Duration;

use crate::faults::stage::{REPO, Stage, object};
use crate::support::faults::Hold;

async fn pushed_until(stage: &Stage, hold: &Hold) {
    stage.push("two").await;
    hold.reached().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_delivery_was_stored() {
    let stage = Stage::new().await;
    stage.running().await.kill().await;
    let web = stage.world.serve_with(&["--role", "web"]).await;
    let before = stage.github.deliveries().len();
    stage.push("two").await;
    stage.github.delivered(before + 1).await;
    let deliveries = stage.github.deliveries();
    assert!(deliveries[before..].iter().all(|sent| sent.status == Some(202)), "{deliveries:?}");
    web.kill().await;
    assert_eq!(stage.status().await["state"], "behind");

    let _workers = stage.workers();
    stage.whole(Some(2)).await;
    let snapshots = stage.world.snapshots(REPO).await;
    assert_eq!(snapshots[1]["trigger"]["kind"], "webhook");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_job_was_leased() {
    let stage = Stage::new().await;
    let service = stage.running().await;
    pushed_until(&stage, &stage.forge.hold_answer("POST", "git-upload-pack")).await;
    service.kill().await;
    assert_eq!(stage.status().await["queue"], "running");

    let _workers = stage.workers();
    stage.whole(Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_pack_was_received() {
    let stage = Stage::on_s3().await;
    let service = stage.running().await;
    pushed_until(&stage, &stage.store().hold_request("PUT", &object(2))).await;
    service.kill().await;
    assert!(!stage.object(2).exists());

    let _workers = stage.workers();
    stage.whole(Some(2)).await;
}

/// The answer to the write of snapshot 2 never comes. Gives what was written.
async fn killed_after_the_object(stage: &Stage) -> Vec<u8> {
    let service = stage.running().await;
    pushed_until(stage, &stage.store().hold_answer("PUT", &object(2))).await;
    service.kill().await;
    assert_eq!(stage.world.snapshots(REPO).await.len(), 1);
    std::fs::read(stage.object(2)).unwrap()
}

async fn adopted(stage: &Stage, written: &[u8]) {
    let service = stage.world.serve().await;
    stage.settled(Some(2)).await;
    assert_eq!(std::fs::read(stage.object(2)).unwrap(), written);
    assert_eq!(stage.store().requests(&["PUT", &object(2)]), 1, "it was written once");
    stage.push("three").await;
    stage.settled(Some(3)).await;
    service.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_object_was_written() {
    let stage = Stage::on_s3().await;
    let written = killed_after_the_object(&stage).await;
    adopted(&stage, &written).await;
    stage.whole(Some(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_object_was_written_by_one_who_cannot_read_it() {
    let stage = Stage::on_s3().await;
    let (key, away) = (stage.file("keys/vault.agekey"), stage.world.path("key"));
    std::fs::rename(&key, &away).unwrap();
    let written = killed_after_the_object(&stage).await;
    adopted(&stage, &written).await;
    std::fs::rename(&away, &key).unwrap();
    stage.whole(Some(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_catalog_row_was_written() {
    use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};

    let stage = Stage::new().await;
    let service = stage.running().await;
    let db = Database::connect(format!("sqlite://{}", stage.file("refward.db").display())).await.unwrap();
    stage.push("two").await;
    let row = || Statement::from_string(DbBackend::Sqlite, "SELECT 1 FROM snapshot WHERE seq = 2");
    while db.query_one_raw(row()).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    service.kill().await;
    db.close().await.unwrap();

    let _service = stage.world.serve().await;
    stage.whole(Some(2)).await;
}

/// The seed is fixed; what the service is doing at those moments is up to the machine.
#[tokio::test(flavor = "multi_thread")]
async fn at_any_moment() {
    let stage = Stage::new().await;
    let mut random = 0x5EED_u64;
    for round in 0..15 {
        let service = stage.world.serve().await;
        for push in 0..3 {
            stage.push(&format!("{round}.{push}")).await;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_millis((random >> 33) % 400)).await;
        service.kill().await;
    }
    let _service = stage.world.serve().await;
    stage.whole(None).await;
    let journal = stage.world.ok(&["journal", REPO, "--ref", "refs/heads/main"]).await;
    let moves = journal.as_array().unwrap();
    assert!(moves.windows(2).all(|pair| pair[0]["new"] == pair[1]["old"]), "{journal:#}");
}
