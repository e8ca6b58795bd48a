//! What goes wrong with an organization, and how it is found and mended.

use super::{Acme, REPO};
use crate::support::fake_azure_devops::SignIn;
use crate::support::world::{World, eventually};

/// Surveys and sweeps that follow one another closely.
const QUICK: &[(&str, &str)] = &[
    ("sweep.interval", "1s"),
    ("sweep.shortest", "1s"),
    ("sweep.git", "1s"),
    ("workers.retry_first", "1s"),
    ("workers.retry_longest", "1s"),
];

#[tokio::test]
async fn a_push_that_no_hook_told_of_is_found() {
    let acme = Acme::in_world(World::with_azure(QUICK).await).await;
    // Nobody listens at the address that hooks were made with.
    acme.push("unheard").await;
    let _service = acme.world.serve().await;
    acme.world.snapshot(REPO, 2).await;
    acme.world.matches(&acme.repo).await;
}

#[tokio::test]
async fn a_host_that_asks_for_patience_gets_it() {
    let acme = Acme::in_world(World::with_azure(QUICK).await).await;
    let later = acme.world.azure().org("acme").project("Prój eñt").repo("later").await;
    acme.world.azure().blocks(2, 2);
    let _service = acme.world.serve().await;
    acme.world.snapshot(&later.full_name(), 1).await;
    // Answers that come late ask for a pause, too. The double counts whoever does not make it.
    acme.world.azure().delays(3, 1);
    let last = acme.world.azure().org("acme").project("Prój eñt").repo("last").await;
    acme.world.snapshot(&last.full_name(), 1).await;
    assert!(acme.told("repository.gone").await.is_empty());
}

#[tokio::test]
async fn a_token_that_has_expired_is_named_and_another_one_goes_on() {
    let world = World::with_azure(QUICK).await;
    let azure = world.azure().clone();
    let old = azure.full_pat("acme");
    let repo = azure.org("acme").project("Prój eñt").repo("My Repo").await;
    let work = repo.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let connected = world.connect_azure_with("acme", &old, &["--json"]).await;
    assert_eq!(connected.code, 0, "{connected:?}");
    let _service = world.serve().await;
    world.snapshot(REPO, 1).await;
    azure.expire(&old);
    work.commit("two").await;
    work.push(&["main"]).await;
    // It looks like success, and is a page to sign in.
    azure.bad_sign_ins(SignIn::Html203);
    let named = async || {
        let status = world.ok(&["status"]).await;
        let said = status["surveys"][0]["last_error"].as_str()?.to_owned();
        Some(said)
    };
    let said = eventually(named, || "a word about the token".to_owned()).await;
    assert!(said.contains("token"), "{said}");

    let new = world.secret_file("new.pat", secrecy::ExposeSecret::expose_secret(&azure.full_pat("acme")));
    world.ok(&["connections", "set-token", "acme", "--token-file", &new]).await;
    world.snapshot(REPO, 2).await;
    world.matches(&repo).await;
}
