//! Disks that are full, read-only, gone, or somebody else's.

use chrono::{DateTime, Utc};

use crate::faults::stage::{REPO, Stage, file_url};
use crate::support::faults::SmallDisk;
use crate::support::world::{World, files};

#[tokio::test(flavor = "multi_thread")]
async fn no_room_for_a_pack_that_is_being_received() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let scratch = disk.path().to_str().unwrap();
    let stage = Stage::with(&[("git.scratch_dir", scratch), ("git.memory_scratch", "4096")]).await;
    let _service = stage.running().await;
    stage.push_bytes(3 << 20).await;
    let status = stage.fails_with("no room left for temporary files in").await;
    let next: DateTime<Utc> = status["next_attempt"].as_str().unwrap().parse().unwrap();
    assert!((next - Utc::now()).num_seconds() <= 60, "{status}");
    assert_eq!(files(disk.path()).len(), 0, "nothing is left behind");
    disk.remount("size=64m");
    stage.world.ok(&["backup", REPO, "--wait"]).await;
    stage.whole(Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_in_the_vault() {
    let Some(disk) = SmallDisk::mount("2m") else { return };
    let vault = disk.path().join("vault");
    let stage = Stage::with(&[("vault.url", &file_url(&vault))]).await;
    let _service = stage.running().await;
    let before = files(&vault);
    disk.fill();
    for length in [100, 300_000, 3 << 20] {
        stage.push_bytes(length).await;
        stage.fails_with("no space left in").await;
        assert_eq!(files(&vault), before, "nothing is left behind");
    }
    disk.clear();
    disk.remount("size=64m");
    stage.whole(Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_vault() {
    let Some(disk) = SmallDisk::mount("8m") else { return };
    let stage = Stage::with(&[("vault.url", &file_url(&disk.path().join("vault")))]).await;
    let service = stage.running().await;
    disk.remount("ro");
    stage.push("two").await;
    stage.fails_with("does not permit it").await;
    // What is there can be read and restored all the same.
    stage.world.restored(REPO, None).await;
    service.kill().await;
    let ended = stage.world.refward(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.stderr.contains("does not permit it"), "{}", ended.stderr);

    disk.remount("rw");
    let _service = stage.world.serve().await;
    stage.whole(Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_not_mounted() {
    let stage = Stage::new().await;
    let service = stage.running().await;
    let away = stage.world.path("away");
    std::fs::rename(stage.vault(), &away).unwrap();
    std::fs::create_dir(stage.vault()).unwrap();
    stage.push("two").await;
    stage.fails_with("is gone").await;
    let ready = reqwest::get(service.url("readyz")).await.unwrap();
    assert_eq!(ready.status(), 503);
    assert_eq!(files(stage.vault()), Vec::<std::path::PathBuf>::new(), "no second vault is begun");
    let ended = stage.world.refward(&["verify"]).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.stderr.contains("check `vault.url` and that the disk is mounted"), "{}", ended.stderr);

    std::fs::remove_dir(stage.vault()).unwrap();
    std::fs::rename(&away, stage.vault()).unwrap();
    stage.whole(Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vault_of_another_installation() {
    let stage = Stage::new().await;
    let other = World::new().await;
    let service = stage.running().await;
    let (away, theirs) = (stage.world.path("away"), other.folder().join("vault"));
    std::fs::rename(stage.vault(), &away).unwrap();
    std::fs::rename(&theirs, stage.vault()).unwrap();
    let before = files(stage.vault());
    stage.push("two").await;
    stage.fails_with("belongs to another").await;
    assert_eq!(files(stage.vault()), before, "it was left alone");
    service.kill().await;
    let ended = stage.world.refward(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.stderr.contains("belongs to another signing key"), "{}", ended.stderr);
    assert!(ended.stderr.contains("use the keys that `refward init` wrote for this vault"), "{}", ended.stderr);

    std::fs::rename(stage.vault(), &theirs).unwrap();
    std::fs::rename(&away, stage.vault()).unwrap();
    let _service = stage.world.serve().await;
    stage.whole(Some(2)).await;
}
