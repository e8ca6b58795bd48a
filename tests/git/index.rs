//! Our index against git's own: the same bytes.

use refward::domain::{ObjectFormat, ObjectId};

use crate::fetch::{place, quiet};
use crate::repository::{Repository, git};
use crate::server::{Manner, Server};

async fn same_as_git(format: ObjectFormat, manner: Manner, commits: usize) {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", format);
    repository.commit("main", commits);
    repository.commit("other", (commits / 3).max(1));
    repository.git(&["tag", "-a", "-m", "tag", "v1", "main"]);
    repository.repack();
    let server = Server::start(root.path());
    server.behave(manner);
    let session = server.open("r.git").await.unwrap();
    let state = session.refs(None).await.unwrap().state;
    let wants: Vec<ObjectId> = state.refs.values().copied().collect();
    let pack = session.fetch(&wants, &[], &quiet).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "--bare", &format!("--object-format={format}"), "."]);
    place(&pack, folder.path());
    let ours = refward::git::bare::pack_path(folder.path(), &pack.checksum(), "idx");
    let theirs = folder.path().join("theirs.idx");
    let received = ours.with_extension("pack");
    git(folder.path(), &["index-pack", "-o", theirs.to_str().unwrap(), received.to_str().unwrap()]);
    assert!(std::fs::read(&ours).unwrap() == std::fs::read(&theirs).unwrap(), "the indexes differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn sha1_with_deep_deltas() {
    same_as_git(ObjectFormat::Sha1, Manner::Good, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sha256() {
    same_as_git(ObjectFormat::Sha256, Manner::Good, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_by_base_id() {
    same_as_git(ObjectFormat::Sha1, Manner::Rewrites("000eofs-delta\n", ""), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tiny() {
    same_as_git(ObjectFormat::Sha1, Manner::Good, 1).await;
}
