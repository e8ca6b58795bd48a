//! GitHub Apps: what is registered, and who may speak as one.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use url::Url;

use super::FakeGithub;
use super::deliveries::Attempt;
use super::keys;
use super::reply::{Call, Reply, message};
use super::state::State;
use super::tokens::Permissions;

/// The farthest that an assertion's end may be ahead.
const LONGEST_JWT: TimeDelta = TimeDelta::minutes(10);

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

    fn by_issuer(&self, issuer: &Value) -> Option<&App> {
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
            slug: name.to_lowercase().replace(' ', "-"),
            name: name.to_owned(),
            owner: owner.to_owned(),
            description: None,
            homepage: "https://refward.example".to_owned(),
            permissions: permissions(&[("metadata", "read"), ("contents", "read")]),
            events: ["push", "create", "delete", "repository", "public"].map(str::to_owned).into(),
            hook: AppHook { id: hook, url: None, secret, form: false },
            setup_url: None,
            setup_on_update: false,
            created_at: now,
            keys: vec![key],
            log: Vec::new(),
        });
        self.apps.registered.last_mut().expect("it was just put there")
    }

    /// The App that a call's assertion is of.
    pub fn speaking_as(&self, call: &Call) -> Result<u64, Reply> {
        let undecodable = || message(401, "A JSON web token could not be decoded");
        let jwt =
            call.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(undecodable)?;
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(jwt).map_err(|_| undecodable())?.claims;
        let app = self.apps.by_issuer(&claims["iss"]).ok_or_else(|| message(404, "Integration not found"))?;
        if !app.keys.iter().any(|key| is_signed_by(jwt, *key)) {
            return Err(undecodable());
        }
        let now = self.now().timestamp();
        if claims["iat"].as_i64().is_none_or(|issued| issued > now) {
            let text =
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
            return Err(message(401, text));
        }
        match claims["exp"].as_i64() {
            Some(end) if end > now + LONGEST_JWT.num_seconds() => {
                Err(message(401, "'Expiration time' claim ('exp') is too far in the future"))
            }
            Some(end) if end > now => Ok(app.id),
            _ => {
                let text = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which \
                            the assertion expires";
                Err(message(401, text))
            }
        }
    }
}

fn is_signed_by(jwt: &str, key: usize) -> bool {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.validate_exp = false;
    rules.required_spec_claims.clear();
    let key = DecodingKey::from_rsa_pem(keys::pair(key).public_pem.as_bytes()).unwrap();
    jsonwebtoken::decode::<Value>(jwt, &key, &rules).is_ok()
}

pub fn permissions(pairs: &[(&str, &str)]) -> Permissions {
    pairs.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect()
}

/// A registered App, as its owner holds it.
#[derive(Clone)]
pub struct AppHandle {
    pub(super) github: FakeGithub,
    /// GitHub's number.
    pub id: u64,
}

impl FakeGithub {
    /// Registers an App of `owner` that may read contents, without the manifest flow.
    pub fn app(&self, owner: &str) -> AppHandle {
        self.org(owner);
        let mut state = self.state();
        let name = format!("Refward {}", state.apps.registered.len() + 1);
        let id = state.register(owner, &name).id;
        drop(state);
        AppHandle { github: self.clone(), id }
    }

    /// An App that was registered in a browser.
    pub fn app_named(&self, slug: &str) -> AppHandle {
        let id = self.state().apps.by_slug(slug).expect("there is no such App").id;
        AppHandle { github: self.clone(), id }
    }

    /// Every App's slug.
    pub fn apps(&self) -> Vec<String> {
        self.state().apps.registered.iter().map(|app| app.slug.clone()).collect()
    }

    /// Moves the host's clock by seconds, forward or, with a negative number, back. Tokens expire by it.
    pub fn move_clock(&self, seconds: i64) {
        self.state().clock_ahead += TimeDelta::seconds(seconds);
    }

    /// How long installation tokens minted from now on are good.
    pub fn token_life(&self, seconds: i64) {
        self.state().apps.token_life = TimeDelta::seconds(seconds);
    }

    /// The first so many uses of every token minted from now on are answered 401.
    pub fn replicas_lag(&self, uses: usize) {
        self.state().apps.replica_lag = uses;
    }

    /// git over HTTP answers 404 to installation tokens in the format of 2026.
    pub fn git_refuses_stateless(&self, refuses: bool) {
        self.state().apps.git_refuses_stateless = refuses;
    }

    /// How often an installation token was asked for.
    pub fn mints(&self) -> usize {
        self.state().seen.iter().filter(|seen| seen.is_mint()).count()
    }
}

impl AppHandle {
    /// Where its webhooks go, and what they are signed with.
    #[must_use]
    pub fn hook(self, url: &Url, secret: &str) -> Self {
        self.change(|app| {
            app.hook.url = Some(url.clone());
            app.hook.secret = Some(secret.to_owned());
        })
    }

    /// What it may do; installations made before have to accept it.
    #[must_use]
    pub fn permissions(self, granted: &[(&str, &str)]) -> Self {
        self.change(|app| app.permissions = permissions(granted))
    }

    /// What it is told of.
    #[must_use]
    pub fn events(self, events: &[&str]) -> Self {
        self.change(|app| app.events = events.iter().map(|event| (*event).to_owned()).collect())
    }

    /// Where a browser goes after an installation.
    #[must_use]
    pub fn setup_url(self, url: &str) -> Self {
        self.change(|app| app.setup_url = Some(url.to_owned()))
    }

    fn change(self, change: impl FnOnce(&mut App)) -> Self {
        change(self.github.state().apps.app_mut(self.id));
        self
    }

    fn look<T>(&self, look: impl FnOnce(&App) -> T) -> T {
        look(self.github.state().apps.app(self.id).expect("the App was deleted"))
    }

    /// Its name in addresses.
    pub fn slug(&self) -> String {
        self.look(|app| app.slug.clone())
    }

    /// `Iv23…`.
    pub fn client_id(&self) -> String {
        self.look(|app| app.client_id.clone())
    }

    /// What its webhooks are signed with.
    pub fn webhook_secret(&self) -> Option<String> {
        self.look(|app| app.hook.secret.clone())
    }

    /// Its newest private key, as PEM.
    pub fn pem(&self) -> String {
        let newest = self.look(|app| *app.keys.last().expect("the App has no key any more"));
        keys::pair(newest).private_pem.clone()
    }

    /// One key more; gives the private half. The others stay good.
    pub fn add_key(&self) -> String {
        let mut state = self.github.state();
        let key = state.apps.keys;
        state.apps.keys += 1;
        state.apps.app_mut(self.id).keys.push(key);
        keys::pair(key).private_pem.clone()
    }

    /// Takes a key back.
    pub fn remove_key(&self, pem: &str) {
        self.github.state().apps.app_mut(self.id).keys.retain(|key| keys::pair(*key).private_pem != pem);
    }
}
