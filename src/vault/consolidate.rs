//! Making one record of the records of many objects.

use std::collections::BTreeSet;
use std::mem;

use super::chain::replay;
use super::record::{PackEntry, Record};
use super::span::{Held, Moves, Span};
use crate::domain::{Error, Extent, RefState, Result, Seq};

/// The record that stands for all of `objects`: neighbours, in the order of their numbers, each with its fingerprint.
///
/// The recovery points numbered in `drop` are left out; what moved in them becomes part of the next one. `before` is the
/// state that the first object starts from; it may be `None` where that object tells everything itself: the first of a
/// chain does, and so does a consolidated one. `rewriting` is 1, or more than that of what it replaces; `pack` is the one
/// that goes with it. Fails with `Damaged` where an object does not follow from the one before it.
pub fn consolidate(
    objects: &[Held],
    drop: &BTreeSet<Seq>,
    rewriting: u32,
    before: Option<&RefState>,
    pack: Option<PackEntry>,
) -> Result<Record> {
    let (first, last) =
        objects.first().zip(objects.last()).ok_or_else(|| Error::bug("nothing was to be consolidated"))?;
    for pair in objects.windows(2) {
        neighbours(&pair[0], &pair[1])?;
    }
    let mut state = before.cloned();
    let (mut kept, mut pending) = (Vec::<Held>::new(), Moves::default());
    for object in objects {
        for Held { record, sealed } in object.record.points(object.sealed) {
            state = replay(state, &record);
            let moves = mem::take(&mut pending).then(record.moves());
            if drop.contains(&record.seq) {
                pending = moves;
                continue;
            }
            let refs = if kept.is_empty() { Some(state.as_ref().ok_or_else(unknown)?.refs.clone()) } else { None };
            let mut record = Record { refs, pack: None, changes: moves.changes, ..record };
            record.trigger.actors = moves.actors;
            kept.push(Held { record, sealed });
        }
        if let Some(span) = &object.record.span {
            if let Some(state) = &mut state {
                state.apply(&span.after.changes);
            }
            pending = pending.then(span.after.clone());
        }
    }
    let own = kept.pop().ok_or_else(|| Error::bug("a consolidated snapshot needs a recovery point"))?;
    let end = last.record.end(last.sealed);
    let span = Span {
        extent: Extent { from: first.record.extent().from, to: end.seq, rewriting },
        before: first.record.before(),
        end: end.sealed,
        sealed: own.sealed,
        points: kept,
        after: pending,
    };
    Ok(Record { span: Some(span), pack, ..own.record })
}

fn neighbours(one: &Held, next: &Held) -> Result<()> {
    if next.record.before() == Some(one.record.end(one.sealed)) {
        return Ok(());
    }
    let (one, next) = (one.record.extent(), next.record.extent());
    Err(Error::damaged(format!("{next} cannot be consolidated with {one}: they do not follow from each other"))
        .hint("run `refward verify REPO --read-data` to see which was replaced"))
}

fn unknown() -> Error {
    Error::bug("a consolidated snapshot needs the references before it")
}

impl Record {
    fn moves(&self) -> Moves {
        Moves { changes: self.changes.clone(), actors: self.trigger.actors.clone() }
    }
}
