//! Everything that can go wrong between a server and us is an error in clear words, and leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use refward::domain::{Error, Kind, ObjectFormat, ObjectId};
use refward::git::{Credential, Login, Remote};

use crate::fetch::quiet;
use crate::repository::Repository;
use crate::server::{Manner, Server};

struct Scene {
    _root: tempfile::TempDir,
    repository: Repository,
    server: Server,
    main: ObjectId,
}

fn scene() -> Scene {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let main = repository.commit("main", 40);
    repository.repack();
    let server = Server::start(root.path());
    Scene { _root: root, repository, server, main }
}

impl Scene {
    async fn fetch_error(&self, manner: Manner, haves: &[ObjectId]) -> Error {
        let session = self.server.open("r.git").await.unwrap();
        self.server.behave(manner.clone());
        let Err(error) = session.fetch(&[self.main], haves, &quiet).await else { panic!("{manner:?} went unnoticed") };
        self.server.behave(Manner::Good);
        assert_eq!(std::fs::read_dir(self.server.scratch.path()).unwrap().count(), 0);
        error
    }

    async fn open_error(&self, manner: Manner) -> Error {
        self.server.behave(manner);
        self.server.open("r.git").await.err().expect("this server is not to be talked to")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_early() {
    let scene = scene();
    for at in [0, 3, 9, 20, 40, 900, 5000] {
        for manner in [Manner::Truncates(at), Manner::Breaks(at)] {
            let error = scene.fetch_error(manner, &[]).await;
            assert!(error.kind().is_transient(), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_stalls() {
    let scene = scene();
    let impatient = reqwest::Client::builder().read_timeout(Duration::from_millis(300)).build().unwrap();
    let limits = refward::git::Limits { memory_scratch: 0, scratch_dir: None, max_object: 1 << 30, threads: 1 };
    let client = refward::git::Client::new(impatient, &limits);
    let session = client.open(&scene.server.remote("r.git")).await.unwrap();
    scene.server.behave(Manner::Stalls(3000));
    let error = session.fetch(&[scene.main], &[], &quiet).await.err().unwrap();
    assert!(error.to_string().contains("stopped answering"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_flips() {
    let scene = scene();
    for at in (0..60).chain((60..9000).step_by(487)) {
        scene.fetch_error(Manner::Flips(at), &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn something_after_the_end() {
    let scene = scene();
    for more in ["0000", "0009\u{1}more", "x"] {
        scene.fetch_error(Manner::Appends(more), &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thin_pack() {
    let scene = scene();
    let thin = Manner::Rewrites("0010no-progress\n", "000ethin-pack\n");
    let error = scene.fetch_error(thin, &[scene.repository.id("main~1")]).await;
    assert!(error.to_string().contains("thin"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_pack() {
    let scene = scene();
    scene.repository.git(&["config", "uploadpack.allowFilter", "true"]);
    let filtered = Manner::Rewrites("0010no-progress\n", "0015filter blob:none\n");
    let error = scene.fetch_error(filtered, &[]).await;
    assert!(error.to_string().contains("incomplete"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_too_large() {
    let scene = scene();
    let limits = refward::git::Limits { memory_scratch: 1 << 20, scratch_dir: None, max_object: 1000, threads: 1 };
    let client = refward::git::Client::new(reqwest::Client::new(), &limits);
    let session = client.open(&scene.server.remote("r.git")).await.unwrap();
    let error = session.fetch(&[scene.main], &[], &quiet).await.err().unwrap();
    assert!(error.next_step().unwrap().contains("max_object"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scratch_folder_that_cannot_be_written() {
    let scene = scene();
    let folder = std::path::PathBuf::from("/nonexistent/scratch");
    let limits = refward::git::Limits { memory_scratch: 0, scratch_dir: Some(folder), max_object: 1 << 30, threads: 1 };
    let client = refward::git::Client::new(reqwest::Client::new(), &limits);
    let session = client.open(&scene.server.remote("r.git")).await.unwrap();
    let error = session.fetch(&[scene.main], &[], &quiet).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.to_string().contains("/nonexistent/scratch"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_in_clear_words() {
    let scene = scene();
    let refuses = |status| Manner::Refuses(status, "x-nothing", String::new());
    let cases = [
        (401, Kind::Misconfigured, "the credential was refused"),
        (403, Kind::Misconfigured, "may not read"),
        (404, Kind::NotFound, "there is no repository"),
        (500, Kind::Remote { retry_after: None }, "500"),
    ];
    for (status, kind, words) in cases {
        let error = scene.open_error(refuses(status)).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.for_log().contains("secret"));
    }
    for status in [429, 503, 403] {
        let error = scene.open_error(Manner::Refuses(status, "retry-after", "17".to_owned())).await;
        assert_eq!(error.kind(), Kind::Remote { retry_after: Some(Duration::from_secs(17)) }, "{error}");
    }
    let error = scene.open_error(Manner::LoginPage).await;
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.to_string().contains("text/html"), "{error}");
}

/// Has another credential to offer whenever it is asked.
#[derive(Default)]
struct Pool(AtomicUsize);

#[async_trait::async_trait]
impl Login for Pool {
    async fn credential(&self) -> refward::domain::Result<Credential> {
        Ok(Credential::Basic { username: "x".to_owned(), password: "secret".to_owned().into() })
    }

    async fn try_again(&self, _: u16, _: &Credential) -> refward::domain::Result<bool> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed) < 2)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_credential_is_for_one_that_was_refused_and_not_for_a_server_that_wants_us_to_slow_down() {
    let scene = scene();
    for (header, asked) in [("x-nothing", 3), ("retry-after", 0)] {
        let pool = Arc::new(Pool::default());
        scene.server.behave(Manner::Refuses(403, header, "17".to_owned()));
        let url = scene.server.remote("r.git").url;
        let remote = Remote { url, credential: Some(Arc::clone(&pool) as Arc<dyn Login>) };
        assert!(scene.server.client().open(&remote).await.is_err());
        assert_eq!(pool.0.load(Ordering::Relaxed), asked, "{header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_within_the_host_only() {
    let scene = scene();
    scene.server.behave(Manner::Moves);
    let session = scene.server.open("moved/r.git").await.unwrap();
    assert!(session.fetch(&[scene.main], &[], &quiet).await.unwrap().objects() > 0);

    // The other server must not hear of us at all.
    let other = Server::start(std::path::Path::new("/nonexistent"));
    let target = other.url.join("r.git/info/refs?service=git-upload-pack").unwrap();
    let error = scene.open_error(Manner::Refuses(302, "location", target.to_string())).await;
    assert!(error.to_string().contains("redirects to"), "{error}");
    assert!(other.requests().is_empty());

    let circle = scene.server.url.join("r.git/info/refs?service=git-upload-pack").unwrap();
    let error = scene.open_error(Manner::Refuses(302, "location", circle.to_string())).await;
    assert!(error.to_string().contains("circles"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_shallow_itself() {
    let scene = scene();
    let folder = scene.repository.path.parent().unwrap().to_owned();
    let source = format!("file://{}", scene.repository.path.display());
    crate::repository::git(&folder, &["clone", "-q", "--bare", "--depth=3", &source, "shallow.git"]);
    for manner in [Manner::Good, Manner::Old] {
        scene.server.behave(manner);
        let error = match scene.server.open("shallow.git").await {
            Ok(session) => session.fetch(&[scene.main], &[], &quiet).await.err().unwrap(),
            Err(error) => error,
        };
        assert!(error.to_string().contains("shallow"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there() {
    let scene = scene();
    let mut remote = scene.server.remote("r.git");
    remote.url.set_port(Some(1)).unwrap();
    let error = scene.server.client().open(&remote).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Remote { retry_after: None });
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
