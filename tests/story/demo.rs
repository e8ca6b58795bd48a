//! The guided tour: the first thing that anybody sees.

use std::path::Path;

use crate::support::shell::git;
use crate::support::world::{World, fsck};

/// What differs from run to run.
const FILTERS: &[(&str, &str)] = &[
    (r"\[DIR\][^\s;]*/refward-demo-\w+", "[DIR]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\d+(\.\d+)? k?B\b", "[SIZE]"),
    (r"\d+ ms\b", "[TIME]"),
    (r"\b[0-9a-f]{7,40}\b", "[ID]"),
    // What is pushed back is a push like any other; its snapshot may come before the end of the tour.
    (r"of \d snapshots", "of [N] snapshots"),
    (r" +\n", "\n"),
];

async fn tour(world: &World, more: &[&str]) -> String {
    let ran = world.refward(&[&["demo"], more].concat()).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stderr, "");
    ran.stdout.replace(&world.path(""), "[DIR]/")
}

#[tokio::test]
async fn the_tour_shows_the_whole_product() {
    let world = World::bare().await;
    let told = tour(&world, &[]).await;
    insta::with_settings!({ filters => FILTERS.to_vec() }, {
        insta::assert_snapshot!(told, @r"
        Refward, a guided tour. Everything happens on this machine, in [DIR]

          1. made settings, database, vault, keys and a recovery kit (refward init)
          2. started a git server with a repository: http://127.0.0.1:PORT/demo/hello.git
          3. started the service on http://127.0.0.1:PORT (refward serve)
          4. connected it: GitHub Enterprise Server, token (refward connect)
          5. the service took snapshot 1: 40 new objects, [SIZE] received, [SIZE] stored, [TIME]
          6. pushed a commit; the webhook led to: snapshot 2: 3 new objects, [SIZE] received, [SIZE] stored, [TIME]
          7. force-pushed main back, losing [ID]: snapshot 3: 0 new objects, [SIZE] received, [SIZE] stored, [TIME]
          8. deleted the branch refward-demo-feature: snapshot 4: 0 new objects, [SIZE] received, [SIZE] stored, [TIME]
          9. what the journal says of it (refward journal):
               2  main                   [ID] → [ID]
               3  main                   [ID] → [ID]  FORCED
               4  refward-demo-feature   [ID] → deleted
         10. restored snapshot 2 to [DIR]/restored.git; both lost commits are there
         11. pushed 2 references back as restored/…, overwriting nothing
         12. read every byte of [N] snapshots, rebuilt the repository, fsck is clean (refward verify --drill)

        Look around:
          refward --config [DIR]/backup/refward.toml snapshots demo/hello
          refward --config [DIR]/backup/refward.toml journal demo/hello
          refward --config [DIR]/backup/refward.toml refs demo/hello
          cat [DIR]/backup/recovery-kit.txt

        Then your own: refward init --dir backup, and the README's next five minutes.
        ");
    });
}

#[tokio::test]
async fn the_tour_takes_a_repository_of_ones_own() {
    let world = World::bare().await;
    let mine = world.path("mine");
    git(Path::new("/"), &["init", "--quiet", "--initial-branch=trunk", &mine]).await;
    for message in ["one", "two"] {
        git(Path::new(&mine), &["commit", "--quiet", "--allow-empty", "-m", message]).await;
    }
    git(Path::new(&mine), &["branch", "feature", "HEAD~1"]).await;
    let dir = world.path("tour");
    let told = tour(&world, &["--repo", &mine, "--dir", &dir]).await;
    assert!(told.contains("trunk"), "{told}");
    let restored = Path::new(&dir).join("restored.git");
    fsck(&restored).await;
    assert_eq!(git(&restored, &["log", "--format=%s", "feature"]).await, "one");

    // What it leaves can be looked at with the commands that it names.
    let settings = format!("{dir}/backup/refward.toml");
    let snapshots = world.ok(&["--config", &settings, "snapshots", "demo/hello"]).await;
    assert!(snapshots.as_array().unwrap().len() >= 4, "{snapshots:#}");
    assert_eq!(git(Path::new(&mine), &["status", "--porcelain", "--branch"]).await, "## trunk");
}
