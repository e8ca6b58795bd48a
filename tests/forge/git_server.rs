//! The demo's git server, seen by git itself.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpServer};
use refward::cli::demo::git_server::{GitServer, Push};
use refward::domain::RefChange;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::shell::{git, try_git};

fn start(server: GitServer) -> SocketAddr {
    let server = Arc::new(server);
    let http = HttpServer::new(move || App::new().configure(server.clone().configure()))
        .workers(2)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = http.addrs()[0];
    actix_web::rt::spawn(http.run());
    address
}

async fn bare(root: &Path, full_name: &str) {
    git(root, &["init", "-q", "--bare", "-b", "main", &format!("{full_name}.git")]).await;
}

async fn work(folder: &Path) {
    git(folder, &["init", "-q", "-b", "main"]).await;
    git(folder, &["commit", "-q", "--allow-empty", "-m", "one"]).await;
}

fn short(change: &RefChange) -> String {
    let sign = match (change.old, change.new) {
        (None, _) => "+",
        (_, None) => "-",
        _ if change.forced => "!",
        _ => "~",
    };
    format!("{sign}{}", change.name)
}

#[actix_web::test]
async fn a_person_pushes_and_clones_under_both_names() {
    let (root, mine) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let pushes: Arc<Mutex<Vec<Push>>> = Arc::default();
    let seen = pushes.clone();
    let server = GitServer::new(root.path()).password("s3cret".into());
    let address = start(server.on_push(move |push| seen.lock().unwrap().push(push)));
    bare(root.path(), "acme/api").await;
    work(mine.path()).await;

    let url = format!("http://mona:s3cret@{address}/acme/api");
    git(mine.path(), &["push", "-q", &url, "main", "HEAD:refs/tags/v1"]).await;
    git(mine.path(), &["commit", "-q", "--amend", "--allow-empty", "-m", "another"]).await;
    git(mine.path(), &["push", "-q", "-f", &format!("{url}.git"), "main", ":refs/tags/v1"]).await;
    git(mine.path(), &["commit", "-q", "--allow-empty", "-m", "two"]).await;
    git(mine.path(), &["push", "-q", &url, "main"]).await;

    let tip = git(mine.path(), &["rev-parse", "HEAD"]).await;
    for suffix in ["", ".git"] {
        let listed =
            git(mine.path(), &["-c", "protocol.version=2", "ls-remote", &format!("{url}{suffix}"), "main"]).await;
        assert_eq!(listed, format!("{tip}\trefs/heads/main"));
    }
    let told: Vec<Vec<String>> = pushes.lock().unwrap().iter().map(|p| p.changes.iter().map(short).collect()).collect();
    assert_eq!(
        told,
        [
            vec!["+refs/heads/main", "+refs/tags/v1"],
            vec!["!refs/heads/main", "-refs/tags/v1"],
            vec!["~refs/heads/main"]
        ]
    );
    assert!(pushes.lock().unwrap().iter().all(|p| p.repository == "acme/api" && p.user.as_deref() == Some("mona")));
}

#[actix_web::test]
async fn a_wrong_password_a_hidden_ref_and_a_missing_repository_are_refused() {
    let (root, mine) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let address = start(GitServer::new(root.path()).password("s3cret".into()));
    bare(root.path(), "acme/api").await;
    work(mine.path()).await;

    for (url, reference, complaint) in [
        (format!("http://mona:wrong@{address}/acme/api"), "HEAD:main", "Authentication failed"),
        (format!("http://{address}/acme/api"), "HEAD:main", "could not read Username"),
        (format!("http://mona:s3cret@{address}/acme/web"), "HEAD:main", "not found"),
        (format!("http://mona:s3cret@{address}/acme/api"), "HEAD:refs/pull/1/head", "deny updating a hidden ref"),
    ] {
        let output = try_git(mine.path(), &["push", &url, reference]).await;
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complaints.contains(complaint), "{url}: {complaints}");
    }
}

#[actix_web::test]
async fn no_path_leads_out_of_the_folder() {
    let root = TempDir::new().unwrap();
    std::fs::create_dir(root.path().join("served")).unwrap();
    bare(root.path(), "outside/secret").await;
    let address = start(GitServer::new(root.path().join("served")));
    for path in [
        "/../outside/secret",
        "/..%2foutside/secret",
        "/%2e%2e/outside/secret",
        "/x/..%2f..%2foutside%2fsecret",
        "/./../outside/secret",
        "/../outside",
    ] {
        // By hand: an HTTP client would tidy the path up.
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET {path}.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

#[actix_web::test]
async fn git_ends_when_the_client_goes_away() {
    let (root, mine) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let address = start(GitServer::new(root.path()));
    bare(root.path(), "acme/big").await;
    work(mine.path()).await;
    let noise: Vec<u8> = (0..8_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    std::fs::write(mine.path().join("noise"), noise).unwrap();
    git(mine.path(), &["add", "noise"]).await;
    git(mine.path(), &["commit", "-q", "-m", "big"]).await;
    git(mine.path(), &["push", "-q", &format!("http://{address}/acme/big"), "main"]).await;

    let tip = git(mine.path(), &["rev-parse", "HEAD"]).await;
    let want = format!("0032want {tip}\n00000009done\n");
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /acme/big/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-upload-pack-request\r\n\
         Content-Length: {}\r\n\r\n{want}",
        want.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut some = [0; 4096];
    assert!(socket.read(&mut some).await.unwrap() > 0);
    assert!(programs_below(root.path()) > 0);
    drop(socket);

    let patience = Instant::now();
    while programs_below(root.path()) > 0 {
        assert!(patience.elapsed() < Duration::from_secs(10), "git is still running");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many processes work in a folder or below it.
fn programs_below(folder: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|p| std::fs::read_link(p.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))).count()
}
