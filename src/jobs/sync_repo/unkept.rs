//! References whose names a record cannot hold. Their objects are fetched like others, and the ledger tells the rest: what
//! they are called, where they point, and why they are not kept.

use std::collections::BTreeMap;

use crate::catalog::SyncState;
use crate::domain::{Coverage, Ledger, ObjectId, Skipped};
use crate::git::{Listing, Unusable};

/// The completeness ledger of a snapshot with `total` references.
pub(super) fn ledger(total: u64, state: &SyncState, listing: &Listing) -> Ledger {
    let skipped = skipped(state, listing);
    let refs = Coverage { expected: total + skipped.len() as u64, captured: total };
    Ledger { kinds: BTreeMap::from([("refs".to_owned(), refs)]), skipped }
}

/// The last ledger says of them what the listing does.
pub(super) fn are_as_before(state: &SyncState, listing: &Listing) -> bool {
    skipped(state, listing) == state.missing
}

/// Where those point that came or moved since the last ledger; with the others the vault has what they reach.
pub(super) fn new_tips(state: &SyncState, listing: &Listing) -> Vec<ObjectId> {
    let told = |unusable: &&Unusable| state.missing.contains(&told(unusable));
    listing.unusable.iter().filter(|unusable| !told(unusable)).filter_map(|unusable| unusable.id).collect()
}

/// Where only some references were asked for, nothing is known of the others but what was known before.
fn skipped(state: &SyncState, listing: &Listing) -> Vec<Skipped> {
    if listing.partial {
        return state.missing.clone();
    }
    listing.unusable.iter().map(told).collect()
}

/// With the id, so that a move is another text: ledgers are compared by it.
fn told(Unusable { name, id, legal }: &Unusable) -> Skipped {
    let why = if *legal {
        "its name is not UTF-8, which Refward cannot keep yet"
    } else {
        "git does not allow this name, so it cannot be written to a repository"
    };
    match id {
        Some(id) => Skipped { what: name.clone(), why: format!("{why}; rename it on the forge; it points at {id}") },
        None => Skipped { what: "HEAD".to_owned(), why: format!("it names the branch {name}, and {why}") },
    }
}
