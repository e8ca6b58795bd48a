//! An App is registered and installed in a browser.

use serde_json::{Value, json};
use url::Url;

use super::{call, get, signed};
use crate::client;
use crate::support::fake_github::FakeGithub;

fn manifest() -> Value {
    json!({
        "name": "Backup of acme",
        "url": "https://refward.example",
        "hook_attributes": { "url": "http://127.0.0.1:1/hooks/github" },
        "redirect_url": "https://refward.example/connect?to=acme",
        "setup_url": "https://refward.example/setup",
        "default_permissions": { "metadata": "read", "contents": "read" },
        "default_events": ["push", "repository"],
    })
}

async fn post(host: &FakeGithub, manifest: &Value) -> Result<Url, String> {
    let url = host.url().join("organizations/acme/settings/apps/new?state=s1").unwrap();
    let answer = client().post(url).form(&[("manifest", manifest.to_string())]).send().await.unwrap();
    match answer.headers().get("location") {
        Some(target) => Ok(target.to_str().unwrap().parse().unwrap()),
        None => Err(answer.text().await.unwrap()),
    }
}

#[tokio::test]
async fn a_manifest_becomes_an_app() {
    let host = FakeGithub::start().await;
    host.org("acme").repo("api").await;
    let back = post(&host, &manifest()).await.unwrap();
    let given: Vec<(String, String)> = back.query_pairs().into_owned().collect();
    assert_eq!((&*given[0].0, &*given[0].1, &*given[1].0), ("to", "acme", "code"));
    assert_eq!(given[2], ("state".to_owned(), "s1".to_owned()));
    let path = format!("app-manifests/{}/conversions", given[1].1);
    let made = call(&host, "POST", &path, "", Value::Null).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(call(&host, "POST", &path, "", Value::Null).await.status, 404);

    let app = &made.body;
    assert_eq!((&app["slug"], &app["owner"]["login"]), (&json!("backup-of-acme"), &json!("acme")));
    let pem = app["pem"].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let jwt = signed(pem, &app["client_id"], -30, 300);
    assert_eq!(get(&host, "app", &jwt).await.body["id"], app["id"]);

    let url = host.url().join("github-apps/backup-of-acme/installations/new?state=s2").unwrap();
    let landing = client().get(url).send().await.unwrap();
    let landing = landing.headers()["location"].to_str().unwrap();
    let installation = get(&host, "orgs/acme/installation", &jwt).await.body["id"].clone();
    let expected = format!("?installation_id={installation}&setup_action=install&state=s2");
    assert_eq!(landing, format!("https://refward.example/setup{expected}"));
}

#[tokio::test]
async fn a_code_is_good_for_an_hour() {
    let host = FakeGithub::start().await;
    host.org("acme");
    let back = post(&host, &manifest()).await.unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    host.move_clock(3601);
    assert_eq!(call(&host, "POST", &format!("app-manifests/{code}/conversions"), "", Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_wrong_manifest_gets_a_page_that_says_why() {
    let host = FakeGithub::start().await;
    host.org("acme");
    for (field, value, complaint) in [
        ("name", json!("x".repeat(35)), "1 to 34 characters"),
        ("url", Value::Null, "url is missing"),
        ("hook_attributes", json!({}), "hook_attributes.url is missing"),
        ("default_permissions", json!({ "telepathy": "read" }), "telepathy is not a permission"),
        ("default_permissions", json!({ "contents": "some" }), "not a level"),
        ("default_events", json!(["earthquake"]), "earthquake is not an event"),
        ("default_events", json!(["issues"]), "issues needs a permission"),
    ] {
        let mut wrong = manifest();
        wrong[field] = value;
        let page = post(&host, &wrong).await.unwrap_err();
        assert!(page.contains(complaint), "{complaint}: {page}");
    }
}
