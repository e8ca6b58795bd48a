//! A question to Entra, and what came back. Neither is ever logged: both hold what opens something.

use std::collections::hash_map::Entry;
use std::error::Error as StdError;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{ACCEPT, RETRY_AFTER};
use http_body_util::{BodyExt, Limited};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::errors::Complaint;
use super::{Entra, address, proof};
use crate::domain::{Error, Kind, Result};
use crate::forge::{OauthClient, Proof};

/// The largest answer that is read; these have some 5 kB.
const MAX_ANSWER: usize = 1024 * 1024;

/// For whoever is told to come back and not when.
const UNKNOWN_WAIT: Duration = Duration::from_secs(30);

/// However long Entra would have us wait.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// An answer of Entra that was heard, whether or not it is good news.
pub(in crate::forge::azure_devops) struct Asked {
    name: String,
    status: StatusCode,
    body: bytes::Bytes,
}

impl Entra {
    /// Posts a form to one of the tenant's endpoints: `token`, `devicecode`. Silence, trouble and requests to slow down are
    /// errors; a refusal is an answer.
    pub async fn ask(
        &self,
        client: &OauthClient,
        endpoint: &str,
        proof: Option<&Proof>,
        form: &[(&str, &str)],
    ) -> Result<Asked> {
        let url = address(client, &["oauth2", "v2.0", endpoint])?;
        let name = name(&url);
        self.wait_is_over(&name)?;
        let mut fields = vec![("client_id", client.client_id.as_str())];
        fields.extend(form);
        let assertion = match proof {
            Some(Proof::Certificate(pem)) => Some(proof::assertion(client, &url, pem)?),
            Some(Proof::Secret(_)) | None => None,
        };
        match (proof, &assertion) {
            (Some(Proof::Secret(secret)), _) => fields.push(("client_secret", secret.expose_secret())),
            (_, Some(assertion)) => {
                fields.push(("client_assertion_type", proof::ASSERTION_TYPE));
                fields.push(("client_assertion", assertion.expose_secret()));
            }
            (_, None) => (),
        }
        let silent = |error: &(dyn StdError + 'static)| silence(&name, error);
        let request = self.net.http.post(url).header(ACCEPT, "application/json").form(&fields);
        let response = request.send().await.map_err(|error| silent(&error))?;
        let (parts, body) = http::Response::from(response).into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| silent(&*error))?.to_bytes();
        let busy = parts.status == StatusCode::TOO_MANY_REQUESTS || parts.status == StatusCode::SERVICE_UNAVAILABLE;
        let told = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if let Some(wait) = told.map(Duration::from_secs).or(busy.then_some(UNKNOWN_WAIT)) {
            self.pause(&name, wait.min(LONGEST_WAIT));
        }
        if busy || parts.status.is_server_error() {
            let retry_after = told.map(Duration::from_secs).filter(|_| busy);
            let message = format!("{name} is in trouble: it answers {}", parts.status);
            return Err(Error::new(Kind::Remote { retry_after }, message));
        }
        Ok(Asked { name, status: parts.status, body })
    }

    /// Fails as long as the authority wants to be left alone.
    fn wait_is_over(&self, name: &str) -> Result<()> {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let Entry::Occupied(until) = paused.entry(name.to_owned()) else { return Ok(()) };
        let left = until.get().saturating_duration_since(Instant::now());
        if left.is_zero() {
            until.remove();
            return Ok(());
        }
        Err(Error::throttled(left, format!("{name} has asked us to wait {} s", left.as_secs() + 1)))
    }

    fn pause(&self, name: &str, wait: Duration) {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Instant::now() + wait);
    }
}

impl Asked {
    /// What Entra has to say against it; `None`: nothing.
    pub fn complaint(&self) -> Option<Complaint> {
        if self.status.is_success() {
            return None;
        }
        // A body that is no complaint is one without words.
        Some(serde_json::from_slice(&self.body).unwrap_or_default())
    }

    /// Reads an answer that is good.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        // What is wrong with it is not told: a token may stand in it.
        serde_json::from_slice(&self.body)
            .map_err(|_| Error::remote(format!("{} answers with something that Entra does not send", self.name)))
    }
}

/// For messages.
pub(super) fn name(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// No answer at all. The causes hold addresses, and no address of Entra that we post to holds a secret.
fn silence(name: &str, error: &(dyn StdError + 'static)) -> Error {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    Error::remote(format!("{name} does not answer")).detail(causes.join(": "))
}
