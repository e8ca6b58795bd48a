//! Restoring into a folder that is there already: one with nothing in it stays what it is, and a repository that cannot
//! take what comes is as whole afterwards as before.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::fake_github::Token;
use crate::support::shell::{git, try_git};
use crate::support::world::{Ran, World, files, fsck};

/// `acme/old` with names by SHA-1 and `acme/new` by SHA-256, each with one commit in `main` and in `topic`.
async fn both_formats() -> World {
    let world = World::new().await;
    let org = world.github.org("acme");
    for name in ["old", "new"] {
        let repo = org.repo(name).await;
        if name == "new" {
            repo.use_sha256().await;
        }
        let work = repo.work().await;
        for file in ["a", "b", "c", "d", "e", "f"] {
            std::fs::write(work.path().join(file), file).unwrap();
        }
        work.git(&["add", "."]).await;
        work.commit("one").await;
        work.push(&["main", "HEAD:refs/heads/topic"]).await;
    }
    world.connect("acme").await;
    world.ok(&["backup", "--all", "--wait"]).await;
    world
}

/// Somebody's own repository, with one commit in a branch that no backup has.
async fn mine(world: &World, format: &str) -> PathBuf {
    let dir = world.path(&format!("mine-{format}"));
    let format = format!("--object-format={format}");
    git(Path::new("/"), &["init", "--quiet", "--initial-branch=own", &format, &dir]).await;
    git(Path::new(&dir), &["commit", "--quiet", "--allow-empty", "-m", "my own"]).await;
    dir.into()
}

async fn restore(world: &World, arguments: &[&str]) -> Ran {
    world.refward(&[&["restore", "--json"], arguments].concat()).await
}

/// An empty folder that only its owner may look into, and a link to it.
fn empty_folder(world: &World, name: &str) -> (PathBuf, PathBuf) {
    let (folder, link) = (PathBuf::from(world.path(name)), PathBuf::from(world.path(&format!("{name}-link"))));
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&folder, &link).unwrap();
    (folder, link)
}

fn hidden_scratch(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".refward")).collect()
}

#[tokio::test]
async fn a_repository_of_the_other_format_is_left_as_it_was() {
    let world = both_formats().await;
    for (backup, format, theirs) in [("acme/new", "sha1", "sha256"), ("acme/old", "sha256", "sha1")] {
        let dir = mine(&world, format).await;
        let target = dir.to_str().unwrap();
        let before = files(&dir);
        for more in [&["--plan"][..], &[], &["--force"]] {
            let ran = restore(&world, &[&[backup, "--to-dir", target], more].concat()).await;
            assert_eq!((ran.code, &ran.error()["kind"]), (2, &json!("bad_request")), "{ran:?}");
            let says = format!(
                "{backup} has objects of the format {theirs}, {target} of {format}: one repository cannot hold both"
            );
            assert_eq!(ran.error()["message"], json!(says));
            let way_out = format!("restore it into a new folder, or into a repository that is made for {theirs}");
            assert_eq!(ran.error()["hint"], json!(way_out));
        }
        assert_eq!(files(&dir), before);
        fsck(&dir).await;
        git(&dir, &["gc", "--quiet"]).await;
    }
}

#[tokio::test]
async fn a_server_of_the_other_format_is_refused_in_the_plan() {
    let world = both_formats().await;
    let target = world.github.org("acme").repo("copy").await;
    target.use_sha256().await;
    let token = world.github.token(Token::classic("mona"));
    let token = world.secret_file("restore.token", token.expose_secret());
    let url = world.github.url().join("acme/copy.git").unwrap().to_string();
    for more in [&["--plan"][..], &[]] {
        let ran = restore(&world, &[&["acme/old", "--to-url", &url, "--token-file", &token], more].concat()).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        let says = format!("acme/old has objects of the format sha1, {url} of sha256: one repository cannot hold both");
        assert_eq!(ran.error()["message"], json!(says));
    }
    assert_eq!(world.server_refs(&target).await, json!({ "HEAD": "ref: refs/heads/main" }));
}

#[tokio::test]
async fn where_git_moves_no_reference_it_says_why_and_nothing_stays() {
    let world = both_formats().await;
    let dir = mine(&world, "sha1").await;
    // No branch can be called `topic` where one is called `topic/mine`.
    git(&dir, &["branch", "topic/mine"]).await;
    let before = files(&dir);
    let ran = restore(&world, &["acme/old", "--to-dir", dir.to_str().unwrap()]).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (6, &json!("misconfigured")), "{ran:?}");
    let message = ran.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("'refs/heads/topic/mine' exists; cannot create 'refs/heads/topic'"), "{message}");
    assert_eq!(files(&dir), before);
    // Without what is in the way it goes, and git has all of it.
    git(&dir, &["branch", "--quiet", "-D", "topic/mine"]).await;
    world.ok(&["restore", "acme/old", "--to-dir", dir.to_str().unwrap()]).await;
    git(&dir, &["log", "--quiet", "main", "topic", "own"]).await;
    fsck(&dir).await;
    git(&dir, &["gc", "--quiet"]).await;
}

#[tokio::test]
async fn an_empty_folder_is_filled_and_stays_the_folder_that_it_is() {
    let world = both_formats().await;
    for (name, bare) in [("tree", &[][..]), ("bare.git", &["--bare"])] {
        let (folder, link) = empty_folder(&world, name);
        let inode = folder.metadata().unwrap().ino();
        world.ok(&[&["restore", "acme/old", "--to-dir", link.to_str().unwrap()], bare].concat()).await;
        assert!(link.is_symlink());
        let now = folder.metadata().unwrap();
        assert_eq!((now.ino(), now.mode() & 0o777), (inode, 0o700));
        assert_eq!(hidden_scratch(&folder), [""; 0]);
        fsck(&folder).await;
        let is_bare = git(&folder, &["rev-parse", "--is-bare-repository"]).await;
        assert_eq!(is_bare, (!bare.is_empty()).to_string());
        if bare.is_empty() {
            assert_eq!(std::fs::read_to_string(folder.join("file.txt")).unwrap(), "one");
            assert_eq!(git(&folder, &["status", "--porcelain", "--branch"]).await, "## main");
        }
    }
}

#[tokio::test]
async fn somebody_who_stands_in_the_folder_finds_everything_around_them() {
    let world = both_formats().await;
    let (folder, _) = empty_folder(&world, "here");
    let mut command = world.command(&["restore", "acme/new", "--to-dir", "."]);
    let inode = folder.metadata().unwrap().ino();
    let ended = command.current_dir(&folder).output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(folder.metadata().unwrap().ino(), inode);
    assert_eq!(git(&folder, &["status", "--porcelain", "--branch"]).await, "## main");
    fsck(&folder).await;
}

#[tokio::test]
async fn a_link_to_nowhere_is_refused_at_once() {
    let world = both_formats().await;
    let link = world.path("link");
    symlink(world.path("nowhere"), &link).unwrap();
    for more in [&["--plan"][..], &[]] {
        let ran = restore(&world, &[&["acme/old", "--to-dir", &link], more].concat()).await;
        assert_eq!(ran.code, 6, "{ran:?}");
        assert!(ran.error()["message"].as_str().unwrap().contains(&link), "{ran:?}");
    }
    assert!(!Path::new(&world.path("nowhere")).exists());
}

#[tokio::test]
async fn killed_at_any_step_it_leaves_no_repository_and_says_so_the_next_time() {
    let world = both_formats().await;
    for (name, bare) in [("tree", &[][..]), ("bare.git", &["--bare"])] {
        let target = world.path(name);
        let arguments = [&["restore", "acme/old", "--json", "--to-dir", &target], bare].concat();
        let mut half_moved = 0;
        for step in 1.. {
            let (folder, link) = empty_folder(&world, name);
            if killed_at_rename(&world, &arguments, step).await {
                fsck(&folder).await;
                break;
            }
            assert!(!try_git(&folder, &["rev-parse", "--git-dir"]).await.status.success(), "rename {step}");
            if let [scratch] = &hidden_scratch(&folder)[..] {
                half_moved += usize::from(std::fs::read_dir(&folder).unwrap().count() > 1);
                let again = world.refward(&arguments).await;
                assert_eq!(again.code, 2, "{again:?}");
                assert!(again.error()["hint"].as_str().unwrap().starts_with(scratch.as_str()), "{again:?}");
            }
            std::fs::remove_dir_all(&folder).unwrap();
            std::fs::remove_file(&link).unwrap();
        }
        assert!(half_moved > 0, "it was never killed between the moves");
    }
}

/// Runs the program and kills whoever comes to its rename of this number; says whether nobody did and it went well.
async fn killed_at_rename(world: &World, arguments: &[&str], number: usize) -> bool {
    let mut refward = world.command(arguments);
    let mut strace = std::process::Command::new("strace");
    let inject = format!("inject=/^rename:signal=SIGKILL:when={number}");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=/^rename", "-e", &inject]);
    strace.arg(refward.as_std().get_program()).args(refward.as_std().get_args());
    strace.current_dir(world.folder()).env_clear();
    strace.envs(refward.as_std_mut().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = tokio::task::spawn_blocking(move || strace.output()).await.unwrap();
    ended.expect("strace is not installed: run scripts/test-setup.sh").status.success()
}
