//! `POST /hooks/{sender}`: the forge, or the chat platform, is named by the path, never guessed from headers.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::json;

use super::error::Failure;
use super::{State, chat};
use crate::ops::accept::{Manners, Outcome, Rejected};

/// How long a body may take; GitHub gives up after 10 s itself.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Seconds after which whoever could not be served should come back.
const COME_BACK: u64 = 5;

pub(super) async fn receive(
    request: HttpRequest,
    sender: web::Path<String>,
    body: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Failure> {
    let forge = sender.into_inner();
    if let Some(desk) = state.desk.as_ref().filter(|desk| desk.has(&forge)) {
        return chat::receive(&request, &forge, body, desk).await;
    }
    take(&request, &forge, None, body, &state).await
}

/// A forge's own hook has a key in its path.
pub(super) async fn receive_with_key(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Failure> {
    let (forge, key) = path.into_inner();
    take(&request, &forge, Some(&key), body, &state).await
}

async fn take(
    request: &HttpRequest,
    forge: &str,
    key: Option<&str>,
    body: web::Payload,
    state: &State,
) -> Result<HttpResponse, Failure> {
    match state.receiver.manners(forge)? {
        Manners::Plain => plainly(request, forge, key, body, state).await,
        Manners::Forbearing => Ok(forbearingly(request, forge, key, body, state).await),
    }
}

async fn plainly(
    request: &HttpRequest,
    forge: &str,
    key: Option<&str>,
    body: web::Payload,
    state: &State,
) -> Result<HttpResponse, Failure> {
    if !state.receiver.is_open(forge).await? {
        return Ok(answer(Outcome::Rejected(Rejected::Unauthenticated)));
    }
    let body = match read(body, state.max_body, BODY_TIMEOUT).await {
        Ok(body) => body,
        Err(status) => return Ok(refused(status, status.canonical_reason().unwrap_or_default())),
    };
    let outcome = state.receiver.receive(forge, key, headers(request), Some(body)).await?;
    Ok(answer(outcome))
}

/// Three answers, of which only wrong credentials get another than "thanks" and "come back": whoever delivers gives up on a
/// hook that answers anything else. A body that is too large, or does not come, is no reason to either: it tells us to look.
async fn forbearingly(
    request: &HttpRequest,
    forge: &str,
    key: Option<&str>,
    body: web::Payload,
    state: &State,
) -> HttpResponse {
    let taken = async {
        if !state.receiver.is_open(forge).await? {
            return Ok(Outcome::Rejected(Rejected::Unauthenticated));
        }
        let body = read(body, state.max_body, BODY_TIMEOUT).await.ok();
        state.receiver.receive(forge, key, headers(request), body).await
    };
    match taken.await {
        Ok(Outcome::Rejected(why)) => refused(StatusCode::UNAUTHORIZED, &why.to_string()),
        Ok(outcome) => HttpResponse::Ok().json(json!({ "status": outcome.word() })),
        Err(error) => {
            tracing::error!(forge, "cannot store a delivery: {}", error.for_log());
            HttpResponse::ServiceUnavailable()
                .insert_header((RETRY_AFTER, COME_BACK))
                .json(json!({ "status": "busy", "error": "not stored; try again" }))
        }
    }
}

pub(super) async fn read(body: web::Payload, limit: usize, patience: Duration) -> Result<Bytes, StatusCode> {
    match tokio::time::timeout(patience, body.to_bytes_limited(limit)).await {
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Ok(Err(_))) => Err(StatusCode::BAD_REQUEST),
        Ok(Ok(Ok(body))) => Ok(body),
    }
}

/// actix speaks an older `http` than everybody else.
pub(super) fn headers(request: &HttpRequest) -> http::HeaderMap {
    let pairs = request.headers().iter().filter_map(|(name, value)| {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, http::HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    pairs.collect()
}

fn answer(outcome: Outcome) -> HttpResponse {
    let status = match outcome {
        Outcome::Stored => StatusCode::ACCEPTED,
        Outcome::Duplicate | Outcome::Pong | Outcome::Ignored => StatusCode::OK,
        Outcome::Rejected(rejected) => {
            let status = match rejected {
                Rejected::Unauthenticated => StatusCode::UNAUTHORIZED,
                Rejected::Malformed(_) => StatusCode::BAD_REQUEST,
                Rejected::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            };
            return refused(status, &rejected.to_string());
        }
    };
    HttpResponse::build(status).json(json!({ "status": outcome.word() }))
}

pub(super) fn refused(status: StatusCode, why: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "status": "refused", "error": why }))
}
