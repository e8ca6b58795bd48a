//! Notices as signed JSON over HTTP: what a chat's bridge, a pager or one's own program takes.
//!
//! Signed like GitHub's webhooks, so that what verifies those verifies these:
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>

use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use url::Url;

use super::{Message, Receiver, is_loopback, secret_of};
use crate::config;
use crate::domain::{Error, Kind, Result};

/// However long the other side thinks.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Webhook {
    url: Url,
    secret: SecretString,
    http: reqwest::Client,
}

impl Webhook {
    /// `http` must not follow redirects: a signed notice goes where the settings say and nowhere else.
    pub(super) fn new(settings: &config::Webhook, http: reqwest::Client) -> Result<Self> {
        let refuse = |why: &str| Error::misconfigured(format!("the setting `webhook.url` {why}"));
        let url = Url::parse(&settings.url).map_err(|_| refuse("is not a web address"))?;
        match url.scheme() {
            "https" => (),
            "http" if is_loopback(&url) => (),
            "http" => return Err(refuse("must be https: what is told is nobody else's business")),
            _ => return Err(refuse("must be an https address")),
        }
        if settings.secret_file.as_os_str().is_empty() {
            return Err(Error::misconfigured("the setting `webhook.secret_file` is not set")
                .hint("make a secret, e.g. with `openssl rand -hex 32`, and let the other side verify X-Refward-Signature-256 with it"));
        }
        Ok(Self { url, secret: secret_of(&settings.secret_file, "webhook.secret_file")?, http })
    }

    fn signature(&self, body: &[u8]) -> Result<String> {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes());
        let mac = mac.map_err(|error| Error::bug("cannot sign a notice").detail(error))?;
        Ok(format!("sha256={}", hex::encode(mac.chain_update(body).finalize().into_bytes())))
    }
}

#[async_trait]
impl Receiver for Webhook {
    async fn send(&self, message: &Message) -> Result<()> {
        let body = serde_json::to_vec(message).map_err(|error| Error::bug("cannot write a notice").detail(error))?;
        let request = self
            .http
            .post(self.url.clone())
            .timeout(PATIENCE)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Refward-Delivery", &message.id)
            .header("X-Refward-Signature-256", self.signature(&body)?)
            .body(body);
        // The path of a chat's webhook is a secret, so no error may show it.
        let host = self.url.host_str().unwrap_or_default();
        let answer = request.send().await.map_err(|error| {
            Error::remote(format!("the webhook at {host} cannot be reached")).detail(chain(&error.without_url()))
        })?;
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        refusal(host, answer.status(), after.map(Duration::from_secs)).map_or(Ok(()), Err)
    }
}

/// `None`: it was taken.
fn refusal(host: &str, status: StatusCode, retry_after: Option<Duration>) -> Option<Error> {
    let told = format!("the webhook at {host} answers {status}");
    match status.as_u16() {
        200..=299 => None,
        300..=399 => Some(
            Error::misconfigured(format!("{told}; redirects are not followed"))
                .hint("set `webhook.url` to where it really is"),
        ),
        408 | 425 | 429 | 500.. => Some(Error::new(Kind::Remote { retry_after }, told)),
        _ => Some(
            Error::misconfigured(told).hint("check `webhook.url` and `webhook.secret_file`, and the other side's log"),
        ),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
