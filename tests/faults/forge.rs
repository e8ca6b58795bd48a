//! The forge refuses, lies, breaks off and stalls.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, Database};

use crate::faults::stage::{REPO, Stage};
use crate::support::fake_github::{FakeGithub, Fault};
use crate::support::faults::Proxy;

/// From now on every git request fails, until [`mend`].
fn break_git(github: &FakeGithub, fault: &Fault) {
    github.fail_git(1000, fault);
}

fn mend(github: &FakeGithub) {
    github.state().git_faults.clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_git_server_answers_is_told_retried_and_healed() {
    let stage = Stage::new().await;
    let _service = stage.running().await;
    let text = |status| Fault { status, headers: vec![], body: "no".to_owned() };
    let cases = [
        (text(401), "listing references: the credential was refused by"),
        (text(403), "listing references: the credential may not read"),
        (text(404), "listing references: there is no repository"),
        (text(500), "/acme/api.git answered HTTP 500"),
        (text(503), "/acme/api.git answered HTTP 503"),
        (Fault::html(200), "/acme/api.git does not speak git's protocol: it answers with text/html"),
        (text(429), "/acme/api.git asks us to slow down"),
    ];
    let mut snapshots = 1;
    for (fault, words) in cases {
        stage.github.hold();
        stage.push(words).await;
        break_git(&stage.github, &fault);
        stage.tell().await;
        let status = stage.fails_with(words).await;
        assert!(status["lag_ms"].is_number(), "the push waits: {status}");
        assert_eq!(status["last_snapshot"]["seq"], snapshots);
        mend(&stage.github);
        snapshots += 1;
        stage.settled(Some(snapshots)).await;
    }
    stage.whole(Some(snapshots)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_to_come_back_is_honoured() {
    let stage = Stage::new().await;
    let service = stage.running().await;
    let mut snapshots = 1;
    // The last is no answer that any server should give; it must not stop the worker, nor the backups forever.
    let day = 24 * 3600;
    for (asked, least, most) in [("40", 30, 40), ("18446744073709551615", 600, day), ("99999999999", 600, day)] {
        stage.github.hold();
        stage.push(asked).await;
        break_git(&stage.github, &Fault::json(429, "slow down").header("retry-after", asked));
        stage.tell().await;
        stage.fails_with("asks us to slow down").await;
        let waits = |status: &serde_json::Value| status["queue"] == "queued" && status["next_attempt"].is_string();
        let status = stage.until("it waits", waits).await;
        let next: DateTime<Utc> = status["next_attempt"].as_str().unwrap().parse().unwrap();
        let wait = (next - Utc::now()).num_seconds();
        assert!((least - 20..=most).contains(&wait), "asked for {asked}, waits {wait} s");
        mend(&stage.github);
        stage.world.ok(&["backup", REPO, "--wait"]).await;
        snapshots += 1;
        stage.settled(Some(snapshots)).await;
    }
    assert!(!service.log().contains("panicked"), "{}", service.log());
    stage.push("the workers are alive").await;
    stage.whole(Some(snapshots + 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_does_not_follow_a_redirect() {
    let stage = Stage::new().await;
    let service = stage.running().await;
    let elsewhere = Proxy::before(stage.github.url()).await;
    let target = elsewhere.url().join("acme/api.git/info/refs?service=git-upload-pack").unwrap();
    stage.github.hold();
    stage.push("two").await;
    break_git(&stage.github, &Fault::redirect(target.as_str()));
    stage.tell().await;
    stage.fails_with("redirects to 127.0.0.1; credentials stay with their host").await;

    // The same from the API.
    stage.github.fail(1000, &Fault::redirect(elsewhere.url().join("api/v3/orgs/acme/repos").unwrap().as_str()));
    let ran = stage.world.refward(&["repos", "sync"]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    stage.github.state().api_faults.clear();
    assert_eq!(elsewhere.requests(&[]), 0, "the other host was never asked");
    mend(&stage.github);
    stage.whole(Some(2)).await;
    assert!(!service.log().contains("ghp_"), "no credential in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_can_do_is_asked_once_by_all_processes() {
    let stage = Stage::new().await;
    assert_eq!(stage.running().await.stop().await, 0);
    let greeted = || stage.forge.requests(&["GET", "info/refs"]);
    let before = greeted();
    for message in ["two", "three"] {
        stage.push(message).await;
        stage.world.ok(&["backup", REPO, "--wait"]).await;
    }
    assert_eq!(greeted(), before);

    // To be asked for a pause says nothing of what a server can do.
    stage.github.fail_git(1, &Fault::json(429, "slow down").header("retry-after", "1"));
    let paused = stage.world.refward(&["backup", REPO, "--wait"]).await;
    assert!(paused.stderr.contains("asks us to slow down"), "{paused:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.world.ok(&["backup", REPO, "--wait"]).await;
    assert_eq!(greeted(), before);

    // A server that was replaced meanwhile: the question is one that it does not understand.
    let db = Database::connect(format!("sqlite://{}", stage.file("refward.db").display())).await.unwrap();
    let replaced = "UPDATE repository SET greeting = replace(greeting, 'sha1', 'sha256')";
    assert_eq!(db.execute_unprepared(replaced).await.unwrap().rows_affected(), 1);
    db.close().await.unwrap();
    stage.push("four").await;
    stage.world.ok(&["backup", REPO, "--wait"]).await;
    assert_eq!(greeted(), before + 1, "it was greeted again, once");
    stage.whole(Some(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_within_the_pack() {
    let stage = Stage::new().await;
    let service = stage.running().await;
    stage.forge.cut("POST", "git-upload-pack", 4, 100_000);
    stage.push_bytes(400_000).await;
    stage.fails_with("receiving objects: the connection to the git server broke").await;
    stage.whole(Some(2)).await;
    assert!(service.log().matches("job failed").count() >= 2, "it was tried again: {}", service.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_within_the_pack() {
    let stage = Stage::with(&[("http.idle_timeout", "2s")]).await;
    let service = stage.running().await;
    stage.forge.stall("POST", "git-upload-pack", 2, 100_000);
    stage.push_bytes(400_000).await;
    stage.fails_with("receiving objects: the git server stopped answering").await;
    stage.whole(Some(2)).await;
    assert!(service.log().contains("job failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_does_not_list_its_repositories() {
    let stage = Stage::new().await;
    let _service = stage.running().await;
    let cases = [
        (Fault::json(401, "Bad credentials"), 6),
        (Fault::json(403, "Resource not accessible by personal access token"), 6),
        (Fault::json(500, "Server Error"), 5),
        (Fault::json(503, "Unavailable"), 5),
        (Fault::html(200), 6),
    ];
    for (fault, code) in cases {
        stage.github.fail(1000, &fault);
        let ran = stage.world.refward(&["repos", "sync", "--json"]).await;
        assert_eq!(ran.code, code, "HTTP {}: {ran:?}", fault.status);
        let message = ran.error()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("listing the repositories of acme: "), "{message}");
        let connections = stage.world.ok(&["connections", "list"]).await;
        assert!(message.contains(connections[0]["last_error"].as_str().unwrap()), "{connections}");
        stage.github.state().api_faults.clear();
    }
    // What could not be listed is not taken for deleted.
    assert_eq!(stage.status().await["state"], "ok");
    stage.world.ok(&["repos", "sync"]).await;
    assert!(stage.world.ok(&["connections", "list"]).await[0]["last_error"].is_null());
    stage.push("two").await;
    stage.settled(Some(2)).await;
}
