//! Who somebody is in Entra, and what they may do in a repository now.
//!
//! People sign in by the device flow, with the client of a connection: no address of ours has to be reachable for it, and no
//! secret is needed. What they get is the least there is, a statement of who they are; it is read once and dropped.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>

use std::time::Duration;

use async_trait::async_trait;
use jsonwebtoken::dangerous::insecure_decode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use super::AzureDevops;
use super::api::Api;
use super::entra::{self, Granted};
use super::hosts::Host;
use super::rights::NAMESPACE as GIT;
use crate::domain::{Error, Kind, Result};
use crate::forge::{Access, DeviceCode, ForgeUser, OauthClient, People, Place, Polled, Rights};

const GENERIC_READ: u32 = 2;
const GENERIC_CONTRIBUTE: u32 = 4;
const MANAGE_PERMISSIONS: u32 = 8192;

/// What an authority that names no pause wants. <https://www.rfc-editor.org/rfc/rfc8628#section-3.2>
const USUAL_INTERVAL: u64 = 5;

#[async_trait]
impl People for AzureDevops {
    fn no_client(&self, url: &Url) -> Error {
        let name = Host::at(url).map_or_else(|_| url.to_string(), |host| host.name());
        match Host::at(url) {
            Ok(host) if host.services => {
                Error::misconfigured(format!("people cannot sign in on {name}: no connection there has an Entra application"))
                    .hint("connect with a service principal, or by signing in at /setup; or add one: `refward credentials add --help`")
            }
            _ => Error::misconfigured(format!("people cannot sign in on {name}: an Azure DevOps Server has no Entra"))
                .hint("who may restore there is decided by whoever runs Refward: `refward restore`"),
        }
    }

    async fn begin(&self, client: &OauthClient) -> Result<DeviceCode> {
        #[derive(Deserialize)]
        struct Told {
            device_code: SecretString,
            user_code: String,
            verification_uri: Url,
            expires_in: u64,
            interval: Option<u64>,
        }
        let asked = self.entra.ask(client, "devicecode", None, &[("scope", "openid profile")]).await?;
        if let Some(complaint) = asked.complaint() {
            return Err(entra::explain(client, &complaint).while_doing("signing somebody in"));
        }
        let code: Told = asked.read()?;
        Ok(DeviceCode {
            device_code: code.device_code,
            user_code: code.user_code,
            page: code.verification_uri,
            expires_in: Duration::from_secs(code.expires_in),
            interval: pause(code.interval.unwrap_or(USUAL_INTERVAL)),
        })
    }

    async fn poll(&self, client: &OauthClient, device_code: &SecretString) -> Result<Polled> {
        let grant = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device_code.expose_secret()),
        ];
        let asked = self.entra.ask(client, "token", None, &grant).await?;
        let Some(complaint) = asked.complaint() else {
            return whose(client, &asked.read::<Granted>()?).map(Polled::Done);
        };
        match complaint.error.as_str() {
            "authorization_pending" => Ok(Polled::Waiting { interval: None }),
            "slow_down" => Ok(Polled::Waiting { interval: Some(pause(2 * USUAL_INTERVAL)) }),
            "authorization_declined" | "access_denied" => Ok(Polled::Denied),
            // A code that was used up is one that Entra does not know.
            "expired_token" | "bad_verification_code" => Ok(Polled::Expired),
            _ => Err(entra::explain(client, &complaint).while_doing("signing somebody in")),
        }
    }

    async fn rights(&self, access: &Access, repository: Place<'_>, user: &ForgeUser) -> Result<Rights> {
        let mut trouble = None;
        for credential in &access.credentials {
            match rights_with(&self.api(access, credential)?, repository, user).await {
                Err(error) if !error.kind().is_transient() => trouble = trouble.or(Some(error)),
                known => return known,
            }
        }
        Err(trouble.unwrap_or_else(|| Error::misconfigured("there is no credential to ask with")))
    }
}

/// Who has signed in. What says so came from Entra's token endpoint itself, over TLS, so its signature would prove no more.
/// <https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>, 6
fn whose(client: &OauthClient, granted: &Granted) -> Result<ForgeUser> {
    #[derive(Deserialize)]
    struct Claims {
        aud: String,
        tid: Uuid,
        oid: Uuid,
        preferred_username: Option<String>,
    }
    let strange = || Error::remote("Entra does not say who has signed in");
    let token = granted.id_token.as_ref().ok_or_else(strange)?;
    // The cause is not told: it could quote the token.
    let claims = insecure_decode::<Claims>(token.expose_secret()).map_err(|_| strange())?.claims;
    let tenant = Uuid::parse_str(&client.tenant).ok();
    if claims.aud != client.client_id || tenant.is_some_and(|tenant| tenant != claims.tid) {
        return Err(Error::remote("Entra says who has signed in somewhere else"));
    }
    let login = claims.preferred_username.unwrap_or_else(|| claims.oid.to_string());
    Ok(ForgeUser { id: format!("{}/{}", claims.tid, claims.oid), login })
}

/// Of all that gave it to them: groups, the project, the collection; what they are denied wins.
async fn rights_with(api: &Api, repository: Place<'_>, user: &ForgeUser) -> Result<Rights> {
    #[derive(Deserialize)]
    struct Repository {
        project: Project,
    }
    #[derive(Deserialize)]
    struct Project {
        id: Uuid,
        visibility: Option<String>,
    }
    let name = repository.full_name;
    let doing = |error: Error| error.while_doing(format!("asking who may do what in {name}"));
    let person = Person::of(user)?;
    let found = api.find::<Repository>(&["_apis", "git", "repositories", repository.forge_id], &[]).await;
    let Some(Repository { project }) = found.map_err(doing)? else {
        return Err(Error::misconfigured(format!("our credential does not see {name}, or it is disabled"))
            .hint("who may do what there cannot be asked then: `refward connections test`"));
    };
    let everybodys = if project.visibility.as_deref() == Some("public") { Rights::Read } else { Rights::None };
    let Some(descriptor) = person.here(api, &user.login).await.map_err(doing)? else { return Ok(everybodys) };
    let token = format!("repoV2/{}/{}", project.id, repository.forge_id);
    Ok(granted(api, &token, &descriptor).await.map_err(doing)?.max(everybodys))
}

/// <https://learn.microsoft.com/rest/api/azure/devops/security/access-control-lists/query>
async fn granted(api: &Api, token: &str, descriptor: &str) -> Result<Rights> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List {
        aces_dictionary: std::collections::HashMap<String, Entry>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        extended_info: Option<Extended>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Extended {
        /// Left out where it is nothing.
        #[serde(default)]
        effective_allow: u32,
        #[serde(default)]
        effective_deny: u32,
    }
    let query = [("token", token), ("descriptors", descriptor), ("includeExtendedInfo", "true")];
    let lists = api.list::<List>(&["_apis", "accesscontrollists", GIT], &query).await?;
    let entries = lists.into_iter().flat_map(|list| list.aces_dictionary);
    let told: Vec<Extended> = entries
        .filter(|(whose, _)| whose.eq_ignore_ascii_case(descriptor))
        .filter_map(|(_, entry)| entry.extended_info)
        .collect();
    let [Extended { effective_allow, effective_deny }] = told[..] else {
        return Err(Error::new(Kind::Misconfigured, format!("{} does not tell what they may do", api.host.name()))
            .hint("our credential needs the right to view permissions: Project settings, Permissions"));
    };
    let may = |bits: u32| effective_allow & !effective_deny & bits == bits;
    Ok(match () {
        () if !may(GENERIC_READ) => Rights::None,
        () if !may(GENERIC_READ | GENERIC_CONTRIBUTE) => Rights::Read,
        () if !may(MANAGE_PERMISSIONS) => Rights::Write,
        () => Rights::Admin,
    })
}

/// Somebody in a tenant, by what stays the same there whatever they are called.
struct Person {
    tenant: Uuid,
    object: Uuid,
}

impl Person {
    fn of(user: &ForgeUser) -> Result<Self> {
        let (tenant, object) = user.id.split_once('/').unwrap_or_default();
        match (Uuid::parse_str(tenant), Uuid::parse_str(object)) {
            (Ok(tenant), Ok(object)) => Ok(Self { tenant, object }),
            _ => Err(Error::bug("what should be somebody in Entra is nobody")),
        }
    }

    /// What the organization's access control lists call them. `None`: they are not in the organization, or not any more.
    async fn here(&self, api: &Api, login: &str) -> Result<Option<String>> {
        let named = [("searchFilter", "General"), ("filterValue", login), ("queryMembership", "None")];
        if let Some(descriptor) = self.among(api, &named).await? {
            return Ok(Some(descriptor));
        }
        // They may be called otherwise by now: the organization's own list has what stays.
        match self.listed(api).await? {
            Some(subject) => self.among(api, &[("subjectDescriptors", &subject), ("queryMembership", "None")]).await,
            None => Ok(None),
        }
    }

    /// <https://learn.microsoft.com/rest/api/azure/devops/ims/identities/read-identities>
    async fn among(&self, api: &Api, query: &[(&str, &str)]) -> Result<Option<String>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Identity {
            descriptor: String,
            #[serde(default)]
            is_active: bool,
            #[serde(default)]
            properties: Properties,
        }
        #[derive(Default, Deserialize)]
        struct Properties {
            #[serde(rename = "Domain")]
            tenant: Option<Text>,
            #[serde(rename = "http://schemas.microsoft.com/identity/claims/objectidentifier")]
            object: Option<Text>,
        }
        #[derive(Deserialize)]
        struct Text {
            #[serde(rename = "$value")]
            value: String,
        }
        let is = |text: &Option<Text>, id: Uuid| {
            text.as_ref().is_some_and(|text| Uuid::parse_str(&text.value).is_ok_and(|told| told == id))
        };
        let ims = api.area("IMS").await?;
        // Whoever was not found stands in the list as null.
        let found = ims.list::<Option<Identity>>(&["_apis", "identities"], query).await?;
        let mut found = found.into_iter().flatten().filter(|identity| identity.is_active);
        let them = found.find(|identity| {
            is(&identity.properties.tenant, self.tenant) && is(&identity.properties.object, self.object)
        });
        Ok(them.map(|identity| identity.descriptor))
    }

    /// <https://learn.microsoft.com/rest/api/azure/devops/graph/users/list>
    async fn listed(&self, api: &Api) -> Result<Option<String>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct User {
            origin_id: Option<String>,
            domain: Option<String>,
            descriptor: String,
        }
        let graph = api.area("Graph").await?;
        let preview = graph.product().await?.version.preview();
        let query = [("subjectTypes", "aad"), ("api-version", preview.as_str())];
        let users = graph.list_paged::<User>(&["_apis", "graph", "users"], &query).await?;
        let is = |text: &Option<String>, id: Uuid| {
            text.as_deref().is_some_and(|text| Uuid::parse_str(text).is_ok_and(|told| told == id))
        };
        let mut them =
            users.into_iter().filter(|user| is(&user.origin_id, self.object) && is(&user.domain, self.tenant));
        Ok(them.next().map(|user| user.descriptor))
    }
}

/// Whatever is said: neither without a pause nor never.
fn pause(seconds: u64) -> Duration {
    Duration::from_secs(seconds.clamp(1, 60))
}
