//! Holds: as long as one stands, nothing of the repository goes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::catalog::{Catalog, HoldKind, Priority, Repository};
use crate::domain::{By, Error, RepoAddress, RepoId, Result};
use crate::jobs::{self, Job};
use crate::services::Services;

/// A hold that stands.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct HoldRow {
    pub repository: String,
    /// `legal`: by a person; `alarm`: by us.
    pub kind: HoldKind,
    pub reason: String,
    pub actor: String,
    pub since: DateTime<Utc>,
}

/// From now on nothing of the repository goes. What was leaving stays.
pub async fn place(services: &Services, address: &RepoAddress, reason: &str, by: &By) -> Result<Repository> {
    if reason.trim().is_empty() {
        return Err(Error::bad_request("a hold needs a reason, for those who find it later"));
    }
    let repository = services.catalog.resolve(address).await?;
    services.catalog.place_hold(&repository.id, HoldKind::Legal, reason, by).await?;
    jobs::retain(services, &repository.id).await?;
    Ok(repository)
}

/// Lifts all holds of the repository: from now on rules decide again.
pub async fn lift(services: &Services, address: &RepoAddress, by: &By) -> Result<Repository> {
    let repository = services.catalog.resolve(address).await?;
    if services.catalog.lift_holds(&repository.id, by).await? == 0 {
        return Err(Error::not_found(format!("no hold stands on {}", repository.full_name))
            .hint("`refward hold list` shows them"));
    }
    let job = Job::Retain(repository.id.clone());
    services.catalog.enqueue(job.kind(), &job.subject(), Priority::Manual).await?;
    Ok(repository)
}

/// The holds that stand, the oldest first.
pub async fn list(catalog: &Catalog) -> Result<Vec<HoldRow>> {
    let names: HashMap<RepoId, String> =
        catalog.repositories().await?.into_iter().map(|known| (known.id, known.full_name)).collect();
    let rows = catalog.holds(None).await?.into_iter().map(|hold| HoldRow {
        repository: names.get(&hold.repo).cloned().unwrap_or_else(|| hold.repo.to_string()),
        kind: hold.kind,
        reason: hold.reason,
        actor: hold.actor,
        since: hold.created_at,
    });
    Ok(rows.collect())
}
