//! Two processes of one deployment that both think the job is theirs.

use crate::faults::stage::{REPO, Stage, object};

const TAKEN_OVER: &str = "another worker has taken this job over";

/// Stopped like a machine that swaps, or is moved to another host, and wakes when its lease is long gone.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_overslept_while_receiving_writes_nothing() {
    let stage = Stage::on_s3().await;
    let sleeper = stage.running().await;
    let [listing, pack] = [(); 2].map(|()| stage.forge.hold_answer("POST", "git-upload-pack"));
    stage.push("two").await;
    listing.reached().await;
    listing.release();
    pack.reached().await;
    sleeper.signal("STOP");

    let other = stage.serve_beside().await;
    stage.settled(Some(2)).await;
    let written = std::fs::read(stage.object(2)).unwrap();
    sleeper.signal("CONT");
    pack.release();
    sleeper.logged(TAKEN_OVER).await;
    assert_eq!(stage.store().requests(&["PUT", &object(2)]), 1, "only the other has written");
    assert_eq!(std::fs::read(stage.object(2)).unwrap(), written);
    other.kill().await;

    stage.push("three").await;
    stage.whole(Some(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_overslept_while_writing_is_refused() {
    let stage = Stage::on_s3().await;
    let sleeper = stage.running().await;
    let hold = stage.store().hold_request("PUT", &object(2));
    stage.push("two").await;
    hold.reached().await;
    sleeper.signal("STOP");

    let other = stage.serve_beside().await;
    stage.settled(Some(2)).await;
    let written = std::fs::read(stage.object(2)).unwrap();
    sleeper.signal("CONT");
    hold.release();
    sleeper.logged(TAKEN_OVER).await;
    assert_eq!(std::fs::read(stage.object(2)).unwrap(), written);
    other.kill().await;

    stage.push("three").await;
    stage.whole(Some(3)).await;
}

/// The second line of defence is missing: the store overwrites. The first, the lease, holds.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_store_that_overwrites_the_leases_are_enough() {
    let stage = Stage::on_careless_s3().await;
    let first = stage.running().await;
    assert!(first.log().contains("this store overwrites where it should refuse"), "{}", first.log());
    let _second = stage.serve_beside().await;
    for message in 0..10 {
        stage.push(&message.to_string()).await;
        // Somebody who cannot wait races both of them.
        stage.world.ok(&["backup", REPO, "--wait"]).await;
    }
    stage.whole(None).await;
}
