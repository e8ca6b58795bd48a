//! Brings the vault up to the forge for one repository: the heart of the product.
//!
//! Webhooks only wake this; what the forge's references say now decides. Steps, each safe to die after:
//! finish a commit that an earlier run left half done · list the remote's references · fetch the objects that the vault
//! does not hold, and only those · note the intent · write one sealed object, create-only (this is the commit) · write the
//! catalog row. What a crash leaves is a scratch file or an intent, never a snapshot that cannot be restored.

mod fetch;
mod recover;
mod unkept;

pub use recover::row;

use std::io::Read as _;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound as _, Utc};
use sha2::{Digest as _, Sha256};

use super::policies;
use crate::catalog::{Intent, LastSnapshot, Lease, PendingEvent, Priority, Repository, SyncState, job_kind};
use crate::domain::{Error, Kind, RefChange, RefName, RepoId, Result, Seq, Snapshot, Trigger};
use crate::forge::quota::Urgency;
use crate::git::{self, Listing, Pack};
use crate::services::Services;
use crate::vault::{self, Appended, IndexEntry, PackEntry, PackSource, Parent, Record, Sealed, Vault};

/// From this many references on, a push makes us ask for the pushed references alone instead of all of them. Below, asking
/// for all costs next to nothing and heals lost webhooks at every push.
const MANY_REFS: u64 = 2_000;

/// References asked for by name in one listing at most.
const MAX_HINTS: usize = 64;

/// References may move between listing and fetching; then we list again, this often at most.
const LISTINGS: usize = 5;

/// What a run found.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The forge is as the last snapshot says.
    Unchanged(Option<Seq>),
    /// This snapshot was written.
    Written(Box<Snapshot>),
}

/// Takes a snapshot of `repo` if anything changed. `lease` must be the caller's, so that a worker that was taken for dead
/// stops before it writes.
pub async fn sync_repo(services: &Services, repo: &RepoId, lease: &Lease) -> Result<Outcome> {
    let repository = services.catalog.repository(repo).await?;
    if let Some(closed) = repository.availability.closed() {
        return try_closed(services, &repository, closed, lease).await;
    }
    let outcome = Sync { services, repository: &repository, lease }.attempt().await;
    let outcome = outcome.map_err(|error| error.while_doing(format!("backing up {}", repository.full_name)));
    // To be throttled is not to fail: the job says until when it waits.
    if let Err(error) = &outcome
        && !matches!(error.kind(), Kind::Throttled { .. })
    {
        services.catalog.record_error(&repository.id, &error.to_string()).await?;
        if error.kind() == Kind::NotFound {
            look_at_list(services, &repository).await?;
        }
    }
    outcome
}

/// A repository that the forge would not let us read when we looked last, which is no failure. Whoever wakes us may know that
/// it is open again: for them the forge's list is read again, and who asks in person sees it tried.
async fn try_closed(services: &Services, repository: &Repository, closed: &str, lease: &Lease) -> Result<Outcome> {
    let asked = lease.priority == Priority::Manual && lease.attempts <= 1;
    if lease.priority == Priority::Event {
        look_at_list(services, repository).await?;
    }
    if !asked {
        return Ok(Outcome::Unchanged(repository.last_seq));
    }
    match (Sync { services, repository, lease }).attempt().await {
        Ok(outcome) => {
            look_at_list(services, repository).await?;
            Ok(outcome)
        }
        Err(error) if error.kind() == Kind::NotFound => {
            let told = Error::not_found(format!("{} cannot be backed up: {closed}", repository.full_name));
            Err(told.hint("its backups stay, and new ones are made as soon as it is open again"))
        }
        Err(error) => Err(error.while_doing(format!("backing up {}", repository.full_name))),
    }
}

/// Disabled, renamed, deleted: the forge's list says which.
async fn look_at_list(services: &Services, repository: &Repository) -> Result<()> {
    let connection = repository.connection_id.to_string();
    services.catalog.enqueue(job_kind::DISCOVER, &connection, Priority::Event).await
}

struct Sync<'a> {
    services: &'a Services,
    repository: &'a Repository,
    lease: &'a Lease,
}

impl Sync<'_> {
    async fn attempt(&self) -> Result<Outcome> {
        let last = self.finish_interrupted().await?;
        // As precise as the catalog keeps it and people see it: a time that is shown must name its snapshot in the vault, too.
        let (started, clock) = (Utc::now().trunc_subsecs(3), Instant::now());
        let events = self.services.catalog.pending_events(&self.repository.id).await?;
        if last.is_some() && events.is_empty() && self.lease.priority == Priority::Event && self.is_watched(started) {
            // The run before has answered the events that asked for this one.
            return Ok(Outcome::Unchanged(last));
        }
        let labels = policies::credentials_for(self.services, self.repository).await?;
        let remote = self.services.remote(self.repository, urgency(self.lease.priority), &labels).await?;
        self.services.git.recall(&remote, self.repository.greeting.as_deref().unwrap_or_default());
        let only = self.hinted_refs(&events, started).filter(|_| last.is_some());
        let asked = self.lease.priority == Priority::Manual && self.repository.refs_total <= MANY_REFS;
        let likely = !events.is_empty() || asked;
        for _ in 0..LISTINGS {
            // Where there is likely to be a change we shall need to know where we stand: found out while the forge is asked.
            let state = async { if likely { self.state().await.map(Some) } else { Ok(None) } };
            let (listed, state) = tokio::join!(self.services.git.list(&remote, only.as_deref()), state);
            self.keep_greeting(&remote).await;
            let (session, listing) = listed.map_err(|error| error.while_doing("listing references"))?;
            if last.is_some() && self.is_as_before(&listing).await? {
                return self.unchanged(last, &events, &listing).await;
            }
            let state = match state? {
                Some(state) => state,
                None => self.state().await?,
            };
            let mut changes = changes(&state, &listing, only.as_deref());
            let same = changes.is_empty() && listing.state.head == state.refs.head;
            if last.is_some() && same && unkept::are_as_before(&state, &listing) {
                return self.unchanged(last, &events, &listing).await;
            }
            let (fetched, checked) =
                tokio::join!(self.fetch(&session, &state, &listing, &mut changes), self.refuse_dropped(next(&state)));
            checked?;
            match fetched {
                Err(error) if git::is_moved(&error) => {}
                Err(error) => return Err(error.while_doing("receiving objects")),
                Ok(pack) => {
                    let found = Found { state, listing, changes, pack, events, started, clock };
                    return self.commit(found).await;
                }
            }
        }
        Err(Error::busy(format!("the references moved during each of {LISTINGS} attempts to fetch them")))
    }

    /// So that the next process need not ask again, or asks again if it was of no use. It changes once a day.
    async fn keep_greeting(&self, remote: &git::Remote) {
        let greeting = self.services.git.note(remote);
        if greeting == self.repository.greeting {
            return;
        }
        if let Err(error) = self.services.catalog.record_greeting(&self.repository.id, greeting.as_deref()).await {
            tracing::warn!(repository = self.repository.full_name, "cannot note a greeting: {}", error.for_log());
        }
    }

    async fn state(&self) -> Result<SyncState> {
        self.services.catalog.sync_state(&self.repository.id).await
    }

    /// The references to ask for, where asking for all would cost more than the change is worth.
    fn hinted_refs(&self, events: &[PendingEvent], now: DateTime<Utc>) -> Option<Vec<RefName>> {
        let names: Option<Vec<RefName>> = events.iter().map(|event| event.name.clone()).collect();
        names.filter(|names| self.is_watched(now) && !names.is_empty() && names.len() <= MAX_HINTS)
    }

    /// It has many references, and all of them were compared lately.
    fn is_watched(&self, now: DateTime<Utc>) -> bool {
        let since = now - self.services.settings.sweep.interval;
        self.repository.refs_total > MANY_REFS && self.repository.last_checked_at.is_some_and(|at| at > since)
    }

    /// The forge gave the very answer that the last snapshot was made from: no need to read every reference.
    async fn is_as_before(&self, listing: &Listing) -> Result<bool> {
        let known = self.services.catalog.fingerprint(&self.repository.id).await?;
        Ok(!listing.partial && known == Some(listing.fingerprint))
    }

    async fn unchanged(&self, last: Option<Seq>, events: &[PendingEvent], listing: &Listing) -> Result<Outcome> {
        let fingerprint = (!listing.partial).then_some(listing.fingerprint);
        let (catalog, repo) = (&self.services.catalog, &self.repository.id);
        catalog.record_unchanged(repo, fingerprint, &ids(events), last, Some(self.lease)).await?;
        tracing::debug!(repository = self.repository.full_name, "unchanged");
        Ok(Outcome::Unchanged(last))
    }

    async fn commit(&self, found: Found) -> Result<Outcome> {
        let (services, repository) = (self.services, self.repository);
        let record = self.record(&found)?;
        let seq = record.seq;
        self.refuse_strangers(seq).await?;
        let announced =
            serde_json::to_string(&record).map_err(|error| Error::bug("cannot announce a record").detail(error))?;
        let intent = Intent { repo: &repository.id, seq, record: &announced, generation: found.state.generation };
        // The last moment at which a worker that was taken for dead can still do no harm.
        if !services.catalog.intend(self.lease, services.settings.workers.lease, intent).await? {
            return Err(Error::busy("another worker has taken this job over"));
        }
        let source = found.pack.as_ref().zip(record.pack.as_ref()).map(|(pack, entry)| pack_source(pack, entry));
        let Appended::Written(sealed) = services.vault.append(&record, source).await? else {
            let again = Kind::Busy { retry_after: Some(Duration::from_secs(1)) };
            return Err(Error::new(again, format!("the vault holds snapshot {seq} already; looking at what it is")));
        };
        tracing::info!(
            step = "written",
            repository = repository.full_name,
            seq = seq.get(),
            bytes = sealed.bytes,
            "sealed object written"
        );
        let fingerprint = (!found.listing.partial).then_some(found.listing.fingerprint);
        let snapshot =
            recover::commit_row(services, &record, sealed, fingerprint, &found.events, Some(self.lease)).await?;
        tracing::info!(step = "recorded", repository = repository.full_name, seq = seq.get(), "snapshot complete");
        count(&snapshot, &found.events);
        Ok(Outcome::Written(Box::new(snapshot)))
    }

    fn record(&self, found: &Found) -> Result<Record> {
        let (state, listing, repository) = (&found.state, &found.listing, self.repository);
        let mut refs = state.refs.clone();
        refs.apply(&found.changes);
        let total = refs.refs.len() as u64;
        let changes_since = state.changes_since_checkpoint + found.changes.len() as u64;
        let checkpoint =
            state.last.is_some() && vault::checkpoint_due(state.records_since_checkpoint + 1, changes_since, total);
        Ok(Record {
            format: vault::FORMAT,
            vault: self.services.vault.id(),
            repo: repository.id.clone(),
            forge: repository.forge.clone(),
            host: repository.host.clone(),
            forge_id: repository.forge_id.clone(),
            full_name: repository.full_name.clone(),
            seq: next(state),
            time: self.time(found),
            trigger: self.trigger(found),
            parent: state.last.map(parent),
            object_format: listing.state.object_format,
            head: listing.state.head.clone(),
            changes: found.changes.clone(),
            refs: checkpoint.then_some(refs.refs),
            pack: found.pack.as_ref().map(|pack| pack_entry(pack, &self.services.vault)).transpose()?,
            ledger: unkept::ledger(total, state, listing),
            duration_ms: u64::try_from(found.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            packed: None,
            span: None,
        })
    }

    /// Later than the snapshot before, even if another worker's clock was ahead: moments are found by bisection.
    fn time(&self, found: &Found) -> DateTime<Utc> {
        let after_last = self.repository.last_snapshot_at.map(|last| last + Duration::from_millis(1));
        after_last.map_or(found.started, |after_last| found.started.max(after_last))
    }

    fn trigger(&self, found: &Found) -> Trigger {
        let kind = match self.lease.priority {
            _ if !found.events.is_empty() => "webhook",
            Priority::Manual => "manual",
            _ if found.state.last.is_none() => "discovery",
            Priority::Event | Priority::Sweep => "sweep",
        };
        let mut trigger = Trigger { kind: kind.to_owned(), ..Trigger::default() };
        for event in &found.events {
            if !trigger.deliveries.contains(&event.delivery) {
                trigger.deliveries.push(event.delivery.clone());
            }
            if let (Some(name), Some(actor)) = (&event.name, &event.actor) {
                trigger.actors.insert(name.clone(), actor.clone());
            }
        }
        trigger
    }
}

/// Who waits for what a job does.
pub(super) fn urgency(priority: Priority) -> Urgency {
    match priority {
        Priority::Manual => Urgency::Person,
        Priority::Event => Urgency::Event,
        Priority::Sweep => Urgency::Sweep,
    }
}

fn count(snapshot: &Snapshot, events: &[PendingEvent]) {
    metrics::counter!("refward_snapshots_total").increment(1);
    metrics::counter!("refward_pack_bytes_total").increment(snapshot.pack_bytes);
    metrics::counter!("refward_stored_bytes_total").increment(snapshot.stored_bytes);
    for event in events {
        let lag = (Utc::now() - event.received_at).to_std().unwrap_or_default();
        metrics::histogram!("refward_push_to_snapshot_seconds").record(lag);
    }
}

/// Everything that one look at the forge brought.
struct Found {
    state: SyncState,
    listing: Listing,
    changes: Vec<RefChange>,
    pack: Option<Pack>,
    events: Vec<PendingEvent>,
    started: DateTime<Utc>,
    clock: Instant,
}

/// What changed, as far as was asked: names outside a partial listing are unknown, not deleted.
fn changes(state: &SyncState, listing: &Listing, only: Option<&[RefName]>) -> Vec<RefChange> {
    match only.filter(|_| listing.partial) {
        None => listing.state.changes_since(&state.refs),
        Some(names) => {
            let mut before = state.refs.clone();
            before.refs.retain(|name, _| names.contains(name));
            listing.state.changes_since(&before)
        }
    }
}

/// The number of the snapshot to be taken.
fn next(state: &SyncState) -> Seq {
    state.last.map_or(Seq::FIRST, |last| last.seq.next())
}

fn parent(last: LastSnapshot) -> Parent {
    Parent { seq: last.seq, sealed: Sealed { sha256: last.sha256, bytes: last.bytes } }
}

/// How a record names a pack.
pub(super) fn pack_entry(pack: &Pack, vault: &Vault) -> Result<PackEntry> {
    let index = vault.wants_index(pack.bytes()).then(|| index_entry(pack)).transpose()?;
    let (checksum, sha256) = (pack.checksum(), pack.sha256());
    Ok(PackEntry { checksum, bytes: pack.bytes(), objects: pack.objects(), sha256, index })
}

fn index_entry(pack: &Pack) -> Result<IndexEntry> {
    let (mut reader, mut hash, mut buffer) = (pack.index(), Sha256::new(), vec![0; 64 << 10]);
    loop {
        let read = reader.read(&mut buffer);
        match read.map_err(|error| Error::busy(format!("cannot read a pack's index back from scratch: {error}")))? {
            0 => return Ok(IndexEntry { bytes: reader.len(), sha256: hash.finalize().into() }),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// What the vault seals of it.
pub(super) fn pack_source(pack: &Pack, entry: &PackEntry) -> PackSource {
    PackSource {
        pack: Box::new(pack.reader()),
        index: entry.index.is_some().then(|| Box::new(pack.index()) as Box<dyn std::io::Read + Send>),
    }
}

fn ids(events: &[PendingEvent]) -> Vec<i64> {
    events.iter().map(|event| event.id).collect()
}
