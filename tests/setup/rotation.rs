//! Secrets and keys change while webhooks keep coming; an App goes and leaves only backups.

use crate::in_a_browser::{installed, world};
use crate::{credentials, seen};

const APP: &str = "refward-acme-#1";

#[tokio::test]
async fn a_webhook_secret_changes_without_a_lost_delivery() {
    let (world, service, api) = world().await;
    installed(&world, &service).await;
    world.snapshot("acme/api", 1).await;
    let work = api.work().await;
    let before = world.github.app_named(APP).webhook_secret();

    insta::assert_snapshot!(seen(&world, &world.refward(&["apps", "rotate-secret", APP]).await), @"");
    assert_ne!(world.github.app_named(APP).webhook_secret(), before);
    work.commit("signed with the new one").await;
    work.push(&["main"]).await;
    world.snapshot("acme/api", 2).await;
    insta::assert_snapshot!(seen(&world, &world.refward(&["apps", "rotate-secret", APP, "--retire"]).await), @"");
    work.commit("the old one is gone").await;
    work.push(&["main"]).await;
    world.snapshot("acme/api", 3).await;
    assert!(world.answers().iter().flatten().all(|status| *status < 300), "{:?}", world.answers());
}

#[tokio::test]
async fn a_private_key_is_replaced_by_one_that_github_knows() {
    let (world, service, _api) = world().await;
    installed(&world, &service).await;
    world.snapshot("acme/api", 1).await;
    let app = world.github.app_named(APP);
    let old = app.pem();
    let stranger = world.github.app("other");
    let wrong = world.secret_file("wrong.pem", &stranger.pem());
    let refused = world.refward(&["apps", "rotate-key", APP, "--key-file", &wrong]).await;
    insta::assert_snapshot!(seen(&world, &refused), @"");

    let new = world.secret_file("new.pem", &app.add_key());
    let rotated = world.refward(&["apps", "rotate-key", APP, "--key-file", &new]).await;
    insta::assert_snapshot!(seen(&world, &rotated), @"");
    app.remove_key(&old);
    world.ok(&["apps", "sync"]).await;
}

#[tokio::test]
async fn removing_an_app_says_what_it_does_and_keeps_the_backups() {
    let (world, service, _api) = world().await;
    installed(&world, &service).await;
    world.snapshot("acme/api", 1).await;

    insta::assert_snapshot!(seen(&world, &world.refward(&["apps", "remove", APP]).await), @"");
    assert_eq!(credentials(&world).await.len(), 1, "nothing was done yet");
    insta::assert_snapshot!(seen(&world, &world.refward(&["apps", "remove", APP, "--yes"]).await), @"");
    assert_eq!(credentials(&world).await, []);
    assert_eq!(world.snapshots("acme/api").await.len(), 1);
}
