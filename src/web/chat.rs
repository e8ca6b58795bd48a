//! `POST /hooks/{platform}`: what chat platforms send. It shares its path with the forges' webhooks.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::Failure;
use super::hooks::{headers, read, refused};
use crate::desk::Desk;

/// What a platform sends is a command, not a payload.
const MAX_BODY: usize = 256 * 1024;

/// Platforms give up after 3 s themselves.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn receive(
    request: &HttpRequest,
    platform: &str,
    body: web::Payload,
    desk: &Desk,
) -> Result<HttpResponse, Failure> {
    let body = match read(body, MAX_BODY, BODY_TIMEOUT).await {
        Ok(body) => body,
        Err(status) => return Ok(refused(status, status.canonical_reason().unwrap_or_default())),
    };
    let answer = desk.receive(platform, &headers(request), body).await?;
    let status = StatusCode::from_u16(answer.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(HttpResponse::build(status).content_type("application/json").body(answer.body))
}
