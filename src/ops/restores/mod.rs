//! Restores that people ask for from afar: planned, confirmed by whoever asked, approved by a second person where something
//! is overwritten, then carried out.
//!
//! ```text
//! planned → confirmed → approved → running → done | failed | stale
//!         ↘ approved: nothing is overwritten     rejected, cancelled, expired: before it runs
//! ```
//!
//! Each step is one conditional statement together with its record and its jobs, so of two who decide at the same moment one
//! does. Who may is asked anew at each, of our grants and of the forge; what cannot be asked is refused.

mod carry_out;
mod decide;
mod download;
mod entitled;
mod look;
mod plan;
mod proposal;
mod propose;

use async_trait::async_trait;
use serde_json::json;

use crate::catalog::{NewRecord, Verdict, job_kind};
use crate::domain::{Kind, Result};
use crate::jobs::Errand;
use crate::services::Services;

pub use crate::catalog::restore_subject as subject;
pub use carry_out::carry_out;
pub use decide::{approve, cancel, confirm, reject};
pub use download::{Bundle, Downloads};
pub use look::{get, list};
pub use proposal::{
    Asker, Destination, DetailedPlan, Done, Link, Origin, PlannedMove, Proposal, Receipt, Refused, State, Undo, Wish,
    Written,
};
pub use propose::propose;

/// Has the workers [`carry_out`].
pub struct CarryOut;

#[async_trait]
impl Errand for CarryOut {
    fn kind(&self) -> &'static str {
        job_kind::RESTORE
    }

    async fn run(&self, services: &Services, subject: &str) -> Result<()> {
        carry_out(services, &subject.parse()?).await
    }
}

/// Keeps in the record what somebody asked for and did not get.
async fn recorded<T>(
    services: &Services,
    asker: &Asker<'_>,
    action: &'static str,
    about: &str,
    outcome: Result<T>,
) -> Result<T> {
    if let Err(error) = &outcome {
        let verdict = match error.kind() {
            Kind::NotAllowed | Kind::NotFound | Kind::BadRequest => Verdict::Refused,
            _ => Verdict::Failed,
        };
        let told = NewRecord::new(asker.by, action, verdict).about(about).detail(json!({ "why": error.to_string() }));
        if let Err(error) = services.catalog.record(told).await {
            tracing::error!(action, about, "a refusal is not in the record: {}", error.for_log());
        }
    }
    outcome
}
