//! An App of the double's, as a deployment holds it after registering it in a browser, without the browser.

use std::collections::BTreeMap;

use refward::catalog::{AppFacts, AppSecret, Catalog};
use refward::config::Settings;
use refward::vault::CredentialKey;
use secrecy::SecretString;
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

/// The deployment knows the App from now on, as `backup` or `restore`; the service looks where it is installed.
pub async fn adopt(world: &World, github: &FakeGithub, app: &AppHandle, role: &str) {
    let settings = Settings::load(&world.folder().join("refward.toml")).unwrap();
    let catalog = Catalog::connect(&settings.database).await.unwrap();
    let key = CredentialKey::load(&settings.keys.credentials).unwrap();
    let seal = |secret: String| key.seal(&SecretString::from(secret)).unwrap();
    let facts = AppFacts {
        forge: "github".to_owned(),
        url: github.url().to_string(),
        owner: "acme".to_owned(),
        role: role.to_owned(),
        number: 1,
        forge_id: app.id.to_string(),
        client_id: app.client_id(),
        slug: app.slug(),
        name: format!("Refward {role}"),
        permissions: BTreeMap::new(),
        events: Vec::new(),
    };
    let mut secrets = vec![(AppSecret::Key, seal(app.pem()))];
    secrets.extend(app.webhook_secret().map(|secret| (AppSecret::Webhook, seal(secret))));
    catalog.add_app(facts, secrets).await.unwrap();
    catalog.close().await.unwrap();
}
