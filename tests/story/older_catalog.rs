//! The database is brought back from a copy that is older than the vault.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::database::Behind;
use crate::support::world::{World, eventually};

const REPO: &str = "acme/api";

fn database(world: &World) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let file = |end: &str| world.folder().join(format!("refward.db{end}"));
    ["", "-wal", "-shm"].map(file).map(|path| (path.clone(), std::fs::read(path).ok())).into()
}

fn bring_back(copy: &[(PathBuf, Option<Vec<u8>>)]) {
    for (path, content) in copy {
        match content {
            Some(content) => std::fs::write(path, content).unwrap(),
            None => drop(std::fs::remove_file(path)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_consolidated_since_is_not_written_over() {
    let world = World::with(&[("prune.grace", "0s"), ("compact.after", "4")]).await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("commit 1").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    let push = async |number: usize| {
        work.commit(&format!("commit {number}")).await;
        work.push(&["main"]).await;
        world.snapshot(REPO, number).await;
    };
    world.snapshot(REPO, 1).await;
    push(2).await;
    world.idle().await;
    assert_eq!(service.stop().await, 0);
    let copy = database(&world);

    let service = world.serve().await;
    for number in 3..=5 {
        push(number).await;
    }
    world.idle().await;
    Behind::of(&world).await.done("compact").await;
    world.ok(&["prune"]).await;
    world.ok(&["prune"]).await;
    assert_eq!(service.stop().await, 0);
    let objects = world.objects();
    assert_eq!(objects.len(), 1, "{objects:?}");
    let fifth = world.restored(REPO, Some("5")).await;

    bring_back(&copy);
    let service = world.serve().await;
    work.commit("commit 6").await;
    work.push(&["main"]).await;
    let told = async || {
        let error = world.status(REPO).await["last_error"].take();
        error.as_str().is_some_and(|error| error.contains("knows nothing of number 3")).then_some(error)
    };
    let error = eventually(told, || "the catalog to be found too old".to_owned()).await;
    assert!(error.as_str().unwrap().contains("the vault holds snapshots 1 to 5 of acme/api"), "{error}");
    assert_eq!(service.stop().await, 0);
    assert_eq!(world.objects(), objects, "nothing was written");

    assert_eq!(world.ok(&["catalog", "rebuild"]).await, json!({ "repositories": 1, "snapshots": 5 }));
    let _service = world.serve().await;
    world.ok(&["backup", REPO]).await;
    world.snapshot(REPO, 6).await;
    world.idle().await;
    world.matches(&api).await;
    assert_eq!(world.restored(REPO, Some("5")).await, fifth);
    let verified = world.ok(&["verify", "--read-data", "--drill"]).await;
    assert_eq!(verified[0]["findings"], json!([]), "{verified}");
    assert_eq!(world.status(REPO).await["last_error"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leans_on_what_was_dropped_since() {
    let mut world = World::with(&[("prune.grace", "0s"), ("compact.after", "4")]).await;
    world.set("policies.grace", "0s");
    world.set("alarms.hold", "false");
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot(REPO, 1).await;
    work.git(&["checkout", "--quiet", "-b", "spike"]).await;
    work.commit("an idea").await;
    work.push(&["spike"]).await;
    world.snapshot(REPO, 2).await;
    work.push(&["--delete", "spike"]).await;
    world.snapshot(REPO, 3).await;
    world.idle().await;
    assert_eq!(service.stop().await, 0);
    let copy = database(&world);

    let policy = world.path("policy.toml");
    std::fs::write(&policy, "[[policy]]\nname = \"default\"\n[policy.retention]\nlast = 1\n").unwrap();
    let service = world.serve().await;
    world.ok(&["policy", "import", &policy]).await;
    Behind::of(&world).await.done("retain").await;
    Behind::of(&world).await.done("compact").await;
    assert_eq!(world.snapshots(REPO).await.len(), 1);
    assert_eq!(service.stop().await, 0);

    bring_back(&copy);
    let service = world.serve().await;
    work.push(&["spike"]).await;
    let told = async || {
        let error = world.status(REPO).await["last_error"].take();
        error.as_str().is_some_and(|error| error.contains("the catalog tells of snapshots of acme/api")).then_some(())
    };
    eventually(told, || "the catalog to be found too old".to_owned()).await;
    assert_eq!(service.stop().await, 0);

    world.ok(&["catalog", "rebuild"]).await;
    let _service = world.serve().await;
    world.ok(&["backup", REPO]).await;
    world.idle().await;
    world.matches(&api).await;
}
