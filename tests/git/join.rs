//! Small packs joined to few, for git to judge.

use std::path::{Path, PathBuf};

use refward::domain::{ObjectFormat, ObjectId, RefState};
use refward::git::{Joiner, Limits, Pack, bare, program};

use crate::fetch::quiet;
use crate::repository::{Repository, git};
use crate::server::{Manner, Server};

/// The packs of a repository that was backed up after each of its pushes, and its references in the end.
async fn pushes(format: ObjectFormat, manner: Manner, count: usize) -> (RefState, Vec<Pack>) {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", format);
    let server = Server::start(root.path());
    server.behave(manner);
    let mut held: Vec<ObjectId> = Vec::new();
    let mut packs = Vec::new();
    for _ in 0..count {
        let tip = repository.commit("main", 3);
        repository.repack();
        let session = server.open("r.git").await.unwrap();
        packs.push(session.fetch(&[tip], &held, &quiet).await.unwrap());
        held = vec![tip];
    }
    (repository.refs().await, packs)
}

/// Joins packs in a repository of their own; returns the files of those that came of it.
fn joined<'a>(state: &RefState, packs: impl IntoIterator<Item = &'a Pack>, folder: &Path) -> Vec<PathBuf> {
    bare::create(folder, state).unwrap();
    let limits = Limits { memory_scratch: 1 << 20, scratch_dir: None, max_object: 1 << 30, threads: 1 };
    let target = folder.join("objects/pack");
    let mut joiner = Joiner::new(&target, state.object_format, &limits);
    for pack in packs {
        joiner.add(pack).unwrap();
    }
    joiner.finish().unwrap();
    let files = std::fs::read_dir(target).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).collect()
}

async fn become_one(format: ObjectFormat, manner: Manner) {
    let (state, packs) = pushes(format, manner, 6).await;
    let folder = tempfile::tempdir().unwrap();
    let files = joined(&state, &packs, folder.path());
    let [joint] = &files[..] else { panic!("{} packs were joined to {}", packs.len(), files.len()) };
    program::fsck(folder.path()).await.unwrap();
    assert_eq!(program::refs(folder.path()).await.unwrap(), state);

    let theirs = folder.path().join("theirs.idx");
    git(folder.path(), &["index-pack", "-o", theirs.to_str().unwrap(), joint.to_str().unwrap()]);
    assert!(std::fs::read(joint.with_extension("idx")).unwrap() == std::fs::read(&theirs).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn six_packs_become_one_that_git_would_index_alike() {
    become_one(ObjectFormat::Sha1, Manner::Good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_packs_of_sha256_become_one() {
    become_one(ObjectFormat::Sha256, Manner::Good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_packs_with_deltas_by_base_id_become_one() {
    become_one(ObjectFormat::Sha1, Manner::Rewrites("000eofs-delta\n", "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_object_comes_twice_in_a_joint_pack() {
    let (state, packs) = pushes(ObjectFormat::Sha1, Manner::Good, 3).await;
    let [one, two, three] = &packs[..] else { unreachable!("three were asked for") };

    // The second time brings nothing.
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(joined(&state, [one, two, one, three], folder.path()).len(), 1);
    program::fsck(folder.path()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_that_overlap_stay_apart() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let old = repository.commit("main", 3);
    let new = repository.commit("main", 3);
    let server = Server::start(root.path());
    let session = server.open("r.git").await.unwrap();
    let part = session.fetch(&[old], &[], &quiet).await.unwrap();
    let whole = session.fetch(&[new], &[], &quiet).await.unwrap();
    let state = repository.refs().await;

    let folder = tempfile::tempdir().unwrap();
    assert_eq!(joined(&state, [&part, &whole, &part, &whole], folder.path()).len(), 2);
    program::fsck(folder.path()).await.unwrap();
}
