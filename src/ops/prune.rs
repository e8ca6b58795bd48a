//! Deleting from the store what no recovery point needs any more.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{RepoId, Result};
use crate::jobs;
use crate::services::Services;

/// An object that nobody needs.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Planned {
    /// Its name in the store.
    pub object: String,
    pub repository: String,
    pub bytes: u64,
    pub why: String,
    pub condemned_at: DateTime<Utc>,
    /// At the earliest; none: it will be listed by the next `refward prune`, and its grace begins then.
    pub goes_at: Option<DateTime<Utc>>,
    /// Why it stays all the same.
    pub stays: Option<&'static str>,
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Receipt {
    /// Objects newly put on a list; their grace begins.
    pub listed: usize,
    /// Objects deleted.
    pub deleted: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are still waiting.
    pub waiting: usize,
}

/// What is condemned, and when each object goes.
pub async fn plan(services: &Services) -> Result<Vec<Planned>> {
    let sentences = jobs::sentences(services).await?;
    let ids: Vec<RepoId> = sentences.iter().map(|sentence| sentence.what.repo.clone()).collect();
    let known = services.catalog.known(&ids).await?;
    let names: HashMap<RepoId, String> = known.into_iter().map(|(id, known)| (id, known.remote.full_name)).collect();
    let planned = sentences.into_iter().map(|sentence| Planned {
        repository: names.get(&sentence.what.repo).cloned().unwrap_or_else(|| sentence.what.repo.to_string()),
        object: sentence.what.object,
        bytes: sentence.what.bytes,
        why: sentence.what.why,
        condemned_at: sentence.what.condemned_at,
        goes_at: sentence.goes_at,
        stays: sentence.stays,
    });
    Ok(planned.collect())
}

/// Lists what is newly condemned and deletes what was listed long enough ago. Gives what was done, and why it stopped if it
/// did.
pub async fn prune(services: &Services) -> Result<(Receipt, Result<()>)> {
    let (done, outcome) = jobs::prune_now(services, true).await?;
    let waiting = services.catalog.condemned().await?.len();
    Ok((Receipt { listed: done.listed, deleted: done.deleted, bytes: done.bytes, waiting }, outcome))
}
