//! The whole way in a browser: from a code to Apps that are registered, installed and used.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::browser::{Browser, PUBLIC};
use crate::support::fake_github::{Covers, Fault, Work};
use crate::support::world::{Service, World, eventually};
use crate::{credentials, notices, refused_sql};

/// An organization with one repository and a service that can be reached.
pub async fn world() -> (World, Service, Work) {
    let world = World::with(&[("server.public_url", PUBLIC)]).await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let service = world.serve().await;
    (world, service, work)
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
    let (world, service, work) = world().await;
    let mut browser = Browser::new(&world, &service);
    let door = world.ok(&["apps", "create"]).await;

    browser.open(door["url"].as_str().unwrap()).await;
    insta::assert_snapshot!(browser.text(), @"
    200 /setup
    Set up Refward
    Setup code
    The service prints one when it starts and nothing is connected yet. At any time, on its machine: refward apps create. A code works once.
    Begin
    ");
    browser.submit(&[("code", door["code"].as_str().unwrap())]).await;
    insta::assert_snapshot!(browser.text(), @"
    200 /setup
    Register Apps
    Which GitHub
    github.com
    Enterprise Cloud with data residency: .ghe.com
    Enterprise Server:
    Who is to own the Apps
    An organization. You must be one of its owners.
    Your personal account (not on ghe.com)
    Its name
    What they are for
    Backups: they read, and nothing else
    Restores: they write; install one only when you need it
    How many to register now
    12345678910
    One is enough for most. Each further one has limits of its own and may be switched on when backups wait for limits. The next free numbers are taken, #10 is the last.
    Go on
    Without Apps
    Connect Azure DevOps
    ");
    wish(&world, &mut browser, "backup", "1").await;
    insta::assert_snapshot!(browser.text(), @"
    200 /setup/register
    Register backup App #1 of acme
    127.0.0.1 shows what the App may do and asks you to confirm. It then sends you back here.
    Register it on 127.0.0.1
    Something else
    ");
    browser.submit(&[]).await;
    insta::assert_snapshot!(browser.text(), @"
    200 /setup/apps
    Apps
    Refward acme #1
    backup App #1 of acme on http://127.0.0.1:PORT/
    Install it
    Register other Apps
    ");
    assert_eq!(world.github.apps(), ["refward-acme-1"]);

    world.hook_to(&service.url("/hooks/github"));
    browser.click("Install it").await;
    world.snapshot("acme/api", 1).await;
    browser.open("apps").await;
    insta::assert_snapshot!(browser.text(), @"
    200 /setup/apps
    Apps
    Refward acme #1
    backup App #1 of acme on http://127.0.0.1:PORT/
    acme: active, all repositories, connected as acme
    Install it elsewhere
    Register other Apps
    ");

    work.commit("two").await;
    work.push(&["main"]).await;
    world.snapshot("acme/api", 2).await;
    assert_eq!(world.answers().last(), Some(&Some(202)), "{:?}", world.answers());

    let app = world.github.app_named("refward-acme-1");
    let database = std::fs::read(world.folder().join("refward.db")).unwrap();
    let kept = format!("{}{}", String::from_utf8_lossy(&database), service.log());
    let line_of_key = app.pem().lines().nth(1).unwrap().to_owned();
    for secret in [app.webhook_secret().unwrap(), line_of_key, door["code"].as_str().unwrap().to_owned()] {
        assert!(!kept.contains(&secret), "{secret} is in the clear");
    }
}

#[tokio::test]
async fn of_two_apps_the_second_joins_switched_off() {
    let (world, service, _) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "2").await;
    browser.submit(&[]).await;
    browser.click("Register #2").await;
    browser.submit(&[]).await;
    insta::assert_snapshot!(browser.text(), @"
    200 /setup/apps
    Apps
    Refward acme #1
    backup App #1 of acme on http://127.0.0.1:PORT/
    Install it
    Refward acme #2
    backup App #2 of acme on http://127.0.0.1:PORT/
    Install it
    Register other Apps
    ");

    world.hook_to(&service.url("/hooks/github"));
    let links: Vec<String> = world.ok(&["apps", "list"]).await.as_array().unwrap().iter().map(install_url).collect();
    for link in links {
        browser.open(&link).await;
    }
    app(&world, "refward-acme-2", |app| app["installations"][0]["connection"] == "acme").await;
    assert_eq!(
        credentials(&world).await,
        [("refward-acme-1", true, true), ("refward-acme-2", false, false)].map(|(label, main, enabled)| (
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
    let (world, service, _) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "1").await;
    browser.submit(&[]).await;
    world.hook_to(&service.url("/hooks/github"));

    let landing = world.github.request_install("refward-acme-1", "acme", "hubot", Some("whatever"));
    browser.open(landing.redirect.unwrap().as_str()).await;
    insta::assert_snapshot!(browser.text(), @"
    200 /setup/installed
    Apps
    Not installed yet: an owner has to approve it. You may not install Apps on that account, so GitHub has asked its owners for you. They approve or decline in the account's settings, GitHub Apps. Nothing of the account is backed up through the App until then; you need not do anything more here. It is noticed by itself.
    To add a further App to an account, whoever installs it must be able to do so without asking.
    Refward acme #1
    backup App #1 of acme on http://127.0.0.1:PORT/
    acme: hubot asked for it; an owner of acme has to approve that
    Install it
    Register other Apps
    ");

    let approved = world.github.approve("refward-acme-1", "acme", Covers::All);
    let mut owner = Browser::new(&world, &service);
    owner.open(approved.redirect.unwrap().as_str()).await;
    insta::assert_snapshot!(owner.text(), @"
    200 /setup/installed
    Thank you
    Refward asks GitHub itself where its Apps are installed, and goes on by itself.
    Whoever runs it sees the outcome with `refward apps list`.
    ");
    let app = app(&world, "refward-acme-1", |app| app["installations"][0]["connection"] == "acme").await;
    assert_eq!(app["installations"][0]["requested_by"], "hubot", "{app}");
    assert_eq!(app["requests"], serde_json::json!([]), "{app}");
    world.snapshot("acme/api", 1).await;
}

#[tokio::test]
async fn what_owners_do_with_an_installation_is_told() {
    let (world, service, _) = world().await;
    installed(&world, &service).await;
    let known = app(&world, "refward-acme-1", |app| app["installations"][0]["connection"] == "acme").await;
    world.snapshot("acme/api", 1).await;
    let id: u64 = known["installations"][0]["installation"].as_str().unwrap().parse().unwrap();
    let state = async |wanted: &str| {
        app(&world, "refward-acme-1", |app| app["installations"][0]["state"] == wanted).await;
    };

    world.github.suspend(id);
    state("suspended").await;
    world.github.unsuspend(id);
    state("active").await;
    world.github.rename_account("acme", "acme-inc");
    app(&world, "refward-acme-1", |app| app["installations"][0]["account"] == "acme-inc").await;
    world.github.uninstall(id);
    state("gone").await;

    let last = async || Some(notices(&world).await).filter(|told| told.iter().any(|line| line.contains("uninstalled")));
    let told = eventually(last, || "the last notice".to_owned()).await;
    insta::assert_snapshot!(told.join("\n"), @"
    connection.created: acme is connected through the App Refward acme #1, as acme.
    app.suspended: The App Refward acme #1 is suspended on acme: nothing is backed up through it until that is lifted.
    resolved: The App Refward acme #1 works again on acme.
    account.renamed: acme is called acme-inc now.
    app.uninstalled: The App Refward acme #1 was uninstalled from acme-inc. What it could reach is no longer backed up through it; the backups stay.
    ");
    assert_eq!(credentials(&world).await, [], "an uninstalled App opens nothing");
    assert_eq!(world.snapshots("acme/api").await.len(), 1, "its backups stay");
}

#[tokio::test]
async fn every_github_has_its_own_address_to_register_at() {
    let (world, service, _) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    let mine = ["https://github.com/settings/apps/new", "https://github.com/organizations/acme/settings/apps/new"];
    for (host, tenant, server, kind, wanted) in [
        ("github.com", "", "", "personal", mine[0]),
        ("github.com", "", "", "organization", mine[1]),
        ("ghe.com", "octo", "", "organization", "https://octo.ghe.com/organizations/acme/settings/apps/new"),
        ("server", "", "https://git.corp", "organization", "https://git.corp/organizations/acme/settings/apps/new"),
    ] {
        browser.open("/setup").await;
        let account = [("owner", "acme"), ("role", "restore"), ("count", "1")];
        let place = [("host", host), ("tenant", tenant), ("server", server), ("kind", kind)];
        browser.submit(&[&place[..], &account].concat()).await;
        assert_eq!(browser.action().split('?').next(), Some(wanted));
    }

    browser.open("/setup").await;
    let place = [("host", "ghe.com"), ("tenant", "octo"), ("kind", "personal"), ("owner", "mona_octo")];
    browser.submit(&[&place[..], &[("role", "backup"), ("count", "1")]].concat()).await;
    assert!(browser.text().contains("on octo.ghe.com an App has to belong to an organization"), "{}", browser.text());
}

#[tokio::test]
async fn the_service_offers_a_code_while_nothing_is_connected() {
    let world = World::with(&[("server.public_url", PUBLIC)]).await;
    let mut command = world.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut serving = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let (link, code) = (lines.next_line().await.unwrap().unwrap(), lines.next_line().await.unwrap().unwrap());
    assert_eq!(link, "Register Apps in a browser: http://backup.example.com/setup");
    let (told, code) = code.split_once(": ").unwrap();
    assert_eq!((told, code.len()), ("Setup code, good once and for a day", 32));
    serving.kill().await.unwrap();
}

#[tokio::test]
async fn while_github_is_away_the_way_back_stays_open() {
    let (world, service, _) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "1").await;
    world.github.fail(1, &Fault::json(503, "Service Unavailable"));
    browser.submit(&[]).await;
    assert_eq!((browser.at.path(), browser.status), ("/setup/registered", 502), "{}", browser.text());
    let again = browser.at.to_string();
    browser.open(&again).await;
    assert_eq!(world.ok(&["apps", "list"]).await[0]["slug"], "refward-acme-1", "{}", browser.text());
}

#[tokio::test]
async fn keys_that_cannot_be_stored_are_said_to_be_lost() {
    let (world, service, _) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "1").await;
    refused_sql(&world, "app_secret");

    browser.submit(&[]).await;
    insta::assert_snapshot!(browser.text(), @"
    500 /setup/registered
    That did not work
    Refward acme #1 is registered, but its keys could not be stored: storing an App's secret: the database refused a statement
    they cannot be had again: delete Refward acme #1 in the settings of acme, then register it anew
    ");
    assert_eq!(world.ok(&["apps", "list"]).await, serde_json::json!([]));
}
