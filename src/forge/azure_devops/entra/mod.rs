//! Tokens from Entra: made once however many wait for them, renewed before they end, kept in memory only.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

mod ask;
mod errors;
mod proof;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use crate::domain::{Error, Result};
use crate::forge::line::is_loopback;
use crate::forge::{CredentialKind, Net, OauthClient, Proof, Refresh};

pub(super) use errors::{Complaint, explain};

/// Everything that the client, or whoever has signed in, may do in Azure DevOps: nothing narrower can be asked for here.
/// <https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/service-principal-managed-identity>
pub(super) const SCOPE: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";

/// Tokens to remember at most.
const REMEMBERED: u64 = 1_000;

/// A token is renewed when this part of its life is left: five minutes of an hour.
const MARGIN: u32 = 12;

/// Entra has a tenant of its own under each of these, and none of them is an organization's.
const NOBODYS: [&str; 3] = ["common", "organizations", "consumers"];

/// Where Entra is. Who signs in there is believed to be whoever it says, in every organization: so no other host will do,
/// whoever gives it.
/// <https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>
const AUTHORITIES: [&str; 3] =
    ["login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"];

/// Tokens for all credentials.
pub(super) struct Entra {
    net: Net,
    made: Cache<Key, Arc<Minted>>,
    /// Authorities that have asked us to wait, and until when.
    paused: Mutex<HashMap<String, Instant>>,
}

/// What to sign a request with.
pub(super) enum Bearer {
    /// A personal access token, for basic authentication.
    Pat(SecretString),
    /// A token of Entra.
    Token(SecretString),
}

/// What Entra grants.
#[derive(Deserialize)]
pub(super) struct Granted {
    pub access_token: SecretString,
    /// Seconds.
    expires_in: u64,
    pub refresh_token: Option<SecretString>,
    pub id_token: Option<SecretString>,
}

/// Whose token: the client with what proves it, or whoever has signed in.
type Key = [u8; 32];

struct Minted {
    token: SecretString,
    renew_at: Instant,
}

impl Entra {
    pub fn new(net: Net) -> Self {
        let made = Cache::builder().max_capacity(REMEMBERED).expire_after(UntilRenewal).build();
        Self { net, made, paused: Mutex::default() }
    }

    /// What a credential signs with now.
    pub async fn bearer(&self, kind: &CredentialKind) -> Result<Bearer> {
        let minted = match kind {
            CredentialKind::Token(pat) => return Ok(Bearer::Pat(pat.clone())),
            CredentialKind::Installation { .. } => return Err(Error::bug("Entra knows no installations")),
            CredentialKind::Client { client, proof } => {
                self.made.try_get_with(key(client, proof, None), self.mint(client, proof)).await
            }
            CredentialKind::Delegated { client, proof, refresh } => {
                let key = key(client, proof, Some(refresh.as_ref()));
                self.made.try_get_with(key, self.renew(client, proof, refresh.as_ref())).await
            }
        };
        // Whoever waited for the same token shares the error.
        let minted = minted.map_err(|error: Arc<Error>| error.share())?;
        Ok(Bearer::Token(minted.token.clone()))
    }

    /// A credential's token was refused: the next one is made anew. `false`: that would not help.
    pub async fn forget(&self, kind: &CredentialKind) -> bool {
        let key = match kind {
            CredentialKind::Token(_) | CredentialKind::Installation { .. } => return false,
            CredentialKind::Client { client, proof } => key(client, proof, None),
            CredentialKind::Delegated { client, proof, refresh } => key(client, proof, Some(refresh.as_ref())),
        };
        self.made.invalidate(&key).await;
        true
    }

    /// The client acts for itself.
    async fn mint(&self, client: &OauthClient, proof: &Proof) -> Result<Arc<Minted>> {
        let (grant, since) = ([("grant_type", "client_credentials"), ("scope", SCOPE)], Instant::now());
        Ok(minted(self.grant(client, Some(proof), &grant).await?, since))
    }

    /// The client acts for somebody who has signed in. Entra gives a new refresh token with every use and lets the old one live
    /// on, so that two processes may use it at once; where it does not, the other process has kept what came of it.
    /// <https://learn.microsoft.com/entra/identity-platform/refresh-tokens#token-lifetime>
    async fn renew(&self, client: &OauthClient, proof: &Proof, refresh: &dyn Refresh) -> Result<Arc<Minted>> {
        let mut used = refresh.token().await?;
        loop {
            let scope = format!("{SCOPE} offline_access");
            let grant =
                [("grant_type", "refresh_token"), ("refresh_token", used.expose_secret()), ("scope", scope.as_str())];
            let since = Instant::now();
            match self.grant(client, Some(proof), &grant).await {
                Ok(granted) => {
                    if let Some(newer) = &granted.refresh_token {
                        refresh.keep(&used, newer).await?;
                    }
                    return Ok(minted(granted, since));
                }
                Err(refused) => {
                    let newest = refresh.token().await?;
                    if newest.expose_secret() == used.expose_secret() {
                        return Err(refused);
                    }
                    used = newest;
                }
            }
        }
    }

    /// What the token endpoint gives for a grant.
    pub async fn grant(&self, client: &OauthClient, proof: Option<&Proof>, grant: &[(&str, &str)]) -> Result<Granted> {
        let asked = self.ask(client, "token", proof, grant).await?;
        match asked.complaint() {
            Some(complaint) => Err(explain(client, &complaint).while_doing("signing in at Entra")),
            None => asked.read(),
        }
    }
}

/// As it is stored: the authority without a path, and ids that stay one segment of its addresses.
pub(super) fn settle(client: &OauthClient) -> Result<OauthClient> {
    let OauthClient { authority, tenant, client_id } = client;
    let entra = authority.scheme() == "https"
        && authority.port().is_none()
        && authority.host_str().is_some_and(|host| AUTHORITIES.contains(&host));
    let here = is_loopback(authority) && matches!(authority.scheme(), "http" | "https");
    let bare = authority.path() == "/" && authority.query().is_none() && authority.fragment().is_none();
    if !(entra || here) || !bare || !authority.username().is_empty() || authority.password().is_some() {
        return Err(Error::bad_request("Entra's address must be https://HOST and no more, with a host of Microsoft's")
            .hint(format!("one of https://{}", AUTHORITIES.join(", https://"))));
    }
    let tenant = tenant.trim().to_ascii_lowercase();
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if tenant.trim_matches('.').is_empty() || !tenant.chars().all(fine) || NOBODYS.contains(&tenant.as_str()) {
        return Err(Error::bad_request(format!("`{}` is not a tenant", tenant.escape_debug())).hint(
            "it is the Directory (tenant) ID of the application's Overview, or one of the organization's domains",
        ));
    }
    let client_id = Uuid::parse_str(client_id.trim()).map_err(|_| {
        Error::bad_request(format!("`{}` is not the id of an application", client_id.trim().escape_debug()))
            .hint("it is the Application (client) ID of the application's Overview")
    })?;
    Ok(OauthClient { authority: authority.clone(), tenant, client_id: client_id.to_string() })
}

/// One of the authority's addresses for the client's tenant.
pub(super) fn address(client: &OauthClient, path: &[&str]) -> Result<Url> {
    let client = settle(client)?;
    let mut url = client.authority;
    let mut segments = url.path_segments_mut().map_err(|()| Error::bug("an authority's address has no path"))?;
    segments.pop_if_empty().push(&client.tenant).extend(path);
    drop(segments);
    Ok(url)
}

/// `since`: when it was asked for, which is before its life began.
fn minted(granted: Granted, since: Instant) -> Arc<Minted> {
    metrics::counter!("refward_tokens_minted_total", "forge" => super::SLUG).increment(1);
    let renew_after = Duration::from_secs(granted.expires_in) / MARGIN * (MARGIN - 1);
    Arc::new(Minted { token: granted.access_token, renew_at: since + renew_after })
}

fn key(client: &OauthClient, proof: &Proof, refresh: Option<&dyn Refresh>) -> Key {
    let (kind, secret) = match proof {
        Proof::Secret(secret) => ("secret", secret),
        Proof::Certificate(pem) => ("certificate", pem),
    };
    let whose = refresh.map(Refresh::id).unwrap_or_default();
    let parts = [client.authority.as_str(), &client.tenant, &client.client_id, &whose, kind, secret.expose_secret()];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(Sha256::digest(part));
    }
    hash.finalize().into()
}

struct UntilRenewal;

impl Expiry<Key, Arc<Minted>> for UntilRenewal {
    fn expire_after_create(&self, _: &Key, minted: &Arc<Minted>, now: Instant) -> Option<Duration> {
        Some(minted.renew_at.saturating_duration_since(now))
    }
}
