//! Calls to the REST API of Azure DevOps: a thin client of our own over `reqwest`.
//!
//! What is asked for is given as the segments of a path and a query, and put below the connection's address here, so that a
//! name leads nowhere else. Nothing that an answer points to is followed, but for the addresses of other parts of Services
//! ([`Api::area`]), and those only where a credential of Services belongs. No request goes out before the quotas admit it, and
//! every answer tells them what is left.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::entra::{Bearer, Entra};
use super::errors::{self, Signs};
use super::hosts::Host;
use super::product::{self, Product, Products, Route, Version};
use super::{AzureDevops, limits};
use crate::domain::{Error, Kind, Result};
use crate::forge::line::silence;
use crate::forge::quota::{Domain, Urgency};
use crate::forge::{Access, Credential, CredentialKind, Net};

/// The largest answer that is read. A thousand repositories have some 600 kB, the list of all routes 2 MB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// On every request: a refusal says so then, instead of showing a page to sign in on.
const NO_SIGN_IN_PAGE: (&str, &str) = ("x-tfs-fedauthredirect", "Suppress");

/// Where a list goes on. The only sign of its end is that there is none.
/// <https://learn.microsoft.com/rest/api/azure/devops/core/projects/list>
const CONTINUATION: &str = "x-ms-continuationtoken";

/// One credential on one organization or collection. Clones count their requests together.
#[derive(Clone)]
pub(super) struct Api {
    pub host: Host,
    net: Net,
    entra: Arc<Entra>,
    products: Arc<Products>,
    /// `None`: nobody, what is open to everyone.
    kind: Option<CredentialKind>,
    /// Who we are to it.
    pub domain: Domain,
    urgency: Urgency,
    sent: Arc<AtomicU64>,
}

/// What came back, whether or not it is good news.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What a request asks for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    method: &'a Method,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a Value>,
}

/// What runs there, and who we are to it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionData {
    pub authenticated_user: Option<User>,
    deployment_type: Option<String>,
}

/// An identity.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub id: String,
    pub provider_display_name: Option<String>,
    #[serde(default)]
    properties: HashMap<String, Value>,
}

impl User {
    /// The name that it signs in with, or what people call it.
    pub fn name(self) -> Option<String> {
        let account = self.properties.get("Account").and_then(|account| account["$value"].as_str());
        account.map(str::to_owned).or(self.provider_display_name)
    }
}

/// How every list stands in its answer.
#[derive(Deserialize)]
struct Listed<T> {
    value: Vec<T>,
}

impl AzureDevops {
    /// Calls with one credential of a connection.
    pub(super) fn api(&self, access: &Access, credential: &Credential) -> Result<Api> {
        self.api_at(Host::at(&access.url)?, &credential.who, Some(credential.kind.clone()), access.urgency)
    }

    /// Calls with no credential at all.
    pub(super) fn anybody(&self, host: Host) -> Result<Api> {
        self.api_at(host, "nobody", None, Urgency::Person)
    }

    fn api_at(&self, host: Host, who: &str, kind: Option<CredentialKind>, urgency: Urgency) -> Result<Api> {
        match &kind {
            Some(CredentialKind::Installation { .. }) => {
                return Err(Error::misconfigured("Azure DevOps has no Apps that are installed"));
            }
            Some(CredentialKind::Token(token)) => check_token(token.expose_secret())?,
            Some(kind @ (CredentialKind::Client { .. } | CredentialKind::Delegated { .. })) => host.check_kind(kind)?,
            None => {}
        }
        let domain = Domain { host: host.name(), who: who.to_owned() };
        let (net, entra, products) = (self.net.clone(), Arc::clone(&self.entra), Arc::clone(&self.products));
        Ok(Api { host, net, entra, products, kind, domain, urgency, sent: Arc::default() })
    }
}

impl Api {
    /// Gets what is at a path below the connection's address. An answer of any status is an answer; silence is an error.
    /// A query with an `api-version` of its own (see [`Version::preview`]) is asked with that one.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer> {
        self.send(&Method::GET, path, query, None).await
    }

    /// Gets what has to be there.
    pub async fn get_good(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer> {
        self.good(self.get(path, query).await?)
    }

    /// Gets and reads what may not be there.
    pub async fn find<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Option<T>> {
        match self.get_good(path, query).await {
            Ok(answer) => self.read(&answer).map(Some),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A list that comes in one piece.
    pub async fn list<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Vec<T>> {
        let answer = self.get_good(path, query).await?;
        self.read::<Listed<T>>(&answer).map(|listed| listed.value)
    }

    /// Every page of a list that goes on by continuation token.
    pub async fn list_paged<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let mut token: Option<String> = None;
        loop {
            let query: Vec<(&str, &str)> =
                query.iter().copied().chain(token.as_deref().map(|token| ("continuationToken", token))).collect();
            let answer = self.get_good(path, &query).await?;
            items.extend(self.read::<Listed<T>>(&answer)?.value);
            let Some(next) = errors::header(&answer, CONTINUATION).map(str::to_owned) else { return Ok(items) };
            if !seen.insert(next.clone()) {
                return Err(Error::remote(format!("the pages of a list at {} lead in a circle", self.host.name())));
            }
            token = Some(next);
        }
    }

    /// Does something that has to work, with a body of JSON.
    pub async fn send_good(
        &self,
        method: &Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        self.good(self.send(method, path, query, body).await?)
    }

    /// Does something; follows no redirect.
    pub async fn send(
        &self,
        method: &Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let asked = Asked { method, path, query, body };
        let version = if query.iter().any(|(name, _)| *name == "api-version") {
            None
        } else {
            Some(self.product().await?.version)
        };
        self.ask(asked, version).await
    }

    /// Reads an answer's body.
    pub fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            Error::remote(format!("{} answers with something that Azure DevOps does not send", self.host.name()))
                .detail(error)
        })
    }

    /// What is wrong with an answer, if anything is.
    pub fn refusal(&self, answer: &Answer) -> Option<Error> {
        errors::refusal(&self.host, self.signs(), answer)
    }

    /// Requests that were sent so far.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The same for another part of the forge, by its name or id: `Graph`, `IMS`. Services has hosts of their own for some; a
    /// Server has everything at one address.
    /// <https://learn.microsoft.com/azure/devops/extend/develop/work-with-urls>
    pub async fn area(&self, name: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Area {
            id: String,
            name: String,
            location_url: Option<url::Url>,
        }
        let version = self.product().await?.version.preview();
        let areas = self.list::<Area>(&["_apis", "resourceAreas"], &[("api-version", &version)]).await?;
        let area =
            areas.into_iter().find(|area| area.name.eq_ignore_ascii_case(name) || area.id.eq_ignore_ascii_case(name));
        let Some(url) = area.and_then(|area| area.location_url) else { return Ok(self.clone()) };
        if !self.host.vouches_for(&url) {
            return Err(errors::sent_away(&self.host, url.host_str().unwrap_or("nowhere")));
        }
        Ok(Self { host: Host { web: url, ..self.host.clone() }, ..self.clone() })
    }

    /// What runs there; found out once for each address.
    pub async fn product(&self) -> Result<Product> {
        if let Some(product) = self.products.known(&self.host) {
            return Ok(product);
        }
        let product = self.find_out().await?;
        self.products.learn(&self.host, product);
        Ok(product)
    }

    /// What runs there, and who we are to it. Nothing is known of the server yet, so this is asked for in the oldest version.
    pub async fn connection_data(&self) -> Result<ConnectionData> {
        let oldest = Version::OLDEST.preview();
        let query = [("api-version", oldest.as_str())];
        let path = ["_apis", "connectionData"];
        let asked = Asked { method: &Method::GET, path: &path, query: &query, body: None };
        let answer = self.good(self.ask(asked, None).await?)?;
        self.read(&answer)
    }

    async fn find_out(&self) -> Result<Product> {
        if self.connection_data().await?.deployment_type.as_deref() == Some("hosted") {
            return Ok(Product::new(true, Version::OURS));
        }
        let asked = Asked { method: &Method::OPTIONS, path: &["_apis"], query: &[], body: None };
        let answer = self.good(self.ask(asked, None).await?)?;
        let routes = self.read::<Listed<Route>>(&answer)?.value;
        match product::newest(&routes) {
            Some(newest) if newest >= Version::OLDEST => Ok(Product::new(false, newest)),
            _ => Err(errors::too_old(&self.host)),
        }
    }

    fn good(&self, answer: Answer) -> Result<Answer> {
        match self.refusal(&answer) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    /// What the calls are signed with.
    pub fn signs(&self) -> Signs<'_> {
        match &self.kind {
            None => Signs::Nobody,
            Some(CredentialKind::Client { client, .. }) => Signs::Client(&client.tenant),
            Some(CredentialKind::Delegated { client, .. }) => Signs::Person(&client.tenant),
            Some(_) => Signs::Token,
        }
    }

    /// Once more with a new token, where the one that we had is refused.
    async fn ask(&self, asked: Asked<'_>, version: Option<Version>) -> Result<Answer> {
        let answer = self.once(asked, version).await?;
        if let Some(kind) = &self.kind
            && errors::is_unknown(&answer)
            && self.entra.forget(kind).await
        {
            return self.once(asked, version).await;
        }
        Ok(answer)
    }

    async fn once(&self, asked: Asked<'_>, version: Option<Version>) -> Result<Answer> {
        let Asked { method, path, query, body } = asked;
        let mut url = self.host.below(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let hosted = self.products.known(&self.host).is_some_and(|product| product.hosted);
        let authorization = self.authorization().await?;
        let permit = self.net.quotas.admit(limits::call(hosted, self.domain.clone(), self.urgency, method)).await?;
        let accept = version.map_or("application/json".into(), |is| format!("application/json;api-version={is}"));
        let mut request = self.net.http.request(method.clone(), url).header(ACCEPT, accept);
        request = request.header(NO_SIGN_IN_PAGE.0, NO_SIGN_IN_PAGE.1);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = request.send().await.map_err(|error| silence(&self.host.name(), &error))?;
        let answer = self.receive(response).await?;
        if let Some(observed) = limits::observed(&answer) {
            permit.answered(&observed);
        }
        Ok(answer)
    }

    async fn receive(&self, mut response: reqwest::Response) -> Result<Answer> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| silence(&self.host.name(), &error))? {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(Error::remote(format!("{} answers without end", self.host.name())));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// <https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/authentication-guidance>
    async fn authorization(&self) -> Result<Option<HeaderValue>> {
        let Some(kind) = &self.kind else { return Ok(None) };
        let text = match self.entra.bearer(kind).await? {
            Bearer::Pat(token) => {
                let plain = Zeroizing::new(format!(":{}", token.expose_secret().trim()));
                let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(plain.as_bytes()));
                Zeroizing::new(format!("Basic {}", encoded.as_str()))
            }
            Bearer::Token(token) => Zeroizing::new(format!("Bearer {}", token.expose_secret())),
        };
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| Error::bug("a token that cannot stand in a header"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn check_token(token: &str) -> Result<()> {
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::misconfigured("what was given as a token cannot be one")
            .hint("copy the token again, alone on its line"));
    }
    Ok(())
}
