//! Finishing what an earlier run began: the object is in the vault, the catalog does not know it yet.

use super::Sync;
use crate::catalog::Commit;
use crate::domain::{Error, Kind, Result, Seq, Snapshot};
use crate::services::Services;
use crate::vault::{Record, Sealed};

impl Sync<'_> {
    /// Adopts the snapshot after the last known one if the vault holds it: the run that wrote it died before its catalog
    /// row. Its intent says what it is, so that a deployment that cannot read its own vault can finish it too.
    ///
    /// Costs nothing unless an intent was left behind.
    pub(super) async fn finish_interrupted(&self) -> Result<()> {
        let (services, repo) = (self.services, &self.repository.id);
        loop {
            let next = services.catalog.last_seq(repo).await?.map_or(Seq::FIRST, Seq::next);
            let mut intents = services.catalog.intents(repo, next).await?;
            if intents.is_empty() {
                return Ok(());
            }
            let sealed = match services.vault.hash(repo, next).await {
                Ok(sealed) => sealed,
                Err(error) if error.kind() == Kind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            let record = if !services.vault.is_sealed() {
                services.vault.record(repo, next).await?
            } else if intents.len() == 1 {
                read_intent(&intents.remove(0))?
            } else {
                return Err(Error::misconfigured(format!(
                    "the vault holds snapshot {next}, several runs meant to write it, and this deployment has no key to see which did"
                ))
                .hint("run `refward catalog rebuild` once where the vault's key is"));
            };
            let events = services.catalog.events_of(&record.trigger.deliveries, repo).await?;
            commit_row(services, &record, sealed, None, super::ids(&events)).await?;
            tracing::info!(repository = record.full_name, seq = next.get(), "finished an interrupted snapshot");
        }
    }
}

fn read_intent(json: &str) -> Result<Record> {
    serde_json::from_str(json).map_err(|error| Error::bug("cannot read an announced record").detail(error))
}

/// Tells the catalog about a record that is in the vault.
pub(super) async fn commit_row(
    services: &Services,
    record: &Record,
    sealed: Sealed,
    fingerprint: Option<[u8; 32]>,
    handled_events: Vec<i64>,
) -> Result<Snapshot> {
    let refs_total = record.ledger.kinds.get("refs").map_or(0, |refs| refs.captured);
    let snapshot = record.snapshot(sealed, refs_total);
    let commit = Commit {
        repo: record.repo.clone(),
        snapshot: snapshot.clone(),
        sealed: sealed.sha256,
        changes: record.changes.clone(),
        actors: record.trigger.actors.clone(),
        head: record.head.clone(),
        object_format: record.object_format,
        fingerprint,
        checkpoint: record.refs.is_some(),
        handled_events,
    };
    services.catalog.commit(commit).await?;
    Ok(snapshot)
}
