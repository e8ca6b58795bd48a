//! GitHub Apps: from an installation to snapshots, with tokens that open little and end soon.

use serde_json::{Value, json};

use crate::connect::keeps_secrets;
use crate::support::fake_github::{AppHandle, Covers, Repo, Seen, Work};
use crate::support::world::{Service, World, eventually};

/// A repository with a commit, backed up through an App.
struct Acme {
    world: World,
    app: AppHandle,
    installation: u64,
    api: Repo,
    work: Work,
    service: Service,
}

impl Acme {
    /// With whatever the host is to be like before anything happens.
    async fn with(host: impl FnOnce(&World)) -> Self {
        let world = World::new().await;
        host(&world);
        let api = world.github.org("acme").repo("api").await;
        let work = api.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        let app = world.app("acme", 1).await;
        let service = world.serve_with(&["-vv"]).await;
        let installation = world.github.install(&app.slug(), "acme", Covers::All, None).id();
        world.snapshot("acme/api", 1).await;
        Self { world, app, installation, api, work, service }
    }

    /// Another commit, pushed; the snapshot that follows.
    async fn push(&self, seq: usize) -> Value {
        self.work.commit(&format!("for snapshot {seq}")).await;
        self.work.push(&["main"]).await;
        self.world.snapshot("acme/api", seq).await
    }

    /// The tokens that were to open just this repository, as they were asked for.
    fn mints(&self) -> Vec<Seen> {
        let only = json!([self.api.id]);
        let seen = self.world.github.seen().into_iter();
        seen.filter(|seen| seen.is_mint() && seen.status == Some(201) && seen.body["repository_ids"] == only).collect()
    }
}

#[tokio::test]
async fn an_app_that_is_installed_is_a_connection_and_its_webhooks_lead_to_snapshots() {
    let acme = Acme::with(|_| ()).await;
    let second = acme.push(2).await;
    assert_eq!(second["trigger"]["kind"], "webhook");
    acme.world.idle().await;
    acme.push(3).await;
    acme.world.idle().await;
    acme.world.matches(&acme.api).await;
    let connections = acme.world.ok(&["connections", "list"]).await;
    assert_eq!((&connections[0]["name"], connections.as_array().unwrap().len()), (&json!("acme"), 1));

    // One token for all of it, good for nothing but reading this repository.
    let minted = acme.mints();
    assert_eq!(minted.len(), 1, "{minted:?}");
    assert_eq!(minted[0].body["permissions"], json!({ "contents": "read", "metadata": "read" }));
    let git = |seen: &&Seen| seen.path.starts_with("/acme/api.git") && !seen.path.contains("receive-pack");
    let used: Vec<u16> = acme.world.github.seen().iter().filter(git).filter_map(|seen| seen.status).collect();
    assert!(used.iter().filter(|status| **status == 200).count() >= 6, "{used:?}");
}

#[tokio::test]
async fn what_opens_an_installation_is_told_to_nobody() {
    let acme = Acme::with(|_| ()).await;
    acme.push(2).await;
    acme.world.idle().await;
    let metrics = reqwest::get(acme.service.url("metrics")).await.unwrap().text().await.unwrap();
    let listed = acme.world.refward(&["credentials", "list"]).await.stdout;
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", acme.service.pid())).unwrap();
    let (log, told) = (acme.service.log(), [metrics, listed, arguments]);
    assert!(log.contains("pack received"), "{log}");
    keeps_secrets(&acme.world, &[&log, &told[0], &told[1], &told[2]]);
    let tokens: Vec<String> = acme.world.github.state().tokens.keys().cloned().collect();
    assert!(tokens.iter().any(|token| token.starts_with("ghs_")), "{tokens:?}");
    for token in tokens.iter().filter(|token| token.starts_with("ghs_")) {
        for text in told.iter().chain([&log]) {
            assert!(!text.contains(token.as_str()), "a token is told: {text}");
        }
        for file in crate::support::world::files(&acme.world.folder()) {
            let bytes = std::fs::read(&file).unwrap();
            let held = bytes.windows(token.len()).any(|part| part == token.as_bytes());
            assert!(!held, "{} holds a token", file.display());
        }
    }
}

#[tokio::test]
async fn a_token_that_has_ended_is_made_anew() {
    let acme = Acme::with(|_| ()).await;
    acme.world.idle().await;
    assert_eq!(acme.mints().len(), 1);
    // By the host's clock; ours does not know. Nor would the App's signature be good for it.
    acme.world.github.move_clock(2 * 3600);
    acme.push(2).await;
    assert_eq!(acme.mints().len(), 2);
    acme.world.matches(&acme.api).await;
}

#[tokio::test]
async fn a_token_that_ends_during_a_long_fetch_is_renewed_for_the_next_request() {
    let acme = Acme::with(|_| ()).await;
    acme.world.idle().await;
    acme.world.github.hold_fetches();
    // Whether history was lost is asked after the fetch.
    acme.work.git(&["commit", "--quiet", "--amend", "--message", "one, again"]).await;
    acme.work.push(&["--force", "main"]).await;
    acme.world.github.fetch_is_held().await;
    acme.world.github.move_clock(2 * 3600);
    acme.world.github.let_fetches_go();
    let second = acme.world.snapshot("acme/api", 2).await;
    assert_eq!(second["refs"]["forced"], 1, "{second}");
    assert_eq!(acme.mints().len(), 2);
    acme.world.matches(&acme.api).await;
}

#[tokio::test]
async fn replicas_that_do_not_know_a_token_yet_are_waited_for() {
    let acme = Acme::with(|world| world.github.replicas_lag(2)).await;
    assert_eq!(acme.mints().len(), 1, "the token was good all the time");
    acme.world.matches(&acme.api).await;
}

#[tokio::test]
async fn a_git_server_that_wants_the_older_form_of_token_gets_it() {
    let acme = Acme::with(|world| world.github.git_refuses_stateless(true)).await;
    acme.push(2).await;
    acme.world.idle().await;
    let forms: Vec<Vec<String>> = (acme.mints().iter())
        .map(|seen| seen.header("x-github-stateless-s2s-token").into_iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(forms, [vec![], vec!["disabled".to_owned()]]);
    acme.world.matches(&acme.api).await;
}

#[tokio::test]
async fn clocks_may_differ() {
    for seconds in [-1200, 1200] {
        let acme = Acme::with(|world| world.github.move_clock(seconds)).await;
        acme.push(2).await;
        acme.world.matches(&acme.api).await;
    }
}

#[tokio::test]
async fn a_suspended_app_rests_and_goes_on() {
    let acme = Acme::with(|_| ()).await;
    acme.world.idle().await;
    acme.world.github.suspend(acme.installation);
    let state = async |wanted: &str| {
        let look = async || {
            let apps = acme.world.ok(&["apps", "list"]).await;
            (apps[0]["installations"][0]["state"] == wanted).then_some(())
        };
        eventually(look, || format!("the installation to be {wanted}")).await;
    };
    state("suspended").await;
    // Nothing is told of this one.
    acme.work.commit("two").await;
    acme.work.push(&["main"]).await;
    acme.world.github.unsuspend(acme.installation);
    state("active").await;
    acme.world.snapshot("acme/api", 2).await;
    acme.world.matches(&acme.api).await;
}

#[tokio::test]
async fn chosen_repositories_come_and_go_with_the_choice() {
    let world = World::new().await;
    let acme = world.github.org("acme");
    let (api, web) = (acme.repo("api").await, acme.repo("web").await);
    acme.public_repo("site").await;
    let app = world.app("acme", 1).await;
    let _service = world.serve().await;
    let installation = world.github.install(&app.slug(), "acme", Covers::Only(&["api"]), None).id();
    world.snapshot("acme/api", 1).await;
    let listed = world.ok(&["repos", "list"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "neither others nor public ones: {listed}");
    world.github.add_repositories(installation, &[&web]);
    world.snapshot("acme/web", 1).await;
    world.github.remove_repositories(installation, &[&api]);
    let gone = async || Some(world.status("acme/api").await).filter(|row| row["state"] == "gone");
    eventually(gone, || "the repository to be out of sight".to_owned()).await;
    assert_eq!(world.snapshots("acme/api").await.len(), 1, "its backups stay");
}

#[tokio::test]
async fn an_app_that_is_uninstalled_leaves_its_backups() {
    let acme = Acme::with(|_| ()).await;
    acme.world.idle().await;
    acme.world.github.uninstall(acme.installation);
    let gone = async || {
        let list = acme.world.ok(&["credentials", "list"]).await;
        list["credentials"].as_array()?.is_empty().then_some(())
    };
    eventually(gone, || "the credential to be deleted".to_owned()).await;
    acme.world.matches(&acme.api).await;
    // It can come back.
    let again = acme.world.github.install(&acme.app.slug(), "acme", Covers::All, None).id();
    assert_ne!(again, acme.installation);
    acme.push(2).await;
    acme.world.matches(&acme.api).await;
}
