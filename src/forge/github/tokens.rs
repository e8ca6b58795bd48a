//! Installation tokens: made from an App's key, for one purpose, and good for an hour.
//! <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>
//!
//! Whoever wants a token that is there already gets that one, and however many want one that is not, it is made once. A
//! token is narrowed to what the job needs: a stolen one opens one repository for reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use moka::Expiry;
use moka::future::Cache;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::api::{Api, Bearer};
use super::errors;
use super::hosts::Host;
use super::jwt::Clocks;
use crate::domain::{Error, Kind, Result};
use crate::forge::quota::Urgency;
use crate::forge::{AppKey, Net};

/// Tokens to remember at most; each job needs one for its repository.
const REMEMBERED: u64 = 20_000;

/// A token is renewed when this part of its life is left: five minutes of an hour.
const MARGIN: u32 = 12;

/// Some replicas of GitHub know a new token only after seconds.
/// <https://github.com/octokit/auth-app.js> retries as long.
pub(super) const REPLICA_LAG: Duration = Duration::from_secs(5);

/// Reading repositories' lists and states.
pub(super) const SURVEY: Rights = &[("contents", "read"), ("metadata", "read"), ("pull_requests", "read")];

/// Asking what others may do.
pub(super) const LOOK: Rights = &[("metadata", "read")];

/// Fetching with git.
pub(super) const FETCH: Rights = &[("contents", "read"), ("metadata", "read")];

/// Pushing with git. What changes a workflow needs a permission of its own.
pub(super) const PUSH: Rights = &[("contents", "write"), ("metadata", "read"), ("workflows", "write")];

/// Permissions by name, with their level.
pub(super) type Rights = &'static [(&'static str, &'static str)];

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Purpose {
    pub installation: String,
    /// The forge's id of the one repository; `None`: all that the installation has.
    pub repository: Option<String>,
    pub rights: Rights,
    /// Ask for the older, shorter form, which some git servers still want.
    pub short: bool,
}

/// A token as GitHub made it.
pub(super) struct Minted {
    pub token: SecretString,
    made: Instant,
    lasts: Duration,
}

impl Minted {
    /// So young that a replica may not know it yet.
    pub fn is_new(&self) -> bool {
        self.made.elapsed() < REPLICA_LAG
    }
}

/// The tokens of all Apps that this process has made.
pub(super) struct Tokens {
    net: Net,
    clocks: Arc<Clocks>,
    made: Cache<(String, Purpose), Arc<Minted>>,
}

impl Tokens {
    pub fn new(net: Net, clocks: Arc<Clocks>) -> Self {
        Self { net, clocks, made: Cache::builder().max_capacity(REMEMBERED).expire_after(UntilRenewal).build() }
    }

    /// A token for this purpose that does not end while it is used.
    pub async fn get(&self, app: &AppKey, purpose: &Purpose) -> Result<Arc<Minted>> {
        let made = self.made.try_get_with(key(app, purpose), self.boxed_mint(app, purpose)).await;
        // Whoever waited for the same token shares the error.
        made.map_err(|error: Arc<Error>| error.share())
    }

    /// The host does not accept it any more.
    pub async fn forget(&self, app: &AppKey, purpose: &Purpose) {
        self.made.invalidate(&key(app, purpose)).await;
    }

    /// Minting is a call to the API like those that need a token; the type must not contain itself.
    fn boxed_mint<'a>(&'a self, app: &'a AppKey, purpose: &'a Purpose) -> BoxFuture<'a, Result<Arc<Minted>>> {
        Box::pin(self.mint(app, purpose))
    }

    async fn mint(&self, app: &AppKey, purpose: &Purpose) -> Result<Arc<Minted>> {
        #[derive(Deserialize)]
        struct Made {
            token: SecretString,
            expires_at: DateTime<Utc>,
        }
        let host = Host::at(&app.url)?;
        let bearer = Bearer::App { app: app.clone(), clocks: Arc::clone(&self.clocks) };
        let api = Api::new(&self.net, host, format!("App {}", app.forge_id), bearer, Urgency::Event)?;
        let mut wish =
            json!({ "permissions": purpose.rights.iter().copied().collect::<std::collections::BTreeMap<_, _>>() });
        if let Some(repository) = &purpose.repository {
            let id: u64 = repository.parse().map_err(|_| Error::bug("a repository's id is not a number"))?;
            wish["repository_ids"] = json!([id]);
        }
        let path = format!("/app/installations/{}/access_tokens", purpose.installation);
        let form = purpose.short.then_some(("x-github-stateless-s2s-token", "disabled"));
        let answer = api.send_with(Method::POST, &path, Some(&wish), form).await?;
        if let Some(error) = errors::refusal(&api.host, &answer) {
            return Err(explain(&api, app, purpose, answer.status, error).while_doing("getting a token"));
        }
        let made: Made = api.read(&answer)?;
        let lasts = (made.expires_at - self.clocks.now(&api.host)).to_std().unwrap_or_default();
        metrics::counter!("refward_tokens_minted_total", "forge" => super::SLUG).increment(1);
        Ok(Arc::new(Minted { token: made.token, made: Instant::now(), lasts }))
    }
}

/// What a refusal to make a token means.
fn explain(api: &Api, app: &AppKey, purpose: &Purpose, status: StatusCode, error: Error) -> Error {
    let id = &purpose.installation;
    match status {
        StatusCode::NOT_FOUND => {
            Error::misconfigured(format!("App {} is no longer installed there (installation {id})", app.forge_id))
                .hint("install it again: `refward apps list` shows the link")
        }
        StatusCode::FORBIDDEN if error.to_string().contains("suspended") => {
            Error::misconfigured(format!("the installation {id} of App {} is suspended", app.forge_id))
                .hint("whoever suspended it can lift that: the account's settings, Installed GitHub Apps")
        }
        StatusCode::UNPROCESSABLE_ENTITY => Error::misconfigured(format!(
            "the installation {id} of App {} does not have what is needed: {error}",
            app.forge_id
        ))
        .hint(format!(
            "an owner has to accept the App's permissions and include the repository: {}",
            api.host.page(&format!("settings/installations/{id}"))
        )),
        _ => error,
    }
}

fn key(app: &AppKey, purpose: &Purpose) -> (String, Purpose) {
    (format!("{}{}", app.url, app.forge_id), purpose.clone())
}

struct UntilRenewal;

impl<K> Expiry<K, Arc<Minted>> for UntilRenewal {
    fn expire_after_create(&self, _: &K, made: &Arc<Minted>, _: Instant) -> Option<Duration> {
        Some(made.lasts / MARGIN * (MARGIN - 1))
    }
}

/// A credential that is gone for good, so that another one of the pool has to do.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(error.kind(), Kind::Misconfigured | Kind::NotFound)
}
