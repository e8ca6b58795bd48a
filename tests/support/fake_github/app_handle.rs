//! Apps as their owners hold them, and how the host treats all of them.

use chrono::TimeDelta;
use refward::forge::AppKey;
use url::Url;

use super::FakeGithub;
use super::apps::{App, permissions};
use super::keys;

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

    pub(super) fn change(self, change: impl FnOnce(&mut App)) -> Self {
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

    /// What proves that somebody is the App.
    pub fn key(&self) -> AppKey {
        let url = self.github.url().clone();
        AppKey { url, forge_id: self.id.to_string(), client_id: self.client_id(), key: self.pem().into() }
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
