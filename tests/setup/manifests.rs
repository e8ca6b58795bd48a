//! What our manifests ask for is what the code uses, and what GitHub has.

use std::collections::BTreeSet;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use refward::domain::ConnectionId;
use refward::forge::quota::Quotas;
use refward::forge::{Content, Forge, HookSecret, Net, Posted, Signer, github};
use serde_json::{Value, json};

const BACKUP: &str = include_str!("../../app-manifests/github-backup.json");
const RESTORE: &str = include_str!("../../app-manifests/github-restore.json");

/// Every App hears of these; nobody can subscribe to them.
const UNASKED: &[&str] =
    &["installation", "installation_repositories", "installation_target", "github_app_authorization"];

/// Worth knowing, and left away for a reason.
const LEFT_AWAY: &[(&str, &str)] = &[
    ("meta", "tells that a hook was deleted, and an App's hook goes with the App"),
    ("repository_advisory", "advisories are not backed up yet, and Enterprise Servers have none"),
    ("sub_issues", "Enterprise Server 3.19 refuses manifests that name it; issues are swept"),
    ("issue_dependencies", "Enterprise Server 3.19 refuses manifests that name it; issues are swept"),
    ("projects_v2", "needs a permission on all projects of the organization"),
    ("projects_v2_item", "needs a permission on all projects of the organization"),
    ("projects_v2_status_update", "needs a permission on all projects of the organization"),
    ("repository_import", "follows the push that it would tell of"),
];

fn manifest(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn events(manifest: &Value) -> BTreeSet<String> {
    manifest["default_events"].as_array().unwrap().iter().map(|event| event.as_str().unwrap().to_owned()).collect()
}

/// GitHub's description of an API; `None`, loudly, where it was not fetched.
fn description(of: &str) -> Option<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!(".test-tools/openapi/{of}.json"));
    let Ok(text) = std::fs::read(&file) else {
        eprintln!("\n!!! NOT CHECKED: {} is missing. Run scripts/test-setup.sh.\n", file.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

/// What Apps may subscribe to.
fn events_of_apps(description: &Value) -> BTreeSet<String> {
    let hooks = description["webhooks"].as_object().or_else(|| description["x-webhooks"].as_object()).unwrap();
    let told = hooks.values().map(|hook| &hook["post"]["x-github"]);
    let of_apps = told.filter(|told| {
        told["supported-webhook-types"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "app"))
    });
    of_apps.map(|told| told["subcategory"].as_str().unwrap().replace('-', "_")).collect()
}

/// The code does something about such an event.
fn is_understood(event: &str) -> bool {
    let body = json!({
        "action": "edited",
        "repository": { "id": 1, "full_name": "acme/api" },
        "issue": { "number": 1 }, "pull_request": { "number": 1 }, "discussion": { "number": 1 },
        "release": { "id": 1 }, "parent_issue": { "number": 1 }, "blocked_issue": { "number": 1 },
    })
    .to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"secret").unwrap();
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-github-event", event),
        ("x-github-delivery", "0b989ba4-242f-11e5-81e1-c7b6966d2516"),
        ("x-hub-signature-256", &signature),
    ] {
        headers.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let forge: Box<dyn Forge> = github::connect(Net { http: reqwest::Client::new(), quotas: Quotas::default() });
    let secret = HookSecret { signer: Signer::Connection(ConnectionId(1)), secret: "secret".to_owned().into() };
    let verified = forge.verify(Posted { key: None, headers: &headers, body: body.into() }, &[secret]).unwrap();
    matches!(forge.read(&verified).unwrap().content, Content::Events(_))
}

#[tokio::test]
async fn every_event_that_is_asked_for_is_understood() {
    let ignored: Vec<String> = events(&manifest(BACKUP)).into_iter().filter(|event| !is_understood(event)).collect();
    assert!(ignored.is_empty(), "asked for, and then ignored: {ignored:?}");
    assert!(!is_understood("star"), "this test would not notice");
    assert!(events(&manifest(RESTORE)).is_empty(), "a restore App needs no events");
}

#[tokio::test]
async fn every_event_that_is_understood_is_asked_for() {
    let asked = events(&manifest(BACKUP));
    let known = |event: &String| {
        asked.contains(event) || UNASKED.contains(&event.as_str()) || LEFT_AWAY.iter().any(|(left, _)| left == event)
    };
    for of in ["api.github.com", "ghes-3.19"] {
        let Some(description) = description(of) else { continue };
        let of_apps = events_of_apps(&description);
        assert!(of_apps.contains("push"), "{of} tells of no events");
        let forgotten: Vec<&String> = of_apps.iter().filter(|event| !known(event) && is_understood(event)).collect();
        assert!(forgotten.is_empty(), "{of}: understood, and not asked for: {forgotten:?}");
    }
}

#[test]
fn github_has_what_is_asked_for() {
    for of in ["api.github.com", "ghes-3.19"] {
        let Some(description) = description(of) else { continue };
        let of_apps = events_of_apps(&description);
        let permissions = &description["components"]["schemas"]["app-permissions"]["properties"];
        for manifest in [manifest(BACKUP), manifest(RESTORE)] {
            let unknown: Vec<_> = events(&manifest).difference(&of_apps).cloned().collect();
            assert!(unknown.is_empty(), "{of} sends Apps no {unknown:?}");
            for (name, level) in manifest["default_permissions"].as_object().unwrap() {
                let levels = &permissions[name]["enum"];
                assert!(
                    levels.as_array().is_some_and(|levels| levels.contains(level)),
                    "{of}: {name}: {level}: {levels}"
                );
            }
        }
    }
}
