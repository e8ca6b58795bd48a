//! GitHub Apps: what is registered, and where it is installed.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use url::Url;

use super::deliveries::Attempt;
use super::state::State;
use super::tokens::Permissions;

/// Everything about Apps.
pub struct Apps {
    pub registered: Vec<App>,
    pub installations: Vec<Installation>,
    pub requests: Vec<Request>,
    /// How long an installation token is good.
    pub token_life: TimeDelta,
    /// So many uses of a new token meet a replica that does not know it.
    pub replica_lag: usize,
    pub git_refuses_stateless: bool,
    /// Of key pairs handed out.
    pub keys: usize,
    /// Who sits at the browser.
    pub signed_in: String,
}

impl Default for Apps {
    fn default() -> Self {
        Self {
            registered: Vec::new(),
            installations: Vec::new(),
            requests: Vec::new(),
            token_life: TimeDelta::hours(1),
            replica_lag: 0,
            git_refuses_stateless: false,
            keys: 0,
            signed_in: "mona".to_owned(),
        }
    }
}

pub struct App {
    pub id: u64,
    pub client_id: String,
    pub slug: String,
    pub name: String,
    pub owner: String,
    pub description: Option<String>,
    pub homepage: String,
    pub permissions: Permissions,
    pub events: Vec<String>,
    pub hook: AppHook,
    pub setup_url: Option<String>,
    pub setup_on_update: bool,
    /// People may sign in with a code.
    pub device_flow: bool,
    pub created_at: DateTime<Utc>,
    /// By number of their pair.
    pub keys: Vec<usize>,
    /// Oldest first.
    pub log: Vec<Attempt>,
}

/// Where an App's webhooks go. An App has exactly one hook.
#[derive(Clone)]
pub struct AppHook {
    pub id: u64,
    pub url: Option<Url>,
    pub secret: Option<String>,
    pub form: bool,
}

pub struct Installation {
    pub id: u64,
    pub app: u64,
    pub account: String,
    /// `None`: all repositories, later ones too.
    pub chosen: Option<Vec<u64>>,
    pub permissions: Permissions,
    pub events: Vec<String>,
    /// Who suspended it, and when.
    pub suspended: Option<(String, DateTime<Utc>)>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Somebody without the right to install it asked for it.
pub struct Request {
    pub id: u64,
    pub app: u64,
    pub account: String,
    pub requester: String,
    pub created_at: DateTime<Utc>,
}

impl Installation {
    pub fn selection(&self) -> &'static str {
        if self.chosen.is_some() { "selected" } else { "all" }
    }
}

impl Apps {
    pub fn app(&self, id: u64) -> Option<&App> {
        self.registered.iter().find(|app| app.id == id)
    }

    pub fn app_mut(&mut self, id: u64) -> &mut App {
        self.registered.iter_mut().find(|app| app.id == id).expect("there is no such App")
    }

    pub fn by_slug(&self, slug: &str) -> Option<&App> {
        self.registered.iter().find(|app| app.slug == slug)
    }

    pub fn installation(&self, id: u64) -> Option<&Installation> {
        self.installations.iter().find(|found| found.id == id)
    }

    pub fn installation_mut(&mut self, id: u64) -> &mut Installation {
        self.installations.iter_mut().find(|found| found.id == id).expect("there is no such installation")
    }

    pub fn by_issuer(&self, issuer: &Value) -> Option<&App> {
        let issuer = issuer.as_str().map_or_else(|| issuer.to_string(), str::to_owned);
        self.registered.iter().find(|app| app.client_id == issuer || app.id.to_string() == issuer)
    }
}

impl State {
    /// Registers an App with one key.
    pub fn register(&mut self, owner: &str, name: &str) -> &mut App {
        let (id, hook, now) = (self.number() % 1_000_000, self.number(), self.now());
        let key = self.apps.keys;
        self.apps.keys += 1;
        let secret = Some(format!("hook-secret-of-app-{id}"));
        self.apps.registered.push(App {
            id,
            client_id: format!("Iv23li{id:0>14}"),
            slug: slug(name),
            name: name.to_owned(),
            owner: owner.to_owned(),
            description: None,
            homepage: "https://refward.example".to_owned(),
            permissions: permissions(&[("metadata", "read"), ("contents", "read")]),
            events: ["push", "create", "delete", "repository", "public"].map(str::to_owned).into(),
            hook: AppHook { id: hook, url: None, secret, form: false },
            setup_url: None,
            setup_on_update: false,
            device_flow: false,
            created_at: now,
            keys: vec![key],
            log: Vec::new(),
        });
        self.apps.registered.last_mut().expect("it was just put there")
    }
}

pub fn permissions(pairs: &[(&str, &str)]) -> Permissions {
    pairs.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect()
}

/// `Refward acme #1` → `refward-acme-1`
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}
