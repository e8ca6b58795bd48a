//! Finishing what an earlier run began: the object is in the vault, the catalog does not know it yet.

use std::collections::BTreeSet;

use chrono::Utc;

use super::Sync;
use crate::catalog::{Commit, Lease, PendingEvent};
use crate::domain::{Error, Extent, Result, Seq, Snapshot};
use crate::jobs::{alarms, disagrees};
use crate::services::Services;
use crate::vault::{Record, Sealed, Stored};

impl Sync<'_> {
    /// Adopts the snapshot after the last known one if the vault holds it: the run that wrote it died before its catalog
    /// row. Its intent says what it is, so that a deployment that cannot read its own vault can finish it too.
    ///
    /// Costs nothing unless an intent was left behind. Once one was, whatever follows in the vault is adopted too: it is
    /// the history of a catalog that was lost.
    /// Returns the newest snapshot.
    pub(super) async fn finish_interrupted(&self) -> Result<Option<Seq>> {
        let (services, repo) = (self.services, &self.repository.id);
        let mut adopting = false;
        loop {
            let last = services.catalog.last_seq(repo).await?;
            let next = last.map_or(Seq::FIRST, Seq::next);
            let mut intents = services.catalog.intents(repo, next).await?;
            if intents.is_empty() && !adopting {
                return Ok(last);
            }
            adopting = true;
            let object = Extent::single(next);
            if services.vault.stored_bytes(repo, &object).await?.is_none() {
                self.refuse_consolidated(next).await?;
                return Ok(last);
            }
            let sealed = services.vault.hash(repo, &object).await?;
            let record = if !services.vault.is_sealed() {
                services.vault.record(repo, &object).await?
            } else if intents.len() == 1 {
                read_intent(&intents.remove(0))?
            } else {
                return Err(stranger(next));
            };
            let events = services.catalog.events_of(&record.trigger.deliveries, repo).await?;
            commit_row(services, &record, sealed, None, &events, None).await?;
            tracing::info!(repository = record.full_name, seq = next.get(), "finished an interrupted snapshot");
        }
    }

    /// Where we cannot read what is in the vault, an intent must mean that nothing was there when it was made.
    pub(super) async fn refuse_strangers(&self, seq: Seq) -> Result<()> {
        let vault = &self.services.vault;
        if vault.is_sealed() && vault.stored_bytes(&self.repository.id, &Extent::single(seq)).await?.is_some() {
            return Err(stranger(seq));
        }
        Ok(())
    }

    /// A catalog that was set back to an older copy knows tips of points that were dropped since: what leans on them would
    /// lack objects. Looked for before the first write only, because it costs a listing.
    pub(super) async fn refuse_dropped(&self, seq: Seq) -> Result<()> {
        let (services, repo) = (self.services, &self.repository.id);
        if seq == Seq::FIRST || services.vault.follows(repo, seq) {
            return Ok(());
        }
        let live = services.vault.cover(repo).await?.live;
        if live.iter().all(|stored| stored.extent.is_single()) {
            return Ok(());
        }
        let points: BTreeSet<Seq> = services.catalog.sealed(repo).await?.into_iter().map(|(seq, _)| seq).collect();
        let spans = services.catalog.spans(repo).await?;
        for Stored { extent, .. } in live.into_iter().filter(|stored| !stored.extent.is_single()) {
            let told = match spans.iter().find(|span| span.extent == extent) {
                Some(span) => span.points as usize,
                None if services.vault.is_sealed() => {
                    return Err(Error::busy(format!("{extent} were written together, and that is not recorded yet")));
                }
                None => 1 + services.vault.record(repo, &extent).await?.span.map_or(0, |span| span.points.len()),
            };
            if points.range(extent.from..=extent.to).count() > told {
                return Err(disagrees(&self.repository.full_name));
            }
        }
        Ok(())
    }

    /// What was consolidated has been in a catalog once: this one is older, or new.
    async fn refuse_consolidated(&self, seq: Seq) -> Result<()> {
        let cover = self.services.vault.cover(&self.repository.id).await?;
        match cover.live.iter().find(|stored| stored.extent.to >= seq) {
            None => Ok(()),
            Some(stored) => Err(Error::misconfigured(format!(
                "the vault holds {} of {}, and the catalog knows nothing of number {seq}",
                stored.extent, self.repository.full_name
            ))
            .hint("run `refward catalog rebuild`: the catalog is older than the vault")),
        }
    }
}

fn stranger(seq: Seq) -> Error {
    Error::misconfigured(format!(
        "the vault holds a snapshot {seq} that the catalog does not know, and this deployment has no key to read it"
    ))
    .hint("run `refward catalog rebuild` once where the vault's key is")
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
    events: &[PendingEvent],
    finishes: Option<&Lease>,
) -> Result<Snapshot> {
    let refs_total = record.ledger.kinds.get("refs").map_or(0, |refs| refs.captured);
    let oldest = events.iter().map(|event| event.received_at).min();
    let lag = oldest.map(|oldest| (Utc::now() - oldest).to_std().unwrap_or_default());
    let (handled_events, finishes) = (super::ids(events), finishes.cloned());
    let alarms = alarms::of_history(services, record).await?;
    let commit = Commit { fingerprint, handled_events, lag, finishes, alarms, ..row(record, sealed, refs_total) };
    let snapshot = commit.snapshot.clone();
    services.catalog.commit(commit).await?;
    Ok(snapshot)
}

/// What the catalog keeps of a record. `refs_total` is the number of references after it.
pub fn row(record: &Record, sealed: Sealed, refs_total: u64) -> Commit {
    Commit {
        repo: record.repo.clone(),
        snapshot: record.snapshot(sealed, refs_total),
        sealed: sealed.sha256,
        changes: record.changes.clone(),
        actors: record.trigger.actors.clone(),
        head: record.head.clone(),
        object_format: record.object_format,
        fingerprint: None,
        checkpoint: record.is_checkpoint(),
        handled_events: Vec::new(),
        lag: None,
        finishes: None,
        alarms: Vec::new(),
    }
}
