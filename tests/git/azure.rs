//! Git as Azure Repos serves it: protocol version 0 with its own list of capabilities, deltas that name their base, pull
//! requests that nobody may push to, and refusals that are web pages. Facts: `../shared/reference/azure-devops.md`, 2 and 4.

use std::io::Read as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use flate2::read::GzDecoder;
use refward::domain::{Kind, ObjectFormat, ObjectId};
use refward::git::program::{self, Net, Outcome, Refspec};
use refward::git::{Credential, Login, Remote};

use crate::fetch::{life_of_a_repository, quiet};
use crate::repository::{Repository, git};
use crate::server::{Manner, SECRET, Server, decoded};

/// No `ofs-delta`, no `include-tag`, no `agent`, no `object-format`.
const CAPABILITIES: &str = "multi_ack thin-pack side-band side-band-64k no-progress multi_ack_detailed no-done shallow \
                            allow-tip-sha1-in-want filter";

/// A project and a repository as people there name them.
const NAME: &str = "Mein Projekt/_git/ñandú";

/// What Azure Repos does not let through to git.
pub fn refusal(request: &HttpRequest, body: &[u8], root: &Path) -> Option<HttpResponse> {
    let says = |mut refusal: actix_web::HttpResponseBuilder, words: &'static str| {
        Some(refusal.content_type("text/plain; charset=utf-8").body(words))
    };
    if !is_let_in(request) {
        return says(HttpResponse::Unauthorized(), "TF400813: The user is not authorized to access this resource.");
    }
    let path = decoded(request.path());
    let (repository, service) = path.trim_start_matches('/').rsplit_once("/_git/").and_then(|(project, rest)| {
        let (name, service) = rest.split_once('/')?;
        Some((root.join(project).join("_git").join(name), service))
    })?;
    if !repository.is_dir() {
        return says(
            HttpResponse::NotFound(),
            "TF401019: The Git repository does not exist or you do not have permissions.",
        );
    }
    let mut plain = Vec::new();
    match request.headers().get("content-encoding") {
        Some(_) => drop(GzDecoder::new(body).read_to_end(&mut plain).unwrap()),
        None => plain.extend_from_slice(body),
    }
    let text = String::from_utf8_lossy(&plain);
    match service {
        "git-receive-pack" if text.contains(" refs/pull/") => {
            says(HttpResponse::Forbidden(), "The current action can only be performed by the system.")
        }
        "git-upload-pack" if !text.lines().next()?.contains(" multi_ack") => says(
            HttpResponse::BadRequest(),
            "TF401041: The Git protocol sent is not as expected (Clients must support multi-ack).",
        ),
        "git-upload-pack" if text.contains("filter ") && !text.contains("filter blob:none") => {
            says(HttpResponse::BadRequest(), "TF401041: The Git protocol sent is not as expected (filter).")
        }
        "git-upload-pack" => {
            let tips = git(&repository, &["for-each-ref", "--format=%(objectname)"]);
            let wanted = text.lines().filter_map(|line| Some(line.split_once("want ")?.1.get(..40)?.to_owned()));
            let stranger = wanted.into_iter().find(|id| !tips.contains(id.as_str()))?;
            let told = format!("ERR upload-pack: not our ref {stranger}");
            let told = format!("{:04x}{told}", told.len() + 4);
            Some(HttpResponse::Ok().content_type("application/x-git-upload-pack-result").body(told))
        }
        _ => None,
    }
}

fn is_let_in(request: &HttpRequest) -> bool {
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let basic = |encoded: &str| {
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
        String::from_utf8(decoded).ok()?.split_once(':').map(|(_, password)| password == SECRET)
    };
    given.strip_prefix("Bearer ").is_some_and(|token| token == SECRET)
        || given.strip_prefix("Basic ").and_then(basic) == Some(true)
}

/// An advertisement with the capabilities of Azure Repos in place of git's.
pub fn with_capabilities(advertisement: &[u8]) -> Vec<u8> {
    let begin = advertisement.windows(8).position(|bytes| bytes.starts_with(b"0000")).unwrap() + 4;
    let (greeting, lines) = advertisement.split_at(begin);
    let length = usize::from_str_radix(std::str::from_utf8(&lines[..4]).unwrap(), 16).unwrap();
    let (first, rest) = (String::from_utf8(lines[4..length].to_vec()).unwrap(), &lines[length..]);
    let (reference, theirs) = first.split_once('\0').unwrap();
    let head = theirs.split([' ', '\n']).find(|word| word.starts_with("symref=HEAD:")).unwrap_or_default();
    let first = format!("{reference}\0{CAPABILITIES} {head}\n");
    [greeting, format!("{:04x}{first}", first.len() + 4).as_bytes(), rest].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_backed_up_from_its_first_commit_to_a_force_push() {
    life_of_a_repository(ObjectFormat::Sha1, Manner::Azure, NAME).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_is_two_requests_on_one_connection_and_its_address_is_encoded_once() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), NAME, ObjectFormat::Sha1);
    let old = repository.commit("main", 3);
    let new = repository.commit("main", 1);
    repository.git(&["update-ref", "refs/pull/7/merge", "main"]);
    let server = Server::start(root.path());
    server.behave(Manner::Azure);
    let client = server.client();
    for remote in [server.remote(NAME), server.remote_with_token(NAME)] {
        let (session, listing) = client.list(&remote, None).await.unwrap();
        assert_eq!(listing.state, repository.refs().await);
        assert!(session.fetch(&[new], &[old], &quiet).await.unwrap().contains(&new).unwrap());
        let address = "/Mein%20Projekt/_git/%C3%B1and%C3%BA";
        let asked = server.requests();
        assert_eq!(asked, [format!("GET {address}/info/refs"), format!("POST {address}/git-upload-pack")]);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_and_one_whose_default_branch_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), NAME, ObjectFormat::Sha1);
    let server = Server::start(root.path());
    server.behave(Manner::Azure);
    let state = server.open(NAME).await.unwrap().refs(None).await.unwrap().state;
    assert_eq!((state.refs.len(), state.head, state.object_format), (0, None, ObjectFormat::Sha1));

    repository.commit("side", 1);
    let state = server.open(NAME).await.unwrap().refs(None).await.unwrap().state;
    assert_eq!((state.refs.len(), state.head), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_moves_to_a_known_commit_has_lost_nothing_or_everything_in_between() {
    let root = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(root.path(), NAME, ObjectFormat::Sha1);
    let tip = repository.commit("main", 5);
    let (earlier, gone): (_, ObjectId) = (repository.id("main~3"), "12".repeat(20).parse().unwrap());
    repository.git(&["branch", "earlier", "main~3"]);
    let server = Server::start(root.path());
    for manner in [Manner::Azure, Manner::Old, Manner::Good] {
        // Azure Repos gives nothing but tips, so it must not be asked for anything else.
        server.behave(manner);
        let session = server.open(NAME).await.unwrap();
        assert!(session.contains(tip, repository.id("main~2")).await.unwrap(), "a fast-forward");
        assert!(session.contains(tip, tip).await.unwrap());
        assert!(!session.contains(earlier, tip).await.unwrap(), "back in time");
        assert!(!session.contains(tip, gone).await.unwrap(), "the server has forgotten it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_with_a_token_and_one_that_only_the_system_may_do() {
    let root = tempfile::tempdir().unwrap();
    let source = Repository::create(root.path(), "source", ObjectFormat::Sha1).commit("main", 3);
    let target = Repository::create(root.path(), NAME, ObjectFormat::Sha1);
    let server = Server::start(root.path());
    server.behave(Manner::Azure);
    let spec = |name: &str| Refspec { local: Some(source), name: name.parse().unwrap(), expected: None };
    let remote = server.remote_with_token(NAME);
    let push =
        async |name: &str| program::push(&root.path().join("source"), &remote, &[spec(name)], &Net::default()).await;
    assert_eq!(push("refs/heads/español").await.unwrap()[0].outcome, Outcome::Done);
    assert_eq!(target.id("refs/heads/español"), source);
    assert!(push("refs/pull/1/merge").await.is_err());
}

/// Asks to read `name` from a server that answers like this.
async fn refused(manner: Manner, name: &str) -> refward::domain::Error {
    let root = tempfile::tempdir().unwrap();
    Repository::create(root.path(), NAME, ObjectFormat::Sha1);
    let server = Server::start(root.path());
    server.behave(manner);
    let error = server.open(name).await.err().expect("this server is not to be talked to");
    assert!(!error.for_log().contains(SECRET));
    error
}

fn text(status: u16, body: &'static str) -> Manner {
    Manner::Answers(status, vec![("content-type", "text/plain; charset=utf-8".to_owned())], body)
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_in_the_servers_own_words() {
    let json = |status, body| Manner::Answers(status, vec![("content-type", "application/json".to_owned())], body);
    let cases = [
        (
            Manner::Azure,
            "Nichts/_git/da",
            Kind::NotFound,
            "there is no repository 127.0.0.1:PORT/Nichts/_git/da, or the credential may not see it (it says: TF401019: The Git repository does not exist or you do not have permissions.)",
        ),
        (
            text(401, "TF400813: not authorized"),
            NAME,
            Kind::Misconfigured,
            "the credential was refused by 127.0.0.1:PORT/Mein Projekt/_git/ñandú (it says: TF400813: not authorized)",
        ),
        (
            text(400, "TF401041: The Git\nprotocol sent is not as expected"),
            NAME,
            Kind::Remote { retry_after: None },
            "127.0.0.1:PORT/Mein Projekt/_git/ñandú answered HTTP 400 Bad Request (it says: TF401041: The Git protocol sent is not as expected)",
        ),
        (
            json(503, r#"{"message":"TF24668: The collection is stopped."}"#),
            NAME,
            Kind::Remote { retry_after: None },
            "127.0.0.1:PORT/Mein Projekt/_git/ñandú answered HTTP 503 Service Unavailable (it says: TF24668: The collection is stopped.)",
        ),
        (
            text(403, "Forbidden"),
            NAME,
            Kind::Misconfigured,
            "the credential may not read 127.0.0.1:PORT/Mein Projekt/_git/ñandú",
        ),
    ];
    for (manner, name, kind, words) in cases {
        let error = refused(manner, name).await;
        let port = error
            .to_string()
            .split_once("127.0.0.1:")
            .unwrap()
            .1
            .chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>();
        assert_eq!((error.kind(), error.to_string().replace(&port, "PORT")), (kind, words.to_owned()));
    }
    let blocked = "TF400733: The request has been canceled: Request was blocked due to exceeding usage.";
    let Manner::Answers(status, mut headers, body) = text(429, blocked) else { unreachable!() };
    headers.push(("retry-after", "17".to_owned()));
    let error = refused(Manner::Answers(status, headers, body), NAME).await;
    assert_eq!(error.kind(), Kind::Remote { retry_after: Some(Duration::from_secs(17)) });
    assert!(error.to_string().contains("asks us to slow down (it says: TF400733"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_to_sign_in_on_is_a_refused_credential() {
    let page =
        |status, name, value: &str| Manner::Answers(status, vec![(name, value.to_owned())], "<html>Sign in</html>");
    for manner in [
        page(203, "content-type", "text/html; charset=utf-8"),
        page(302, "location", "/_signin?realm=dev.azure.com&reply_to=https%3A%2F%2Fdev.azure.com%2Fo%2Finfo%2Frefs"),
        page(302, "location", "https://spsprodeus1.vssps.visualstudio.com/_signin?realm=dev.azure.com"),
    ] {
        let error = refused(manner, NAME).await;
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.to_string().ends_with("it answered with a web page"), "{error}");
        assert!(error.to_string().starts_with("the credential was refused by"), "{error}");
    }
}

/// Remembers what it was told.
#[derive(Default)]
struct Listener {
    refused: Mutex<Vec<u16>>,
    paused: Mutex<Vec<Duration>>,
}

#[async_trait::async_trait]
impl Login for Listener {
    async fn credential(&self) -> refward::domain::Result<Credential> {
        Ok(Credential::Bearer(SECRET.into()))
    }

    async fn try_again(&self, status: u16, _: &Credential) -> refward::domain::Result<bool> {
        self.refused.lock().unwrap().push(status);
        Ok(false)
    }

    async fn slow_down(&self, pause: Duration) {
        self.paused.lock().unwrap().push(pause);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lends_the_credential_hears_of_pages_and_of_pauses() {
    let root = tempfile::tempdir().unwrap();
    Repository::create(root.path(), NAME, ObjectFormat::Sha1);
    let server = Server::start(root.path());
    let listener = std::sync::Arc::new(Listener::default());
    let remote = Remote { credential: Some(listener.clone()), ..server.remote(NAME) };
    server.behave(Manner::Answers(203, vec![("content-type", "text/html".to_owned())], "Sign in"));
    assert!(server.client().open(&remote).await.is_err());
    assert_eq!(*listener.refused.lock().unwrap(), [401]);

    // Azure DevOps asks for a pause with answers that are good in themselves.
    server.behave(Manner::Pauses(4));
    server.client().open(&remote).await.unwrap();
    assert_eq!(*listener.paused.lock().unwrap(), [Duration::from_secs(4)]);
    assert_eq!(listener.refused.lock().unwrap().len(), 1);
}
