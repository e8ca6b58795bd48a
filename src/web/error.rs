//! Errors as HTTP answers: the kind decides the status.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::domain::{Error, Kind};

/// An error on its way out.
#[derive(Debug)]
pub(super) struct Failure(Error);

/// When the kind does not say when to come back.
const RETRY_AFTER_SECONDS: u64 = 5;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

pub(super) fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotAllowed => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::BadRequest => StatusCode::BAD_REQUEST,
        Kind::Busy { .. } | Kind::Throttled { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Remote { .. } => StatusCode::BAD_GATEWAY,
        Kind::Misconfigured | Kind::Damaged | Kind::Partial | Kind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        status_of(self.0.kind())
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self.0.kind() {
            Kind::Busy { retry_after } => {
                let seconds = retry_after.map_or(RETRY_AFTER_SECONDS, |wait| wait.as_secs().max(1));
                response.insert_header((RETRY_AFTER, seconds));
                response.json(json!({ "status": "busy", "error": "not stored; try again" }))
            }
            Kind::Throttled { retry_after } => {
                response.insert_header((RETRY_AFTER, retry_after.as_secs().max(1)));
                response.json(json!({ "status": "throttled", "error": self.0.to_string() }))
            }
            // Our own troubles are told in the log, not to whoever asks.
            Kind::Misconfigured | Kind::Damaged | Kind::Partial | Kind::Bug | Kind::Remote { .. } => {
                tracing::error!("{}", self.0.for_log());
                response.json(json!({ "status": "failed", "error": "see the log of the service" }))
            }
            Kind::NotAllowed | Kind::NotFound | Kind::BadRequest => {
                response.json(json!({ "status": "refused", "error": self.0.to_string() }))
            }
        }
    }
}
