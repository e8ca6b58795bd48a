//! What a token may do, and how to get what it may not.

use chrono::DateTime;
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::api::{Answer, Api};
use super::errors;
use super::hosts::Product;
use super::repositories::{self, Account};
use crate::domain::{Error, Result};
use crate::forge::{Inspection, Surveyed};

/// The oldest GitHub Enterprise Server that we know to work.
const OLDEST_SERVER: (u32, u32) = (3, 9);

/// A token by its prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Classic,
    FineGrained,
    OAuth,
    AppUser,
    AppInstallation,
    Refresh,
    Unknown,
}

/// What a token may do with an owner's repositories.
pub(super) async fn inspect(api: &Api, owner: &str, token: &SecretString) -> Result<Inspection> {
    let credential = TokenKind::of(token.expose_secret().trim());
    let user = api.get("/user").await?;
    let login = match errors::refusal(&api.host, &user) {
        None => api.read::<User>(&user)?.login,
        // An App's own token is nobody's; something that only resembles GitHub may not know the call.
        Some(_) if user.status == StatusCode::NOT_FOUND => None,
        Some(_) if user.status == StatusCode::FORBIDDEN && credential == TokenKind::AppInstallation => None,
        Some(error) => return Err(error),
    };
    let version = server_version(api, &user).await;
    let mut missing = Vec::new();
    missing.extend(too_old(api, version.as_deref()));
    missing.extend(credential.useless());
    match repositories::find(api, owner).await {
        Ok((account, found)) => {
            missing.extend(scopes_missing(api, &user.headers, account));
            if credential == TokenKind::FineGrained {
                missing.extend(unreadable(api, owner, &found).await?);
            }
        }
        // Without a login we do not even know that the token is one.
        Err(error) if login.is_none() || error.kind().is_transient() => return Err(error),
        Err(error) => missing.push(in_one_line(&error)),
    }
    Ok(Inspection {
        held: Vec::new(),
        host: host(api, version.as_deref()),
        login,
        credential: credential.name().to_owned(),
        expires: expiry(&user.headers),
        missing,
    })
}

/// What an App may do on an account. `missing`: the permissions that were not granted.
pub(super) async fn inspect_installation(api: &Api, owner: &str, missing: Vec<String>) -> Result<Inspection> {
    let answer = api.get_good("/installation/repositories?per_page=1").await?;
    let version = server_version(api, &answer).await;
    let lacking = missing.into_iter().map(|permission| {
        format!(
            "the permission `{permission}`: an owner of {owner} has to accept what the App asks for: {}",
            api.host.page(&format!("organizations/{owner}/settings/installations"))
        )
    });
    Ok(Inspection {
        held: Vec::new(),
        missing: too_old(api, version.as_deref()).into_iter().chain(lacking).collect(),
        host: host(api, version.as_deref()),
        login: None,
        credential: "App installation".to_owned(),
        expires: None,
    })
}

#[derive(Deserialize)]
struct User {
    login: Option<String>,
}

impl TokenKind {
    fn of(token: &str) -> Self {
        let old_classic = token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        match token.split_once('_').map(|(prefix, _)| prefix) {
            Some("ghp") => Self::Classic,
            Some("github") if token.starts_with("github_pat_") => Self::FineGrained,
            Some("gho") => Self::OAuth,
            Some("ghu") => Self::AppUser,
            Some("ghs") => Self::AppInstallation,
            Some("ghr") => Self::Refresh,
            None if old_classic => Self::Classic,
            _ => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic token",
            Self::FineGrained => "fine-grained token",
            Self::OAuth => "OAuth token",
            Self::AppUser => "user token of an App",
            Self::AppInstallation => "installation token of an App",
            Self::Refresh => "refresh token",
            Self::Unknown => "token",
        }
    }

    fn useless(self) -> Option<String> {
        let why = match self {
            Self::Refresh => "it opens nothing by itself",
            Self::AppInstallation => "it ends within the hour",
            Self::AppUser => "it ends within hours",
            Self::Classic | Self::FineGrained | Self::OAuth | Self::Unknown => return None,
        };
        Some(format!("a token that lasts: this is a {} and {why}; make a personal access token", self.name()))
    }
}

async fn server_version(api: &Api, answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Meta {
        installed_version: Option<String>,
    }
    if api.host.product != Product::Server {
        return None;
    }
    if let Some(version) = answer.headers.get("x-github-enterprise-version").and_then(|value| value.to_str().ok()) {
        return Some(version.trim_start_matches("enterprise-server@").to_owned());
    }
    let meta = api.get_good("/meta").await.ok()?;
    api.read::<Meta>(&meta).ok()?.installed_version
}

fn host(api: &Api, version: Option<&str>) -> String {
    match (api.host.product, version) {
        (Product::GithubCom, _) => "GitHub.com".to_owned(),
        (Product::DataResidency, _) => "GitHub Enterprise Cloud (ghe.com)".to_owned(),
        (Product::Server, Some(version)) => format!("GitHub Enterprise Server {version}"),
        (Product::Server, None) => "GitHub Enterprise Server".to_owned(),
    }
}

fn too_old(api: &Api, version: Option<&str>) -> Option<String> {
    let mut parts = version?.split('.').map(|part| part.parse::<u32>().ok());
    let found = (parts.next()??, parts.next()??);
    let (major, minor) = OLDEST_SERVER;
    (found < OLDEST_SERVER).then(|| {
        format!(
            "a newer GitHub Enterprise Server: {} runs {}.{}, {major}.{minor} is the oldest that works",
            api.host.name(),
            found.0,
            found.1
        )
    })
}

/// Only classic tokens and OAuth tokens have scopes; GitHub lists them with every answer.
fn scopes_missing(api: &Api, headers: &HeaderMap, account: Account) -> Vec<String> {
    let Some(held) = headers.get("x-oauth-scopes").and_then(|value| value.to_str().ok()) else { return Vec::new() };
    let has = |any_of: &[&str]| held.split(',').any(|scope| any_of.contains(&scope.trim()));
    let page = api.host.page("settings/tokens");
    let tick =
        |scope: &str, why: &str| format!("the scope `{scope}`, {why}: open the token at {page}, tick `{scope}`, save");
    let mut missing = Vec::new();
    if !has(&["repo"]) {
        missing.push(tick("repo", "without which private repositories stay hidden"));
    }
    if account == Account::Organization && !has(&["read:org", "write:org", "admin:org"]) {
        missing.push(tick("read:org", "without which the organization's members and teams stay hidden"));
    }
    missing
}

/// A fine-grained token does not say what it may do: look at a private repository, as public ones open to everyone.
async fn unreadable(api: &Api, owner: &str, found: &[Surveyed]) -> Result<Option<String>> {
    let page = api.host.page("settings/personal-access-tokens");
    let mut all = found.iter().map(|surveyed| &surveyed.repository);
    let Some(private) = all.find(|repository| repository.private) else {
        return Ok(Some(format!(
            "access to private repositories of `{owner}`: the token sees none. If there are any, either the token was not \
             made with `{owner}` as resource owner, or it does not include them ({page}), or an owner of `{owner}` has yet \
             to approve it ({})",
            api.host.page(&format!("organizations/{owner}/settings/personal-access-token-requests")),
        )));
    };
    let answer = api.get(&format!("/repos/{}/branches?per_page=1", private.full_name)).await?;
    match errors::refusal(&api.host, &answer) {
        None => Ok(None),
        Some(error) if error.kind().is_transient() => Err(error),
        Some(_) => Ok(Some(format!(
            "the permission `Contents: Read-only`, without which `{}` cannot be fetched: open the token at {page}, \
             Repository permissions, Contents, Read-only",
            private.full_name
        ))),
    }
}

/// GitHub writes `2026-12-01 10:00:00 UTC` or `2026-12-01 10:00:00 -0700`.
fn expiry(headers: &HeaderMap) -> Option<String> {
    let told = headers.get("github-authentication-token-expiration")?.to_str().ok()?.replace("UTC", "+0000");
    let time = DateTime::parse_from_str(&told, "%Y-%m-%d %H:%M:%S %z").ok()?;
    Some(time.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

fn in_one_line(error: &Error) -> String {
    match error.next_step() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    }
}
