//! kill -9 while snapshots are joined, dropped and deleted: nothing is lost, nothing partial counts, and the next run goes on.

use std::path::PathBuf;

use serde_json::json;

use crate::faults::stage::{REPO, Stage};
use crate::support::database::Behind;
use crate::support::faults::Hold;
use crate::support::world::{Service, eventually};

/// The object that stands for the first four snapshots.
const JOINED: &str = "0000000001-0000000004.1.tar.gz.age";
const JOINED_AGAIN: &str = "0000000001-0000000004.2.tar.gz.age";

/// Four snapshots, and a service that is not told to join them yet.
async fn four() -> (Stage, Service) {
    let mut stage = Stage::on_s3().await;
    stage.world.set("compact.after", "4");
    stage.world.set("prune.grace", "0s");
    stage.world.set("policies.grace", "0s");
    stage.world.set("alarms.hold", "false");
    let service = stage.running().await;
    for number in 2..=4 {
        stage.push(&format!("commit {number}")).await;
        stage.settled(Some(number)).await;
    }
    (stage, service)
}

/// Starts joining and kills the service at that moment.
async fn killed_at(stage: &Stage, service: Service, hold: &Hold) {
    Behind::of(&stage.world).await.ask("compact").await;
    hold.reached().await;
    service.kill().await;
}

/// Waits until no job of a kind is left.
async fn done(stage: &Stage, kind: &str) {
    let behind = Behind::of(&stage.world).await;
    behind.change(&format!("UPDATE job SET run_at = 0 WHERE kind = '{kind}' AND state = 'ready'")).await;
    behind.done(kind).await;
}

fn object(stage: &Stage, name: &str) -> PathBuf {
    stage.object(1).with_file_name(name)
}

/// The four are one object that the catalog knows, and the snapshots as good as before.
async fn joined(stage: &Stage, name: &str) {
    let behind = Behind::of(&stage.world).await;
    assert!(object(stage, name).exists());
    let condemned = if name == JOINED_AGAIN { 5 } else { 4 };
    assert_eq!(behind.number("SELECT COUNT(*) FROM condemned").await, condemned);
    stage.whole(Some(4)).await;
    for seq in ["1", "2", "3", "4"] {
        stage.world.restored(REPO, Some(seq)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_joint_object_was_written() {
    let (stage, service) = four().await;
    killed_at(&stage, service, &stage.store().hold_request("PUT", JOINED)).await;
    assert!(!object(&stage, JOINED).exists());

    let _workers = stage.workers();
    done(&stage, "compact").await;
    joined(&stage, JOINED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_joint_object_was_written() {
    let (stage, service) = four().await;
    killed_at(&stage, service, &stage.store().hold_answer("PUT", JOINED)).await;
    let written = std::fs::read(object(&stage, JOINED)).unwrap();
    let behind = Behind::of(&stage.world).await;
    assert_eq!(behind.number("SELECT COUNT(*) FROM span").await, 0);
    // Who reads meanwhile reads it already.
    stage.world.matches(&stage.repo).await;

    let _workers = stage.workers();
    done(&stage, "compact").await;
    assert_eq!(std::fs::read(object(&stage, JOINED)).unwrap(), written);
    assert_eq!(stage.store().requests(&["PUT", JOINED]), 1, "it was written once");
    joined(&stage, JOINED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_joint_object_was_read_back() {
    let (stage, service) = four().await;
    killed_at(&stage, service, &stage.store().hold_answer("GET", JOINED)).await;
    let behind = Behind::of(&stage.world).await;
    assert_eq!(behind.number("SELECT COUNT(*) FROM condemned").await, 0);

    let _workers = stage.workers();
    done(&stage, "compact").await;
    assert_eq!(stage.store().requests(&["PUT", JOINED]), 1, "it was written once");
    joined(&stage, JOINED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joint_object_that_arrived_damaged_is_written_again() {
    let (stage, service) = four().await;
    killed_at(&stage, service, &stage.store().hold_answer("PUT", JOINED)).await;
    let mut bytes = std::fs::read(object(&stage, JOINED)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(object(&stage, JOINED), bytes).unwrap();

    let _workers = stage.workers();
    done(&stage, "compact").await;
    joined(&stage, JOINED_AGAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_the_catalog_that_has_dropped_a_point_and_the_vault_that_has_not() {
    let (stage, service) = four().await;
    let wrong = stage.work.git(&["rev-parse", "HEAD"]).await;
    stage.work.git(&["reset", "--quiet", "--hard", "HEAD~1"]).await;
    stage.work.commit("another way").await;
    stage.work.push(&["--force", "main"]).await;
    stage.settled(Some(5)).await;
    let behind = Behind::of(&stage.world).await;
    for seq in ["1", "2", "3"] {
        stage.world.ok(&["tag", REPO, seq, "keep"]).await;
    }
    let policy = stage.world.path("policy.toml");
    std::fs::write(&policy, "[[policy]]\nname = \"default\"\n[policy.retention]\nlast = 1\nlabels = [\"keep\"]\n")
        .unwrap();
    stage.world.ok(&["policy", "import", &policy]).await;
    behind.done("retain").await;
    killed_at(&stage, service, &stage.store().hold_request("PUT", "0000000001-0000000005.1")).await;
    let seqs = async || -> Vec<u64> {
        stage.world.snapshots(REPO).await.iter().map(|snapshot| snapshot["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs().await, [1, 2, 3, 5]);
    assert!(object(&stage, "0000000004.tar.gz.age").exists());

    // What only the dropped point had is pushed again before anything else happens.
    let service = stage.world.serve().await;
    stage.work.git(&["reset", "--quiet", "--hard", &wrong]).await;
    stage.work.push(&["--force", "main"]).await;
    stage.world.snapshot(REPO, 5).await;
    done(&stage, "compact").await;
    service.kill().await;
    assert_eq!(seqs().await, [1, 2, 3, 5, 6]);
    stage.world.ok(&["prune"]).await;
    stage.world.ok(&["prune"]).await;
    let verified = stage.world.ok(&["verify", "--read-data", "--drill"]).await;
    assert_eq!((&verified[0]["findings"], &verified[0]["drilled"]), (&json!([]), &json!(true)));
    stage.world.matches(&stage.repo).await;
    stage.world.restored(REPO, Some("5")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_condemned_objects_were_deleted() {
    let (stage, service) = four().await;
    done(&stage, "compact").await;
    done(&stage, "prune").await;
    let behind = Behind::of(&stage.world).await;
    let hold = stage.store().hold_answer("POST", "?delete");
    behind.ask("prune").await;
    hold.reached().await;
    service.kill().await;
    assert_eq!(behind.number("SELECT COUNT(*) FROM condemned WHERE deleted_at IS NOT NULL").await, 0);

    let _workers = stage.workers();
    done(&stage, "prune").await;
    let all_gone = async || {
        let waiting = behind.number("SELECT COUNT(*) FROM condemned WHERE deleted_at IS NULL").await;
        (waiting == 0).then_some(())
    };
    eventually(all_gone, || "everything condemned to be deleted".to_owned()).await;
    assert!(object(&stage, JOINED).exists() && !object(&stage, "0000000003.tar.gz.age").exists());
    stage.whole(Some(4)).await;
}
