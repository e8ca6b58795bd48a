//! What went wrong between Azure DevOps and us, in words that say what to do.

use std::error::Error as StdError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use http::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use serde::Deserialize;

use super::api::Answer;
use super::hosts::Host;
use super::limits::UNKNOWN_WAIT;
use super::reach;
use crate::domain::{Error, Kind};
use crate::forge::quota::Refusal;

/// The longest piece of a foreign message that we repeat.
const MAX_QUOTE: usize = 300;

/// What a request is signed with, as far as it matters to who has to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signs {
    /// Nothing.
    Nobody,
    /// A personal access token.
    Token,
    /// A client that acts for itself: a service principal.
    Client,
    /// A client that acts for whoever has signed in.
    Person,
}

/// What Azure DevOps says of an error.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    #[serde(default)]
    message: String,
    #[serde(default)]
    type_key: String,
}

/// What is wrong with an answer, if anything is.
pub(super) fn refusal(host: &Host, signs: Signs, answer: &Answer) -> Option<Error> {
    let (status, name) = (answer.status, host.name());
    if is_sign_in(answer) {
        return Some(signed_out(host, signs, answer));
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Some(proxy_wants_password());
    }
    if is_web_page(answer) && !status.is_server_error() {
        return Some(Error::misconfigured(format!("{name} answers {status} with a web page instead of data")).hint(
            "a proxy stands in between, or this is no Azure DevOps: check the address and the setting `http.proxy`",
        ));
    }
    let said = said(answer);
    Some(match status.as_u16() {
        200..=299 => return None,
        300..=399 => sent_away(host, &elsewhere(answer)),
        400 => Error::bad_request(format!("{name} refuses: {said}")),
        403 => forbidden(host, signs, &said),
        404 | 410 => not_found(host, answer, &said),
        409 => Error::new(Kind::Busy { retry_after: None }, format!("{name} refuses for now: {said}")),
        429 => slow_down(&name, answer),
        500.. => in_trouble(host, answer, &said),
        _ => Error::remote(format!("{name} answers {status}: {said}")),
    })
}

/// No answer at all: name resolution, connection, TLS, time.
pub(super) fn silence(host: &Host, error: &(dyn StdError + 'static)) -> Error {
    let mut chain = vec![error];
    while let Some(cause) = chain[chain.len() - 1].source() {
        chain.push(cause);
    }
    let told: Vec<String> =
        chain.iter().map(|error| error.to_string().lines().next().unwrap_or_default().to_owned()).collect();
    let client = chain.iter().find_map(|error| error.downcast_ref::<reqwest::Error>());
    let mentions = |word: &str| told.iter().any(|text| text.to_ascii_lowercase().contains(word));
    let why = if client.is_some_and(reqwest::Error::is_timeout) {
        "does not answer in time"
    } else if mentions("certificate") || mentions("tls") {
        "cannot prove who it is (TLS)"
    } else if mentions("dns error") || mentions("lookup address") {
        "is a name that cannot be resolved"
    } else if client.is_some_and(reqwest::Error::is_connect) {
        "cannot be reached"
    } else {
        "breaks the connection off"
    };
    let error = Error::remote(format!("{} {why}", host.name())).detail(told.join(": "));
    if why.ends_with("(TLS)") {
        return error
            .hint("if its certificate is signed by your own authority, name that in the setting `http.ca_file`");
    }
    error
}

/// A redirect, or an address in an answer, that would take the credential to another host.
pub(super) fn sent_away(host: &Host, target: &str) -> Error {
    let name = host.name();
    Error::misconfigured(format!("{name} sends us to {target}, where the credential does not belong"))
        .hint(format!("if the forge has moved, connect it by its new address; the credential was sent to {name} alone"))
}

/// Whoever we are, we are not believed. A page to sign in on comes as a success with a status of its own, as a redirect, or,
/// because every request asks for that, as a plain refusal.
/// <https://learn.microsoft.com/azure/devops/integrate/get-started/rest/samples>
pub(super) fn is_sign_in(answer: &Answer) -> bool {
    match answer.status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::NON_AUTHORITATIVE_INFORMATION => is_web_page(answer),
        StatusCode::OK | StatusCode::FORBIDDEN => is_web_page(answer) && mentions_sign_in(&answer.body),
        status if status.is_redirection() => {
            let target = header(answer, LOCATION.as_str()).unwrap_or_default().to_ascii_lowercase();
            ["_signin", "login.microsoftonline.com", "login.live.com"].iter().any(|word| target.contains(word))
        }
        _ => false,
    }
}

fn mentions_sign_in(page: &[u8]) -> bool {
    let page = String::from_utf8_lossy(page).to_ascii_lowercase();
    ["_signin", "sign in", "login.microsoftonline.com"].iter().any(|word| page.contains(word))
}

fn signed_out(host: &Host, signs: Signs, answer: &Answer) -> Error {
    let name = host.name();
    let said = said(answer);
    let words = if said.starts_with("TF") { format!(": {said}") } else { String::new() };
    let tenant = tenant(answer);
    match signs {
        Signs::Nobody => Error::misconfigured(format!("{name} answers nobody without a credential")),
        Signs::Token => Error::misconfigured(format!("{name} refuses the token{words}")).hint(format!(
            "it is mistyped, expired or revoked, or was made for another organization; make a new one at {}",
            reach::tokens(host)
        )),
        Signs::Client | Signs::Person => {
            let belongs = tenant.map_or_else(
                || "the organization's directory does not know it".to_owned(),
                |tenant| format!("the organization belongs to the tenant {tenant}"),
            );
            let (who, hint) = match signs {
                Signs::Client => (
                    "service principal",
                    format!("add it to the organization, with the access level Basic: {}", reach::users(host)),
                ),
                _ => (
                    "sign-in",
                    "sign in again, with an account of that organization: `refward connect azure-devops --help`"
                        .to_owned(),
                ),
            };
            Error::misconfigured(format!("{name} does not take the {who}{words}; {belongs}")).hint(hint)
        }
    }
}

/// Which Entra tenant an organization trusts; all zeros: none.
pub(super) fn tenant(answer: &Answer) -> Option<String> {
    let told = header(answer, "x-vss-resourcetenant")?;
    let is_one = told.chars().any(|c| c.is_ascii_alphanumeric() && c != '0');
    is_one.then(|| told.to_owned())
}

fn forbidden(host: &Host, signs: Signs, said: &str) -> Error {
    _ = signs;
    Error::misconfigured(format!("{} refuses: {said}", host.name()))
}

fn not_found(host: &Host, answer: &Answer, said: &str) -> Error {
    _ = answer;
    Error::not_found(format!("{} has no such thing, or the credential may not see it: {said}", host.name()))
}

fn in_trouble(host: &Host, answer: &Answer, said: &str) -> Error {
    let name = host.name();
    if said.contains("TF24668") {
        return Error::misconfigured(format!("{} is stopped: {said}", host.owner()))
            .hint("whoever administers it has to start it again; nothing is asked of it meanwhile");
    }
    Error::new(
        Kind::Remote { retry_after: retry_after(answer) },
        format!("{name} is in trouble: it answers {}", answer.status),
    )
}

fn slow_down(name: &str, answer: &Answer) -> Error {
    let wait = retry_after(answer).or_else(|| until_reset(answer)).unwrap_or(UNKNOWN_WAIT);
    let message = format!("{name} asks us to wait {} s: we have used too much of it", wait.as_secs());
    Error::new(Kind::Remote { retry_after: Some(wait) }, message)
}

/// A limit that was hit: it belongs to whoever called.
pub(super) fn limited(answer: &Answer) -> Option<Refusal> {
    let limited = answer.status == StatusCode::TOO_MANY_REQUESTS && !is_web_page(answer);
    let wait = retry_after(answer).or_else(|| until_reset(answer)).unwrap_or(UNKNOWN_WAIT);
    limited.then_some(Refusal::Primary { wait })
}

/// A good answer that asks for a pause before the next call, or that came late itself.
pub(super) fn rest(answer: &Answer) -> Option<Duration> {
    let delay =
        || header(answer, "x-ratelimit-delay")?.parse().ok().and_then(|wait| Duration::try_from_secs_f64(wait).ok());
    let answered = !answer.status.is_server_error() && answer.status != StatusCode::TOO_MANY_REQUESTS;
    answered.then(|| retry_after(answer).or_else(delay)).flatten()
}

pub(super) fn proxy_wants_password() -> Error {
    Error::misconfigured("the HTTP proxy wants a password").hint("put it into the setting `http.proxy`")
}

pub(super) fn is_web_page(answer: &Answer) -> bool {
    let declared = header(answer, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html"));
    declared || answer.body.trim_ascii_start().starts_with(b"<")
}

fn elsewhere(answer: &Answer) -> String {
    let target = header(answer, LOCATION.as_str()).and_then(|target| target.parse::<url::Url>().ok());
    target.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "another address".to_owned())
}

/// Azure DevOps' own words, without control characters.
pub(super) fn said(answer: &Answer) -> String {
    let body = serde_json::from_slice::<Said>(&answer.body).unwrap_or_default();
    let message: String = body.message.chars().filter(|c| !c.is_control()).take(MAX_QUOTE).collect();
    if message.is_empty() { answer.status.to_string() } else { message }
}

/// The name of an error, which is the same in every language.
pub(super) fn type_key(answer: &Answer) -> String {
    serde_json::from_slice::<Said>(&answer.body).unwrap_or_default().type_key
}

pub(super) fn retry_after(answer: &Answer) -> Option<Duration> {
    header(answer, RETRY_AFTER.as_str())?.parse().ok().map(Duration::from_secs)
}

/// By the host's clock where it tells the time, so that ours may be wrong.
pub(super) fn until_reset(answer: &Answer) -> Option<Duration> {
    let reset = DateTime::from_timestamp(header(answer, "x-ratelimit-reset")?.parse().ok()?, 0)?;
    let date = header(answer, DATE.as_str()).and_then(|date| DateTime::parse_from_rfc2822(date).ok());
    let wait = reset - date.map_or_else(Utc::now, |date| date.to_utc());
    Some(wait.to_std().unwrap_or_default().max(Duration::from_secs(1)))
}

pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}
