//! Full disks, read-only disks, disks that went away, and two writers at once.

use std::fs;
use std::path::Path;
use std::process::Command;

use refward::domain::Kind;
use refward::vault::{Appended, Vault};
use tempfile::TempDir;

use super::support::{Chain, Place, fake_pack, key_settings, pack_entry, run, source, vault_settings};

#[tokio::test]
async fn a_number_that_is_taken_is_left_alone() {
    for length in [1000, 3 << 20] {
        let place = Place::new().await;
        let mut chain = Chain::new("1");
        let record = chain.record(&place.vault, &chain.state);
        let sealed = chain.append_bytes(&place.vault, length).await;
        let before = fs::read(place.object(&chain.repo, 1)).unwrap();
        assert_eq!(place.vault.append(&record, None).await.unwrap(), Appended::Occupied);
        let pack = fake_pack(length, 99);
        let mut large = record.clone();
        large.pack = Some(pack_entry(&pack, chain.format, None));
        assert_eq!(place.vault.append(&large, Some(source(&pack, None))).await.unwrap(), Appended::Occupied);
        assert_eq!(fs::read(place.object(&chain.repo, 1)).unwrap(), before);
        assert_eq!(before.len() as u64, sealed.bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_of_one_number_exactly_one_writes() {
    for length in [1000, 3 << 20] {
        let place = Place::new().await;
        let chain = Chain::new("1");
        let mut base = chain.record(&place.vault, &chain.state);
        let writers = (0..8_u64).map(|writer| {
            let pack = fake_pack(length, writer + 1);
            base.duration_ms = writer;
            base.pack = Some(pack_entry(&pack, chain.format, None));
            let record = base.clone();
            let vault = &place.vault;
            async move { (writer, vault.append(&record, Some(source(&pack, None))).await.unwrap()) }
        });
        let outcomes = futures_util::future::join_all(writers).await;
        let written: Vec<_> = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Appended::Written(_))).collect();
        assert_eq!(written.len(), 1, "{outcomes:?}");
        let record = place.vault.record(&chain.repo, &super::support::single(1)).await.unwrap();
        assert_eq!(record.duration_ms, written[0].0);
        let entries = fs::read_dir(place.object(&chain.repo, 1).parent().unwrap()).unwrap().count();
        assert_eq!(entries, 1, "nothing but the snapshot is left");
    }
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_told_from_one_that_is_not_a_vault() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    chain.append_bytes(&place.vault, 1000).await;

    // An unmounted disk: the folder is there and empty.
    let away = place.dir.path().join("away");
    fs::rename(place.root(), &away).unwrap();
    fs::create_dir(place.root()).unwrap();
    let record = chain.record(&place.vault, &chain.state);
    let error = place.vault.append(&record, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.to_string().contains("is gone"), "{error}");
    assert_eq!(fs::read_dir(place.root()).unwrap().count(), 0, "no second vault is begun");
    let error = place.reopened().await.err().unwrap();
    assert!(error.to_string().contains("vault.json is missing"), "{error}");

    fs::remove_dir(place.root()).unwrap();
    let error = place.reopened().await.err().unwrap();
    assert!(error.to_string().contains("there is no vault folder"), "{error}");
    assert!(error.next_step().unwrap().contains("mounted"));

    fs::rename(&away, place.root()).unwrap();
    assert!(place.reopened().await.is_ok());
    fs::write(place.root().join("vault.json"), "{}").unwrap();
    assert_eq!(place.reopened().await.err().unwrap().kind(), Kind::Damaged);
}

/// A file system of one megabyte.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, said loudly, where mounting is not allowed.
    fn mount() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: mounting a small disk needs root");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let Some(disk) = SmallDisk::mount() else { return };
    let keys = TempDir::new().unwrap();
    let settings = vault_settings(&format!("file://{}", disk.path().join("vault").display()));
    let place = Place::at(keys, settings).await;
    let mut chain = Chain::new("1");
    chain.append_bytes(&place.vault, 1000).await;

    let filler = disk.path().join("filler");
    for (length, fill) in [(3 << 20, false), (900_000, true), (10_000, true)] {
        if fill {
            let _ = fs::write(&filler, vec![1; 1 << 20]);
        }
        let pack = fake_pack(length, 5);
        let mut record = chain.record(&place.vault, &chain.state);
        record.pack = Some(pack_entry(&pack, chain.format, None));
        let error = place.vault.append(&record, Some(source(&pack, None))).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Busy { .. }), "{}", error.for_log());
        assert!(error.to_string().contains("no space left in"), "{error}");
        assert_eq!(place.vault.cover(&chain.repo).await.unwrap().live.len(), 1);
        let files = run(Command::new("find").arg(place.root()).args(["-type", "f"]));
        assert_eq!(files.lines().count(), 3, "{files}");
    }
    fs::remove_file(filler).unwrap();
    chain.append_bytes(&place.vault, 10_000).await;
}

#[tokio::test]
async fn a_full_target_is_not_taken_for_damage() {
    let Some(disk) = SmallDisk::mount() else { return };
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    chain.append_bytes(&place.vault, 3 << 20).await;
    let error = place.vault.extract(&chain.repo, &super::support::single(1), disk.path()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Busy { .. }), "{}", error.for_log());
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_read_only_disk_is_told() {
    let Some(disk) = SmallDisk::mount() else { return };
    let keys = TempDir::new().unwrap();
    let settings = vault_settings(&format!("file://{}", disk.path().join("vault").display()));
    let place = Place::at(keys, settings).await;
    let mut chain = Chain::new("1");
    chain.append_bytes(&place.vault, 1000).await;
    run(Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()));
    let record = chain.record(&place.vault, &chain.state);
    let error = place.vault.append(&record, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{}", error.for_log());
    assert!(error.to_string().contains("does not permit it"), "{error}");
    assert!(place.vault.record(&chain.repo, &super::support::single(1)).await.is_ok(), "reading still works");
}

#[tokio::test]
async fn an_interrupted_append_changes_nothing() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    let pack = fake_pack(64 << 20, 5);
    let mut record = chain.record(&place.vault, &chain.state);
    record.pack = Some(pack_entry(&pack, chain.format, None));
    let appending = place.vault.append(&record, Some(source(&pack, None)));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(60), appending).await.is_err());
    assert_eq!(place.vault.cover(&chain.repo).await.unwrap().live, []);
    chain.append_bytes(&place.vault, 1000).await;
}

#[tokio::test]
async fn what_a_killed_append_left_is_cleared_after_a_day() {
    let place = Place::new().await;
    assert_eq!(place.vault.clear_leftovers().unwrap(), 0);
    let staging = place.root().join("staging");
    fs::create_dir(&staging).unwrap();
    for (name, days) in [("old#1", 2), ("fresh#1", 0)] {
        fs::write(staging.join(name), [0; 100]).unwrap();
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(days * 24 * 3600);
        fs::File::options().write(true).open(staging.join(name)).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(place.vault.clear_leftovers().unwrap(), 100);
    assert!(!staging.join("old#1").exists() && staging.join("fresh#1").exists());
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_says_so() {
    let dir = TempDir::new().unwrap();
    let mut settings = vault_settings("s3://bucket/prefix");
    for (name, value) in super::s3::options("http://127.0.0.1:1") {
        settings.options.insert(name, value);
    }
    let kit = dir.path().join("kit");
    let error = Vault::found(&settings, &key_settings(dir.path()), &kit).await.err().unwrap();
    assert!(matches!(error.kind(), Kind::Remote { .. }), "{}", error.for_log());
    assert!(error.to_string().contains("s3://bucket/prefix cannot be reached"), "{error}");
    assert!(!kit.exists(), "no keys without a vault");
}
