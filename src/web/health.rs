//! `/healthz`, `/readyz`, `/metrics`: for load balancers and monitoring. They tell no names and no reasons.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, Responder, web};
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;

use super::State;
use crate::domain::Result;

/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks whether something works.
pub type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Something that must work for the service to be ready.
#[derive(Clone)]
pub struct Check {
    /// What it is: `database`, `vault`, `workers`.
    pub name: &'static str,
    /// Looks whether it works.
    pub probe: Probe,
}

impl Check {
    /// A check from an async closure.
    pub fn new<F>(name: &'static str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self { name, probe: Arc::new(move || Box::pin(probe())) }
    }

    async fn works(&self) -> bool {
        match tokio::time::timeout(PATIENCE, (self.probe)()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(check = self.name, "not ready: {}", error.for_log());
                false
            }
            Err(_) => {
                tracing::warn!(check = self.name, "not ready: no answer within {PATIENCE:?}");
                false
            }
        }
    }
}

pub(super) async fn alive() -> impl Responder {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

pub(super) async fn ready(state: web::Data<State>) -> impl Responder {
    let results = join_all(state.checks.iter().map(|check| async { (check.name, check.works().await) })).await;
    let ready = results.iter().all(|(_, works)| *works);
    let checks: BTreeMap<_, _> =
        results.into_iter().map(|(name, works)| (name, if works { "ok" } else { "failing" })).collect();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({ "status": if ready { "ready" } else { "not ready" }, "checks": checks }))
}

pub(super) async fn metrics(state: web::Data<State>) -> impl Responder {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(state.metrics.render())
}
