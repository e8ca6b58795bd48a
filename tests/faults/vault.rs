//! Somebody was at the vault, or at the keys.

use std::path::Path;

use crate::faults::stage::{REPO, Stage, object};
use crate::support::world::{Ran, files};

/// A deployment at rest with four snapshots.
async fn four() -> Stage {
    let stage = Stage::new().await;
    let service = stage.running().await;
    for seq in 2..=4 {
        stage.push_bytes(50_000 + usize::try_from(seq).unwrap()).await;
        stage.settled(Some(seq)).await;
    }
    service.stop().await;
    stage
}

/// Both `verify` and `restore` say that one of these snapshots' objects is not right, and nothing comes of the restore.
async fn noticed(stage: &Stage, what: &str, seqs: &[u64]) {
    let names = |text: &str| seqs.iter().any(|seq| text.contains(&object(*seq)));
    let verified = stage.world.refward(&["--json", "verify", "--read-data"]).await;
    assert_eq!(verified.code, 1, "{what}: {verified:?}");
    let findings = verified.json()[0]["findings"].as_array().unwrap().clone();
    assert!(findings.iter().any(|one| names(one["object"].as_str().unwrap())), "{what}: {findings:?}");

    let target = stage.world.path("target");
    let restored = stage.world.refward(&["--json", "restore", REPO, "--to-dir", &target]).await;
    assert_eq!(restored.code, 1, "{what}: {restored:?}");
    let message = restored.error()["message"].as_str().unwrap().to_owned();
    assert!(names(&message), "{what}: {message}");
    assert!(!Path::new(&target).exists(), "{what}: half a restore is left");
    let leftovers = files(Path::new(&stage.world.path(""))).into_iter();
    let leftovers: Vec<_> = leftovers.filter(|path| path.to_string_lossy().contains("refward-restore")).collect();
    assert_eq!(leftovers, Vec::<std::path::PathBuf>::new(), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_not_what_was_written_is_noticed() {
    let stage = four().await;
    let paths: Vec<_> = (1..=4).map(|seq| stage.object(seq)).collect();
    let whole: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mend = || paths.iter().zip(&whole).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());

    for at in [10, whole[1].len() / 2, whole[1].len() - 1] {
        let mut tampered = whole[1].clone();
        tampered[at] ^= 1;
        std::fs::write(&paths[1], tampered).unwrap();
        noticed(&stage, &format!("byte {at} changed"), &[2]).await;
    }
    for length in [0, 100, whole[1].len() / 2, whole[1].len() - 1] {
        std::fs::write(&paths[1], &whole[1][..length]).unwrap();
        noticed(&stage, &format!("cut to {length} bytes"), &[2]).await;
    }
    mend();
    std::fs::write(&paths[1], &whole[2]).unwrap();
    std::fs::write(&paths[2], &whole[1]).unwrap();
    noticed(&stage, "swapped", &[2, 3]).await;
    mend();
    std::fs::write(&paths[2], &whole[1]).unwrap();
    noticed(&stage, "replaced by an older one", &[3]).await;
    mend();
    for seq in [1, 2, 4] {
        std::fs::remove_file(stage.object(seq)).unwrap();
        noticed(&stage, "missing", &[seq]).await;
        mend();
    }
    let _service = stage.world.serve().await;
    stage.whole(Some(4)).await;
}

/// The same numbers signed by the same key, but from another course of history: only hashes tell.
#[tokio::test(flavor = "multi_thread")]
async fn objects_from_another_history_are_noticed() {
    let stage = Stage::new().await;
    stage.running().await.stop().await;
    let [here, there, aside] = ["backup", "fork", "aside"].map(|name| stage.world.path(name));
    let copied = std::process::Command::new("cp").args(["-a", &here, &there]).status();
    assert!(copied.unwrap().success());
    let exchange = || {
        for (from, to) in [(&here, &aside), (&there, &here), (&aside, &there)] {
            std::fs::rename(from, to).unwrap();
        }
    };
    let history = async || {
        stage.push("while nobody looks").await;
        let service = stage.world.serve().await;
        stage.settled(Some(2)).await;
        stage.push("three").await;
        stage.settled(Some(3)).await;
        service.stop().await;
        [2, 3].map(|seq| std::fs::read(stage.object(seq)).unwrap())
    };
    let ours = history().await;
    exchange();
    let theirs = history().await;
    exchange();

    let put = |seq: u64, bytes: &[u8]| std::fs::write(stage.object(seq), bytes).unwrap();
    put(2, &theirs[0]);
    noticed(&stage, "one in the middle", &[2]).await;
    put(2, &ours[0]);
    put(3, &theirs[1]);
    noticed(&stage, "the newest", &[3]).await;
    put(2, &theirs[0]);
    noticed(&stage, "all since they parted", &[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_key_it_is_said_what_to_do() {
    let stage = four().await;
    let key = stage.file("keys/vault.agekey");
    let original = std::fs::read(&key).unwrap();
    let target = stage.world.path("target");
    let restore = ["restore", REPO, "--to-dir", &target, "--json"];
    let told = |ran: Ran, words: &str, hint: &str| {
        assert_eq!(ran.code, 6, "{ran:?}");
        let error = ran.error();
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
        assert!(!Path::new(&target).exists());
    };

    // Another installation's key.
    let other = crate::support::world::World::new().await;
    std::fs::copy(other.folder().join("keys/vault.agekey"), &key).unwrap();
    told(stage.world.refward(&restore).await, "the key does not open the vault", "recovery kit");
    told(stage.world.refward(&["verify", "--json"]).await, "the key does not open the vault", "recovery kit");

    // None at all: a sealed deployment, which cannot restore but says where one can.
    std::fs::remove_file(&key).unwrap();
    told(stage.world.refward(&restore).await, "the vault's key", "--identity");

    std::fs::write(&key, "not a key").unwrap();
    let ran = stage.world.refward(&restore).await;
    assert_eq!(ran.code, 6, "{ran:?}");
    std::fs::write(&key, &original).unwrap();

    for name in ["keys/signing.pem", "keys/credentials.agekey"] {
        let kept = std::fs::read(stage.file(name)).unwrap();
        std::fs::remove_file(stage.file(name)).unwrap();
        let ran = stage.world.refward(&["backup", REPO, "--wait", "--json"]).await;
        assert_eq!(ran.code, 6, "{name}: {ran:?}");
        let error = ran.error();
        assert!(error["message"].as_str().unwrap().contains(name), "{error}");
        assert!(error["hint"].is_string(), "{error}");
        std::fs::write(stage.file(name), kept).unwrap();
    }
    // The kit opens it when everything else is gone.
    let kit = stage.file("recovery-kit.txt");
    std::fs::rename(stage.file("keys"), stage.world.path("keys-away")).unwrap();
    stage.world.ok(&["restore", REPO, "--to-dir", &target, "--identity", kit.to_str().unwrap()]).await;
}
