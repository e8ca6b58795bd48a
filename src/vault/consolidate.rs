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
    let mut points = Vec::<Held>::new();
    let after = tell(objects, drop, before, |Held { record, sealed }, state| {
        // The first one tells everything, so that this object needs no other.
        let refs = points.is_empty().then(|| state.refs.clone());
        let packed = record.came_with();
        points.push(Held { record: Record { refs, packed, pack: None, ..record }, sealed });
    })?;
    let own = points.pop().ok_or_else(|| Error::bug("a consolidated snapshot needs a recovery point"))?;
    let (Some(first), Some(last)) = (objects.first(), objects.last()) else { return Err(untold()) };
    let end = last.record.end(last.sealed);
    let extent = Extent { from: first.record.extent().from, to: end.seq, rewriting };
    let before = first.record.before();
    let span = Span { extent, before, end: end.sealed, sealed: own.sealed, points, after };
    Ok(Record { span: Some(span), pack, ..own.record })
}

/// Goes through the recovery points of neighbours, oldest first, without those in `drop`. Hands over each with what moved
/// since the one before it, and every reference after it; returns what moved after the last. Arguments and errors are
/// those of [`consolidate`].
pub fn tell(
    objects: &[Held],
    drop: &BTreeSet<Seq>,
    before: Option<&RefState>,
    mut each: impl FnMut(Held, &RefState),
) -> Result<Moves> {
    for pair in objects.windows(2) {
        neighbours(&pair[0], &pair[1])?;
    }
    let mut state = before.cloned();
    let mut pending = Moves::default();
    for object in objects {
        for Held { mut record, sealed } in object.record.points(object.sealed) {
            let after = replay(state, &record).ok_or_else(untold)?;
            let moves = mem::take(&mut pending).then(Moves::of(&record));
            if drop.contains(&record.seq) {
                pending = moves;
            } else {
                record.changes = moves.changes;
                record.trigger.actors = moves.actors;
                each(Held { record, sealed }, &after);
            }
            state = Some(after);
        }
        if let (Some(span), Some(state)) = (&object.record.span, &mut state) {
            state.apply(&span.after.changes);
            pending = pending.then(span.after.clone());
        }
    }
    Ok(pending)
}

fn neighbours(one: &Held, next: &Held) -> Result<()> {
    if next.record.before() == Some(one.record.end(one.sealed)) {
        return Ok(());
    }
    let (name, one, next) = (&one.record.full_name, one.record.extent(), next.record.extent());
    Err(Error::damaged(format!("the chain of {name} breaks between {one} and {next}"))
        .hint("run `refward verify` to see what is missing or was replaced"))
}

fn untold() -> Error {
    Error::bug("recovery points were to be told without the references before them")
}
