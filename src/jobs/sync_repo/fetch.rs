//! What to ask the forge for, what to say that we have, and which moves lost history.

use std::collections::{HashMap, HashSet};

use super::{Sync, unkept};
use crate::catalog::SyncState;
use crate::domain::{Head, ObjectId, RefChange, Result};
use crate::git::{Lineage, Listing, Pack, Session};

/// Haves cost the server time, in big repositories seconds for hundreds of them; the old values of what changed and a few
/// main tips find the common history just as well.
const MAX_HAVES: usize = 64;

/// Tips of late, from which new branches usually start.
const RECENT_TIPS: usize = 16;

/// Moves about which the pack says nothing are asked about one by one, up to this many; the others count as forced, because
/// a false alarm is better than a silent loss.
const MAX_QUESTIONS: usize = 32;

impl Sync<'_> {
    /// Fetches what the vault lacks (`None`: nothing) and marks the forced changes.
    pub(super) async fn fetch(
        &self,
        session: &Session,
        state: &SyncState,
        listing: &Listing,
        changes: &mut [RefChange],
    ) -> Result<Option<Pack>> {
        let wants = self.wants(state, listing, changes).await?;
        let mut pack = None;
        if !wants.is_empty() {
            let haves = self.haves(state, changes).await?;
            let name = &self.repository.full_name;
            let fetched = session
                .fetch(&wants, &haves, &|progress| tracing::trace!(repository = name, ?progress, "receiving"))
                .await?;
            tracing::info!(
                step = "received",
                repository = name,
                objects = fetched.objects(),
                bytes = fetched.bytes(),
                "pack received"
            );
            pack = Some(fetched).filter(|pack| pack.objects() > 0);
        }
        mark_forced(session, pack.as_ref(), changes).await?;
        Ok(pack)
    }

    /// New values that were never a tip before: everything reachable from an earlier tip is in the vault already.
    async fn wants(&self, state: &SyncState, listing: &Listing, changes: &[RefChange]) -> Result<Vec<ObjectId>> {
        let detached = match &listing.state.head {
            Some(Head::Detached(id)) if listing.state.head != state.refs.head => Some(*id),
            _ => None,
        };
        let mut wants: Vec<ObjectId> = changes.iter().filter_map(|change| change.new).chain(detached).collect();
        wants.extend(unkept::new_tips(state, listing));
        wants.sort_unstable();
        wants.dedup();
        if state.last.is_some() {
            let known = self.services.catalog.known_tips(&self.repository.id, &wants).await?;
            wants.retain(|id| !known.contains(id));
        }
        Ok(wants)
    }

    /// Only tips of committed snapshots: the vault holds their whole history, which no other id can promise.
    async fn haves(&self, state: &SyncState, changes: &[RefChange]) -> Result<Vec<ObjectId>> {
        if state.last.is_none() {
            return Ok(Vec::new());
        }
        let default_branch = match &state.refs.head {
            Some(Head::Symbolic(name)) => state.refs.refs.get(name).copied(),
            Some(Head::Detached(id)) => Some(*id),
            None => None,
        };
        let mut haves: Vec<ObjectId> =
            changes.iter().filter_map(|change| change.old).take(MAX_HAVES - RECENT_TIPS).collect();
        haves.extend(default_branch);
        if changes.iter().any(|change| change.old.is_none()) {
            haves.extend(self.services.catalog.recent_tips(&self.repository.id, RECENT_TIPS as u64).await?);
        }
        let mut seen = HashSet::new();
        haves.retain(|id| seen.insert(*id));
        haves.truncate(MAX_HAVES);
        Ok(haves)
    }
}

/// A move is forced when the new value does not contain the old one. The pack tells for most; the server is asked about the
/// other branches. What the webhook claims is not used: it may be lost, late or forged.
///
/// Pull request references are not asked about: a push to a default branch remakes dozens of merge previews at once, and
/// each question is a request.
async fn mark_forced(session: &Session, pack: Option<&Pack>, changes: &mut [RefChange]) -> Result<()> {
    let mut answers: HashMap<(ObjectId, ObjectId), bool> = HashMap::new();
    for change in changes {
        let (Some(old), Some(new)) = (change.old, change.new) else { continue };
        let told_by_pack = match pack {
            Some(pack) if !change.name.is_tag() => pack.lineage(&new, &old)? == Lineage::Descends,
            _ => false,
        };
        change.forced = if told_by_pack {
            false
        } else if let Some(contains) = answers.get(&(new, old)) {
            change.name.is_tag() || !contains
        } else if change.name.is_branch() && answers.len() < MAX_QUESTIONS {
            let contains = session.contains(new, old).await?;
            answers.insert((new, old), contains);
            !contains
        } else {
            true
        };
    }
    Ok(())
}
