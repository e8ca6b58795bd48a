//! Answers for people: short tables with what is needed and nothing else.

use crate::run;
use crate::support::fake_github::Work;
use crate::support::world::World;

/// What differs from run to run.
const FILTERS: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]"),
    (r"\d+(\.\d+)? k?B\b", "[SIZE]"),
    (r"\d+ ms\b", "[MS]"),
    (r"\b[0-9a-f]{40}\b", "[OBJECT]"),
    (r"\b[0-9a-f]{10}\b", "[SHORT]"),
    (r" +\n", "\n"),
];

#[tokio::test]
async fn before_there_is_anything() {
    let world = World::new().await;
    insta::assert_snapshot!(run(&world, &["status"]).await, @"
    No repositories yet: refward connect --help
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["repos", "list"]).await, @"
    No repositories yet: refward connect --help
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["connections", "list"]).await, @"
    No connections yet: refward connect --help
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["verify"]).await, @"
    Nothing to verify yet.
    => 0
    ");
    insta::assert_snapshot!(run(&world, &["catalog", "rebuild"]).await, @"
    0 repositories with 0 snapshots, from the vault.
    => 0
    ");
}

/// Two repositories, one with a commit and a tag; connected, not yet backed up.
async fn acme() -> (World, Work) {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    world.github.org("acme").repo("web").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main", "HEAD:refs/tags/v1"]).await;
    world.connect("acme").await;
    (world, work)
}

/// Loses the first commit.
async fn amend(work: &Work) {
    work.git(&["commit", "--quiet", "--amend", "--message", "one, again"]).await;
    work.push(&["--force", "main", "HEAD:refs/heads/topic"]).await;
}

#[tokio::test]
async fn a_small_history() {
    let (world, work) = acme().await;
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(FILTERS.to_vec());
    let _filters = filters.bind_to_scope();
    let told = async |arguments: &[&str]| run(&world, arguments).await;
    insta::assert_snapshot!(told(&["status"]).await, @"
    REPOSITORY  CONNECTION  STATE    LAST SNAPSHOT  LAG  QUEUE   LAST ERROR
    acme/api    acme        waiting  -              -    queued  -
    acme/web    acme        waiting  -              -    queued  -
    => 0
    ");
    insta::assert_snapshot!(told(&["backup", "acme/api"]).await, @"
    Queued 1 repository.
    => 0
    ");
    insta::assert_snapshot!(told(&["backup", "acme/api", "--wait"]).await, @"
    acme/api: snapshot 1: 3 new objects, [SIZE] received, [SIZE] stored, [MS]
    => 0
    ");
    insta::assert_snapshot!(told(&["backup", "acme/api", "--wait"]).await, @"
    acme/api: unchanged since snapshot 1
    => 0
    ");
    amend(&work).await;
    insta::assert_snapshot!(told(&["backup", "--all", "--wait"]).await, @"
    acme/api: snapshot 2: 3 new objects, [SIZE] received, [SIZE] stored, [MS]
    acme/web: snapshot 1: 0 new objects, [SIZE] received, [SIZE] stored, [MS]
    => 0
    ");
    insta::assert_snapshot!(told(&["status"]).await, @"
    REPOSITORY  CONNECTION  STATE  LAST SNAPSHOT             LAG  QUEUE  LAST ERROR
    acme/api    acme        ok     2 at [TIME]  -    idle   -
    acme/web    acme        ok     1 at [TIME]  -    idle   -
    => 0
    ");
    insta::assert_snapshot!(told(&["repos", "list"]).await, @"
    REPOSITORY  CONNECTION  SNAPSHOTS  STATE
    acme/api    acme        2          backed up
    acme/web    acme        1          backed up
    => 0
    ");
    insta::assert_snapshot!(told(&["repos", "sync"]).await, @"
    acme: 2 repositories
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "list"]).await, @"
    NAME  FORGE   URL                      OWNER  EXPIRES  LAST ERROR
    acme  github  http://127.0.0.1:PORT/  acme   -        -
    => 0
    ");
    insta::assert_snapshot!(told(&["snapshots", "acme/api"]).await, @"
    SEQ  TIME (UTC)           WHY     REFS  CHANGED              OBJECTS  RECEIVED  STORED   COMPLETE
    1    [TIME]  manual  2     +2 ~0 -0             3        [SIZE]     [SIZE]  yes
    2    [TIME]  manual  3     +1 ~1 -0 (1 forced)  3        [SIZE]     [SIZE]  yes
    => 0
    ");
    insta::assert_snapshot!(told(&["journal", "acme/api"]).await, @"
    SEQ  TIME (UTC)           REF               OLD         NEW                 WHO
    1    [TIME]  refs/heads/main   -           [SHORT]          -
    1    [TIME]  refs/tags/v1      -           [SHORT]          -
    2    [TIME]  refs/heads/main   [SHORT]  [SHORT]  FORCED  -
    2    [TIME]  refs/heads/topic  -           [SHORT]          -
    => 0
    ");
    insta::assert_snapshot!(told(&["refs", "acme/api", "--at", "1"]).await, @"
    ref: refs/heads/main	HEAD
    [OBJECT]	refs/heads/main
    [OBJECT]	refs/tags/v1
    => 0
    ");
    insta::assert_snapshot!(told(&["repos", "remove", "acme/web"]).await, @"
    acme/web is no longer backed up; its backups stay.
    => 0
    ");
    insta::assert_snapshot!(told(&["connections", "remove", "acme"]).await, @"
    Removed acme. Its credentials are deleted; its backups stay and can be restored.
    => 0
    ");
}

#[tokio::test]
async fn proving_and_bringing_back() {
    let (world, work) = acme().await;
    world.ok(&["backup", "--all", "--wait"]).await;
    amend(&work).await;
    world.ok(&["backup", "--all", "--wait"]).await;
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(FILTERS.to_vec());
    let _filters = filters.bind_to_scope();
    let told = async |arguments: &[&str]| run(&world, arguments).await;
    insta::assert_snapshot!(told(&["verify", "--drill"]).await, @"
    acme/api: 2 snapshots in order, restored in a drill
    acme/web: 1 snapshot in order, restored in a drill
    => 0
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--plan", "--to-dir", "out"]).await, @"
    Plan: acme/api as of snapshot 2 ([TIME] UTC)
      create     refs/heads/main at [SHORT]
      create     refs/heads/topic at [SHORT]
      create     refs/tags/v1 at [SHORT]
    => 0
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--at", "1", "--to-dir", "out", "--bare"]).await, @"
    Restored acme/api as of snapshot 1 ([TIME] UTC) to out: 2 references, 1 pack, [MS]
    => 0
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--to-dir", "out"]).await, @"
    Restored acme/api as of snapshot 2 ([TIME] UTC) to out: 1 reference, 2 packs, [MS]
      kept as it was: refs/heads/main
    error: references that were not restored: 1
      look at the plan: existing references are overwritten only with --force
    => 1
    ");
    insta::assert_snapshot!(told(&["restore", "acme/api", "--to-dir", "out", "--force", "--plan"]).await, @"
    Plan: acme/api as of snapshot 2 ([TIME] UTC)
      OVERWRITE  refs/heads/main from [SHORT] to [SHORT]
      unchanged  refs/heads/topic at [SHORT]
      unchanged  refs/tags/v1 at [SHORT]
    => 0
    ");
}
