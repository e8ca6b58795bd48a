//! Calls to GitHub's REST API: octocrab over our HTTP client.
//!
//! octocrab adds the token and `X-GitHub-Api-Version` to requests that are given as a path alone. All of ours are, so a
//! token cannot leave the connection's host whatever a link or a redirect says.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, LINK, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use super::errors;
use super::hosts::Host;
use crate::domain::{Error, Result};

/// The largest answer that is read; a page of 100 repositories has some 600 kB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Renamed owners and moved repositories redirect once; more is a loop.
const MAX_REDIRECTS: usize = 5;

/// One credential on one host.
pub(super) struct Api {
    pub host: Host,
    base: Url,
    crab: Octocrab,
}

/// What came back, whether or not it is good news.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Api {
    /// Must be called within a tokio runtime: octocrab starts a task.
    pub fn new(http: reqwest::Client, host: Host, token: &SecretString) -> Result<Self> {
        let token = token.expose_secret().trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::misconfigured("what was given as a token cannot be one")
                .hint("copy the token again, alone on its line"));
        }
        let base = host.rest();
        let cannot = "the REST address is made from a checked web address";
        let agent = concat!("refward/", env!("CARGO_PKG_VERSION"));
        let headers = vec![
            (USER_AGENT, HeaderValue::from_static(agent)),
            (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
        ];
        let Ok(crab) = OctocrabBuilder::new_empty()
            .with_service(ReqwestConnector::new(http))
            .with_layer(&BaseUriLayer::new(base.parse().expect(cannot)))
            .with_layer(&ExtraHeadersLayer::new(Arc::new(headers)))
            .with_auth(AuthState::AccessToken { token: token.into() })
            .build();
        Ok(Self { host, base: base.parse().expect(cannot), crab })
    }

    /// Gets a path below the API's address. An answer of any status is an answer; silence is an error.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        let mut path = path.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let answer = self.get_once(&path).await?;
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
        let answer = self.get(path).await?;
        match errors::refusal(&self.host, &answer) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    /// Every page of a list.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let answer = self.get_good(&path).await?;
            items.extend(self.read::<Vec<T>>(&answer)?);
            next = next_page(&answer.headers).map(|link| self.local_path(&link)).transpose()?;
            if !seen.insert(path) {
                return Err(Error::remote(format!("the pages of a list at {} lead in a circle", self.host.name())));
            }
        }
        Ok(items)
    }

    /// Reads an answer's body.
    pub fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            Error::remote(format!("{} answers with something that GitHub does not send", self.host.name()))
                .detail(error)
        })
    }

    async fn get_once(&self, path: &str) -> Result<Answer> {
        let silent = |error: &(dyn std::error::Error + 'static)| errors::silence(&self.host, error);
        let response = self.crab._get(path).await.map_err(|error| silent(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| silent(&*error))?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
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
