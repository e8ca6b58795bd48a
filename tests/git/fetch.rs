//! What can be asked for, and that the answer is whole.

use std::path::Path;

use chrono::Utc;
use refward::domain::{Head, ObjectFormat, ObjectId, RefState};
use refward::git::{Lineage, Listing, Pack, Remote, Session, Unusable, bare, is_moved, program};

use crate::repository::Repository;
use crate::server::{Manner, SECRET, Server};

pub fn quiet(_: refward::git::Progress) {}

/// Puts a received pack into a repository's folder.
pub fn place(pack: &Pack, folder: &Path) {
    for (extension, mut reader) in [("pack", pack.reader()), ("idx", pack.index())] {
        let path = bare::pack_path(folder, &pack.checksum(), extension);
        std::io::copy(&mut reader, &mut std::fs::File::create(path).unwrap()).unwrap();
    }
}

/// Makes a repository of what was received and lets git judge it.
async fn restored(state: &RefState, packs: &[&Pack]) {
    let folder = tempfile::tempdir().unwrap();
    bare::create(folder.path(), state).unwrap();
    for pack in packs {
        place(pack, folder.path());
    }
    program::fsck(folder.path()).await.unwrap();
    assert_eq!(&program::refs(folder.path()).await.unwrap(), state);
}

async fn everything(session: &Session) -> (RefState, Pack) {
    let state = session.refs(None).await.unwrap().state;
    let mut wants: Vec<ObjectId> = state.refs.values().copied().collect();
    if let Some(Head::Detached(id)) = &state.head {
        wants.push(*id);
    }
    let pack = session.fetch(&wants, &[], &quiet).await.unwrap();
    assert!(pack.external().is_empty());
    (state, pack)
}

pub async fn life_of_a_repository(format: ObjectFormat, manner: Manner, name: &str) {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), name, format);
    let first = repository.commit("main", 30);
    repository.git(&["branch", "side", "main~10"]);
    repository.git(&["tag", "-a", "-m", "one", "v1", "main~5"]);
    let server = Server::start(root.path());
    server.behave(manner);

    let session = server.open(name).await.unwrap();
    let (before, full) = everything(&session).await;
    assert_eq!(before, repository.refs().await);
    assert_eq!(before.object_format, format);
    assert_eq!(before.head, Some(Head::Symbolic("refs/heads/main".parse().unwrap())));
    assert!(full.contains(&first).unwrap());
    assert!(full.objects() > 90);
    assert_eq!(full.lineage(&first, &repository.id("main~7")).unwrap(), Lineage::Descends);
    assert_eq!(full.lineage(&repository.id("side"), &first).unwrap(), Lineage::Unknown);
    restored(&before, &[&full]).await;

    // One commit: only what is new, and it leans on what is held.
    let second = repository.commit("main", 1);
    let session = server.open(name).await.unwrap();
    let after = session.refs(None).await.unwrap().state;
    let one = session.fetch(&[second], &[first], &quiet).await.unwrap();
    assert!(one.objects() <= 8, "{}", one.objects());
    assert!(one.external().contains(&first));
    assert!(one.external().iter().all(|id| full.contains(id).unwrap()));
    assert_eq!(one.lineage(&second, &first).unwrap(), Lineage::Descends);
    restored(&after, &[&full, &one]).await;
    assert!(session.contains(second, first).await.unwrap());
    assert!(!session.contains(repository.id("side"), second).await.unwrap());

    // A branch on an old commit: nothing to send.
    repository.git(&["branch", "old", "main~9"]);
    let session = server.open(name).await.unwrap();
    let nothing = session.fetch(&[repository.id("old")], &[second], &quiet).await.unwrap();
    assert_eq!(nothing.objects(), 0);

    // A force-push: the history differs, the old tip is not contained.
    repository.git(&["update-ref", "refs/heads/main", "main~4"]);
    let third = repository.commit("main", 1);
    let session = server.open(name).await.unwrap();
    let forced = session.fetch(&[third], &[second], &quiet).await.unwrap();
    assert_eq!(forced.lineage(&third, &second).unwrap(), Lineage::Unknown);
    if matches!(server.open(name).await.unwrap().contains(third, second).await, Ok(true)) {
        panic!("the old tip is not an ancestor of the new one");
    }
    restored(&session.refs(None).await.unwrap().state, &[&full, &one, &forced]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sha1_repository() {
    life_of_a_repository(ObjectFormat::Sha1, Manner::Good, "r.git").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sha256_repository() {
    life_of_a_repository(ObjectFormat::Sha256, Manner::Good, "r.git").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_of_protocol_version_0() {
    life_of_a_repository(ObjectFormat::Sha1, Manner::Old, "r.git").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_of_protocol_version_0_with_sha256() {
    life_of_a_repository(ObjectFormat::Sha256, Manner::Old, "r.git").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_that_name_their_base() {
    life_of_a_repository(ObjectFormat::Sha1, Manner::Rewrites("000eofs-delta\n", ""), "r.git").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_repository() {
    let root = tempfile::tempdir().unwrap();
    Repository::create(root.path(), "r.git", ObjectFormat::Sha256);
    let server = Server::start(root.path());
    let state = server.open("r.git").await.unwrap().refs(None).await.unwrap().state;
    assert!(state.refs.is_empty());
    assert_eq!(state.object_format, ObjectFormat::Sha256);
    assert_eq!(state.head, Some(Head::Symbolic("refs/heads/main".parse().unwrap())));
    restored(&state, &[]).await;

    server.behave(Manner::Old);
    let state = server.open("r.git").await.unwrap().refs(None).await.unwrap().state;
    assert!(state.refs.is_empty());
    assert_eq!(state.object_format, ObjectFormat::Sha256);
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_head() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    repository.commit("main", 5);
    let old = repository.id("main~2");
    repository.git(&["update-ref", "--no-deref", "HEAD", &old.to_string()]);
    let server = Server::start(root.path());
    for manner in [Manner::Good, Manner::Old] {
        server.behave(manner);
        let (state, pack) = everything(&server.open("r.git").await.unwrap()).await;
        assert_eq!(state.head, Some(Head::Detached(old)));
        restored(&state, &[&pack]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_references_only() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    repository.commit("main", 2);
    repository.git(&["branch", "main-2", "main"]);
    repository.git(&["update-ref", "refs/pull/1/head", "main"]);
    let server = Server::start(root.path());
    for manner in [Manner::Good, Manner::Old] {
        server.behave(manner);
        let session = server.open("r.git").await.unwrap();
        let all = session.refs(None).await.unwrap();
        assert_eq!((all.state.refs.len(), all.partial), (3, false));
        let again = server.open("r.git").await.unwrap().refs(None).await.unwrap();
        assert_eq!(again.fingerprint, all.fingerprint);
        let some = session.refs(Some(&["refs/heads/main".parse().unwrap()])).await.unwrap();
        assert_eq!(some.state.head, all.state.head);
        if matches!(server.manner(), Manner::Old) {
            // What has been told already is not thrown away.
            assert_eq!((some.state, some.partial), (all.state, false));
            continue;
        }
        let names: Vec<_> = some.state.refs.keys().map(ToString::to_string).collect();
        assert_eq!((names, some.partial), (vec!["refs/heads/main".to_owned()], true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_costs_one_request_after_the_greeting() {
    let root = tempfile::tempdir().unwrap();
    Repository::create(root.path(), "r.git", ObjectFormat::Sha1).commit("main", 1);
    let server = Server::start(root.path());
    server.open("r.git").await.unwrap().refs(None).await.unwrap();
    assert_eq!(server.requests(), ["GET /r.git/info/refs", "POST /r.git/git-upload-pack"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_written_down_are_reported() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let id = repository.commit("main", 1);
    let mut packed = format!("# pack-refs with: sorted \n{id} refs/heads/main\n{id} refs/heads/gr").into_bytes();
    packed.extend_from_slice(b"\xfcn\n");
    std::fs::write(repository.path.join("packed-refs"), packed).unwrap();
    let server = Server::start(root.path());
    for manner in [Manner::Good, Manner::Old] {
        server.behave(manner);
        let listing = server.open("r.git").await.unwrap().refs(None).await.unwrap();
        assert_eq!(listing.state.refs.len(), 1);
        let id = Some(id);
        assert_eq!(listing.unusable, [Unusable { name: r"refs/heads/gr\xfcn".to_owned(), id, legal: true }]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wants_are_compressed_and_understood() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    repository.commit("main", 60);
    for number in 0..60 {
        repository.git(&["branch", &format!("b{number}"), &format!("main~{number}")]);
    }
    let server = Server::start(root.path());
    for manner in [Manner::Good, Manner::Old] {
        server.behave(manner);
        let (state, pack) = everything(&server.open("r.git").await.unwrap()).await;
        assert_eq!(state.refs.len(), 61);
        restored(&state, &[&pack]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wanted_object_that_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let main = repository.commit("main", 1);
    let gone: ObjectId = "1234567890123456789012345678901234567890".parse().unwrap();
    let server = Server::start(root.path());
    for manner in [Manner::Good, Manner::Old] {
        server.behave(manner);
        let session = server.open("r.git").await.unwrap();
        let error = session.fetch(&[gone], &[main], &quiet).await.err().unwrap();
        assert!(is_moved(&error), "{error}");
        assert!(!session.contains(main, gone).await.unwrap());
        // Unknown haves do no harm.
        assert!(session.fetch(&[main], &[gone], &quiet).await.unwrap().objects() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_greeted_once_and_again_when_it_changes() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path());
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    repository.commit("main", 1);
    let (client, remote) = (server.client(), server.remote("r.git"));
    client.list(&remote, None).await.unwrap();
    assert_eq!(server.requests().len(), 2);

    let tip = repository.commit("main", 1);
    let (session, listing) = client.list(&remote, None).await.unwrap();
    assert_eq!(server.requests().len(), 1, "only the list");
    let pack = session.fetch(&[tip], &[], &quiet).await.unwrap();
    assert!(pack.contains(&tip).unwrap() && listing.state.refs.values().any(|id| *id == tip));

    // Another repository in its place, with another hash.
    std::fs::remove_dir_all(root.path().join("r.git")).unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha256);
    let tip = repository.commit("main", 1);
    let (_, Listing { state, .. }) = client.list(&remote, None).await.unwrap();
    assert_eq!((state.object_format, state.refs.into_values().collect::<Vec<_>>()), (ObjectFormat::Sha256, vec![tip]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_is_good_for_the_next_process() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path());
    Repository::create(root.path(), "r.git", ObjectFormat::Sha1).commit("main", 1);
    Repository::create(root.path(), "other.git", ObjectFormat::Sha1).commit("main", 1);
    let (first, remote) = (server.client(), server.remote("r.git"));
    assert_eq!(first.note(&remote), None);
    first.list(&remote, None).await.unwrap();
    let note = first.note(&remote).unwrap();
    assert!(!note.contains(SECRET), "{note}");
    server.requests();

    let asked = async |note: &str, remote: &Remote| {
        let next = server.client();
        next.recall(remote, note);
        next.list(remote, None).await.unwrap();
        server.requests().len()
    };
    assert_eq!(asked(&note, &remote).await, 1, "only the list");
    assert_eq!(asked(&note, &server.remote("other.git")).await, 2, "that is about something else");
    assert_eq!(asked("", &remote).await, 2);
    assert_eq!(asked(r#"{"asked": 1}"#, &remote).await, 2);
    let year = Utc::now().format("%Y-");
    let old = note.replace(&format!(r#""at":"{year}"#), r#""at":"2001-"#);
    assert_ne!(old, note);
    assert_eq!(asked(&old, &remote).await, 2, "who knows what it can do by now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_that_promised_too_much_does_no_harm() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path());
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let (old, new) = (repository.commit("main", 1), repository.commit("main", 1));
    let (client, remote) = (server.client(), server.remote("r.git"));
    server.behave(Manner::Filters);
    client.list(&remote, None).await.unwrap();
    let note = client.note(&remote).unwrap();

    server.behave(Manner::Good);
    let next = server.client();
    next.recall(&remote, &note);
    let (session, _) = next.list(&remote, None).await.unwrap();
    server.requests();
    assert!(session.contains(new, old).await.unwrap());
    assert_eq!(server.requests().len(), 2, "it was asked again, without leaving anything out");
    assert!(!session.contains(old, new).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_redirects_led_is_not_noted() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path());
    Repository::create(root.path(), "r.git", ObjectFormat::Sha1).commit("main", 1);
    server.behave(Manner::Moves);
    let (client, remote) = (server.client(), server.remote("moved/r.git"));
    client.list(&remote, None).await.unwrap();
    assert_eq!(client.note(&remote), None);
    server.requests();
    client.list(&remote, None).await.unwrap();
    assert_eq!(server.requests(), ["POST /r.git/git-upload-pack"], "it remembers for itself");
}
