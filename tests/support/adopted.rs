//! An App of the double's that a deployment has, as somebody adds one that was registered by hand.

use serde_json::Value;

use super::fake_github::{AppHandle, FakeGithub};
use super::world::World;

/// An App that asks for what our manifest of its role, `backup` or `restore`, asks for.
pub fn app_for(github: &FakeGithub, owner: &str, role: &str) -> AppHandle {
    let file = format!("{}/app-manifests/github-{role}.json", env!("CARGO_MANIFEST_DIR"));
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let asked = manifest["default_permissions"].as_object().unwrap();
    let asked: Vec<_> = asked.iter().map(|(name, level)| (name.as_str(), level.as_str().unwrap())).collect();
    github.app(owner).permissions(&asked)
}

/// The deployment knows the App from now on, as #1 of its role, and has connected the accounts that it is installed on.
pub async fn adopt(world: &World, github: &FakeGithub, app: &AppHandle, owner: &str, role: &str) {
    let key = world.secret_file("app.pem", &app.pem());
    let secret = world.secret_file("app.secret", &app.webhook_secret().unwrap());
    let (url, id, client_id) = (github.url().to_string(), app.id.to_string(), app.client_id());
    let given = ["apps", "add", "--url", &url, "--owner", owner, "--role", role, "--app-id", &id];
    let files = ["--client-id", &client_id, "--key-file", &key, "--webhook-secret-file", &secret];
    world.ok(&[&given[..], &files].concat()).await;
}
