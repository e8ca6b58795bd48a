//! What went wrong between GitHub and us, in words that say what to do.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use super::api::Answer;
use super::hosts::Host;
use super::limits::UNKNOWN_WAIT;
use crate::domain::{Error, Kind};
use crate::forge::quota::Refusal;

/// The longest piece of a foreign message that we repeat.
const MAX_QUOTE: usize = 300;

/// What is wrong with an answer, if anything is.
pub(super) fn refusal(host: &Host, answer: &Answer) -> Option<Error> {
    let Answer { status, .. } = answer;
    let name = host.name();
    if is_web_page(answer) {
        return Some(web_page(&name, *status));
    }
    Some(match status.as_u16() {
        200..=299 => return partial_results(&name, answer),
        401 => Error::misconfigured(format!("{name} refuses the token: {}", said(answer)))
            .hint(format!("it is mistyped, expired or revoked; make a new one at {}", host.page("settings/tokens"))),
        403 | 429 => forbidden(host, answer),
        407 => proxy_wants_password(),
        404 => Error::not_found(format!("{name} has no such thing, or the token may not see it")),
        410 | 451 => Error::misconfigured(format!("{name} no longer gives this out: {}", said(answer))),
        500.. => Error::new(
            Kind::Remote { retry_after: retry_after(answer) },
            format!("{name} is in trouble: it answers {status}"),
        ),
        _ => Error::remote(format!("{name} answers {status}: {}", said(answer))),
    })
}

/// A link or redirect that would take the token to another host.
pub(super) fn sent_away(host: &Host, target: &str) -> Error {
    let name = host.name();
    Error::misconfigured(format!("{name} sends us to {target}, where the token does not belong"))
        .hint(format!("if the forge has moved, connect it by its new address; the token was sent to {name} alone"))
}

fn forbidden(host: &Host, answer: &Answer) -> Error {
    let (name, said) = (host.name(), said(answer));
    let lower = said.to_ascii_lowercase();
    let misconfigured = |message: String, hint: String| Error::misconfigured(message).hint(hint);
    if let Some(sso) = header(answer, "x-github-sso").filter(|sso| sso.starts_with("required")) {
        let link =
            sso.split_once("url=").map_or_else(|| host.page("settings/tokens"), |(_, link)| link.trim().to_owned());
        return misconfigured(
            "the organization wants the token to be authorized for single sign-on (SAML)".to_owned(),
            format!("open this within the hour: {link}"),
        );
    }
    if let Some(refusal) = limited(answer) {
        return slow_down(&name, answer, refusal);
    }
    if lower.contains("ip allow list") {
        return misconfigured(
            format!("{name} refuses this machine's address: {said}"),
            "an owner of the organization has to add it: organization settings, Authentication security, IP allow list"
                .to_owned(),
        );
    }
    if lower.contains("forbids access via") {
        return misconfigured(
            format!("the organization refuses this kind of token: {said}"),
            format!(
                "make one that it accepts, mostly a fine-grained one: {}",
                host.page("settings/personal-access-tokens/new")
            ),
        );
    }
    if lower.contains("resource not accessible by") {
        let wanted = header(answer, "x-accepted-github-permissions").unwrap_or("(not told)");
        return misconfigured(
            format!(
                "the token lacks a permission: {}",
                wanted.replace("; ", " or ").replace(',', " and ").replace('=', ": ")
            ),
            format!("edit the token's permissions: {}", host.page("settings/personal-access-tokens")),
        );
    }
    if let Some(wanted) = header(answer, "x-accepted-oauth-scopes") {
        let held = header(answer, "x-oauth-scopes").unwrap_or("none");
        return misconfigured(
            format!("the token lacks a scope: one of {wanted} is needed, it has {held} ({said})"),
            format!("tick the scope and save, the token stays the same: {}", host.page("settings/tokens")),
        );
    }
    Error::misconfigured(format!("{name} refuses: {said}"))
}

/// A limit that was hit. What GitHub says about the time counts in this order; a secondary limit may say nothing.
pub(super) fn limited(answer: &Answer) -> Option<Refusal> {
    if !matches!(answer.status.as_u16(), 403 | 429) || is_web_page(answer) {
        return None;
    }
    let said = said(answer).to_ascii_lowercase();
    let secondary = said.contains("secondary rate") || said.contains("abuse");
    let used_up = header(answer, "x-ratelimit-remaining") == Some("0");
    let told = retry_after(answer);
    if used_up && !secondary {
        let wait = told.or_else(|| until_reset(answer)).unwrap_or(UNKNOWN_WAIT);
        return Some(Refusal::Primary { wait });
    }
    let limited = secondary || told.is_some() || answer.status == StatusCode::TOO_MANY_REQUESTS;
    limited.then_some(Refusal::Secondary { wait: told })
}

fn slow_down(name: &str, answer: &Answer, refusal: Refusal) -> Error {
    let (wait, what) = match refusal {
        Refusal::Primary { wait } => (wait, "the hourly limit of requests is used up"),
        Refusal::Secondary { wait } => {
            let used_up = header(answer, "x-ratelimit-remaining") == Some("0");
            let until_reset = used_up.then(|| until_reset(answer)).flatten();
            (wait.or(until_reset).unwrap_or(UNKNOWN_WAIT), "too many requests at once")
        }
    };
    let message = format!("{name} asks us to wait {} s: {what}", wait.as_secs());
    Error::new(Kind::Remote { retry_after: Some(wait) }, message)
}

/// What is wrong with GraphQL's reply, which is HTTP 200 all the same.
pub(super) fn in_graphql(host: &Host, answer: &Answer, reply: &Value) -> Option<Error> {
    let errors = reply.get("errors")?.as_array().filter(|errors| !errors.is_empty())?;
    let name = host.name();
    let kind = errors.iter().find_map(|error| error["type"].as_str()).unwrap_or_default();
    let said: Vec<&str> = errors.iter().filter_map(|error| error["message"].as_str()).collect();
    let said: String = said.join("; ").chars().filter(|c| !c.is_control()).take(MAX_QUOTE).collect();
    Some(match kind {
        "RATE_LIMITED" | "RATE_LIMIT" => {
            let wait = until_reset(answer).unwrap_or(UNKNOWN_WAIT);
            slow_down(&name, answer, Refusal::Primary { wait })
        }
        "FORBIDDEN" | "INSUFFICIENT_SCOPES" => {
            Error::misconfigured(format!("{name} answers a query only in part: {said}"))
        }
        "NOT_FOUND" => Error::not_found(format!("{name} has no such thing, or the token may not see it: {said}")),
        _ if said.contains("secondary rate") => slow_down(&name, answer, Refusal::Secondary { wait: None }),
        _ => Error::remote(format!("{name} answers a query only in part: {said}")),
    })
}

/// GitHub refuses an App's signature because our clocks differ.
pub(super) fn is_about_time(answer: &Answer) -> bool {
    let said = said(answer);
    said.contains("'Issued at'") || said.contains("'Expiration time'")
}

/// What the host's clock showed.
pub(super) fn host_time(answer: &Answer) -> Option<DateTime<Utc>> {
    let date = header(answer, DATE.as_str())?;
    DateTime::parse_from_rfc2822(date).ok().map(|time| time.to_utc())
}

fn partial_results(name: &str, answer: &Answer) -> Option<Error> {
    let sso = header(answer, "x-github-sso").filter(|sso| sso.starts_with("partial-results"))?;
    let organizations = sso.split_once("organizations=").map_or("unknown", |(_, ids)| ids.trim());
    Some(
        Error::misconfigured(format!(
            "{name} leaves out what belongs to organizations with single sign-on (ids {organizations})"
        ))
        .hint("authorize the token for them: token settings, Configure SSO"),
    )
}

fn web_page(name: &str, status: StatusCode) -> Error {
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return proxy_wants_password();
    }
    let message = format!("{name} answers {status} with a web page instead of data");
    if status.is_server_error() {
        return Error::remote(message);
    }
    Error::misconfigured(message)
        .hint("a login page or a proxy stands in between, or this is no GitHub: check the address and the setting `http.proxy`")
}

pub(super) fn proxy_wants_password() -> Error {
    Error::misconfigured("the HTTP proxy wants a password").hint("put it into the setting `http.proxy`")
}

pub(super) fn is_web_page(answer: &Answer) -> bool {
    let declared = header(answer, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html"));
    declared || answer.body.trim_ascii_start().starts_with(b"<")
}

/// GitHub's own words, without control characters.
fn said(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Body {
        message: String,
    }
    let message = serde_json::from_slice::<Body>(&answer.body).map(|body| body.message).unwrap_or_default();
    let message: String = message.chars().filter(|c| !c.is_control()).take(MAX_QUOTE).collect();
    if message.is_empty() { answer.status.to_string() } else { message }
}

fn retry_after(answer: &Answer) -> Option<Duration> {
    header(answer, RETRY_AFTER.as_str())?.parse().ok().map(Duration::from_secs)
}

/// By the host's clock where it tells the time, so that ours may be wrong.
pub(super) fn until_reset(answer: &Answer) -> Option<Duration> {
    let reset = DateTime::from_timestamp(header(answer, "x-ratelimit-reset")?.parse().ok()?, 0)?;
    let wait = reset - host_time(answer).unwrap_or_else(Utc::now);
    Some(wait.to_std().unwrap_or_default().max(Duration::from_secs(1)))
}

pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}
