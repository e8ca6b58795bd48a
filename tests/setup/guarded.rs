//! Who gets in, and what everybody else can do.

use serde_json::Value;

use crate::browser::Browser;
use crate::in_a_browser::{wish, world};
use crate::support::world::World;

#[tokio::test]
async fn a_code_works_once_and_a_wrong_one_never() {
    let (world, service, _) = world().await;
    let door = world.ok(&["apps", "create"]).await;
    let (url, code) = (door["url"].as_str().unwrap(), door["code"].as_str().unwrap());
    assert!(code.len() >= 32, "128 bits are 32 digits: {code}");
    let mut first = Browser::new(&world, &service);
    first.open(url).await;
    first.submit(&[("code", code)]).await;
    assert_eq!(first.status, 200, "{}", first.text());

    let mut second = Browser::new(&world, &service);
    second.open(url).await;
    second.submit(&[("code", code)]).await;
    insta::assert_snapshot!(second.text(), @"
    403 /setup/code
    This code opens nothing
    It was used already, is older than a day, or is not one of ours.
    On the service's machine, `refward apps create` makes another.
    ");
    assert_eq!(second.cookie, None);
}

#[tokio::test]
async fn wrong_codes_in_a_row_have_to_wait() {
    let (world, service, _) = world().await;
    let mut browser = Browser::new(&world, &service);
    for _ in 0..10 {
        browser.open("/setup").await;
        browser.submit(&[("code", "guessed")]).await;
        assert_eq!(browser.status, 403);
    }
    browser.open("/setup").await;
    browser.submit(&[("code", "guessed")]).await;
    assert_eq!(browser.status, 429);
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_see() {
    let (world, service, _) = world().await;
    let mut browser = Browser::new(&world, &service);
    for page in ["/setup/apps", "/setup/register", "/setup/registered?code=abc&state=def"] {
        browser.open(page).await;
        assert_eq!(browser.status, 403, "{page}");
    }
    browser.open("/setup/installed?installation_id=4711&setup_action=install").await;
    assert_eq!(browser.status, 200);
    assert!(!browser.text().contains("acme"), "{}", browser.text());
}

#[tokio::test]
async fn another_sites_form_is_refused() {
    let (world, service, _) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    let cookie = browser.cookie.take();
    let mut other = Browser::let_in(&world, &service).await;
    other.cookie = cookie;
    wish(&world, &mut other, "backup", "1").await;
    insta::assert_snapshot!(other.text(), @"
    403 /setup
    That did not work
    this form did not come from one of this session's pages
    ");
}

#[tokio::test]
async fn the_way_back_from_github_works_once_and_for_one_session() {
    let (world, service, _) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "1").await;
    let mut thief = Browser::let_in(&world, &service).await;
    wish(&world, &mut thief, "backup", "1").await;
    // The thief's browser brings what GitHub gave to the other.
    let cookie = std::mem::replace(&mut browser.cookie, thief.cookie.clone());
    browser.submit(&[]).await;
    insta::assert_snapshot!(browser.text(), @"
    400 /setup/registered
    That did not work
    this is no answer to a registration that began in this browser, or a repeated one
    begin again at /setup; if an App was registered and is not listed there, delete it on the forge
    ");
    assert_eq!(world.ok(&["apps", "list"]).await, Value::Array(vec![]));

    let address = browser.at.to_string();
    browser.cookie = cookie;
    browser.open(&address).await;
    assert_eq!(browser.at.path(), "/setup/apps", "{}", browser.text());
    assert_eq!(world.ok(&["apps", "list"]).await[0]["slug"], "refward-acme-1");
    browser.open(&address).await;
    assert_eq!(browser.status, 400, "it works once");
}

#[tokio::test]
async fn pages_run_nothing_and_are_kept_nowhere() {
    let (world, service, _) = world().await;
    let mut browser = Browser::let_in(&world, &service).await;
    wish(&world, &mut browser, "backup", "1").await;
    let header = |name: &str| browser.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("referrer-policy"), "no-referrer");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script"), "{policy}");
}

#[tokio::test]
async fn the_session_is_the_browsers_alone() {
    for (public, wanted) in [
        ("https://backup.example.com/refward", "; HttpOnly; SameSite=Lax; Secure; Path=/refward/setup"),
        ("http://backup.example.com", "; HttpOnly; SameSite=Lax; Path=/setup"),
    ] {
        let world = World::with(&[("server.public_url", public)]).await;
        let service = world.serve().await;
        let door = world.ok(&["apps", "create"]).await;
        assert_eq!(door["url"], format!("{public}/setup"));
        let mut browser = Browser::new(&world, &service);
        // What stands before it takes the path away.
        browser.open("/setup").await;
        browser.submit(&[("code", door["code"].as_str().unwrap())]).await;
        let (key, rest) = browser.set_cookie.split_at(browser.set_cookie.find(';').unwrap());
        assert_eq!(rest, wanted);
        assert_eq!(key.len(), "refward_setup=".len() + 32);
    }
}

#[tokio::test]
async fn where_the_service_is_reached_must_be_set() {
    let world = World::new().await;
    let service = world.serve().await;
    let mut browser = Browser::new(&world, &service);
    browser.open("/setup").await;
    insta::assert_snapshot!(browser.text(), @"
    500 /setup
    That did not work
    the setting `server.public_url` is not set
    set it to the address at which browsers and the forge reach this service, e.g. https://backup.example.com
    ");
    insta::assert_snapshot!(crate::seen(&world, &world.refward(&["apps", "create"]).await), @"
    error: the setting `server.public_url` is not set
      set it to the address at which browsers and the forge reach this service, e.g. https://backup.example.com
    => 6
    ");
}
