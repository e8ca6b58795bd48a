//! An App that somebody has registered by clicking.

use crate::seen;
use crate::support::fake_github::{AppHandle, Covers};
use crate::support::world::{Ran, World};

/// `refward apps add` for an App with its own number, key and secret, unless said otherwise.
pub async fn add(world: &World, app: &AppHandle, more: &[&str]) -> Ran {
    let key = world.secret_file("app.pem", &app.pem());
    let secret = world.secret_file("app.secret", &app.webhook_secret().unwrap());
    let (url, id, client_id) = (world.github.url().to_string(), app.id.to_string(), app.client_id());
    let given = ["apps", "add", "--url", &url, "--owner", "acme", "--app-id", &id, "--client-id", &client_id];
    let files = ["--key-file", &key, "--webhook-secret-file", &secret];
    world.refward(&[&given[..], &files, more].concat()).await
}

#[tokio::test]
async fn an_app_that_is_installed_already_connects_its_account_at_once() {
    let world = World::new().await;
    let app = world.github.app("acme");
    world.github.install(&app.slug(), "acme", Covers::All, None);

    let added = add(&world, &app, &[]).await;

    insta::with_settings!({ filters => [(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]")] }, {
        insta::assert_snapshot!(seen(&world, &added), @"
        refward-1: Refward 1, backup App #1 of acme on http://127.0.0.1:PORT/
          acme: active, all repositories, connected as acme
            not granted: administration: read, deployments: read, discussions: read, issues: read, members: read, organization_administration: read, organization_custom_properties: read, pages: read, pull_requests: read, repository_custom_properties: read, repository_hooks: read
          install it elsewhere: http://127.0.0.1:PORT/github-apps/refward-1/installations/new
          last looked at: [TIME]
        => 0
        ");
    });
    let connections = world.ok(&["connections", "list"]).await;
    assert_eq!(connections[0]["owner"], "acme", "{connections}");
}

#[tokio::test]
async fn what_does_not_fit_the_key_is_refused() {
    let world = World::new().await;
    let app = world.github.app("acme");
    let ran = add(&world, &app, &["--number", "2"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");

    insta::assert_snapshot!(seen(&world, &add(&world, &app, &["--number", "2"]).await), @"
    error: acme has a backup App #2 here already
      #1 is free
    => 2
    ");
    app.remove_key(&app.pem());
    app.add_key();
    let other = world.github.app("other");
    insta::assert_snapshot!(seen(&world, &add(&world, &other, &[]).await), @"
    error: the owner of Refward 2 is other, not acme
    => 2
    ");
}
