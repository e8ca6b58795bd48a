//! What went wrong between Azure DevOps and us, in words that say what to do.

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

/// What Azure DevOps says where its answer is not JSON.
const OWN_WORDS: &str = "x-tfs-serviceerror";

/// What a request is signed with, as far as it matters to who has to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signs<'a> {
    /// Nothing.
    Nobody,
    /// A personal access token.
    Token,
    /// A client that acts for itself, a service principal, of this tenant.
    Client(&'a str),
    /// A client that acts for whoever has signed in at this tenant.
    Person(&'a str),
}

/// What Azure DevOps says of an error.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    #[serde(default)]
    message: String,
    /// The error's name, which is the same in every language.
    #[serde(default)]
    type_key: String,
}

/// What is wrong with an answer, if anything is.
pub(super) fn refusal(host: &Host, signs: Signs<'_>, answer: &Answer) -> Option<Error> {
    let (status, name) = (answer.status, host.name());
    if is_sign_in(answer) {
        return Some(signed_out(host, signs, answer));
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Some(proxy_wants_password());
    }
    if is_web_page(answer) && status == StatusCode::NOT_FOUND {
        return Some(
            Error::not_found(format!("{name} has no organization or collection `{}`", host.owner()))
                .hint(format!("check the spelling; people find it at {}", host.web)),
        );
    }
    if is_web_page(answer) && !status.is_server_error() && header(answer, OWN_WORDS).is_none() {
        return Some(Error::misconfigured(format!("{name} answers {status} with a web page instead of data")).hint(
            "a proxy stands in between, or this is no Azure DevOps: check the address and the setting `http.proxy`",
        ));
    }
    let said = said(answer);
    Some(match status.as_u16() {
        200..=299 => return None,
        300..=399 => sent_away(host, &elsewhere(answer)),
        400 if said_by(answer).type_key == "VssVersionOutOfRangeException" => too_old(host),
        400 => Error::bad_request(format!("{name} refuses: {said}")),
        403 => forbidden(&name, &said),
        404 | 410 => not_found(&name, &said),
        409 => Error::busy(format!("{name} refuses for now: {said}")),
        429 => slow_down(&name, answer),
        500.. => in_trouble(host, answer, &said),
        _ => Error::remote(format!("{name} answers {status}: {said}")),
    })
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

/// Nobody knows whose the credential is; to whoever is known, and refused, another token of the same credential is no use.
pub(super) fn is_unknown(answer: &Answer) -> bool {
    is_sign_in(answer) && !(answer.status == StatusCode::UNAUTHORIZED && names_somebody(&said(answer)))
}

fn mentions_sign_in(page: &[u8]) -> bool {
    let page = String::from_utf8_lossy(page).to_ascii_lowercase();
    ["_signin", "sign in", "login.microsoftonline.com"].iter().any(|word| page.contains(word))
}

fn signed_out(host: &Host, signs: Signs<'_>, answer: &Answer) -> Error {
    let (name, said) = (host.name(), said(answer));
    if answer.status == StatusCode::UNAUTHORIZED && names_somebody(&said) {
        let hint = match signs {
            Signs::Token => format!("open the token at {}, tick the scope, save", reach::tokens(host)),
            _ => "grant it to the application in Entra, API permissions, Azure DevOps".to_owned(),
        };
        return Error::misconfigured(format!("the credential lacks a scope that {name} wants for this: {said}"))
            .hint(hint);
    }
    let belongs =
        tenant(answer).map_or_else(String::new, |tenant| format!("; the organization belongs to the tenant {tenant}"));
    let elsewhere = |of: &str| tenant(answer).is_some_and(|tenant| is_guid(of) && !of.eq_ignore_ascii_case(&tenant));
    match signs {
        Signs::Nobody => Error::misconfigured(format!("{name} answers nobody without a credential")),
        Signs::Token => Error::misconfigured(format!("{name} refuses the token")).hint(format!(
            "it is mistyped, expired or revoked, or was made for another organization; make a new one at {}",
            reach::tokens(host)
        )),
        Signs::Client(of) if elsewhere(of) => {
            Error::misconfigured(format!("the service principal is one of the tenant {of}{belongs}"))
                .hint("register the application in that tenant, and connect with its client id and tenant")
        }
        Signs::Client(_) => {
            let text = format!("the service principal is not a member of the organization `{}`{belongs}", host.owner());
            Error::misconfigured(text).hint(format!(
                "add it by the name of its application, with the access level Basic, at {}; it can take a few minutes",
                reach::users(host)
            ))
        }
        Signs::Person(of) if elsewhere(of) => {
            Error::misconfigured(format!("whoever signed in did so at the tenant {of}{belongs}"))
                .hint("sign in there: `refward connect azure-devops --help`")
        }
        Signs::Person(_) => {
            let text = format!("whoever signed in is not a member of the organization `{}`{belongs}", host.owner());
            Error::misconfigured(text).hint(format!("sign in as somebody else, or add them at {}", reach::users(host)))
        }
    }
}

/// Somebody who is known is refused: `TF400813: The user 'mona' is not authorized`. Whoever is not known is nobody, or all
/// zeros, or all `a`.
fn names_somebody(said: &str) -> bool {
    let named = said.strip_prefix("TF400813").and_then(|said| said.split('\'').nth(1)).unwrap_or_default();
    named.chars().any(|c| c.is_ascii_alphanumeric() && !matches!(c, '0' | 'a'))
}

fn is_guid(text: &str) -> bool {
    uuid::Uuid::parse_str(text).is_ok()
}

/// Which Entra tenant an organization trusts; all zeros: none.
pub(super) fn tenant(answer: &Answer) -> Option<String> {
    let told = header(answer, "x-vss-resourcetenant")?;
    let is_one = told.chars().any(|c| c.is_ascii_alphanumeric() && c != '0');
    is_one.then(|| told.to_owned())
}

/// A Server from before all that we ask for.
pub(super) fn too_old(host: &Host) -> Error {
    Error::misconfigured(format!("{} runs an Azure DevOps Server that is too old", host.name()))
        .hint("the oldest that works is Azure DevOps Server 2019")
}

/// Somebody known may not do something.
fn forbidden(name: &str, said: &str) -> Error {
    let lower = said.to_ascii_lowercase();
    let error = Error::misconfigured(format!("{name} refuses: {said}"));
    if said.contains("TF401027") {
        return error.hint("grant that permission: Project settings, Repositories, Security");
    }
    if lower.contains("conditional access") || lower.contains("ip address") {
        return error
            .hint("an administrator of the tenant has to let this machine's address in: Entra, Conditional Access");
    }
    if lower.contains("permission") && lower.contains("subscription") {
        return error.hint(
            "the identity needs View, Edit and Delete Subscriptions of service hooks: make it a Project Collection \
             Administrator, or grant them (docs/azure-devops.md)",
        );
    }
    if lower.contains("following permission") {
        return error.hint("somebody who administers the project or the organization can grant it");
    }
    error
}

fn not_found(name: &str, said: &str) -> Error {
    let error = Error::not_found(format!("{name} has no such thing, or the credential may not see it: {said}"));
    if said.contains("TF401019") {
        return error.hint("disabled repositories answer like that too, and all of them do to somebody with the access level Stakeholder");
    }
    error
}

fn in_trouble(host: &Host, answer: &Answer, said: &str) -> Error {
    let name = host.name();
    if said.contains("TF24668") {
        return Error::misconfigured(format!("`{}` on {name} is stopped", host.owner()))
            .hint("whoever administers the server or the organization has to start it again")
            .detail(said);
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

/// Azure DevOps' own words, without control characters. What is not JSON has them in a header.
pub(super) fn said(answer: &Answer) -> String {
    let body = said_by(answer).message;
    let in_header = || {
        let text = header(answer, OWN_WORDS).unwrap_or_default();
        percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
    };
    let message = if body.is_empty() { in_header() } else { body };
    let message: String = message.chars().filter(|c| !c.is_control()).take(MAX_QUOTE).collect();
    if message.is_empty() { answer.status.to_string() } else { message }
}

fn said_by(answer: &Answer) -> Said {
    serde_json::from_slice(&answer.body).unwrap_or_default()
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
