//! Secrets and keys change while webhooks keep coming; an App goes and leaves only backups.

use crate::in_a_browser::{installed, world};
use crate::{credentials, seen};

const APP: &str = "refward-acme-1";

#[tokio::test]
async fn a_webhook_secret_changes_without_a_lost_delivery() {
    let (world, service, work) = world().await;
    installed(&world, &service).await;
    world.snapshot("acme/api", 1).await;
    let before = world.github.app_named(APP).webhook_secret();

    insta::assert_snapshot!(seen(&world, &world.refward(&["apps", "rotate-secret", APP]).await), @"
    The forge signs with a new secret from now on; the one before is accepted, too. In an hour, when no delivery with it is under way any more: refward apps rotate-secret refward-acme-1 --retire
    => 0
    ");
    assert_ne!(world.github.app_named(APP).webhook_secret(), before);
    work.commit("signed with the new one").await;
    work.push(&["main"]).await;
    world.snapshot("acme/api", 2).await;
    insta::assert_snapshot!(seen(&world, &world.refward(&["apps", "rotate-secret", APP, "--retire"]).await), @"
    1 older secret deleted; only the newest is accepted.
    => 0
    ");
    work.commit("the old one is gone").await;
    work.push(&["main"]).await;
    world.snapshot("acme/api", 3).await;
    assert!(world.answers().iter().flatten().all(|status| *status < 300), "{:?}", world.answers());
}

#[tokio::test]
async fn a_private_key_is_replaced_by_one_that_github_knows() {
    let (world, service, _) = world().await;
    installed(&world, &service).await;
    world.snapshot("acme/api", 1).await;
    let app = world.github.app_named(APP);
    let old = app.pem();
    let stranger = world.github.app("other");
    let wrong = world.secret_file("wrong.pem", &stranger.pem());
    let refused = world.refward(&["apps", "rotate-key", APP, "--key-file", &wrong]).await;
    insta::assert_snapshot!(seen(&world, &refused), @"
    error: 127.0.0.1:PORT does not know this key as the App's
      was it revoked? make another in the App's settings, Private keys, and give that
    => 6
    ");

    let new = world.secret_file("new.pem", &app.add_key());
    let rotated = world.refward(&["apps", "rotate-key", APP, "--key-file", &new]).await;
    insta::assert_snapshot!(seen(&world, &rotated), @"
    The new key is in use. The old one can be deleted now: http://127.0.0.1:PORT/organizations/acme/settings/apps/refward-acme-1
    => 0
    ");
    app.remove_key(&old);
    world.ok(&["apps", "sync"]).await;
}

#[tokio::test]
async fn removing_an_app_says_what_it_does_and_keeps_the_backups() {
    let (world, service, _) = world().await;
    installed(&world, &service).await;
    world.snapshot("acme/api", 1).await;

    insta::assert_snapshot!(seen(&world, &world.refward(&["apps", "remove", APP]).await), @"
    Removing Refward acme #1 would
      uninstall it from: acme
      take a credential from the connections: acme
      delete its private key, its webhook secret and all tokens made with them, at once
      keep every backup
      leave its registration, which only its owner can delete: http://127.0.0.1:PORT/organizations/acme/settings/apps/refward-acme-1
    error: nothing was done
      to do it: refward apps remove refward-acme-1 --yes
    => 2
    ");
    assert_eq!(credentials(&world).await.len(), 1, "nothing was done yet");
    insta::assert_snapshot!(seen(&world, &world.refward(&["apps", "remove", APP, "--yes"]).await), @"
    Removed Refward acme #1. Its keys, secrets and credentials are deleted; all backups stay.
    Uninstalled from: acme
    Delete its registration, if it is not needed any more: http://127.0.0.1:PORT/organizations/acme/settings/apps/refward-acme-1
    => 0
    ");
    assert_eq!(credentials(&world).await, []);
    assert_eq!(world.snapshots("acme/api").await.len(), 1);
}
