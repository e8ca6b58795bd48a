//! From a push to the vault and back: what every later moment can say of every earlier one.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::fake_github::Repo;
use crate::support::shell::git;
use crate::support::world::{World, files};

/// A repository and what its server showed when each snapshot was taken.
struct Chronicle<'a> {
    world: &'a World,
    repo: Repo,
    snapshots: Vec<Value>,
    shown: Vec<Value>,
}

impl Chronicle<'_> {
    /// Waits for the next snapshot and notes what it must hold.
    async fn next(&mut self) -> &Value {
        let seq = self.snapshots.len() + 1;
        let snapshot = self.world.snapshot(&self.repo.full_name(), seq).await;
        assert_eq!(snapshot["seq"], seq);
        assert_eq!(snapshot["complete"], true);
        self.shown.push(self.world.server_refs(&self.repo).await);
        self.snapshots.push(snapshot);
        self.snapshots.last().unwrap()
    }

    fn time(&self, seq: usize) -> &str {
        self.snapshots[seq - 1]["time"].as_str().unwrap()
    }
}

fn counts(total: u64, created: u64, updated: u64, deleted: u64, forced: u64) -> Value {
    json!({ "total": total, "created": created, "updated": updated, "deleted": deleted, "forced": forced })
}

#[tokio::test]
async fn every_push_is_kept_and_every_moment_comes_back() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    world.github.org("acme").repo("web").await;
    let work = api.work().await;
    let one = work.commit("one").await;
    work.push(&["main", "HEAD:refs/heads/topic", "HEAD:refs/tags/v1"]).await;
    let connected = world.connect("acme").await;
    assert_eq!(connected["repositories"]["listed"], 2);
    let service = world.serve().await;

    // Of everything that is there a first snapshot is taken, without any webhook.
    let mut chronicle = Chronicle { world: &world, repo: api.clone(), snapshots: vec![], shown: vec![] };
    let first = chronicle.next().await;
    assert_eq!(first["refs"], counts(3, 3, 0, 0, 0));
    assert_eq!(first["objects"], 3);
    world.snapshot("acme/web", 1).await;
    world.idle().await;

    // A push brings the new objects and nothing else.
    let noise = world.path("noise");
    std::fs::write(&noise, noise_of(300_000)).unwrap();
    std::fs::copy(&noise, work.path().join("noise.bin")).unwrap();
    let two = work.commit("two").await;
    work.push(&["main"]).await;
    let second = chronicle.next().await;
    assert_eq!(second["refs"], counts(3, 0, 1, 0, 0));
    assert_eq!(second["objects"], 4, "a commit, a tree, two files");
    assert_eq!(second["trigger"]["kind"], "webhook");
    assert_eq!(second["trigger"]["actors"], json!({ "refs/heads/main": "mona" }));
    world.idle().await;
    assert_eq!(world.answers(), [Some(202)]);

    // A force-push is noticed, and what it took away stays.
    work.git(&["reset", "--quiet", "--hard", &one]).await;
    let other = work.commit("another two").await;
    work.push(&["--force", "main"]).await;
    assert_eq!(chronicle.next().await["refs"], counts(3, 0, 1, 0, 1));

    // So are deletions; they cost a record without a pack.
    work.push(&["--delete", "topic", "v1"]).await;
    let last = chronicle.next().await;
    assert_eq!((&last["refs"], &last["pack_bytes"]), (&counts(1, 0, 0, 2, 0), &json!(0)));
    world.idle().await;
    assert_eq!(world.snapshots("acme/api").await, chronicle.snapshots, "and nothing else happened");

    let shown = &chronicle.shown;
    for (seq, then) in (1..).zip(shown) {
        let at = seq.to_string();
        assert_eq!(world.ok(&["refs", "acme/api", "--at", &at]).await, *then);
        assert_eq!(world.ok(&["refs", "acme/api", "--at", chronicle.time(seq)]).await, *then);
        assert_eq!(world.restored("acme/api", Some(&at)).await, *then);
        assert_eq!(world.restored("acme/api", Some(chronicle.time(seq))).await, *then);
    }
    assert_eq!(world.ok(&["refs", "acme/api"]).await, shown[3]);
    assert_eq!(world.restored("acme/api", None).await, shown[3]);
    let second = world.path("second.git");
    world.restore_to("acme/api", Some("2"), Path::new(&second)).await;
    assert_eq!(git(Path::new(&second), &["rev-parse", "main"]).await, two);
    assert_eq!(git(Path::new(&second), &["cat-file", "-s", "main:noise.bin"]).await, "300000");
    let too_early = world.refward(&["refs", "acme/api", "--at", "10 minutes ago", "--json"]).await;
    assert_eq!((too_early.code, &too_early.error()["kind"]), (3, &json!("not_found")));

    // The journal names every move and who made it.
    let journal = world.ok(&["journal", "acme/api"]).await;
    assert_eq!(
        moves(&journal),
        [
            json!([1, "refs/heads/main", null, one, false, null]),
            json!([1, "refs/heads/topic", null, one, false, null]),
            json!([1, "refs/tags/v1", null, one, false, null]),
            json!([2, "refs/heads/main", one, two, false, "mona"]),
            json!([3, "refs/heads/main", two, other, true, "mona"]),
            json!([4, "refs/heads/topic", one, null, false]),
            json!([4, "refs/tags/v1", one, null, false]),
        ]
    );
    let of_main = world.ok(&["journal", "acme/api", "--ref", "main"]).await;
    assert_eq!(moves(&of_main).len(), 3);

    sizes_add_up(&world, &chronicle.snapshots);
    let verified = world.ok(&["verify", "--read-data", "--drill"]).await;
    assert!(verified.as_array().unwrap().iter().all(|one| one["drilled"] == true), "{verified:#}");
    assert_eq!(service.stop().await, 0);
    assert_eq!(files(Path::new(&world.path("tmp"))), [] as [&Path; 0], "scratch is cleared");
}

/// One object for each snapshot, hardly larger than what the forge sent.
fn sizes_add_up(world: &World, snapshots: &[Value]) {
    let mut sizes: Vec<u64> = world.objects().iter().map(|path| path.metadata().unwrap().len()).collect();
    assert_eq!(sizes.len(), snapshots.len() + 1, "and one of acme/web");
    for snapshot in snapshots {
        let (stored, sent) = (snapshot["stored_bytes"].as_u64().unwrap(), snapshot["pack_bytes"].as_u64().unwrap());
        assert!(stored * 10 <= sent * 11 + 20_000, "{snapshot}");
        let at = sizes.iter().position(|size| *size == stored).unwrap_or_else(|| panic!("no object is {snapshot}"));
        sizes.remove(at);
    }
}

fn moves(journal: &Value) -> Vec<Value> {
    let moves = journal.as_array().unwrap().iter().map(|row| {
        // A deletion is several webhooks; the first makes us look, and another names who did it.
        let told = if row["new"].is_null() { 5 } else { 6 };
        ["seq", "ref", "old", "new", "forced", "actor"].iter().take(told).map(|name| row[*name].clone()).collect()
    });
    moves.collect()
}

/// Bytes that do not compress.
fn noise_of(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}
