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
    let acme = Acme::new().await;
    let azure = acme.world.azure();
    // The double tells on whoever does not wait for as long as they were told to, whichever process was told.
    for (name, trouble) in [("refused", "blocks"), ("delayed", "delays")] {
        acme.repo.rename(name);
        if trouble == "blocks" {
            azure.blocks(1, 1);
        } else {
            azure.delays(2, 1);
        }
        let found = async || {
            let ran = acme.world.refward(&["repos", "sync"]).await;
            // Not done yet is no failure.
            assert!(matches!(ran.code, 0 | 5), "{ran:?}");
            (ran.code == 0).then_some(())
        };
        eventually(found, || format!("the list to be read, although the host {trouble}")).await;
        assert_eq!(acme.row(&format!("Prój eñt/{name}")).await["gone"], false);
    }
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
