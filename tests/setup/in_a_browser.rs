//! The whole way in a browser: from a code to Apps that are registered, installed and used.

use serde_json::Value;

use crate::browser::{Browser, PUBLIC};
use crate::support::fake_github::{Covers, Repo};
use crate::support::world::{Service, World, eventually};
use crate::{credentials, notices, refused_sql};

/// An organization with one repository and a service that can be reached.
pub async fn world() -> (World, Service, Repo) {
    let world = World::with(&[("server.public_url", PUBLIC)]).await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let service = world.serve().await;
    (world, service, api)
}

/// Wishes for so many Apps of acme.
pub async fn wish(world: &World, browser: &mut Browser, role: &str, count: &str) {
    let github = world.github.url().to_string();
    let server = [("host", "server"), ("server", github.as_str())];
    let rest = [("kind", "organization"), ("owner", "acme"), ("role", role), ("count", count)];
    browser.submit(&[server, [rest[0], rest[1]], [rest[2], rest[3]]].concat()).await;
}

/// Registers and installs the main App of acme.
pub async fn installed(world: &World, service: &Service) -> Browser {
    let mut browser = Browser::let_in(world, service).await;
    wish(world, &mut browser, "backup", "1").await;
    browser.submit(&[]).await;
    world.hook_to(&service.url("/hooks/github"));
    browser.click("Install it").await;
    browser
}

/// What `apps list` tells of an App as soon as that is so.
pub async fn app(world: &World, slug: &str, so: impl Fn(&Value) -> bool) -> Value {
    let look = async || {
        let apps = world.ok(&["apps", "list"]).await;
        let mut apps = apps.as_array().unwrap().iter();
        apps.find(|app| app["slug"] == slug && so(app)).cloned()
    };
    eventually(look, || format!("{slug} in `apps list`")).await
}

#[tokio::test]
async fn a_code_leads_to_an_app_a_connection_and_a_snapshot_of_everything() {
    let (world, service, api) = world().await;
    let mut browser = Browser::new(&world, &service);
    let door = world.ok(&["apps", "create"]).await;

    browser.open(door["url"].as_str().unwrap()).await;
    insta::assert_snapshot!(browser.text(), @"");
    browser.submit(&[("code", door["code"].as_str().unwrap())]).await;
    insta::assert_snapshot!(browser.text(), @"");
    wish(&world, &mut browser, "backup", "1").await;
    insta::assert_snapshot!(browser.text(), @"");
    browser.submit(&[]).await;
    insta::assert_snapshot!(browser.text(), @"");
    assert_eq!(world.github.apps(), ["refward-acme-#1"]);

    world.hook_to(&service.url("/hooks/github"));
    browser.click("Install it").await;
    world.snapshot("acme/api", 1).await;
    browser.open("apps").await;
    insta::assert_snapshot!(browser.text(), @"");

    let work = api.work().await;
    work.commit("two").await;
    work.push(&["main"]).await;
    world.snapshot("acme/api", 2).await;
    assert_eq!(world.answers().last(), Some(&Some(202)), "{:?}", world.answers());
}

#[tokio::test]
async fn of_two_apps_the_second_joins_switched_off() {
    let (world, service, _api) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "2").await;
    browser.submit(&[]).await;
    browser.click("Register #2").await;
    browser.submit(&[]).await;
    insta::assert_snapshot!(browser.text(), @"");

    world.hook_to(&service.url("/hooks/github"));
    let links: Vec<String> = world.ok(&["apps", "list"]).await.as_array().unwrap().iter().map(install_url).collect();
    for link in links {
        browser.open(&link).await;
    }
    app(&world, "refward-acme-#2", |app| app["installations"][0]["connection"] == "acme").await;
    assert_eq!(
        credentials(&world).await,
        [("refward-acme-#1", true, true), ("refward-acme-#2", false, false)].map(|(label, main, enabled)| (
            label.to_owned(),
            main,
            enabled
        ))
    );
}

fn install_url(app: &Value) -> String {
    app["install_url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_may_only_ask_is_told_who_must_approve() {
    let (world, service, _api) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "1").await;
    browser.submit(&[]).await;
    world.hook_to(&service.url("/hooks/github"));

    let landing = world.github.request_install("refward-acme-#1", "acme", "hubot", Some("whatever"));
    browser.open(landing.redirect.unwrap().as_str()).await;
    insta::assert_snapshot!(browser.text(), @"");

    let approved = world.github.approve("refward-acme-#1", "acme", Covers::All);
    let mut owner = Browser::new(&world, &service);
    owner.open(approved.redirect.unwrap().as_str()).await;
    insta::assert_snapshot!(owner.text(), @"");
    let app = app(&world, "refward-acme-#1", |app| app["installations"][0]["connection"] == "acme").await;
    assert_eq!(app["installations"][0]["requested_by"], "hubot", "{app}");
    assert_eq!(app["requests"], serde_json::json!([]), "{app}");
    world.snapshot("acme/api", 1).await;
}

#[tokio::test]
async fn what_owners_do_with_an_installation_is_told() {
    let (world, service, _api) = world().await;
    installed(&world, &service).await;
    let known = app(&world, "refward-acme-#1", |app| app["installations"][0]["connection"] == "acme").await;
    let id: u64 = known["installations"][0]["installation"].as_str().unwrap().parse().unwrap();
    let state = async |wanted: &str| {
        app(&world, "refward-acme-#1", |app| app["installations"][0]["state"] == wanted).await;
    };

    world.github.suspend(id);
    state("suspended").await;
    world.github.unsuspend(id);
    state("active").await;
    world.github.rename_account("acme", "acme-inc");
    app(&world, "refward-acme-#1", |app| app["installations"][0]["account"] == "acme-inc").await;
    world.github.uninstall(id);
    state("gone").await;

    let last = async || Some(notices(&world).await).filter(|told| told.iter().any(|line| line.contains("uninstalled")));
    let told = eventually(last, || "the last notice".to_owned()).await;
    insta::assert_snapshot!(told.join("\n"), @"");
    assert_eq!(credentials(&world).await, [], "an uninstalled App opens nothing");
    assert_eq!(world.snapshots("acme/api").await.len(), 1, "its backups stay");
}

#[tokio::test]
async fn keys_that_cannot_be_stored_are_said_to_be_lost() {
    let (world, service, _api) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "1").await;
    refused_sql(&world, "app_secret");

    browser.submit(&[]).await;
    insta::assert_snapshot!(browser.text(), @"");
    assert_eq!(world.ok(&["apps", "list"]).await, serde_json::json!([]));
}
