//! Repositories of every shape that git allows.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::fake_github::{Repo, Work};
use crate::support::shell::{git, git_command};
use crate::support::world::{Service, World};

/// Whatever is in it when it is connected, and whatever a push then adds, comes back as it is on the server.
async fn comes_back(world: &World, repo: &Repo, work: &Work) -> Service {
    let name = repo.full_name();
    world.connect("acme").await;
    let service = world.serve().await;
    let first = world.snapshot(&name, 1).await;
    assert_eq!(first["complete"], true, "{first}");
    world.idle().await;
    world.matches(repo).await;

    work.commit("one more").await;
    work.push(&["HEAD:refs/heads/one-more"]).await;
    let second = world.snapshot(&name, 2).await;
    assert_eq!(second["objects"], 3, "{second}");
    world.idle().await;
    world.matches(repo).await;
    assert_eq!(world.ok(&["refs", &name]).await, world.server_refs(repo).await);
    world.ok(&["verify", "--drill"]).await;
    service
}

async fn with_a_commit(world: &World) -> (Repo, Work) {
    let repo = world.github.org("acme").repo("api").await;
    let work = repo.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    (repo, work)
}

#[tokio::test]
async fn tags_of_tags_of_trees_and_of_files() {
    let world = World::new().await;
    let (repo, work) = with_a_commit(&world).await;
    work.git(&["tag", "-a", "v1", "-m", "annotated"]).await;
    work.git(&["tag", "-a", "v1-again", "-m", "a tag of a tag", "v1"]).await;
    work.git(&["tag", "tree", "HEAD^{tree}"]).await;
    work.git(&["tag", "-a", "file", "-m", "a tag of a file", "HEAD:file.txt"]).await;
    work.push(&["--tags"]).await;
    comes_back(&world, &repo, &work).await;
}

#[tokio::test]
async fn objects_named_by_sha256() {
    let world = World::new().await;
    let repo = world.github.org("acme").repo("api").await;
    repo.use_sha256().await;
    let work = repo.work().await;
    assert_eq!(work.commit("one").await.len(), 64);
    work.git(&["tag", "-a", "v1", "-m", "annotated"]).await;
    work.push(&["main", "v1"]).await;
    comes_back(&world, &repo, &work).await;
}

#[tokio::test]
async fn an_empty_repository_and_its_first_push() {
    let world = World::new().await;
    let repo = world.github.org("acme").repo("api").await;
    let work = repo.work().await;
    git(&repo.folder(), &["symbolic-ref", "HEAD", "refs/heads/trunk"]).await;
    world.connect("acme").await;
    let _service = world.serve().await;
    let first = world.snapshot("acme/api", 1).await;
    assert_eq!((&first["refs"]["total"], &first["objects"]), (&json!(0), &json!(0)));
    world.idle().await;
    assert_eq!(world.status("acme/api").await["state"], "ok");
    assert_eq!(world.ok(&["refs", "acme/api"]).await, json!({ "HEAD": "ref: refs/heads/trunk" }));
    world.matches(&repo).await;

    work.commit("one").await;
    work.push(&["main:trunk"]).await;
    assert_eq!(world.snapshot("acme/api", 2).await["objects"], 3);
    world.matches(&repo).await;
    // And everything can go again.
    git(&repo.folder(), &["update-ref", "-d", "refs/heads/trunk"]).await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    world.matches(&repo).await;
    world.ok(&["verify", "--drill"]).await;
}

#[tokio::test]
async fn a_head_that_is_detached() {
    let world = World::new().await;
    let (repo, work) = with_a_commit(&world).await;
    let elsewhere = work.commit("on no branch").await;
    work.push(&["HEAD:refs/heads/gone-soon"]).await;
    git(&repo.folder(), &["update-ref", "--no-deref", "HEAD", &elsewhere]).await;
    git(&repo.folder(), &["update-ref", "-d", "refs/heads/gone-soon"]).await;
    comes_back(&world, &repo, &work).await;
}

#[tokio::test]
async fn a_head_that_is_not_born() {
    let world = World::new().await;
    let (repo, work) = with_a_commit(&world).await;
    git(&repo.folder(), &["symbolic-ref", "HEAD", "refs/heads/someday"]).await;
    comes_back(&world, &repo, &work).await;
}

#[tokio::test]
async fn a_default_branch_that_changes_is_a_snapshot() {
    let world = World::new().await;
    let (repo, work) = with_a_commit(&world).await;
    work.push(&["HEAD:refs/heads/trunk"]).await;
    world.connect("acme").await;
    let _service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    git(&repo.folder(), &["symbolic-ref", "HEAD", "refs/heads/trunk"]).await;
    let moved = world.ok(&["backup", "acme/api", "--wait"]).await;
    assert_eq!((&moved["seq"], &moved["pack_bytes"]), (&json!(2), &json!(0)));
    world.matches(&repo).await;
    assert_eq!(world.ok(&["refs", "acme/api", "--at", "1"]).await["HEAD"], "ref: refs/heads/main");
    assert_eq!(world.ok(&["refs", "acme/api"]).await["HEAD"], "ref: refs/heads/trunk");
    assert_eq!(world.ok(&["backup", "acme/api", "--wait"]).await, json!({ "unchanged": true, "seq": 2 }));
}

/// Points a reference whose name is not UTF-8 at `id`; `None` deletes it.
fn latin1(repo: &Repo, id: Option<&str>) {
    let name = OsStr::from_bytes(b"refs/heads/lat\xe9in");
    let mut command = git_command(&repo.folder(), &["update-ref"]);
    match id {
        Some(id) => command.arg(name).arg(id),
        None => command.arg("-d").arg(name),
    };
    assert!(command.status().unwrap().success());
}

/// Runs a command that does what it can, and says with its exit code that this is not all.
async fn in_part(world: &World, arguments: &[&str]) -> Value {
    let ran = world.refward(&[arguments, &["--json"]].concat()).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (1, &json!("partial")), "{arguments:?}: {ran:?}");
    ran.json()
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_told_from_the_moment_it_appears_until_it_goes() {
    let world = World::new().await;
    let (repo, work) = with_a_commit(&world).await;
    let backup = &["backup", "acme/api", "--wait"];
    world.connect("acme").await;
    world.ok(backup).await;

    let one = work.commit("on no branch that has a name").await;
    work.push(&["HEAD:refs/heads/passing"]).await;
    latin1(&repo, Some(&one));
    git(&repo.folder(), &["update-ref", "-d", "refs/heads/passing"]).await;
    let missing = |id: &str| {
        let why = "its name is not UTF-8, which Refward cannot keep yet; rename it on the forge; it points at";
        json!([{ "what": r"refs/heads/lat\xe9in", "why": format!("{why} {id}") }])
    };
    let appeared = in_part(&world, backup).await;
    assert_eq!((&appeared["seq"], &appeared["complete"]), (&json!(2), &json!(false)));
    assert_eq!((&appeared["missing"], &appeared["refs"]["total"]), (&missing(&one), &json!(1)));
    assert_eq!(appeared["objects"], 3, "what it points at is worth having under any name");

    // Nothing happens, and no snapshot is taken of it; that it is not all stays true.
    for _ in 0..2 {
        assert_eq!(in_part(&world, backup).await, json!({ "unchanged": true, "seq": 2 }));
        world.ok(&["catalog", "rebuild"]).await;
    }
    assert_eq!(in_part(&world, &["backup", "--all", "--wait"]).await[0]["seq"], 2);
    assert_eq!(in_part(&world, &["verify", "--drill"]).await[0]["findings"], json!([]));

    let whole = world.path("whole.git");
    let receipt = in_part(&world, &["restore", "acme/api", "--to-dir", &whole, "--bare"]).await;
    assert_eq!(receipt["missing"], missing(&one));
    assert_eq!(git(Path::new(&whole), &["cat-file", "-t", &one]).await, "commit");
    let main = world.path("main.git");
    let receipt = world.ok(&["restore", "acme/api", "--ref", "main", "--to-dir", &main, "--bare"]).await;
    assert_eq!(receipt["missing"], Value::Null, "all that was asked for is there");

    let two = work.commit("further on").await;
    work.push(&["HEAD:refs/heads/passing"]).await;
    latin1(&repo, Some(&two));
    git(&repo.folder(), &["update-ref", "-d", "refs/heads/passing"]).await;
    let moved = in_part(&world, backup).await;
    assert_eq!((&moved["seq"], &moved["missing"]), (&json!(3), &missing(&two)));

    latin1(&repo, None);
    let gone = world.ok(backup).await;
    assert_eq!((&gone["seq"], &gone["complete"]), (&json!(4), &json!(true)));
    assert_eq!(world.ok(backup).await, json!({ "unchanged": true, "seq": 4 }));
    world.ok(&["verify", "--drill"]).await;
    world.matches(&repo).await;
}

#[tokio::test]
async fn a_head_that_names_a_branch_that_is_not_utf8_is_told() {
    let world = World::new().await;
    let (repo, _) = with_a_commit(&world).await;
    world.connect("acme").await;
    std::fs::write(repo.folder().join("HEAD"), b"ref: refs/heads/lat\xe9in\n").unwrap();
    let taken = in_part(&world, &["backup", "acme/api", "--wait"]).await;
    let why = r"it names the branch refs/heads/lat\xe9in, and its name is not UTF-8, which Refward cannot keep yet";
    assert_eq!(taken["missing"], json!([{ "what": "HEAD", "why": why }]));
    assert_eq!(in_part(&world, &["backup", "acme/api", "--wait"]).await["seq"], 1);
}

/// Legal names that somebody will use one day.
const NAMES: &[&str] = &[
    "refs/heads/-dash",
    "refs/heads/@",
    "refs/heads/HEAD",
    "refs/heads/Main",
    "refs/heads/a'b\"c`d$(e)&f;g|h<i>j!k%20#l",
    "refs/heads/dots.in.the.middle",
    "refs/heads/refs/heads/main",
    "refs/heads/with{braces}",
    "refs/heads/feature/ünï-ço/ветка/日本語/🚀",
    "refs/tags/v1.0+build,1=2",
    "refs/notes/commits",
    "refs/pull/1/head",
    "refs/pull/1/merge",
    "refs/stash",
    "refs/for/whom/the/bell",
];

#[tokio::test]
async fn weird_but_legal_names() {
    let world = World::new().await;
    let (repo, work) = with_a_commit(&world).await;
    for name in NAMES {
        git(&repo.folder(), &["update-ref", name, "refs/heads/main"]).await;
    }
    comes_back(&world, &repo, &work).await;
    for name in NAMES {
        let journal = world.ok(&["journal", "acme/api", "--ref", name]).await;
        assert_eq!(journal[0]["ref"], *name);
    }
}

#[tokio::test]
async fn three_thousand_references() {
    let world = World::new().await;
    let (repo, work) = with_a_commit(&world).await;
    let one = repo.tip("main").await;
    let two = work.commit("two").await;
    work.push(&["main"]).await;
    let lines = (0..3000).map(|nth| format!("{} refs/heads/b/{nth}\n", if nth % 2 == 0 { &one } else { &two }));
    let packed: String = ["# pack-refs with: \n".to_owned()].into_iter().chain(lines).collect();
    std::fs::write(repo.folder().join("packed-refs"), packed).unwrap();
    git(&repo.folder(), &["pack-refs", "--all"]).await;
    let service = comes_back(&world, &repo, &work).await;
    // The service looks at everything when it starts, and once more at what has just changed.
    world.idle().await;

    // With so many, a push makes us ask for what was pushed alone. What nobody told us of waits for the next full look.
    let unseen = world.ok(&["refs", "acme/api"]).await["refs/heads/b/7"].clone();
    git(&repo.folder(), &["update-ref", "refs/heads/b/7", &one]).await;
    work.push(&["HEAD:refs/heads/b/0", "HEAD:refs/heads/b/1"]).await;
    let third = world.snapshot("acme/api", 3).await;
    assert_eq!((&third["refs"]["total"], &third["refs"]["forced"]), (&json!(3002), &json!(0)));
    world.idle().await;
    assert_eq!(world.ok(&["refs", "acme/api"]).await["refs/heads/b/7"], unseen);
    let before = world.snapshots("acme/api").await.len();
    assert_eq!(service.stop().await, 0);
    let _service = world.serve().await;
    let healed = world.snapshot("acme/api", before + 1).await;
    assert_eq!(healed["refs"], json!({ "total": 3002, "created": 0, "updated": 1, "deleted": 0, "forced": 1 }));
    world.matches(&repo).await;
}
