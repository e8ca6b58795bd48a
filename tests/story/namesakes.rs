//! One name, several repositories: one after the other on one host, or each on a host of its own. Every one can be restored.

use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::fake_github::{FakeGithub, Repo, Token};
use crate::support::world::{Ran, World, refs};

/// With a commit of this name.
async fn repo(github: &FakeGithub, commit: &str) -> Repo {
    let repo = github.org("acme").repo("gone").await;
    let work = repo.work().await;
    work.commit(commit).await;
    work.push(&["main"]).await;
    repo
}

/// The ids of what is called `acme/gone` and is gone from the forge, or is not.
async fn ids(world: &World, gone: bool) -> Vec<String> {
    let rows = world.ok(&["repos", "list"]).await;
    let named = rows.as_array().unwrap().iter().filter(|row| row["repository"] == "acme/gone" && row["gone"] == gone);
    named.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Restores with nothing but the vault and the key.
async fn alone(world: &World, repo: &str, folder: &str) -> Ran {
    let vault = format!("file://{}", world.folder().join("vault").display());
    let kit = world.path("backup/recovery-kit.txt");
    let restore = ["restore", repo, "--vault", &vault, "--identity", &kit, "--bare", "--to-dir", folder, "--json"];
    let mut command = world.command(&restore);
    command.env("REFWARD_CONFIG", world.path("no-such-file"));
    let output = command.output().await.unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn restored_alone(world: &World, repo: &str, folder: &str) -> Value {
    let ran = alone(world, repo, folder).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    refs(&Path::new(&world.path("")).join(folder)).await
}

/// A repository that was deleted after a first snapshot, what it held, and its id.
async fn deleted() -> (World, Value, String) {
    let world = World::new().await;
    let old = repo(&world.github, "old").await;
    world.connect("acme").await;
    world.ok(&["backup", "acme/gone", "--wait"]).await;
    let held = world.server_refs(&old).await;
    old.delete();
    world.ok(&["repos", "sync"]).await;
    let id = ids(&world, true).await.remove(0);
    (world, held, id)
}

#[tokio::test]
async fn a_deleted_repository_whose_name_was_taken_is_restored_by_its_id() {
    let (world, held, old) = deleted().await;
    assert_eq!(world.restored("acme:acme/gone", None).await, held, "while nothing else has its name");

    let newcomer = repo(&world.github, "new").await;
    world.ok(&["repos", "sync"]).await;
    let early = world.refward(&["restore", "acme/gone", "--to-dir", "early", "--json"]).await;
    assert_eq!(early.code, 3, "{early:?}");
    assert!(early.error()["hint"].as_str().unwrap().contains(&format!("refward restore {old}")), "{early:?}");

    world.ok(&["backup", "acme/gone", "--wait"]).await;
    let new = ids(&world, false).await.remove(0);
    world.matches(&newcomer).await;
    assert_eq!(world.restored(&old, None).await, held);
    assert_eq!(world.restored(&new, None).await, world.server_refs(&newcomer).await);
    for question in ["snapshots", "refs", "journal", "verify"] {
        let (of_old, of_new) = (world.ok(&[question, &old]).await, world.ok(&[question, &new]).await);
        assert_ne!(of_old, json!([]), "{question}");
        assert!(question == "verify" || of_old != of_new, "{question}");
    }

    // Whoever means the deleted one learns how to have it.
    let told = world.ok(&["restore", "acme/gone", "--plan", "--to-dir", "out"]).await;
    assert_eq!(told["namesakes"][0]["id"], json!(old));
    for asked in [&["restore", "acme/gone", "--to-dir", "out"][..], &["snapshots", "acme/gone"]] {
        let ran = world.refward(asked).await;
        assert!(ran.stdout.contains(&format!("was called acme/gone, too: refward restore {old} …")), "{ran:?}");
    }
    let by_id = world.refward(&["snapshots", &old]).await;
    assert!(!by_id.stdout.contains("too:"), "{by_id:?}");
    let table = world.refward(&["repos", "list"]).await.stdout;
    for said in [format!("gone from the forge; its id: {old}"), format!("backed up; its id: {new}")] {
        assert!(table.contains(&said), "{table}");
    }

    // With vault and key alone nobody can know which of the two lives.
    let host = world.github.url().authority().to_owned();
    for either in ["acme/gone".to_owned(), "acme:acme/gone".to_owned(), format!("{host}:acme/gone")] {
        let ran = alone(&world, &either, "either").await;
        assert_eq!(ran.code, 2, "{ran:?}");
        let message = ran.error()["message"].as_str().unwrap().to_owned();
        for said in [&old, &new, &host] {
            assert!(message.contains(said), "{message}");
        }
        assert!(ran.error()["hint"].as_str().unwrap().contains("refward restore ID"), "{ran:?}");
    }
    assert_eq!(restored_alone(&world, &old, "old").await, held);
    assert_eq!(restored_alone(&world, &new, "new").await, world.server_refs(&newcomer).await);
}

#[tokio::test]
async fn the_notice_of_a_deletion_restores_what_was_deleted_whoever_has_its_name_by_then() {
    let (world, held, old) = deleted().await;
    repo(&world.github, "new").await;
    world.ok(&["repos", "sync"]).await;
    world.ok(&["backup", "acme/gone", "--wait"]).await;
    let notice = world.notices("repository.gone").await.remove(0);
    assert_eq!(notice["command"], format!("refward restore {old} --to-dir gone"));
    world.paste(&notice["command"]).await;
    assert_eq!(refs(&Path::new(&world.path("gone")).join(".git")).await["refs/heads/main"], held["refs/heads/main"]);
}

#[tokio::test]
async fn two_deleted_namesakes_are_told_apart_by_their_ids() {
    let (world, held, old) = deleted().await;
    let second = repo(&world.github, "second").await;
    world.ok(&["repos", "sync"]).await;
    world.ok(&["backup", "acme/gone", "--wait"]).await;
    second.delete();
    world.ok(&["repos", "sync"]).await;
    let both = ids(&world, true).await;
    assert_eq!(both.len(), 2);
    let ran = world.refward(&["restore", "acme:acme/gone", "--to-dir", "out", "--json"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    for id in &both {
        let said = format!("{id} (gone since ");
        assert!(ran.error()["message"].as_str().unwrap().contains(&said), "{ran:?}");
    }
    assert!(ran.error()["hint"].as_str().unwrap().starts_with("write an id"), "{ran:?}");
    assert_eq!(world.restored(&old, None).await, held);
}

#[tokio::test]
async fn one_name_on_two_hosts_is_told_apart_by_the_host_with_vault_and_key_alone() {
    let world = World::new().await;
    let here = repo(&world.github, "here").await;
    world.connect("acme").await;
    let cloud = FakeGithub::start().await;
    let there = repo(&cloud, "there").await;
    let token = cloud.token(Token::classic("mona"));
    let file = world.secret_file("cloud.token", token.expose_secret());
    let connect = ["connect", "github", "--name", "cloud", "--owner", "acme", "--url", cloud.url().as_str()];
    world.ok(&[&connect[..], &["--token-file", &file, "--webhook-secret-file", &file]].concat()).await;
    for name in ["acme:acme/gone", "cloud:acme/gone"] {
        world.ok(&["backup", name, "--wait"]).await;
    }

    for (nth, (github, repo)) in [(&world.github, &here), (&cloud, &there)].into_iter().enumerate() {
        let named = format!("{}:acme/gone", github.url().authority());
        let held = world.server_refs(repo).await;
        assert_eq!(restored_alone(&world, &named, &format!("alone-{nth}")).await, held);
        assert_eq!(world.restored(&named, None).await, held, "the same words do where there is a catalog");
    }
    let unknown = alone(&world, "cloud:acme/gone", "out").await;
    assert_eq!(unknown.code, 2, "{unknown:?}");
    for id in ids(&world, false).await {
        assert!(unknown.error()["message"].as_str().unwrap().contains(&id), "{unknown:?}");
    }
    let elsewhere = alone(&world, "github.com:acme/gone", "out").await;
    assert_eq!(elsewhere.code, 2, "{elsewhere:?}");
}
