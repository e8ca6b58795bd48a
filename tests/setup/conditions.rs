//! When an App may be used on an account, and when not.

use serde_json::{Value, json};

use crate::by_hand::add;
use crate::support::fake_github::Covers;
use crate::support::world::World;
use crate::{catalog, credentials, notices};

async fn installation(world: &World, app: usize) -> Value {
    world.ok(&["apps", "sync"]).await[app]["installations"][0].clone()
}

#[tokio::test]
async fn an_additional_app_waits_for_the_main_one() {
    let world = World::new().await;
    let (main, second) = (world.github.app("acme"), world.github.app("acme"));
    world.github.install(&second.slug(), "acme", Covers::All, None);
    assert_eq!(add(&world, &second, &["--number", "2"]).await.code, 0);
    let refused = installation(&world, 0).await;
    insta::assert_snapshot!(refused["refused"].as_str().unwrap(), @"Refward 2 is an additional App and acme is not connected: install the main App there first, or connect acme with a token");
    assert_eq!(credentials(&world).await, []);

    assert_eq!(add(&world, &main, &[]).await.code, 0);
    world.github.install(&main.slug(), "acme", Covers::All, None);
    assert_eq!(installation(&world, 0).await["connection"], "acme");
    assert_eq!(installation(&world, 1).await["connection"], "acme");
    let known = [(main.slug(), true, true), (second.slug(), false, false)];
    assert_eq!(credentials(&world).await, known);
}

#[tokio::test]
async fn an_account_that_lost_the_main_app_takes_no_further_ones() {
    let world = World::new().await;
    let (main, second) = (world.github.app("acme"), world.github.app("acme"));
    let installed = world.github.install(&main.slug(), "acme", Covers::All, None).id();
    assert_eq!(add(&world, &main, &[]).await.code, 0);
    world.github.uninstall(installed);
    world.ok(&["apps", "sync"]).await;
    world.github.install(&second.slug(), "acme", Covers::All, None);
    assert_eq!(add(&world, &second, &["--number", "2"]).await.code, 0);
    insta::assert_snapshot!(installation(&world, 1).await["refused"].as_str().unwrap(), @"Refward 2 is an additional App and the main App is not installed on acme any more: install that first");
}

#[tokio::test]
async fn an_account_connected_by_token_takes_an_additional_app_without_the_main_one() {
    let world = World::new().await;
    let second = world.github.app("acme");
    world.connect("acme").await;
    world.github.install(&second.slug(), "acme", Covers::All, None);
    assert_eq!(add(&world, &second, &["--number", "2"]).await.code, 0);
    let known = [("token".to_owned(), true, true), (second.slug(), false, false)];
    assert_eq!(credentials(&world).await, known);
}

#[tokio::test]
async fn an_app_that_was_installed_anew_between_two_looks_is_the_main_one_again() {
    let world = World::new().await;
    let app = world.github.app("acme");
    let first = world.github.install(&app.slug(), "acme", Covers::All, None).id();
    assert_eq!(add(&world, &app, &[]).await.code, 0);
    world.github.uninstall(first);
    world.github.install(&app.slug(), "acme", Covers::All, None);
    world.ok(&["apps", "sync"]).await;
    assert_eq!(credentials(&world).await, [(app.slug(), true, true)]);
}

#[tokio::test]
async fn a_disconnected_account_does_not_come_back_by_itself() {
    let world = World::new().await;
    let app = world.github.app("acme");
    world.github.install(&app.slug(), "acme", Covers::All, None);
    assert_eq!(add(&world, &app, &[]).await.code, 0);
    let catalog = catalog(&world).await;
    let connection = catalog.connection("acme").await.unwrap().unwrap();
    catalog.remove_connection(connection.id).await.unwrap();

    let left = installation(&world, 0).await;
    insta::assert_snapshot!(left["refused"].as_str().unwrap(), @"acme was disconnected here: uninstall Refward 1 there, and install it again to connect it anew");
    assert_eq!(installation(&world, 0).await["refused"], left["refused"]);
    assert_eq!(world.ok(&["connections", "list"]).await, json!([]));
}

#[tokio::test]
async fn what_an_owner_chooses_and_grants_is_told() {
    let world = World::new().await;
    let few = [("metadata", "read"), ("contents", "read"), ("pull_requests", "read")];
    let app = world.github.app("acme").permissions(&few);
    let (api, web) = (world.github.org("acme").repo("api").await, world.github.org("acme").repo("web").await);
    let id = world.github.install(&app.slug(), "acme", Covers::Only(&["api"]), None).id();
    assert_eq!(add(&world, &app, &[]).await.code, 0);
    assert_eq!(installation(&world, 0).await["selection"], "selected");
    world.github.add_repositories(id, &[&web]);
    world.ok(&["repos", "sync"]).await;
    assert_eq!(world.ok(&["repos", "list"]).await.as_array().unwrap().len(), 2, "{}", api.full_name());

    let manifest: Value = serde_json::from_str(include_str!("../../app-manifests/github-backup.json")).unwrap();
    let wanted = manifest["default_permissions"].as_object().unwrap().iter();
    let wanted: Vec<_> = wanted.map(|(name, level)| (name.as_str(), level.as_str().unwrap())).collect();
    let _ = app.permissions(&wanted);
    world.github.accept_new_permissions(id);
    world.ok(&["apps", "sync"]).await;
    insta::assert_snapshot!(notices(&world).await.join("\n"), @"
    connection.created: acme is connected through the App Refward 1, as acme.
    app.permissions: acme has not granted the App Refward 1 all that it asks for: administration: read, deployments: read, discussions: read, issues: read, members: read, organization_administration: read, organization_custom_properties: read, pages: read, repository_custom_properties: read, repository_hooks: read. An owner can accept that in the account's settings.
    app.permissions: acme has granted the App Refward 1 all that it asks for.
    ");
}
