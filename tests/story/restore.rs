//! Bringing things back: what is asked for, where it is asked for, and never over something else unless told to.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::fake_github::{Repo, Token, Work};
use crate::support::shell::{git, try_git};
use crate::support::world::{Service, World, files, fsck, refs};

/// `main` at two, then forced to another two; `topic` and `v1` from the start.
struct Past {
    world: World,
    service: Service,
    work: Work,
    one: String,
    two: String,
    other: String,
}

impl Past {
    async fn new() -> Self {
        let world = World::new().await;
        let api = world.github.org("acme").repo("api").await;
        let work = api.work().await;
        let one = work.commit("one").await;
        work.git(&["tag", "-a", "v1", "-m", "first"]).await;
        work.push(&["main", "v1", "HEAD:refs/heads/topic"]).await;
        git(&api.folder(), &["update-ref", "refs/pull/7/head", &one]).await;
        world.connect("acme").await;
        let service = world.serve().await;
        world.snapshot("acme/api", 1).await;
        let two = work.commit("two").await;
        work.push(&["main"]).await;
        world.snapshot("acme/api", 2).await;
        work.git(&["reset", "--quiet", "--hard", &one]).await;
        let other = work.commit("other").await;
        work.push(&["--force", "main"]).await;
        world.snapshot("acme/api", 3).await;
        world.idle().await;
        Self { world, service, work, one, two, other }
    }

    /// An empty repository on the forge, and a token that may push there.
    async fn target(&self, name: &str) -> (Repo, String, String) {
        use secrecy::ExposeSecret;
        let target = self.world.github.org("acme").repo(name).await;
        let token = self.world.github.token(Token::classic("mona"));
        let file = self.world.secret_file("restore.token", token.expose_secret());
        let url = self.world.github.url().join(&format!("acme/{name}.git")).unwrap().to_string();
        (target, url, file)
    }
}

/// What a plan wants to do, as `ACTION REF`.
fn actions(plan: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |planned: &Value| format!("{} {}", word(&planned["action"]), word(&planned["target"]));
    plan["refs"].as_array().unwrap().iter().map(of).collect()
}

#[tokio::test]
async fn a_plan_changes_nothing() {
    let Past { world, two, .. } = Past::new().await;
    let target = world.path("out/api");
    let plan = world.ok(&["restore", "acme/api", "--plan", "--at", "2", "--to-dir", &target]).await;
    assert_eq!((&plan["seq"], &plan["repository"]), (&json!(2), &json!("acme/api")));
    assert_eq!(
        actions(&plan),
        ["create refs/heads/main", "create refs/heads/topic", "create refs/pull/7/head", "create refs/tags/v1"]
    );
    assert_eq!(plan["refs"][0]["new"], two);
    assert!(!Path::new(&target).parent().unwrap().exists());
}

#[tokio::test]
async fn a_working_tree_or_a_bare_repository() {
    let Past { world, one, two, .. } = Past::new().await;
    let tree = world.path("tree");
    let receipt = world.ok(&["restore", "acme/api", "--at", "2", "--to-dir", &tree]).await;
    assert_eq!((&receipt["seq"], &receipt["written"].as_array().unwrap().len()), (&json!(2), &4));
    let tree = Path::new(&tree);
    assert_eq!(std::fs::read_to_string(tree.join("file.txt")).unwrap(), "two");
    assert_eq!(git(tree, &["status", "--porcelain", "--branch"]).await, "## main");
    assert_eq!(git(tree, &["rev-parse", "HEAD", "topic", "v1^{commit}"]).await, format!("{two}\n{one}\n{one}"));
    fsck(tree).await;

    let bare = world.path("bare.git");
    world.restore_to("acme/api", None, Path::new(&bare)).await;
    assert_eq!(git(Path::new(&bare), &["rev-parse", "--is-bare-repository"]).await, "true");
    // It is a repository like any other: it can be cloned and pushed to.
    let clone = world.path("clone");
    git(Path::new("/"), &["clone", "--quiet", &bare, &clone]).await;
    git(Path::new(&clone), &["commit", "--quiet", "--allow-empty", "-m", "on we go"]).await;
    git(Path::new(&clone), &["push", "--quiet", "origin", "main"]).await;
}

#[tokio::test]
async fn one_reference_alone() {
    let Past { world, one, .. } = Past::new().await;
    let tree = world.path("tree");
    let receipt = world.ok(&["restore", "acme/api", "--ref", "topic", "--to-dir", &tree]).await;
    assert_eq!(receipt["written"], json!(["refs/heads/topic"]));
    assert_eq!(git(Path::new(&tree), &["symbolic-ref", "HEAD"]).await, "refs/heads/topic");
    assert_eq!(git(Path::new(&tree), &["rev-parse", "HEAD"]).await, one);

    let tags = world.path("tags.git");
    world.ok(&["restore", "acme/api", "--ref", "v1", "--ref", "refs/pull/7/head", "--bare", "--to-dir", &tags]).await;
    let names = git(Path::new(&tags), &["for-each-ref", "--format=%(refname)"]).await;
    assert_eq!(names, "refs/pull/7/head\nrefs/tags/v1");

    let unknown = world.refward(&["restore", "acme/api", "--ref", "nope", "--to-dir", &tags, "--json"]).await;
    assert_eq!((unknown.code, &unknown.error()["kind"]), (3, &json!("not_found")));
}

#[tokio::test]
async fn what_exists_in_a_folder_stays_unless_forced() {
    let Past { world, one, two, other, .. } = Past::new().await;
    let mine = world.path("mine");
    git(Path::new("/"), &["init", "--quiet", "--initial-branch=main", &mine]).await;
    let dir = Path::new(&mine);
    git(dir, &["commit", "--quiet", "--allow-empty", "-m", "my own"]).await;
    git(dir, &["branch", "keep-me"]).await;
    git(dir, &["checkout", "--quiet", "-b", "work-in-progress"]).await;
    let own = git(dir, &["rev-parse", "main"]).await;
    let before = refs(&dir.join(".git")).await;

    let arguments = ["restore", "acme/api", "--at", "2", "--to-dir", &mine];
    let plan = world.ok(&[&arguments[..], &["--plan"]].concat()).await;
    assert_eq!(
        actions(&plan),
        ["keep refs/heads/main", "create refs/heads/topic", "create refs/pull/7/head", "create refs/tags/v1"]
    );
    assert_eq!((&plan["refs"][0]["old"], &plan["refs"][0]["new"]), (&json!(own), &json!(two)));
    assert_eq!(refs(&dir.join(".git")).await, before);

    let partly = world.refward(&[&arguments[..], &["--json"]].concat()).await;
    assert_eq!((partly.code, &partly.error()["kind"]), (1, &json!("partial")));
    assert_eq!(partly.json()["kept"], json!(["refs/heads/main"]));
    assert_eq!(git(dir, &["rev-parse", "main", "topic"]).await, format!("{own}\n{one}"));

    let plan = world.ok(&[&arguments[..], &["--plan", "--force"]].concat()).await;
    assert_eq!(actions(&plan)[..2], ["overwrite refs/heads/main", "unchanged refs/heads/topic"]);
    let forced = world.ok(&[&arguments[..], &["--force"]].concat()).await;
    assert_eq!(forced["written"], json!(["refs/heads/main"]));
    assert_eq!(git(dir, &["rev-parse", "main", "keep-me"]).await, format!("{two}\n{own}"));
    fsck(dir).await;
    world.ok(&["restore", "acme/api", "--force", "--to-dir", &mine]).await;
    assert_eq!(git(dir, &["rev-parse", "main"]).await, other);
}

#[tokio::test]
async fn the_branch_that_is_checked_out_is_not_pulled_away() {
    let Past { world, other, .. } = Past::new().await;
    let mine = world.path("mine");
    git(Path::new("/"), &["init", "--quiet", "--initial-branch=main", &mine]).await;
    let dir = Path::new(&mine);
    git(dir, &["commit", "--quiet", "--allow-empty", "-m", "my own"]).await;
    let before = refs(&dir.join(".git")).await;
    let forced = ["restore", "acme/api", "--to-dir", &mine, "--force"];
    let plan = world.ok(&[&forced[..], &["--plan"]].concat()).await;
    assert_eq!(actions(&plan)[0], "overwrite refs/heads/main");
    assert_eq!(plan["checked_out"], "refs/heads/main");
    let shown = world.refward(&[&forced[..], &["--plan"]].concat()).await.stdout;
    let line = shown.lines().find(|line| line.contains("refs/heads/main")).unwrap();
    assert!(line.ends_with("; not while it is checked out: check out another branch there first"), "{shown}");
    let ran = world.refward(&[&forced[..], &["--json"]].concat()).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (2, &json!("bad_request")));
    assert!(ran.error()["message"].as_str().unwrap().starts_with("main is checked out"), "{ran:?}");
    assert_eq!(refs(&dir.join(".git")).await, before);
    // Detached, nothing is pulled away.
    git(dir, &["checkout", "--quiet", "--detach"]).await;
    assert_eq!(world.ok(&[&forced[..], &["--plan"]].concat()).await["checked_out"], json!(null));
    world.ok(&["restore", "acme/api", "--force", "--to-dir", &mine]).await;
    assert_eq!(git(dir, &["rev-parse", "main"]).await, other);
    assert_eq!(git(dir, &["status", "--porcelain"]).await, "");
}

#[tokio::test]
async fn a_folder_with_other_things_in_it_is_refused() {
    let Past { world, .. } = Past::new().await;
    let other = world.path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(Path::new(&other).join("diary.txt"), "mine").unwrap();
    for more in [&["--force"][..], &["--bare"], &["--plan"]] {
        let ran = world.refward(&[&["restore", "acme/api", "--to-dir", &other, "--json"], more].concat()).await;
        assert_eq!((ran.code, &ran.error()["kind"]), (2, &json!("bad_request")));
        assert!(ran.error()["message"].as_str().unwrap().contains(&other));
    }
    assert_eq!(files(Path::new(&other)).len(), 1);
}

#[tokio::test]
async fn onto_a_server() {
    let past = Past::new().await;
    let (target, url, token) = past.target("copy").await;
    let (world, two) = (&past.world, &past.two);
    let arguments = ["restore", "acme/api", "--at", "2", "--to-url", &url, "--token-file", &token];
    let plan = world.ok(&[&arguments[..], &["--plan"]].concat()).await;
    assert_eq!(
        actions(&plan),
        ["create refs/heads/main", "create refs/heads/topic", "skip refs/pull/7/head", "create refs/tags/v1"]
    );
    assert!(plan["refs"][2]["why"].as_str().unwrap().contains("--prefix"));
    assert_eq!(world.server_refs(&target).await, json!({ "HEAD": "ref: refs/heads/main" }));

    let receipt = world.ok(&arguments).await;
    assert_eq!(receipt["skipped"][0]["ref"], "refs/pull/7/head");
    assert_eq!(target.tip("main").await, *two);
    fsck(&target.folder()).await;

    // Once more with what came later: the branch that would lose commits stays.
    let later = ["restore", "acme/api", "--to-url", &url, "--token-file", &token];
    let kept = world.refward(&[&later[..], &["--json"]].concat()).await;
    assert_eq!((kept.code, &kept.json()["kept"]), (1, &json!(["refs/heads/main"])));
    assert_eq!(target.tip("main").await, *two);
    let forced = world.ok(&[&later[..], &["--force"]].concat()).await;
    assert_eq!(forced["written"], json!(["refs/heads/main"]));
    assert_eq!(target.tip("main").await, past.other);
}

#[tokio::test]
async fn next_to_what_is_on_the_server() {
    let past = Past::new().await;
    let (target, url, token) = past.target("copy").await;
    let arguments = ["restore", "acme/api", "--to-url", &url, "--token-file", &token];
    past.world
        .ok(&[&arguments[..], &["--ref", "main", "--at", "2", "--prefix", "refs/heads/restored/"]].concat())
        .await;
    let all = past.world.ok(&[&arguments[..], &["--prefix", "refs/backup/"]].concat()).await;
    assert_eq!(all["skipped"], json!([]));
    assert_eq!(
        past.world.server_refs(&target).await.as_object().unwrap().keys().collect::<Vec<_>>(),
        [
            "HEAD",
            "refs/backup/heads/main",
            "refs/backup/heads/topic",
            "refs/backup/pull/7/head",
            "refs/backup/tags/v1",
            "refs/heads/restored/main"
        ]
    );
    let wrong = past.world.refward(&[&arguments[..], &["--prefix", "restored", "--json"]].concat()).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

#[tokio::test]
async fn a_protected_branch_is_reported_and_the_others_go_through() {
    let past = Past::new().await;
    let (target, url, token) = past.target("copy").await;
    let hook = target.folder().join("hooks/update");
    let script = "#!/bin/sh\n[ \"$1\" != refs/heads/main ] || { echo 'GH006: Protected branch' >&2; exit 1; }\n";
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = ["restore", "acme/api", "--to-url", &url, "--token-file", &token];
    let ran = past.world.refward(&[&arguments[..], &["--json"]].concat()).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (1, &json!("partial")), "{ran:?}");
    let receipt = ran.json();
    assert_eq!(receipt["refused"][0]["ref"], "refs/heads/main");
    assert!(receipt["refused"][0]["why"].as_str().unwrap().contains("hook"), "{receipt:#}");
    assert_eq!(receipt["written"], json!(["refs/heads/topic", "refs/tags/v1"]));
    assert_eq!(target.tip("topic").await, past.one);
    assert!(!try_git(&target.folder(), &["rev-parse", "--verify", "main"]).await.status.success());
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_told() {
    let past = Past::new().await;
    let (_, url, _) = past.target("copy").await;
    let wrong = past.world.secret_file("wrong.token", "ghp_wrong");
    let arguments = ["restore", "acme/api", "--to-url", &url, "--json", "--token-file"];
    let ran = past.world.refward(&[&arguments[..], &[&wrong]].concat()).await;
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(!ran.stderr.contains("ghp_wrong"));
    let inside = url.replace("http://", "http://mona:ghp_secret@");
    let ran = past.world.refward(&["restore", "acme/api", "--to-url", &inside, "--json"]).await;
    assert_eq!(ran.code, 2);
    assert!(!ran.stderr.contains("ghp_secret"), "{ran:?}");
}

#[tokio::test]
async fn vault_and_recovery_kit_are_enough() {
    let Past { world, service, .. } = Past::new().await;
    let then = world.ok(&["refs", "acme/api", "--at", "2"]).await;
    service.stop().await;
    // Another machine: the vault's copy and the printed page, typed in again.
    let elsewhere = world.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(world.folder().join("vault"), format!("{elsewhere}/vault")).unwrap();
    let kit = std::fs::read_to_string(world.folder().join("recovery-kit.txt")).unwrap();
    let key: String = kit.lines().filter(|line| !line.starts_with('#')).collect();
    std::fs::write(format!("{elsewhere}/kit"), key).unwrap();
    std::fs::remove_dir_all(world.folder()).unwrap();

    let url = format!("file://{elsewhere}/vault");
    let mut command = world.command(&["restore", "acme/api", "--at", "2", "--vault", &url]);
    command
        .args(["--identity", "kit", "--bare", "--to-dir", "out"])
        .current_dir(&elsewhere)
        .env_remove("REFWARD_CONFIG");
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = Path::new(&elsewhere).join("out");
    fsck(&out).await;
    assert_eq!(refs(&out).await, then);
}

#[tokio::test]
async fn a_wrong_key_says_so() {
    let Past { world, .. } = Past::new().await;
    let other = World::new().await;
    let keys = [other.path("backup/recovery-kit.txt"), world.path("no-such-file"), world.path("backup/refward.toml")];
    for key in keys {
        let ran = world.refward(&["restore", "acme/api", "--identity", &key, "--to-dir", "out", "--json"]).await;
        assert_eq!(ran.code, 6, "{ran:?}");
        assert!(ran.error()["hint"].is_string(), "{ran:?}");
    }
    assert!(!Path::new(&world.path("out")).exists());
}

#[tokio::test]
async fn the_database_can_be_lost() {
    let Past { world, service, work, .. } = Past::new().await;
    let questions: &[&[&str]] = &[
        &["snapshots", "acme/api"],
        &["journal", "acme/api"],
        &["refs", "acme/api", "--at", "1"],
        &["refs", "acme/api", "--at", "2"],
        &["refs", "acme/api"],
    ];
    let mut before = Vec::new();
    for question in questions {
        before.push(world.ok(question).await);
    }
    service.kill().await;
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.folder().join(format!("refward.db{end}")));
    }
    // A restore does not miss it.
    let matches = world.restored("acme/api", Some("2")).await;
    assert_eq!(matches, before[3]);

    let report = world.ok(&["catalog", "rebuild"]).await;
    assert_eq!(report, json!({ "repositories": 1, "snapshots": 3 }));
    for (question, answer) in questions.iter().zip(&before) {
        assert_eq!(world.ok(question).await, *answer, "{question:?}");
    }
    world.ok(&["verify", "--read-data", "--drill"]).await;
    assert_eq!(world.ok(&["catalog", "rebuild"]).await, report, "twice is as good");

    // Credentials are not in the vault: the owner is connected again, and the chain goes on where it was.
    let connected = world.connect("acme").await;
    assert_eq!(connected["repositories"]["created"], json!([]));
    let _service = world.serve().await;
    world.idle().await;
    let status = world.status("acme/api").await;
    assert_eq!((&status["state"], &status["last_snapshot"]["seq"]), (&json!("ok"), &json!(3)));
    assert_eq!(world.snapshots("acme/api").await, *before[0].as_array().unwrap());
    let next = work.commit("after the loss").await;
    work.push(&["main"]).await;
    let fourth = world.snapshot("acme/api", 4).await;
    assert_eq!((&fourth["objects"], &fourth["refs"]["forced"]), (&json!(3), &json!(0)));
    assert_eq!(world.restored("acme/api", None).await["refs/heads/main"], next);
    world.ok(&["verify", "--read-data", "--drill"]).await;
}
