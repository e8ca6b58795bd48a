//! Calls to GitHub's REST API: octocrab over our HTTP client.
//!
//! Every request is given as a path alone and octocrab puts the API's address in front, so a token cannot leave the
//! connection's host whatever a link or a redirect says. The token is ours to add, because it may be renewed between two
//! requests. No request goes out before the quotas admit it, and every answer tells them what is left.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use http::header::{ACCEPT, AUTHORIZATION, LINK, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::hosts::Host;
use super::jwt::{self, Clocks};
use super::tokens::{self, Purpose, Tokens};
use super::{errors, limits};
use crate::domain::{Error, Result};
use crate::forge::line::silence;
use crate::forge::quota::{Call, Domain, Quotas, Resource, Urgency};
use crate::forge::{AppKey, Net};

/// The largest answer that is read; a page of 100 repositories has some 600 kB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Between two tries of a token that a replica does not know yet.
const REPLICA_PAUSE: Duration = Duration::from_millis(500);

/// Below [`Host::api`].
const GRAPHQL: &str = "/graphql";

/// Renamed owners and moved repositories redirect once; more is a loop.
const MAX_REDIRECTS: usize = 5;

/// One credential on one host.
pub(super) struct Api {
    pub host: Host,
    base: Url,
    crab: Octocrab,
    bearer: Bearer,
    quotas: Quotas,
    domain: Domain,
    urgency: Urgency,
    sent: AtomicU64,
}

/// Who calls.
pub(super) enum Bearer {
    /// Nobody: what is open to everyone.
    Nobody,
    Token(SecretString),
    /// An App, about itself.
    App {
        app: AppKey,
        clocks: Arc<Clocks>,
    },
    /// An App on an account, for a purpose.
    Installation {
        app: AppKey,
        tokens: Arc<Tokens>,
        purpose: Purpose,
    },
}

/// What came back, whether or not it is good news.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Api {
    /// `who` shares a budget on the host. Must be called within a tokio runtime: octocrab starts a task.
    pub fn new(net: &Net, host: Host, who: impl Into<String>, bearer: Bearer, urgency: Urgency) -> Result<Self> {
        if let Bearer::Token(token) = &bearer {
            check_token(token)?;
        }
        let base = host.api();
        let cannot = "the REST address is made from a checked web address";
        let agent = concat!("refward/", env!("CARGO_PKG_VERSION"));
        let headers = vec![
            (USER_AGENT, HeaderValue::from_static(agent)),
            (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
        ];
        let Ok(crab) = OctocrabBuilder::new_empty()
            .with_service(ReqwestConnector::new(net.http.clone()))
            .with_layer(&BaseUriLayer::new(base.parse().expect(cannot)))
            .with_layer(&ExtraHeadersLayer::new(Arc::new(headers)))
            .with_auth(AuthState::None)
            .build();
        let domain = Domain { host: host.name(), who: who.into() };
        let base = base.parse().expect(cannot);
        Ok(Self { host, base, crab, bearer, quotas: net.quotas.clone(), domain, urgency, sent: AtomicU64::new(0) })
    }

    /// Gets a path below the API's address. An answer of any status is an answer; silence is an error.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        let mut path = path.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let answer = self.send(Method::GET, &path, None).await?;
            if !matches!(answer.status.as_u16(), 301 | 302 | 307 | 308) {
                return Ok(answer);
            }
            let target = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            path = self.local_path(target)?;
        }
        Err(Error::remote(format!("{} redirects in a circle", self.host.name())))
    }

    /// Gets a path that has to be there.
    pub async fn get_good(&self, path: &str) -> Result<Answer> {
        self.good(self.get(path).await?)
    }

    /// Does something that has to work.
    pub async fn send_good(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.good(self.send(method, path, body).await?)
    }

    /// Does something; follows no redirect.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.send_with(method, path, body, None).await
    }

    /// The same with a header of its own.
    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        header: Option<(&'static str, &'static str)>,
    ) -> Result<Answer> {
        let started = Instant::now();
        let mut renewed = false;
        loop {
            let authorization = self.authorization().await?;
            let answer = self.once(&method, path, body, header, authorization.as_ref()).await?;
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            match &self.bearer {
                Bearer::App { clocks, .. } if !renewed && errors::is_about_time(&answer) => {
                    clocks.set(&self.host, errors::host_time(&answer).unwrap_or_else(Utc::now));
                    renewed = true;
                }
                Bearer::Installation { app, tokens, purpose } => {
                    let token = tokens.get(app, purpose).await?;
                    if token.is_new() && started.elapsed() < tokens::REPLICA_LAG {
                        tokio::time::sleep(REPLICA_PAUSE).await;
                    } else if renewed {
                        return Ok(answer);
                    } else {
                        tokens.forget(app, purpose).await;
                        renewed = true;
                    }
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Asks GraphQL. Anything less than the whole answer is an error.
    /// <https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api>
    pub async fn query<T: DeserializeOwned>(&self, query: &str, variables: &Value) -> Result<T> {
        let body = json!({ "query": query, "variables": variables });
        let answer = self.send_good(Method::POST, GRAPHQL, Some(&body)).await?;
        let mut reply: Value = self.read(&answer)?;
        if let Some(error) = errors::in_graphql(&self.host, &answer, &reply) {
            return Err(error);
        }
        serde_json::from_value(reply["data"].take()).map_err(|error| {
            Error::remote(format!("{} answers a query with something else", self.host.name())).detail(error)
        })
    }

    /// Every page of a list.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        self.pages(path, |answer| self.read(answer)).await
    }

    /// Every page of a list that stands in a field of each answer.
    pub async fn list_in<T: DeserializeOwned>(&self, path: &str, field: &str) -> Result<Vec<T>> {
        let inside = |answer: &Answer| {
            let mut page: Value = self.read(answer)?;
            serde_json::from_value(page[field].take()).map_err(|error| self.not_github(error))
        };
        self.pages(path, inside).await
    }

    async fn pages<T>(&self, path: &str, read: impl Fn(&Answer) -> Result<Vec<T>>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let answer = self.get_good(&path).await?;
            items.extend(read(&answer)?);
            next = self.next_page(&answer)?;
            if !seen.insert(path) {
                return Err(Error::remote(format!("the pages of a list at {} lead in a circle", self.host.name())));
            }
        }
        Ok(items)
    }

    /// Where the list goes on, if it does.
    pub fn next_page(&self, answer: &Answer) -> Result<Option<String>> {
        next_page(&answer.headers).map(|link| self.local_path(&link)).transpose()
    }

    /// Requests that were sent so far.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Reads an answer's body.
    pub fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T> {
        serde_json::from_slice(&answer.body).map_err(|error| self.not_github(error))
    }

    fn not_github(&self, error: serde_json::Error) -> Error {
        Error::remote(format!("{} answers with something that GitHub does not send", self.host.name())).detail(error)
    }

    fn good(&self, answer: Answer) -> Result<Answer> {
        match errors::refusal(&self.host, &answer) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    async fn authorization(&self) -> Result<Option<HeaderValue>> {
        let token = match &self.bearer {
            Bearer::Nobody => return Ok(None),
            Bearer::Token(token) => token.expose_secret().trim().to_owned().into(),
            Bearer::App { app, clocks } => jwt::sign(app, &self.host, clocks.now(&self.host))?,
            Bearer::Installation { app, tokens, purpose } => tokens.get(app, purpose).await?.token.clone(),
        };
        let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| Error::bug("a token that cannot stand in a header"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        header: Option<(&'static str, &'static str)>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer> {
        let permit = self.quotas.admit(self.call(method, path)).await?;
        // Links that GitHub gives are whole paths already.
        let whole = path == GRAPHQL || path.starts_with("/api/v3/");
        let path = if whole { path.to_owned() } else { format!("{}{path}", self.host.version()) };
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let request = self.crab.build_request(request, body);
        let request = request.map_err(|error| Error::bug("cannot write a request").detail(error))?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let silent = |error: &(dyn std::error::Error + 'static)| silence(&self.host.name(), error);
        let response = self.crab.execute(request).await.map_err(|error| silent(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| silent(&*error))?.to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        if let Some(observed) = limits::observed(&answer) {
            permit.answered(&observed);
        }
        Ok(answer)
    }

    fn call(&self, method: &Method, path: &str) -> Call {
        let resource = match &self.bearer {
            _ if path == GRAPHQL => Resource::GraphQl,
            Bearer::App { .. } | Bearer::Nobody => Resource::App,
            Bearer::Token(_) | Bearer::Installation { .. } => Resource::Rest,
        };
        limits::call(&self.host, self.domain.clone(), resource, self.urgency, method, path)
    }

    /// A link as a path, if it stays on this API's host.
    fn local_path(&self, link: &str) -> Result<String> {
        match self.base.join(link) {
            Ok(url) if url.origin() == self.base.origin() => {
                Ok(url[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
            }
            elsewhere => {
                let target = elsewhere.ok().and_then(|url| url.host_str().map(str::to_owned));
                Err(errors::sent_away(&self.host, target.as_deref().unwrap_or("nowhere")))
            }
        }
    }
}

/// The link with `rel="next"`.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get(LINK)?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (target, relation) = link.split_once(';')?;
        let is_next = relation.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| target.trim().trim_start_matches('<').trim_end_matches('>').to_owned())
    })
}

fn check_token(token: &SecretString) -> Result<()> {
    let token = token.expose_secret().trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::misconfigured("what was given as a token cannot be one")
            .hint("copy the token again, alone on its line"));
    }
    Ok(())
}
