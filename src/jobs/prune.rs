//! Deletes what is condemned and past its grace, in two steps that never happen in one run.
//!
//! First a signed list of what is condemned is written to the vault. When that is old enough, by our clock and by the
//! store's, everything is looked at again: what is deleted is on a list of ours, condemned in the catalog, not under a hold,
//! and stood for by an object that is there now and that the catalog knows. Whatever does not agree stays, and is told.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::catalog::{Condemned, RETENTION_PAUSED, StoredSpan};
use crate::config::Pruner;
use crate::domain::{Error, Expected, Extent, Kind, RepoId, Result};
use crate::services::Services;
use crate::vault::{Cover, Doomed, Shredder, TrashList, object_name};

/// Objects on one list.
const LONGEST_LIST: usize = 10_000;

/// A condemned object and what becomes of it.
#[derive(Clone, Debug)]
pub struct Sentence {
    /// The object.
    pub what: Condemned,
    /// When it goes at the earliest; `None`: it is on no list yet.
    pub goes_at: Option<DateTime<Utc>>,
    /// Why it does not go when its time has come.
    pub stays: Option<&'static str>,
    /// What stands for it; `None`: it is not in the vault any more.
    by: Option<Expected>,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Objects newly put on a list.
    pub listed: usize,
    /// Objects deleted.
    pub deleted: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The job: lists what is condemned; deletes it if that is the service's to do.
pub async fn prune(services: &Services) -> Result<()> {
    let (done, outcome) = prune_now(services, services.settings.prune.by == Pruner::Service).await?;
    if done != Pruned::default() {
        tracing::info!(listed = done.listed, deleted = done.deleted, bytes = done.bytes, "pruned");
    }
    outcome
}

/// Everything that is condemned, those condemned first coming first.
pub async fn sentences(services: &Services) -> Result<Vec<Sentence>> {
    let now = Utc::now();
    Court::convene(services, (now, now)).await?.sentences().await
}

/// Lists what is condemned and, if `delete`, deletes what may go. Gives what was done, and why it stopped if it did.
pub async fn prune_now(services: &Services, delete: bool) -> Result<(Pruned, Result<()>)> {
    let mut done = Pruned::default();
    let condemned = services.catalog.condemned().await?;
    if condemned.is_empty() {
        return Ok((done, Ok(())));
    }
    // Deleted is what was listed before this run began.
    let mut outcome = Ok(());
    if delete {
        (done, outcome) = carry_out(services).await?;
    }
    let unlisted: Vec<Condemned> = condemned.into_iter().filter(|object| object.list.is_none()).collect();
    for objects in unlisted.chunks(LONGEST_LIST) {
        let doomed = |one: &Condemned| Doomed { object: one.object.clone(), bytes: one.bytes, why: one.why.clone() };
        let list = services.vault.write_trash_list(objects.iter().map(doomed).collect()).await?;
        services.catalog.listed(&names(objects.iter()), &list).await?;
        done.listed += objects.len();
    }
    Ok((done, outcome))
}

async fn carry_out(services: &Services) -> Result<(Pruned, Result<()>)> {
    let mut done = Pruned::default();
    let now = Utc::now();
    let ripe = |sentence: &Sentence| sentence.stays.is_none() && sentence.goes_at.is_some_and(|at| at <= now);
    // Nothing is asked of the store before there is something to delete.
    if !Court::convene(services, (now, now)).await?.sentences().await?.iter().any(ripe) {
        return Ok((done, Ok(())));
    }
    let shredder = services.vault.shredder(&services.settings.vault, &services.settings.prune).await?;
    let store_time = match shredder.store_time().await {
        Ok(time) => time,
        Err(error) => return Ok((done, Err(refused(error)))),
    };
    let court = Court::convene(services, (now, store_time)).await?;
    let (mut by_keeper, mut not_there) = (BTreeMap::<_, (Expected, Vec<Condemned>)>::new(), Vec::new());
    for Sentence { what, by, .. } in court.sentences().await?.into_iter().filter(ripe) {
        match by {
            None => not_there.push(what.object),
            Some(by) => {
                by_keeper.entry((what.repo.clone(), by.extent)).or_insert_with(|| (by, Vec::new())).1.push(what);
            }
        }
    }
    services.catalog.deleted(&not_there).await?;
    let mut outcome = Ok(());
    for ((repo, _), (by, objects)) in by_keeper {
        match is_whole(services, &repo, by).await {
            Ok(()) => {}
            // What one repository lacks is no reason to keep what others do not need.
            Err(error) if error.kind() == Kind::Damaged => {
                outcome = Err(refused(error));
                continue;
            }
            Err(error) => return Ok((done, Err(refused(error)))),
        }
        // That took its time.
        let paused = services.catalog.fact::<serde_json::Value>(RETENTION_PAUSED).await?.is_some();
        if paused || !services.catalog.holds(Some(&repo)).await?.is_empty() {
            continue;
        }
        let (gone, deleted) = shredder.delete(&names(objects.iter())).await;
        services.catalog.deleted(&gone).await?;
        let bytes = objects.iter().filter(|object| gone.contains(&object.object)).map(|object| object.bytes);
        (done.deleted, done.bytes) = (done.deleted + gone.len(), done.bytes + bytes.sum::<u64>());
        if let Err(error) = deleted {
            return Ok((done, Err(refused(error))));
        }
    }
    let cleared = clear_lists(services, &court, &shredder).await?;
    Ok((done, outcome.and(cleared)))
}

/// The last look before it is the only copy: every byte of what stands for the others is as it was written.
async fn is_whole(services: &Services, repo: &RepoId, by: Expected) -> Result<()> {
    if services.vault.hash(repo, &by.extent).await?.sha256 == by.sha256 {
        return Ok(());
    }
    let object = object_name(repo, &by.extent);
    Err(Error::damaged(format!("{object} is not the object that was written; what it stands for stays"))
        .hint("run `refward verify REPO --read-data`"))
}

/// Lists on which nothing is left go too.
async fn clear_lists(services: &Services, court: &Court<'_>, shredder: &Shredder) -> Result<Result<()>> {
    let waiting = services.catalog.condemned().await?;
    let needed: BTreeSet<&str> = waiting.iter().filter_map(|object| object.list.as_deref()).collect();
    let empty = court.lists.values().filter(|list| court.is_ripe(list) && !needed.contains(list.name.as_str()));
    let empty: Vec<String> = empty.map(|list| list.name.clone()).collect();
    Ok(shredder.delete(&empty).await.1.map_err(refused))
}

fn refused(error: Error) -> Error {
    error.while_doing("deleting what is condemned")
}

fn names<'a>(objects: impl Iterator<Item = &'a Condemned>) -> Vec<String> {
    objects.map(|object| object.object.clone()).collect()
}

/// Everything that speaks for or against deleting.
struct Court<'a> {
    services: &'a Services,
    /// By our clock and by the store's.
    now: (DateTime<Utc>, DateTime<Utc>),
    lists: BTreeMap<String, TrashList>,
    held: BTreeSet<RepoId>,
    paused: bool,
}

impl<'a> Court<'a> {
    async fn convene(services: &'a Services, now: (DateTime<Utc>, DateTime<Utc>)) -> Result<Self> {
        let lists = services.vault.trash_lists().await?.into_iter().map(|list| (list.name.clone(), list));
        let held = services.catalog.holds(None).await?.into_iter().map(|hold| hold.repo).collect();
        let paused = services.catalog.fact::<serde_json::Value>(RETENTION_PAUSED).await?.is_some();
        Ok(Self { services, now, lists: lists.collect(), held, paused })
    }

    async fn sentences(&self) -> Result<Vec<Sentence>> {
        let mut repositories: BTreeMap<RepoId, Repository> = BTreeMap::new();
        let mut sentences = Vec::new();
        for what in self.services.catalog.condemned().await? {
            if !repositories.contains_key(&what.repo) {
                repositories.insert(what.repo.clone(), Repository::look(self.services, &what.repo).await?);
            }
            let list = what.list.as_ref().and_then(|name| self.lists.get(name));
            let goes_at = list.and_then(|list| self.goes_at(&what, list));
            let judged = repositories[&what.repo].judge(&what);
            let stays = self.stays(&what, list).or(judged.err());
            sentences.push(Sentence { what, goes_at, stays, by: judged.ok().flatten() });
        }
        Ok(sentences)
    }

    fn goes_at(&self, what: &Condemned, list: &TrashList) -> Option<DateTime<Utc>> {
        let since = list.written_at.max(list.stored_at).max(what.condemned_at);
        since.checked_add_signed(chrono::TimeDelta::from_std(self.services.settings.prune.grace).ok()?)
    }

    /// Old enough by both clocks.
    fn is_ripe(&self, list: &TrashList) -> bool {
        let grace = self.services.settings.prune.grace;
        let old = |now: DateTime<Utc>, at: DateTime<Utc>| (now - at).to_std().is_ok_and(|age| age >= grace);
        old(self.now.0, list.written_at) && old(self.now.1, list.stored_at)
    }

    fn stays(&self, what: &Condemned, list: Option<&TrashList>) -> Option<&'static str> {
        let listed = list
            .is_some_and(|list| list.objects.iter().any(|one| one.object == what.object && one.bytes == what.bytes));
        let future = |at: DateTime<Utc>| at > self.now.0;
        if self.paused {
            Some("retention is paused since the catalog was rebuilt")
        } else if self.held.contains(&what.repo) {
            Some("a hold stands on the repository")
        } else if what.list.is_some() && !listed {
            Some("the list that named it is gone or was changed")
        } else if list.is_some_and(|list| future(list.written_at) || future(list.stored_at)) {
            Some("the clock is behind the time at which it was listed")
        } else if list.is_some_and(|list| self.goes_at(what, list) <= Some(self.now.0) && !self.is_ripe(list)) {
            Some("by the store's clock its time has not come")
        } else {
            None
        }
    }
}

/// What counts in a repository now.
struct Repository {
    id: RepoId,
    cover: Cover,
    /// The consolidated snapshots that the catalog knows.
    known: BTreeMap<Extent, StoredSpan>,
}

impl Repository {
    async fn look(services: &Services, id: &RepoId) -> Result<Self> {
        let known = services.catalog.spans(id).await?.into_iter().map(|span| (span.extent, span));
        Ok(Self { id: id.clone(), cover: services.vault.cover(id).await?, known: known.collect() })
    }

    /// What stands for an object, nothing where the object is gone already, or why the object must stay.
    fn judge(&self, what: &Condemned) -> Result<Option<Expected>, &'static str> {
        let is_it = |extent: &Extent| object_name(&self.id, extent) == what.object;
        if self.cover.live.iter().any(|stored| is_it(&stored.extent)) {
            return Err("nothing in the vault stands for it any more");
        }
        let Some(found) = self.cover.superseded.iter().find(|stored| is_it(&stored.extent)) else { return Ok(None) };
        if found.bytes != what.bytes {
            return Err("it is not the object that was condemned");
        }
        let around = |live: &Extent| live.from <= found.extent.from && found.extent.to <= live.to;
        let live = self.cover.live.iter().find(|live| !live.extent.is_single() && around(&live.extent));
        let known = live.and_then(|live| self.known.get(&live.extent).filter(|known| known.stored_bytes == live.bytes));
        known
            .map(|known| Some(Expected { extent: known.extent, sha256: known.sha256 }))
            .ok_or("the catalog does not know what stands for it in the vault")
    }
}
