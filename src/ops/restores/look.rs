//! Looking at restores. What should have gone on by now and did not has ended, whoever looks first.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::catalog::{Catalog, NewRecord, Repository, RestoreStep, StoredRestore, Verdict};
use crate::domain::{By, Error, RepoId, Result};
use crate::services::Services;

use super::proposal::{DetailedPlan, Origin, Proposal, State, Wish};

/// A restore by its number.
pub async fn get(services: &Services, id: i64) -> Result<Proposal> {
    let row = services.catalog.restore(id).await?;
    let known = services.catalog.repository(&row.repo).await.ok();
    let proposal = Proposal::of(row, known.as_ref())?;
    if !proposal.is_overdue(Utc::now()) {
        return Ok(proposal);
    }
    expire(&services.catalog, &proposal).await?;
    Proposal::of(services.catalog.restore(id).await?, known.as_ref())
}

/// The newest restores, of one repository or of all, the newest first.
pub async fn list(catalog: &Catalog, repo: Option<&RepoId>, limit: u64) -> Result<Vec<Proposal>> {
    let known = catalog.repositories().await?.into_iter();
    let known: HashMap<RepoId, Repository> = known.map(|repository| (repository.id.clone(), repository)).collect();
    let now = Utc::now();
    let rows = catalog.restores(repo, limit).await?.into_iter();
    let proposals = rows.map(|row| {
        let repository = known.get(&row.repo);
        let proposal = Proposal::of(row, repository)?;
        Ok(if proposal.is_overdue(now) { Proposal { state: State::Expired, ..proposal } } else { proposal })
    });
    proposals.collect()
}

/// Ends a restore whose time is over; nothing happens where somebody went on with it just in time.
pub(super) async fn expire(catalog: &Catalog, proposal: &Proposal) -> Result<()> {
    let told = proposal.record(&refward(), "restore.expire", Verdict::Done);
    catalog.step_restore(proposal.id, &proposal.repo, RestoreStep::Expire, Some(told)).await.map(drop)
}

/// The service itself.
pub(super) fn refward() -> By {
    By { who: "refward".to_owned(), whence: "refward".to_owned() }
}

impl Proposal {
    /// `repository`: as the catalog knows it now, if it does.
    pub(super) fn of(row: StoredRestore, repository: Option<&Repository>) -> Result<Self> {
        let plan: DetailedPlan = read(row.plan, "the plan")?;
        let origin: Origin = read(row.origin, "the origin")?;
        let wish: Wish = read(row.wish, "the wish")?;
        let public = repository.is_some_and(Repository::is_public);
        Ok(Self {
            id: row.id,
            repository: repository.map_or_else(|| plan.repository.clone(), |known| known.full_name.clone()),
            repo: row.repo,
            public,
            requested_by: row.requested_by,
            origin,
            wish,
            plan,
            hash: row.plan_hash,
            needs_approval: row.needs_approval,
            state: row.state,
            created_at: row.created_at,
            expires_at: row.expires_at,
            confirmed_at: row.confirmed_at,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            progress: row.progress.map(|progress| read(progress, "the progress")).transpose()?,
            receipt: row.receipt.map(|receipt| read(receipt, "the receipt")).transpose()?,
            error: row.error,
            replaced_by: row.replaced_by,
            link: None,
        })
    }

    /// It should have gone on by now. What is being carried out is brought to its end, however late.
    pub(super) fn is_overdue(&self, now: DateTime<Utc>) -> bool {
        matches!(self.state, State::Planned | State::Confirmed | State::Approved) && self.expires_at <= now
    }

    /// For the record: who did what about this restore.
    pub(super) fn record(&self, by: &By, action: &'static str, verdict: Verdict) -> NewRecord {
        let detail = json!({
            "repository": self.repository,
            "target": self.plan.target,
            "snapshot": self.plan.seq,
            "requested_by": self.requested_by,
        });
        NewRecord::new(by, action, verdict).about(format!("restore {}", self.id)).plan(&self.hash).detail(detail)
    }
}

fn read<T: DeserializeOwned>(value: Value, what: &str) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Error::damaged(format!("the database holds {what} of a restore that cannot be read")).detail(error)
    })
}
