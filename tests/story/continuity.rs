//! Every change is in a snapshot, whatever becomes of its webhook.

use serde_json::json;

use crate::support::fake_github::{AppHandle, Covers, Repo, Work};
use crate::support::world::{Service, World, eventually};

/// A repository of acme's, backed up through an App whose deliveries were read once.
struct Acme {
    world: World,
    app: AppHandle,
    api: Repo,
    work: Work,
}

impl Acme {
    async fn new() -> (Self, Service) {
        let world = World::new().await;
        let api = world.github.org("acme").repo("api").await;
        let work = api.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        let app = world.app("acme", 1).await;
        let service = world.serve().await;
        world.github.install(&app.slug(), "acme", Covers::All, None);
        world.snapshot("acme/api", 1).await;
        world.idle().await;
        (Self { world, app, api, work }, service)
    }

    /// A commit on a branch of its own.
    async fn push(&self, branch: &str) {
        self.work.commit(branch).await;
        self.work.push(&[&format!("HEAD:refs/heads/{branch}")]).await;
    }

    /// Waits until the log holds so many attempts.
    async fn attempted(&self, count: usize) {
        let look = async || (self.app.log().len() >= count).then_some(());
        eventually(look, || format!("{count} attempts; there are {}", self.app.log().len())).await;
    }
}

#[tokio::test]
async fn a_receiver_that_was_down_for_an_hour_misses_nothing() {
    let (acme, service) = Acme::new().await;
    let web = acme.world.github.org("acme").repo("web").await;
    acme.world.snapshot("acme/web", 1).await;
    acme.world.idle().await;
    let answered = acme.app.log().len();
    assert_eq!(service.stop().await, 0);
    // Nobody listens there any more: every attempt fails, and the forge writes that down.
    for branch in ["two", "three"] {
        acme.push(branch).await;
    }
    let there = web.work().await;
    there.commit("one").await;
    there.push(&["main", "HEAD:refs/tags/v1"]).await;
    let lost = 8;
    acme.attempted(answered + lost).await;
    acme.world.github.move_clock(3600);

    let service = acme.world.serve().await;
    let caught_up = service.logged("deliveries that had been lost are in").await;
    assert_eq!(caught_up["new"], lost, "{caught_up}");
    acme.world.done().await;
    acme.world.matches(&acme.api).await;
    acme.world.matches(&web).await;
}

#[tokio::test]
async fn more_lost_than_the_log_remembers_is_a_look_at_everything() {
    let (acme, service) = Acme::new().await;
    assert_eq!(service.stop().await, 0);
    let before = acme.app.log().len();
    acme.world.github.move_clock(3600);
    for branch in ["two", "three", "four"] {
        acme.push(branch).await;
    }
    acme.attempted(before + 6).await;
    acme.app.log_keeps(1);

    let service = acme.world.serve().await;
    service.logged("the forge's log of deliveries does not reach back to what we saw last").await;
    let four = async || {
        let refs = acme.world.ok(&["refs", "acme/api"]).await;
        (refs == acme.world.server_refs(&acme.api).await).then_some(())
    };
    eventually(four, || "all branches to be backed up".to_owned()).await;
    acme.world.matches(&acme.api).await;
}

#[tokio::test]
async fn late_repeated_and_reordered_deliveries_of_an_app_change_nothing() {
    let (acme, _service) = Acme::new().await;
    acme.world.github.hold();
    acme.push("two").await;
    acme.push("three").await;
    acme.work.push(&[":refs/heads/two"]).await;
    acme.world.github.release(|held| held.reverse()).await;
    acme.world.idle().await;
    for sent in acme.world.github.deliveries() {
        assert_eq!(acme.world.github.redeliver(&sent.guid).await, 200, "{}", sent.event);
    }
    acme.world.idle().await;
    acme.world.matches(&acme.api).await;
}

/// Surveys every second or so, on a host whose clock is behind, so that no push looks recent to us.
async fn watched() -> (World, Repo, Work, Service) {
    let world = World::with(&[("sweep.interval", "1s"), ("sweep.shortest", "1s")]).await;
    world.github.move_clock(-120);
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;
    (world, api, work, service)
}

/// Waits for so many surveys more; gives the git requests meanwhile.
async fn surveys(world: &World, count: usize) -> usize {
    let before = world.github.seen().len();
    let look = async || {
        let seen = world.github.seen();
        let made = seen[before..].iter().filter(|seen| seen.path.ends_with("/graphql")).count();
        (made >= count).then(|| seen[before..].iter().filter(|seen| seen.path.contains(".git/")).count())
    };
    eventually(look, || format!("{count} surveys")).await
}

#[tokio::test]
async fn tags_that_no_webhook_tells_of_are_found_by_a_survey() {
    let (world, api, work, _service) = watched().await;
    surveys(&world, 1).await;
    assert_eq!(surveys(&world, 2).await, 0, "while nothing changes, git is not asked");
    let told = world.github.deliveries().len();
    work.push(&["HEAD:refs/tags/v1", "HEAD:refs/tags/v2", "HEAD:refs/tags/v3", "HEAD:refs/tags/v4"]).await;
    let second = world.snapshot("acme/api", 2).await;
    assert_eq!(world.github.deliveries().len(), told);
    assert_eq!(second["trigger"], json!({ "kind": "sweep" }));
    world.matches(&api).await;
}

#[tokio::test]
async fn a_push_too_large_for_a_webhook_is_found_by_a_survey() {
    let (world, api, work, _service) = watched().await;
    let told = world.github.deliveries().len();
    world.github.max_payload(10);
    work.commit("two").await;
    work.push(&["main"]).await;
    let second = world.snapshot("acme/api", 2).await;
    assert_eq!(world.github.deliveries().len(), told);
    assert_eq!(second["trigger"], json!({ "kind": "sweep" }));
    world.matches(&api).await;
    // By whichever way it became known, how the repositories are looked at is told.
    let status = world.ok(&["status"]).await;
    assert_eq!(status["surveys"][0]["connection"], "acme");
    assert_eq!(status["surveys"][0]["requests"], 1, "{status}");
}

#[tokio::test]
async fn surveys_become_rare_while_they_find_nothing_and_frequent_when_they_do() {
    let world = World::with(&[("sweep.interval", "1h"), ("sweep.shortest", "1m")]).await;
    world.github.move_clock(-120);
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let pause = async || {
        let survey = world.ok(&["status"]).await["surveys"][0].take();
        let time = |field: &str| survey[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        ((time("next") - time("last")).num_seconds() + 30) / 60
    };
    assert_eq!(pause().await, 1);
    world.ok(&["backup", "--all", "--wait"]).await;
    for minutes in [2, 4, 8, 16, 32, 60, 60] {
        world.ok(&["repos", "sync"]).await;
        assert_eq!(pause().await, minutes);
    }
    // Something that no webhook told of.
    work.commit("two").await;
    work.push(&["main"]).await;
    world.ok(&["repos", "sync"]).await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    world.ok(&["repos", "sync"]).await;
    assert_eq!(pause().await, 30);
}

#[tokio::test]
async fn ten_thousand_unchanged_repositories_are_looked_at_without_git() {
    let world = World::new().await;
    world.github.move_clock(-120);
    world.github.org("acme").paper_repos(10_000);
    world.connect("acme").await;
    let before = world.github.seen().len();
    let found = world.ok(&["repos", "sync"]).await;
    assert!(found.to_string().contains("\"changed\":0"), "{found}");
    let seen = world.github.seen()[before..].to_vec();
    assert!(seen.len() <= 110 && seen.iter().all(|seen| seen.path.ends_with("/graphql")), "{} requests", seen.len());
}

#[tokio::test]
async fn how_long_pushes_took_is_told() {
    let (acme, service) = Acme::new().await;
    for branch in ["two", "three"] {
        acme.push(branch).await;
        acme.world.idle().await;
    }
    let status = acme.world.ok(&["status"]).await;
    let took = &status["push_to_snapshot"];
    assert!(took["snapshots"].as_u64().unwrap() >= 2, "{status}");
    assert!(took["p50_ms"].as_u64().unwrap() <= took["p99_ms"].as_u64().unwrap(), "{status}");
    assert!(status["repositories"][0]["last_lag_ms"].is_u64(), "{status}");
    let told = acme.world.refward(&["status"]).await.stdout;
    assert!(told.contains("\nFrom push to snapshot in the last 24 hours: "), "{told}");
    let metrics = reqwest::get(service.url("metrics")).await.unwrap().text().await.unwrap();
    for name in [
        "refward_push_to_snapshot_seconds{quantile=\"0.5\"}",
        "refward_push_to_snapshot_seconds{quantile=\"0.99\"}",
        "refward_jobs_waiting{reason=\"throttled\"} 0",
    ] {
        assert!(metrics.contains(name), "{name}:\n{metrics}");
    }
}
