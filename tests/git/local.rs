//! The git program and repositories written by hand.

use std::io::Read as _;

use refward::domain::{Head, Kind, ObjectFormat, RefState};
use refward::git::program::{self, Net, Outcome, RefUpdate, Refspec};
use refward::git::{Remote, bare};

use crate::repository::{Repository, git};
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn pushing_says_what_became_of_each_reference() {
    let root = tempfile::tempdir().unwrap();
    let mut source = Repository::create(root.path(), "source.git", ObjectFormat::Sha1);
    let tip = source.commit("main", 3);
    let old = source.id("main~1");
    let target = Repository::create(root.path(), "target.git", ObjectFormat::Sha1);
    let hook = target.path.join("hooks/update");
    std::fs::write(&hook, "#!/bin/sh\ncase $1 in refs/heads/protected) echo not today >&2; exit 1;; esac\n").unwrap();
    assert!(std::process::Command::new("chmod").arg("755").arg(&hook).status().unwrap().success());
    let server = Server::start(root.path());
    let remote = server.remote("target.git");
    let spec = |name: &str, local, expected| Refspec { local, name: name.parse().unwrap(), expected };
    let push = async |specs: &[Refspec]| -> Vec<Outcome> {
        let pushed = program::push(&source.path, &remote, specs, &Net::default()).await.unwrap();
        assert!(pushed.iter().zip(specs).all(|(pushed, spec)| pushed.name == spec.name));
        pushed.into_iter().map(|pushed| pushed.outcome).collect()
    };

    let outcomes = push(&[
        spec("refs/heads/main", Some(tip), Some(None)),
        spec("refs/heads/protected", Some(tip), None),
        spec("refs/heads/old", Some(old), None),
    ])
    .await;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Done, &Outcome::Done));
    assert!(matches!(&outcomes[1], Outcome::Rejected(why) if why.contains("not today")), "{outcomes:?}");

    let outcomes = push(&[
        spec("refs/heads/main", Some(old), None),
        spec("refs/heads/old", Some(tip), Some(Some(tip))),
        spec("refs/heads/gone", None, Some(Some(tip))),
    ])
    .await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Rejected(_))), "{outcomes:?}");

    let outcomes =
        push(&[spec("refs/heads/main", Some(old), Some(Some(tip))), spec("refs/heads/old", None, Some(Some(old)))])
            .await;
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done]);
    assert_eq!(push(&[spec("refs/heads/main", Some(old), None)]).await, [Outcome::UpToDate]);
    assert_eq!(target.refs().await.refs.len(), 1);

    let nowhere = Remote { url: server.url.join("nowhere.git").unwrap(), credential: None };
    let specs = [spec("refs/heads/main", Some(tip), None)];
    let error = program::push(&source.path, &nowhere, &specs, &Net::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_references_are_pushed_with_the_same_care_as_one() {
    const MANY: usize = 4500;
    let root = tempfile::tempdir().unwrap();
    let mut source = Repository::create(root.path(), "source.git", ObjectFormat::Sha1);
    let (tip, old) = (source.commit("main", 3), source.id("main~1"));
    let mut target = Repository::create(root.path(), "target.git", ObjectFormat::Sha1);
    let foreign = target.commit("main", 1);
    let server = Server::start(root.path());
    let remote = server.remote("target.git");
    let spec = |name: String, local, expected| Refspec { local, name: name.parse().unwrap(), expected };
    let mut specs: Vec<Refspec> =
        (0..MANY).map(|number| spec(format!("refs/tags/v{number}"), Some(tip), Some(None))).collect();
    specs.insert(7, spec("refs/heads/main".to_owned(), Some(tip), Some(None)));
    specs.insert(3000, spec("refs/heads/old".to_owned(), Some(old), None));
    specs.push(spec("refs/notes/deep/er".to_owned(), Some(tip), Some(None)));

    let before = program::refs(&source.path).await.unwrap();
    let push = async || program::push(&source.path, &remote, &specs, &Net::default()).await.unwrap();
    let pushed = push().await;
    assert!(pushed.iter().map(|pushed| &pushed.name).eq(specs.iter().map(|spec| &spec.name)), "in the same order");
    for pushed in &pushed {
        match (&pushed.outcome, pushed.name.as_str()) {
            (Outcome::Rejected(why), "refs/heads/main") => assert!(why.contains("stale info"), "{why}"),
            (Outcome::Done, name) if name != "refs/heads/main" => {}
            (outcome, name) => panic!("{name}: {outcome:?}"),
        }
    }
    let there = target.refs().await;
    assert_eq!(there.refs.len(), MANY + 3);
    assert_eq!(there.refs[&"refs/heads/main".parse().unwrap()], foreign, "it belongs to somebody");
    let now = program::refs(&source.path).await.unwrap().refs;
    let left = now.keys().filter(|name| name.as_str().starts_with("refs/refward-push/"));
    assert_eq!(
        (left.count(), &now[&"refs/heads/main".parse().unwrap()]),
        (0, &before.refs[&"refs/heads/main".parse().unwrap()])
    );

    let again = push().await;
    let there = |pushed: &&program::Pushed| pushed.outcome == Outcome::UpToDate;
    assert_eq!(again.iter().filter(there).count(), MANY + 2, "a second time there is nothing left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn references_move_together_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha256);
    let tip = repository.commit("main", 2);
    let old = repository.id("main~1");
    let update = |name: &str, old, new| RefUpdate { name: name.parse().unwrap(), old, new };
    let before = repository.refs().await;

    let stale = [update("refs/heads/new", None, Some(old)), update("refs/heads/main", Some(old), Some(tip))];
    let error = program::update_refs(&repository.path, &stale).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Busy { .. }), "{error}");
    assert_eq!(repository.refs().await, before);

    // What is in the way is told as git tells it, and nobody is sent to look for what changed.
    let below = [update("refs/heads/main/below", None, Some(old))];
    let error = program::update_refs(&repository.path, &below).await.unwrap_err();
    assert!(error.to_string().contains("'refs/heads/main' exists"), "{error}");
    assert_eq!(error.kind(), Kind::Misconfigured);

    let good = [update("refs/heads/new", None, Some(old)), update("refs/heads/main", Some(tip), None)];
    program::update_refs(&repository.path, &good).await.unwrap();
    let names: Vec<_> = repository.refs().await.refs.into_keys().map(String::from).collect();
    assert_eq!(names, ["refs/heads/new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_quoted() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let tip = repository.commit("main", 2);
    repository.repack();
    program::fsck(&repository.path).await.unwrap();
    let pack = std::fs::read_dir(repository.path.join("objects/pack")).unwrap();
    let mut packs = pack.map(|entry| entry.unwrap().path());
    let pack = packs.find(|path| path.extension().is_some_and(|extension| extension == "pack")).unwrap();
    let copy = root.path().join("copy.pack");
    std::fs::copy(&pack, &copy).unwrap();
    let limits = refward::git::Limits { memory_scratch: 0, scratch_dir: None, max_object: 1 << 30, threads: 1 };
    let read = refward::git::read_pack(&copy, ObjectFormat::Sha1, &limits).await.unwrap();
    let mut index = Vec::new();
    read.index().read_to_end(&mut index).unwrap();
    assert_eq!(index, std::fs::read(pack.with_extension("idx")).unwrap());

    std::fs::remove_file(pack).unwrap();
    let error = program::fsck(&repository.path).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains(&tip.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_head_are_checked_out() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r/.git", ObjectFormat::Sha1);
    let folder = root.path().join("r");
    program::checkout(&folder).await.unwrap();
    repository.commit("main", 1);
    program::checkout(&folder).await.unwrap();
    assert!(folder.join("d0").is_dir() || folder.join("d1").is_dir() || folder.join("d2").is_dir());
    assert_eq!(git(&folder, &["status", "--porcelain"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_references() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let tip = repository.commit("main", 1);
    let mut state = repository.refs().await;
    state.refs.extend((0..100_000).map(|number| (format!("refs/pull/{number}/head").parse().unwrap(), tip)));
    bare::create(&root.path().join("many.git"), &state).unwrap();
    let alternates = format!("{}\n", repository.path.join("objects").display());
    std::fs::write(root.path().join("many.git/objects/info/alternates"), alternates).unwrap();

    let server = Server::start(root.path());
    let listing = server.open("many.git").await.unwrap().refs(None).await.unwrap();
    assert!(listing.state == state);
}

#[test]
fn a_folder_that_is_in_use_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("thesis.txt"), "important").unwrap();
    assert_eq!(bare::create(root.path(), &RefState::default()).unwrap_err().kind(), Kind::BadRequest);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_of_every_kind() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let tip = repository.commit("main", 1);
    for (name, head) in [
        ("detached", Head::Detached(tip)),
        ("unborn", Head::Symbolic("refs/heads/nothing".parse().unwrap())),
        ("born", Head::Symbolic("refs/heads/main".parse().unwrap())),
    ] {
        let mut state = repository.refs().await;
        state.head = Some(head);
        let folder = root.path().join(name);
        bare::create(&folder, &state).unwrap();
        let alternates = format!("{}\n", repository.path.join("objects").display());
        std::fs::write(folder.join("objects/info/alternates"), alternates).unwrap();
        assert_eq!(program::refs(&folder).await.unwrap(), state, "{name}");
    }
}
