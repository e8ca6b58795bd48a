//! Restores that people ask for from afar: planned, confirmed by whoever asked, approved by a second person where something
//! is overwritten, then carried out.

mod proposal;

use crate::catalog::{Catalog, Repository};
use crate::domain::{Error, RepoId, Result};
use crate::services::Services;

pub use proposal::{
    Asker, Destination, DetailedPlan, Done, Link, Origin, PlannedMove, Proposal, Receipt, Refused, State, Undo, Wish,
    Written,
};

fn soon<T>() -> Result<T> {
    Err(Error::bug("not there yet"))
}

/// Plans a restore. Nothing is changed, and nothing happens until [`confirm`]. `NotAllowed`: the one who asks may not;
/// `BadRequest`: there is nothing to do, or it cannot be done so.
#[expect(clippy::unused_async, reason = "soon")]
pub async fn propose(services: &Services, asker: &Asker<'_>, repository: &Repository, wish: Wish) -> Result<Proposal> {
    _ = (services, asker, repository, wish);
    soon()
}

/// The one who asked wants it as it was planned: it is carried out, or waits for a second person. A download gets its
/// [`Link`]; whoever confirms it again gets another. `Stale`: a reference has moved since, and `replaced_by` is the new plan.
#[expect(clippy::unused_async, reason = "soon")]
pub async fn confirm(services: &Services, asker: &Asker<'_>, id: i64, hash: &str) -> Result<Proposal> {
    _ = (services, asker, id, hash);
    soon()
}

/// A second person agrees: it is carried out.
#[expect(clippy::unused_async, reason = "soon")]
pub async fn approve(services: &Services, asker: &Asker<'_>, id: i64, hash: &str) -> Result<Proposal> {
    _ = (services, asker, id, hash);
    soon()
}

/// A second person does not agree: it ends.
#[expect(clippy::unused_async, reason = "soon")]
pub async fn reject(services: &Services, asker: &Asker<'_>, id: i64, hash: &str) -> Result<Proposal> {
    _ = (services, asker, id, hash);
    soon()
}

/// The one who asked wants it no more. What is being carried out goes on.
#[expect(clippy::unused_async, reason = "soon")]
pub async fn cancel(services: &Services, asker: &Asker<'_>, id: i64) -> Result<Proposal> {
    _ = (services, asker, id);
    soon()
}

/// A restore by its number.
#[expect(clippy::unused_async, reason = "soon")]
pub async fn get(services: &Services, id: i64) -> Result<Proposal> {
    _ = (services, id);
    soon()
}

/// The newest restores, of one repository or of all.
#[expect(clippy::unused_async, reason = "soon")]
pub async fn list(catalog: &Catalog, repo: Option<&RepoId>, limit: u64) -> Result<Vec<Proposal>> {
    _ = (catalog, repo, limit);
    soon()
}

/// Carries out whatever is approved of a repository, one after the other. To be run again after a crash: what was done is
/// not done twice.
#[expect(clippy::unused_async, reason = "soon")]
pub async fn carry_out(services: &Services, repo: &RepoId) -> Result<()> {
    _ = (services, repo);
    soon()
}
