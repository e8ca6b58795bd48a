//! GitHub Apps: <https://docs.github.com/en/apps/creating-github-apps>

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, Bearer};
use super::hosts::{Host, Product};
use super::{Github, errors, manifest, repositories};
use crate::domain::{DeliveryId, Error, Result};
use crate::forge::quota::Urgency;
use crate::forge::{
    AppIdentity, AppKey, Apps, Delivered, DeliveryLog, HookSecret, InstallRequest, Installation, ManifestForm,
    Registered, Registration, Role, Verified,
};

/// Deliveries may reach the log a little later than one that was sent after them.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);

/// The log keeps three days on github.com and seven on Enterprise Servers; one for safety.
/// <https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/viewing-webhook-deliveries>
const REMEMBERED: TimeDelta = TimeDelta::days(2);

/// Pages of the delivery log that are read at most: a hundred deliveries each.
const MAX_PAGES: usize = 500;

#[async_trait]
impl Apps for Github {
    fn manifest(&self, wish: &Registration) -> Result<ManifestForm> {
        manifest::form(&Host::at(&wish.url)?, wish)
    }

    /// <https://docs.github.com/en/rest/apps/apps#create-a-github-app-from-a-manifest>
    async fn register(&self, url: &Url, code: &str) -> Result<Registered> {
        #[derive(Deserialize)]
        struct Made {
            #[serde(flatten)]
            identity: Identity,
            pem: SecretString,
            client_secret: SecretString,
            webhook_secret: Option<SecretString>,
        }
        if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(Error::bad_request("what came back from GitHub is no code"));
        }
        let api = Api::new(&self.net, Host::at(url)?, "nobody", Bearer::Nobody, Urgency::Person)?;
        let answer = api.send(Method::POST, &format!("/app-manifests/{code}/conversions"), None).await?;
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY) {
            return Err(Error::bad_request(format!("{} does not take this code (any more)", api.host.name()))
                .hint("a code works once and for an hour; start again at /setup"));
        }
        if let Some(error) = errors::refusal(&api.host, &answer) {
            return Err(error.while_doing("registering an App"));
        }
        let made: Made = api.read(&answer)?;
        Ok(Registered {
            identity: made.identity.into_ours(""),
            key: made.pem,
            client_secret: made.client_secret,
            webhook_secret: made.webhook_secret.filter(|secret| !secret.expose_secret().is_empty()),
        })
    }

    /// <https://docs.github.com/en/apps/sharing-github-apps/sharing-your-github-app>
    fn install_page(&self, url: &Url, slug: &str, state: Option<&str>) -> Result<Url> {
        let host = Host::at(url)?;
        let apps = if host.product == Product::Server { "github-apps" } else { "apps" };
        let mut page = page(&host, &[apps, slug, "installations", "new"])?;
        if let Some(state) = state {
            page.query_pairs_mut().append_pair("state", state);
        }
        Ok(page)
    }

    fn settings_page(&self, url: &Url, owner: &str, slug: &str) -> Result<Url> {
        page(&Host::at(url)?, &["organizations", owner, "settings", "apps", slug])
    }

    async fn whoami(&self, app: &AppKey) -> Result<AppIdentity> {
        let api = self.as_app(app)?;
        let answer = api.get("/app").await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(Error::misconfigured(format!("{} does not know this key as the App's", api.host.name()))
                .hint("was it revoked? make another in the App's settings, Private keys, and give that"));
        }
        if let Some(error) = errors::refusal(&api.host, &answer) {
            return Err(error);
        }
        api.read::<Identity>(&answer).map(|identity| identity.into_ours(&app.client_id))
    }

    async fn installations(&self, app: &AppKey) -> Result<Vec<Installation>> {
        let listed = self.as_app(app)?.list::<Installed>("/app/installations?per_page=100").await;
        let listed = listed.map_err(|error| error.while_doing("listing where an App is installed"))?;
        Ok(listed.into_iter().filter_map(Installed::into_ours).collect())
    }

    async fn requests(&self, app: &AppKey) -> Result<Vec<InstallRequest>> {
        #[derive(Deserialize)]
        struct Request {
            account: Account,
            requester: Account,
            created_at: DateTime<Utc>,
        }
        let listed = self.as_app(app)?.list::<Request>("/app/installation-requests?per_page=100").await;
        let listed = listed.map_err(|error| error.while_doing("listing who has asked for an App"))?;
        let ours = |request: Request| InstallRequest {
            account: request.account.login,
            requester: request.requester.login,
            at: request.created_at,
        };
        Ok(listed.into_iter().map(ours).collect())
    }

    async fn uninstall(&self, app: &AppKey, installation: &str) -> Result<()> {
        let api = self.as_app(app)?;
        let answer = api.send(Method::DELETE, &format!("/app/installations/{installation}"), None).await?;
        match errors::refusal(&api.host, &answer) {
            Some(error) if answer.status != StatusCode::NOT_FOUND => Err(error.while_doing("uninstalling an App")),
            _ => Ok(()),
        }
    }

    /// <https://docs.github.com/en/rest/apps/webhooks#update-a-webhook-configuration-for-an-app>
    async fn set_hook(&self, app: &AppKey, url: Option<&Url>, secret: Option<&SecretString>) -> Result<()> {
        let mut config = json!({ "content_type": "json", "insecure_ssl": "0" });
        if let Some(url) = url {
            config["url"] = url.as_str().into();
        }
        if let Some(secret) = secret {
            config["secret"] = secret.expose_secret().into();
        }
        let changed = self.as_app(app)?.send_good(Method::PATCH, "/app/hook/config", Some(&config)).await;
        changed.map(drop).map_err(|error| error.while_doing("changing an App's webhook"))
    }

    /// <https://docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook>
    ///
    /// All attempts are read and not those with `status=failure`: an attempt that nobody answered need not be in it.
    async fn deliveries(&self, app: &AppKey, since: Option<DateTime<Utc>>) -> Result<DeliveryLog> {
        let api = self.as_app(app)?;
        let reach = since.map(|since| since - OVERLAP);
        let mut log = DeliveryLog::default();
        let (mut enough, mut empty) = (false, true);
        let (mut good, mut failed) = (BTreeSet::new(), BTreeMap::new());
        let mut next = Some("/app/hook/deliveries?per_page=100".to_owned());
        for _ in 0..MAX_PAGES {
            let Some(path) = next else { break };
            let answer = api.get_good(&path).await;
            let answer = answer.map_err(|error| error.while_doing("reading an App's deliveries"))?;
            for attempt in api.read::<Vec<Attempt>>(&answer)? {
                log.newest = log.newest.max(Some(attempt.delivered_at));
                log.complete |= since.is_some_and(|since| attempt.delivered_at <= since);
                enough |= reach.is_some_and(|reach| attempt.delivered_at < reach);
                empty = false;
                if attempt.status == "OK" {
                    good.insert(attempt.guid);
                } else if let Ok(id) = DeliveryId::parse(&attempt.guid) {
                    let at = attempt.delivered_at;
                    failed.insert(attempt.guid, Delivered { attempt: attempt.id.to_string(), id, at });
                }
            }
            next = if enough { None } else { api.next_page(&answer)? };
        }
        // Nothing was delivered at all, as long as the log would still remember it.
        log.complete |= empty && since.is_some_and(|since| Utc::now() - since < REMEMBERED);
        let lost = failed.into_iter().filter(|(guid, _)| !good.contains(guid));
        log.failed = lost.map(|(_, delivered)| delivered).collect();
        log.failed.sort_by_key(|delivered| delivered.at);
        Ok(log)
    }

    async fn delivered(&self, app: &AppKey, delivery: &Delivered, signer: &HookSecret) -> Result<Option<Verified>> {
        let api = self.as_app(app)?;
        let answer = api.get(&format!("/app/hook/deliveries/{}", delivery.attempt)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if let Some(error) = errors::refusal(&api.host, &answer) {
            return Err(error.while_doing("reading a delivery"));
        }
        let mut told: Value = api.read(&answer)?;
        // As the log shows it, which need not be what was signed, so the type is ours to say.
        let mut headers = HeaderMap::new();
        for (name, value) in told["request"]["headers"].as_object().into_iter().flatten() {
            if let (Ok(name), Some(Ok(value))) =
                (HeaderName::try_from(name.as_str()), value.as_str().map(HeaderValue::from_str))
            {
                headers.insert(name, value);
            }
        }
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from(told["request"]["payload"].take().to_string());
        Ok(Some(Verified { headers, body, signers: vec![signer.signer] }))
    }

    fn missing_permissions(&self, role: Role, granted: &BTreeMap<String, String>) -> Vec<String> {
        manifest::missing(role, granted)
    }
}

/// What an installation of a backup App was not granted.
pub(super) async fn missing_on(api: &Api, installation: &str) -> Result<Vec<String>> {
    let answer = api.get_good(&format!("/app/installations/{installation}")).await?;
    let installed = api.read::<Installed>(&answer)?;
    Ok(manifest::missing(Role::Backup, &installed.permissions))
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

#[derive(Deserialize)]
struct Identity {
    id: u64,
    /// Older Enterprise Servers do not tell it.
    client_id: Option<String>,
    slug: String,
    name: String,
    owner: Account,
    permissions: BTreeMap<String, String>,
    events: Vec<String>,
}

impl Identity {
    fn into_ours(self, client_id: &str) -> AppIdentity {
        AppIdentity {
            forge_id: self.id.to_string(),
            client_id: self.client_id.unwrap_or_else(|| client_id.to_owned()),
            slug: self.slug,
            name: self.name,
            owner: self.owner.login,
            permissions: self.permissions,
            events: self.events,
        }
    }
}

#[derive(Deserialize)]
struct Installed {
    id: u64,
    /// An enterprise has no login, and sends no webhooks.
    account: Option<Value>,
    repository_selection: Option<String>,
    permissions: BTreeMap<String, String>,
    suspended_at: Option<DateTime<Utc>>,
}

impl Installed {
    fn into_ours(self) -> Option<Installation> {
        let account = self.account?;
        Some(Installation {
            id: self.id.to_string(),
            account: account["login"].as_str()?.to_owned(),
            account_id: account["id"].as_u64()?.to_string(),
            all_repositories: self.repository_selection.as_deref() != Some("selected"),
            permissions: self.permissions,
            suspended: self.suspended_at.is_some(),
        })
    }
}

#[derive(Deserialize)]
struct Attempt {
    id: u64,
    guid: String,
    delivered_at: DateTime<Utc>,
    status: String,
}

pub(super) fn page(host: &Host, segments: &[&str]) -> Result<Url> {
    if let Some(bad) = segments.iter().find(|segment| !repositories::is_name(segment)) {
        return Err(Error::bad_request(format!("`{}` cannot stand in an address", bad.escape_debug())));
    }
    let mut url = host.web.clone();
    let no_path = |()| Error::bug("a host's address has no path");
    url.path_segments_mut().map_err(no_path)?.pop_if_empty().extend(segments);
    Ok(url)
}
