//! Killed within the write of an object: at the system calls that make it durable and give it its name.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::faults::stage::{REPO, Stage, object};
use crate::support::world::files;

/// Takes the next snapshot and dies as it enters this system call.
async fn killed_at(stage: &Stage, system_call: &str) {
    let mut backup = stage.world.command(&["backup", REPO, "--wait"]);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={system_call}")]);
    strace.args(["-e", &format!("inject={system_call}:signal=SIGKILL:when=1")]);
    strace.arg(backup.as_std().get_program()).args(backup.as_std().get_args());
    strace.current_dir(stage.world.folder()).env_clear().stdin(Stdio::null());
    strace.envs(backup.as_std_mut().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = tokio::task::spawn_blocking(move || strace.output()).await.unwrap();
    let ended = ended.expect("strace is not installed: run scripts/test-setup.sh");
    assert!(!ended.status.success(), "{system_call} was never called: {ended:?}");
}

fn snapshots(stage: &Stage) -> Vec<PathBuf> {
    let is_snapshot = |path: &PathBuf| path.extension().is_some_and(|end| end == "age");
    // Sealed proofs lie beside them.
    files(&stage.vault().join("repos")).into_iter().filter(is_snapshot).collect()
}

async fn survives(length: usize) {
    let stage = Stage::new().await;
    stage.running().await.kill().await;
    let mut taken = 1;
    for system_call in ["fsync", "linkat", "unlink"] {
        stage.push_bytes(length + taken).await;
        killed_at(&stage, system_call).await;
        for path in snapshots(&stage) {
            whole_object(&stage, &path).await;
        }
        let workers = stage.workers();
        taken += 1;
        stage.whole(Some(taken as u64)).await;
        workers.kill().await;
    }
}

/// Whatever has a snapshot's name is all of a snapshot: the vault alone, read with its key, restores it.
async fn whole_object(stage: &Stage, path: &Path) {
    let seq = (1..100).find(|seq| path.ends_with(object(*seq))).expect("it is called like a snapshot");
    let (vault, key) = (stage.vault().display().to_string(), stage.file("keys/vault.agekey"));
    let target = stage.world.path(&format!("proof-{}", uuid::Uuid::new_v4()));
    let from = ["--vault", &format!("file://{vault}"), "--identity", key.to_str().unwrap()];
    let what = ["restore", REPO, "--bare", "--at", &seq.to_string(), "--to-dir", &target];
    stage.world.ok(&[&what[..], &from].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_there_or_not() {
    survives(100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_there_or_not() {
    survives(3 << 20).await;
}
