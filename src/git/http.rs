//! HTTP as git uses it: one address, one credential that never leaves for another host, refusals in clear words.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::percent_decode_str;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::answer::{Answer, causes, printable};
use super::{Login, Remote};
use crate::domain::{Error, Kind, Result};

const SERVICE: &str = "git-upload-pack";
const ADVERTISEMENT: &str = "/info/refs";
const AGENT: &str = concat!("refward/", env!("CARGO_PKG_VERSION"));

/// Bodies above this are compressed, as git does it.
const COMPRESS_ABOVE: usize = 1024;

const MOST_REDIRECTS: usize = 5;

/// Bytes of a refusal that are read at least, if there are as many.
const MOST_WORDS: usize = 4 << 10;

/// What a repository's addresses begin with, as long as nobody has led us elsewhere.
pub(super) fn base(url: &Url) -> Url {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    base
}

/// One repository on one host.
pub(super) struct Http {
    client: reqwest::Client,
    /// Ends with a slash.
    base: Url,
    credential: Option<Arc<dyn Login>>,
}

impl Http {
    pub fn new(client: reqwest::Client, remote: &Remote) -> Result<Self> {
        let url = &remote.url;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::misconfigured(format!("{} repositories cannot be fetched", url.scheme()))
                .hint("Use the repository's https address."));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::bug("a git address with credentials in it"));
        }
        Ok(Self { client, base: base(url), credential: remote.credential.clone() })
    }

    /// Where redirects have led so far.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Goes on from where redirects led an earlier session.
    pub fn resume(self, base: Url) -> Self {
        Self { base, ..self }
    }

    /// The repository's address for messages: host and path, as people write it.
    fn place(&self) -> String {
        let port = self.base.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = percent_decode_str(self.base.path().trim_end_matches('/')).decode_utf8_lossy();
        format!("{}{port}{}", self.base.host_str().unwrap_or_default(), printable(&path))
    }

    /// Asks what the server can do. Follows redirects within the host, and remembers where they led.
    pub async fn discover(&mut self) -> Result<Answer> {
        let mut url = self.at("info/refs");
        url.set_query(Some("service=git-upload-pack"));
        for _ in 0..=MOST_REDIRECTS {
            let request = self.client.get(url.clone()).header(ACCEPT, "*/*");
            let response = self.send(request, true).await?;
            if response.status().is_redirection() && !is_page(&response) {
                url = self.follow(&url, response.headers())?;
                continue;
            }
            return self.accept(response, "advertisement").await;
        }
        Err(Error::remote(format!("{} redirects in circles", self.place())))
    }

    /// Sends a request of the protocol and returns the frames of the answer.
    pub async fn post(&self, body: Vec<u8>, version_2: bool) -> Result<Answer> {
        let url = self.at(SERVICE);
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(ACCEPT, "application/x-git-upload-pack-result");
        let request = if body.len() > COMPRESS_ABOVE {
            request.header(CONTENT_ENCODING, "gzip").body(gzip(&body)?)
        } else {
            request.body(body)
        };
        let response = self.send(request, version_2).await?;
        self.accept(response, "result").await
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }

    async fn send(&self, mut request: RequestBuilder, version_2: bool) -> Result<Response> {
        request = request.header("User-Agent", AGENT);
        if version_2 {
            request = request.header("Git-Protocol", "version=2");
        }
        let Some(login) = &self.credential else {
            return self.reach(request).await;
        };
        loop {
            let credential = login.credential().await?;
            let attempt = request.try_clone().ok_or_else(|| Error::bug("a git request that can be sent only once"))?;
            let mut authorization = HeaderValue::from_str(&credential.authorization())
                .map_err(|_| Error::misconfigured("a credential for git that cannot stand in a header"))?;
            authorization.set_sensitive(true);
            let response = self.reach(attempt.header(AUTHORIZATION, authorization)).await?;
            // A server that names a time wants us to slow down, whoever we are.
            if let Some(pause) = retry_after(response.headers()) {
                login.slow_down(pause).await;
                return Ok(response);
            }
            let status = match response.status().as_u16() {
                status @ (401 | 403 | 404) => status,
                _ if is_page(&response) => StatusCode::UNAUTHORIZED.as_u16(),
                _ => return Ok(response),
            };
            if !login.try_again(status, &credential).await? {
                return Ok(response);
            }
        }
    }

    async fn reach(&self, request: RequestBuilder) -> Result<Response> {
        request.send().await.map_err(|error| {
            let why = if error.is_timeout() {
                "did not answer in time"
            } else if error.is_connect() {
                "cannot be reached"
            } else {
                "broke the connection"
            };
            Error::remote(format!("{} {why}", self.place())).detail(causes(&error.without_url()))
        })
    }

    /// Where a redirect of the first request leads. Only within the host: the credential belongs to it.
    fn follow(&mut self, from: &Url, headers: &HeaderMap) -> Result<Url> {
        let mut target =
            target(from, headers).ok_or_else(|| Error::remote(format!("{} redirects to nowhere", self.place())))?;
        if target.origin() != self.base.origin() {
            let host = target.host_str().unwrap_or("another place").to_owned();
            return Err(Error::misconfigured(format!(
                "{} redirects to {host}; credentials stay with their host",
                self.place()
            ))
            .hint("If the repository really moved there, connect that host instead."));
        }
        let path = target.path().strip_suffix(ADVERTISEMENT).unwrap_or_default();
        self.base.set_path(&format!("{path}/"));
        // A user name in the target would be sent in place of our credential.
        let unset = target.set_username("").and_then(|()| target.set_password(None));
        unset.map_err(|()| Error::bug("an http address without a host"))?;
        Ok(target)
    }

    async fn accept(&self, response: Response, what: &str) -> Result<Answer> {
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        let (kind, expected) = (content_type(&response), format!("application/x-{SERVICE}-{what}"));
        if kind != expected {
            let kind = if kind.is_empty() { "nothing" } else { &kind };
            return Err(self.not_git(&format!("it answers with {kind} instead of {expected}")));
        }
        Ok(Answer::new(response))
    }

    fn not_git(&self, why: &str) -> Error {
        Error::misconfigured(format!("{} does not speak git's protocol: {why}", self.place())).hint(
            "A login page or a proxy may stand in between: check the address, the credential and the proxy settings.",
        )
    }

    async fn refusal(&self, response: Response) -> Error {
        let place = self.place();
        let (status, retry_after, page) = (response.status(), retry_after(response.headers()), is_page(&response));
        let said = words(response).await.map(|words| format!(" (it says: {words})")).unwrap_or_default();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.credential.is_none() && retry_after.is_none() => {
                Error::misconfigured(format!("{place} asks for a credential and there is none"))
            }
            _ if page && self.credential.is_none() => Error::misconfigured(format!(
                "{place} answered with a web page: it asks for a credential and there is none"
            )),
            _ if page => {
                Error::misconfigured(format!("the credential was refused by {place}: it answered with a web page"))
                    .hint("It may have expired or been revoked: put in a new one. A proxy may answer like that, too.")
            }
            _ if status.is_redirection() => self.not_git("it redirects in the middle of a conversation"),
            StatusCode::UNAUTHORIZED => Error::misconfigured(format!("the credential was refused by {place}{said}"))
                .hint("It may have expired or been revoked: put in a new one."),
            StatusCode::FORBIDDEN if retry_after.is_none() => {
                Error::misconfigured(format!("the credential may not read {place}{said}"))
                    .hint("Give it read access to the repository's contents, or authorize it for the organization.")
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                Error::not_found(format!("there is no repository {place}, or the credential may not see it{said}"))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN => {
                Error::new(Kind::Remote { retry_after }, format!("{place} asks us to slow down{said}"))
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Error::misconfigured("the proxy asks for a credential"),
            _ => Error::new(Kind::Remote { retry_after }, format!("{place} answered HTTP {status}{said}")),
        }
    }
}

/// Where a redirect leads.
fn target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// A page to sign in on, or the way to one: Azure Repos and proxies for single sign-on send that instead of a refusal.
fn is_page(response: &Response) -> bool {
    if response.status().is_redirection() {
        let target = target(response.url(), response.headers());
        return target
            .is_some_and(|target| !target.path().ends_with(ADVERTISEMENT) && !target.path().ends_with(SERVICE));
    }
    response.status() == StatusCode::NON_AUTHORITATIVE_INFORMATION && content_type(response) == "text/html"
}

/// The type alone, without what follows it.
fn content_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A refusal in the server's own words, if it has any to say that its status does not.
async fn words(mut response: Response) -> Option<String> {
    let (status, kind) = (response.status(), content_type(&response));
    let mut body = Vec::new();
    while body.len() < MOST_WORDS
        && let Ok(Some(bytes)) = response.chunk().await
    {
        body.extend_from_slice(&bytes);
    }
    let text = match kind.as_str() {
        "text/plain" => String::from_utf8_lossy(&body).into_owned(),
        "application/json" => serde_json::from_slice::<Value>(&body).ok()?["message"].as_str()?.to_owned(),
        // A page is for browsers.
        _ => return None,
    };
    let text = printable(text.trim());
    let told = !text.is_empty() && !status.canonical_reason().is_some_and(|reason| reason.eq_ignore_ascii_case(&text));
    told.then_some(text)
}

/// Seconds or a date, as RFC 9110 has it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.to_utc() - chrono::Utc::now()).to_std().unwrap_or_default())
}

fn gzip(body: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .map_err(|error| Error::bug("compressing a request failed").detail(error))
}
