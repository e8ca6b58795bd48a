//! kill -9 at every step between a push and its snapshot.

use crate::doubles::{Hold, eventually};
use crate::faults::stage::{Service, Stage};

/// A service that has taken the first snapshot.
async fn running(stage: &Stage) -> Service {
    let service = stage.serve().await;
    stage.settled(Some(1)).await;
    service
}

async fn pushed_until(stage: &Stage, hold: &Hold) {
    stage.push("two").await;
    hold.reached().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_delivery_was_stored() {
    let stage = Stage::new().await;
    running(&stage).await.kill();
    let web = stage.serve_web().await;
    stage.push("two").await;
    stage.github.delivered(stage.github.deliveries().len()).await;
    assert!(stage.accepted() > 0);
    web.kill();
    assert_eq!(stage.status().await["state"], "behind");

    let _workers = stage.serve_workers();
    stage.is_whole(2).await;
    let snapshots = stage.json(&["snapshots", "acme/api"]).await;
    assert_eq!(snapshots[1]["trigger"]["kind"], "webhook");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_job_was_leased() {
    let stage = Stage::new().await;
    let service = running(&stage).await;
    pushed_until(&stage, &stage.forge.hold_answer("GET", "info/refs")).await;
    service.kill();
    assert_eq!(stage.status().await["queue"], "running");

    let _workers = stage.serve_workers();
    stage.is_whole(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_pack_was_received() {
    let stage = Stage::on_s3().await;
    let service = running(&stage).await;
    pushed_until(&stage, &stage.before_store().hold_request("PUT", "0000000002.tar.gz.age")).await;
    service.kill();
    assert!(!stage.object(2).exists());

    let _workers = stage.serve_workers();
    stage.is_whole(2).await;
}

/// Waits for the answer to the write of snapshot 2 in vain.
async fn killed_after_the_object(stage: &Stage) -> Vec<u8> {
    let service = running(stage).await;
    pushed_until(stage, &stage.before_store().hold_answer("PUT", "0000000002.tar.gz.age")).await;
    service.kill();
    assert_eq!(stage.json(&["snapshots", "acme/api"]).await.as_array().unwrap().len(), 1);
    std::fs::read(stage.object(2)).unwrap()
}

async fn adopted(stage: &Stage, written: &[u8]) {
    let service = stage.serve().await;
    stage.settled(Some(2)).await;
    assert_eq!(std::fs::read(stage.object(2)).unwrap(), written);
    assert_eq!(stage.before_store().requests("PUT /bucket/repos/"), 2, "it was written once");
    stage.push("three").await;
    stage.settled(Some(3)).await;
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_object_was_written() {
    let stage = Stage::on_s3().await;
    let written = killed_after_the_object(&stage).await;
    adopted(&stage, &written).await;
    stage.is_whole(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_object_was_written_by_one_who_cannot_read_it() {
    let stage = Stage::on_s3().await;
    let (key, away) = (stage.installed("keys/vault.agekey"), stage.path("key"));
    std::fs::rename(&key, &away).unwrap();
    let written = killed_after_the_object(&stage).await;
    adopted(&stage, &written).await;
    std::fs::rename(&away, &key).unwrap();
    stage.is_whole(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_catalog_row_was_written() {
    use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};

    let stage = Stage::new().await;
    let service = running(&stage).await;
    let db = Database::connect(format!("sqlite://{}", stage.installed("refward.db").display())).await.unwrap();
    stage.push("two").await;
    let row = || Statement::from_string(DbBackend::Sqlite, "SELECT 1 FROM snapshot WHERE seq = 2");
    while db.query_one_raw(row()).await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    service.kill();
    db.close().await.unwrap();

    let _service = stage.serve().await;
    stage.is_whole(2).await;
}

/// Kills at moments that nobody chose. The seed is fixed, the moments are what the machine makes of it.
#[tokio::test(flavor = "multi_thread")]
async fn at_any_moment() {
    let stage = Stage::new().await;
    let mut random = 0x5EED_u64;
    for round in 0..15 {
        let service = stage.serve().await;
        for push in 0..3 {
            stage.push(&format!("{round}.{push}")).await;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(std::time::Duration::from_millis((random >> 33) % 400)).await;
        service.kill();
    }
    let _service = stage.serve().await;
    stage.is_whole_somehow().await;
    let journal = stage.json(&["journal", "acme/api", "--ref", "refs/heads/main"]).await;
    let moves = journal.as_array().unwrap();
    assert!(moves.windows(2).all(|pair| pair[0]["new"] == pair[1]["old"]), "{journal:#}");
    eventually("no job is left", async || (stage.status().await["queue"] == "idle").then_some(())).await;
}
