//! One object for many snapshots: whatever was kept is as it was, for every reader.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use chrono::TimeDelta;
use proptest::prelude::*;
use refward::domain::{Actor, Expected, Extent, Head, Kind, ObjectId, Point, RefName, RefState, Seq};
use refward::vault::{Appended, Held, Level, Parent, Span, consolidate, replay};
use uuid::Uuid;

use super::support::{Chain, Place, consolidated, fake_pack, pack_entry, seq, sha256, single, source, time};

#[derive(Clone, Copy, Debug)]
enum Move {
    Stays,
    Goes,
    To(u8),
}

/// What happens between two snapshots: to each of a few references its move.
#[derive(Clone, Debug)]
struct Step {
    moves: Vec<Move>,
    forced: bool,
    detached: bool,
    checkpoint: bool,
    told_by: Option<u8>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let moves = proptest::collection::vec(
        prop_oneof![3 => Just(Move::Stays), 1 => Just(Move::Goes), 2 => (0_u8..3).prop_map(Move::To)],
        4,
    );
    let step = (moves, any::<bool>(), any::<bool>(), any::<bool>(), proptest::option::of(0_u8..3)).prop_map(
        |(moves, forced, detached, checkpoint, told_by)| Step { moves, forced, detached, checkpoint, told_by },
    );
    proptest::collection::vec(step, 3..20)
}

fn id(number: u8) -> ObjectId {
    ObjectId::from_raw(&sha256(&[number])[..20]).unwrap()
}

fn name(number: usize) -> RefName {
    format!("refs/heads/b{number}").parse().unwrap()
}

/// The objects of a chain in which all this happened.
fn chain(steps: &[Step]) -> Vec<Held> {
    let mut chain = Chain::new("1");
    let told = |step: &Step| {
        let mut state = chain.state.clone();
        state.head = Some(if step.detached { Head::Detached(id(0)) } else { Head::Symbolic(name(0)) });
        for (at, to) in step.moves.iter().enumerate() {
            match to {
                Move::Stays => {}
                Move::Goes => drop(state.refs.remove(&name(at))),
                Move::To(to) => drop(state.refs.insert(name(at), id(*to))),
            }
        }
        let mut record = chain.record_in(Uuid::nil(), &state);
        record.changes.iter_mut().for_each(|change| change.forced = step.forced);
        record.refs = step.checkpoint.then(|| state.refs.clone());
        let actors = record
            .changes
            .iter()
            .filter_map(|change| Some((change.name.clone(), Actor(format!("person {}", step.told_by?)))));
        record.trigger.actors = actors.collect();
        chain.pretend(&record)
    };
    steps.iter().map(told).collect()
}

/// What an independent reader makes of the objects: every state, going by each point's changes alone.
fn states(objects: &[Held]) -> BTreeMap<Seq, RefState> {
    let mut state = None;
    let mut states = BTreeMap::new();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            assert_eq!(object.record.before(), Some(objects[index - 1].record.end(objects[index - 1].sealed)));
        }
        for Held { record, .. } in object.record.points(object.sealed) {
            for change in &record.changes {
                let before = state.as_ref().and_then(|state: &RefState| state.refs.get(&change.name).copied());
                assert_eq!(change.old, before, "{} at {}", change.name, record.seq);
                assert_ne!(change.old, change.new);
            }
            state = replay(state, &record);
            let after = state.clone().unwrap();
            if let Some(refs) = &record.refs {
                assert_eq!(*refs, after.refs);
            }
            states.insert(record.seq, after);
        }
        if let (Some(span), Some(state)) = (&object.record.span, &mut state) {
            state.apply(&span.after.changes);
        }
    }
    states
}

/// `objects` with those from `range` as one.
fn joined(objects: &[Held], range: std::ops::Range<usize>, drop: &BTreeSet<Seq>, rewriting: u32) -> Vec<Held> {
    let before = states(&objects[..range.start]).pop_last().map(|(_, state)| state);
    // The state before a range is the one at its end, which may be later than the last point.
    let before = before.map(|mut state| {
        if let Some(span) = range.start.checked_sub(1).and_then(|last| objects[last].record.span.as_ref()) {
            state.apply(&span.after.changes);
        }
        state
    });
    let record = consolidate(&objects[range.clone()], drop, rewriting, before.as_ref(), None).unwrap();
    let object = Held { record, sealed: objects[range.start].sealed };
    objects[..range.start].iter().cloned().chain([object]).chain(objects[range.end..].iter().cloned()).collect()
}

/// A range of at least two of `length`, and which of its numbers are dropped; never all.
fn cut(
    length: usize,
    from: prop::sample::Index,
    to: prop::sample::Index,
    drops: &[bool],
) -> (std::ops::Range<usize>, BTreeSet<Seq>) {
    let from = from.index(length - 1);
    let to = from + 2 + to.index(length - from - 1);
    let mut drop: BTreeSet<Seq> = (from..to).filter(|at| drops[*at]).filter_map(|at| Seq::new(at as u64 + 1)).collect();
    if drop.len() == to - from {
        drop.pop_first();
    }
    (from..to, drop)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_kept_is_what_it_was_and_the_chain_goes_on(
        steps in steps(),
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        drops in proptest::collection::vec(any::<bool>(), 20),
    ) {
        let objects = chain(&steps);
        let (range, drop) = cut(objects.len(), from, to, &drops);
        let joined = joined(&objects, range.clone(), &drop, 1);
        let mut expected = states(&objects);
        expected.retain(|seq, _| !drop.contains(seq));
        prop_assert_eq!(states(&joined), expected);

        let span = &joined[range.start].record;
        let first = span.points(joined[range.start].sealed).remove(0);
        prop_assert!(first.record.refs.is_some(), "one object tells every state in it");
        for Held { record, sealed } in span.points(joined[range.start].sealed) {
            let original = &objects[usize::try_from(record.seq.get()).unwrap() - 1];
            prop_assert_eq!(sealed, original.sealed);
            prop_assert_eq!((record.parent, record.time, &record.head), (original.record.parent, original.record.time, &original.record.head));
        }
        prop_assert_eq!(serde_json::from_str::<refward::vault::Record>(&serde_json::to_string(span).unwrap()).unwrap(), span.clone());
    }

    #[test]
    fn in_one_step_or_in_many_the_result_is_the_same(
        steps in steps(),
        middle in any::<prop::sample::Index>(),
        early in proptest::collection::vec(any::<bool>(), 20), late in proptest::collection::vec(any::<bool>(), 20),
    ) {
        let objects = chain(&steps);
        let middle = 1 + middle.index(objects.len() - 1);
        let (end, of) = (objects.len(), |at: usize| seq(at as u64 + 1));
        // One of each half is always kept.
        let keep = |at: &usize| *at != middle - 1 && *at != end - 1;
        let dropped = |flags: &[bool]| (0..end).filter(keep).filter(|at| flags[*at]).map(of).collect::<BTreeSet<_>>();
        let (early, late) = (dropped(&early), dropped(&late));
        let all: BTreeSet<_> = early.union(&late).copied().collect();

        let at_once = joined(&objects, 0..end, &all, 1);
        let halves = joined(&joined(&objects, middle..end, &early, 1), 0..middle, &early, 1);
        let in_steps = joined(&halves, 0..2, &late, 2);
        prop_assert_eq!(states(&at_once), states(&in_steps));
        let facts = |objects: &[Held]| {
            let record = &objects[0].record;
            let span = record.span.clone().unwrap();
            let moves = record.points(objects[0].sealed).into_iter().map(|held| {
                let names = held.record.changes.iter().map(|change| (change.name.clone(), change.old, change.new));
                (held.record.seq, names.collect::<Vec<_>>())
            });
            (record.before(), record.end(objects[0].sealed), span.sealed, moves.collect::<Vec<_>>())
        };
        prop_assert_eq!(facts(&at_once), facts(&in_steps));
    }
}

#[test]
fn what_came_back_to_where_it_was_did_not_move() {
    let step = |to: u8, forced| Step {
        moves: vec![Move::To(to)],
        forced,
        detached: false,
        checkpoint: false,
        told_by: Some(1),
    };
    let objects = chain(&[step(0, false), step(1, true), step(0, false), step(2, false)]);
    let told = |drop: &[u64]| {
        let drop = drop.iter().copied().map(seq).collect();
        let record = consolidate(&objects, &drop, 1, None, None).unwrap();
        let points = record.points(objects[0].sealed);
        points.into_iter().map(|held| (held.record.seq.get(), held.record.changes)).collect::<Vec<_>>()
    };
    let moves = told(&[2]);
    assert_eq!(moves.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(moves[1].1, [], "there and back");
    let moves = told(&[3]);
    assert_eq!((moves[1].1[0].forced, moves[2].1[0].forced), (true, false));
    let moves = told(&[2, 3]);
    assert_eq!((moves[1].1[0].old, moves[1].1[0].new), (Some(id(0)), Some(id(2))));
}

#[test]
fn what_does_not_belong_together_is_not_made_one() {
    let step = Step { moves: vec![Move::To(1)], forced: false, detached: false, checkpoint: false, told_by: None };
    let objects = chain(&[step.clone(), step.clone(), step]);
    let nothing = BTreeSet::new();
    let all = [1, 2, 3].into_iter().map(seq).collect();
    assert_eq!(consolidate(&objects, &all, 1, None, None).unwrap_err().kind(), Kind::Bug);
    assert_eq!(consolidate(&[], &nothing, 1, None, None).unwrap_err().kind(), Kind::Bug);
    assert_eq!(consolidate(&objects[1..], &nothing, 1, None, None).unwrap_err().kind(), Kind::Bug);

    let gap = [objects[0].clone(), objects[2].clone()];
    let mut replaced = objects.clone();
    replaced[0].sealed.bytes += 1;
    for broken in [&gap[..], &replaced] {
        assert_eq!(consolidate(broken, &nothing, 1, None, None).unwrap_err().kind(), Kind::Damaged);
    }
}

/// A chain of twelve in a vault; every reference after each of them.
async fn twelve() -> (Place, Chain, Vec<RefState>) {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    let mut states = Vec::new();
    for _ in 0..12 {
        chain.append_bytes(&place.vault, 5000).await;
        states.push(chain.state.clone());
    }
    (place, chain, states)
}

/// 1 to 4 in one, 5 to 8 in one twice over, of which 4, 5 and 8 were not kept, and 9 to 12 as they were taken.
async fn consolidated_twelve() -> (Place, Chain, Vec<RefState>, Vec<Expected>) {
    let (place, chain, states) = twelve().await;
    let (vault, repo) = (&place.vault, &chain.repo);
    let pack = fake_pack(7000, 1);
    let mut expected = vec![consolidated(vault, repo, (1, 4), &[4], Some(&pack)).await];
    consolidated(vault, repo, (5, 8), &[5], Some(&pack)).await;
    expected.push(consolidated(vault, repo, (5, 8), &[8], Some(&pack)).await);
    expected.extend(chain.written[8..].iter().copied());
    (place, chain, states, expected)
}

async fn delete_superseded(place: &Place, chain: &Chain) {
    for stored in place.vault.cover(&chain.repo).await.unwrap().superseded {
        fs::remove_file(place.object_of(&chain.repo, &stored.extent)).unwrap();
    }
}

async fn findings(place: &Place, chain: &Chain, expected: &[Expected]) -> Vec<(String, String)> {
    let found = place.vault.verify(&chain.repo, Level::ReadData(1.0), Some(expected), &|_| {}).await.unwrap();
    let short = |object: &str| object.rsplit('/').next().unwrap().trim_end_matches(".tar.gz.age").to_owned();
    found.into_iter().map(|finding| (short(&finding.object), finding.problem)).collect()
}

#[tokio::test]
async fn every_moment_that_was_kept_is_found_and_the_chain_is_sound() {
    let (place, mut chain, mut states, mut expected) = consolidated_twelve().await;
    let repo = chain.repo.clone();
    for round in ["beside what they stand for", "alone"] {
        for at in [1, 2, 3, 6, 7, 9, 10, 11, 12] {
            let state = &states[usize::try_from(at).unwrap() - 1];
            let moment = time(at);
            for point in [Point::Seq(seq(at)), Point::Time(moment), Point::Time(moment + TimeDelta::seconds(59))] {
                let found = place.vault.state_at(&repo, Some(point)).await.unwrap();
                assert_eq!(found, (seq(at), state.clone()), "{round}, {point:?}");
            }
        }
        for (dropped, told) in [(4, "3 and 6"), (5, "3 and 6"), (8, "7 and 9")] {
            let error = place.vault.moment(&repo, Some(Point::Seq(seq(dropped)))).await.unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound);
            assert!(error.to_string().contains(&format!("the nearest are {told}")), "{round}: {error}");
            let (before, _) = place.vault.state_at(&repo, Some(Point::Time(time(dropped)))).await.unwrap();
            assert!(told.starts_with(&before.to_string()), "the newest that is not younger: {before}");
        }
        assert_eq!(findings(&place, &chain, &expected).await, [], "{round}");
        delete_superseded(&place, &chain).await;
    }
    let cover = place.vault.cover(&repo).await.unwrap();
    assert_eq!((cover.live.len(), cover.superseded.len()), (6, 0));

    chain.append_bytes(&place.vault, 5000).await;
    states.push(chain.state.clone());
    expected.extend(chain.written.last());
    assert_eq!(place.vault.state_at(&repo, None).await.unwrap(), (seq(13), states[12].clone()));
    assert_eq!(findings(&place, &chain, &expected).await, []);
    // Everything in one, by way of what was consolidated before.
    expected = vec![consolidated(&place.vault, &repo, (1, 13), &[1, 2], None).await];
    delete_superseded(&place, &chain).await;
    assert_eq!(findings(&place, &chain, &expected).await, []);
    for at in [3, 7, 12, 13] {
        let state = states[usize::try_from(at).unwrap() - 1].clone();
        assert_eq!(place.vault.state_at(&repo, Some(Point::Seq(seq(at)))).await.unwrap(), (seq(at), state));
    }
}

#[tokio::test]
async fn what_happens_to_a_consolidated_snapshot_is_noticed() {
    let (place, chain, _, expected) = consolidated_twelve().await;
    let (first, second) = (expected[0].extent, expected[1].extent);
    let object = |extent: &Extent| place.object_of(&chain.repo, extent);
    let original = fs::read(object(&first)).unwrap();
    let name = "0000000001-0000000004.1";

    for at in [300, 2000, original.len() - 1] {
        let mut changed = original.clone();
        changed[at] ^= 1;
        fs::write(object(&first), changed).unwrap();
        let found = findings(&place, &chain, &expected).await;
        assert_eq!(found.iter().map(|(object, _)| &object[..]).collect::<Vec<_>>(), [name], "byte {at}: {found:?}");
    }
    // As long as what it stands for is there, only the catalog knows that it was.
    fs::remove_file(object(&first)).unwrap();
    assert_eq!(findings(&place, &chain, &expected).await, [(name.to_owned(), "is missing".to_owned())]);
    assert_eq!(findings(&place, &chain, &[]).await, []);
    delete_superseded(&place, &chain).await;
    for seq in 1..=4 {
        fs::remove_file(place.object(&chain.repo, seq)).unwrap();
    }
    assert_eq!(findings(&place, &chain, &expected).await, [(name.to_owned(), "is missing".to_owned())]);
    let told = "is missing, and so are all up to 4".to_owned();
    assert_eq!(findings(&place, &chain, &[]).await, [("0000000001".to_owned(), told)]);
    let error = place.vault.moment(&chain.repo, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains("0000000001.tar.gz.age is missing from the vault"), "{error}");

    // Another's name, a later rewriting that never was.
    for wrong in [first, Extent { rewriting: 9, ..second }] {
        fs::copy(object(&second), object(&wrong)).unwrap();
        let error = place.vault.record(&chain.repo, &wrong).await.unwrap_err();
        assert!(error.to_string().contains("is not what its name says: it holds snapshots 5 to 8"), "{error}");
    }
}

#[tokio::test]
async fn beside_a_consolidated_snapshot_an_exchanged_neighbour_is_noticed() {
    let (place, chain, _, expected) = consolidated_twelve().await;
    let twin = place.vault.record(&chain.repo, &single(9)).await.unwrap();
    let (pack, mut other) = (fake_pack(5000, 99), twin.clone());
    other.pack = Some(pack_entry(&pack, chain.format, None));
    other.parent.as_mut().unwrap().sealed.bytes += 1;
    fs::remove_file(place.object(&chain.repo, 9)).unwrap();
    place.vault.append(&other, Some(source(&pack, None))).await.unwrap();
    let told = findings(&place, &chain, &expected).await;
    assert!(
        told.contains(&("0000000009".to_owned(), "does not follow from the object before it".to_owned())),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_number_that_something_stands_for_is_not_written_again() {
    let (place, chain, ..) = consolidated_twelve().await;
    delete_superseded(&place, &chain).await;
    // A catalog from before the consolidation, in a process of its own.
    let vault = place.reopened().await.unwrap();
    let again = |seq| {
        let mut record = chain.record(&vault, &chain.state);
        record.seq = seq;
        record.parent = record.parent.map(|parent| Parent { seq: seq.previous().unwrap(), ..parent });
        record
    };
    for taken in [2, 8, 9, 12] {
        assert_eq!(vault.append(&again(seq(taken)), None).await.unwrap(), Appended::Occupied, "{taken}");
    }
    assert!(matches!(vault.append(&again(seq(13)), None).await.unwrap(), Appended::Written(_)));
    assert_eq!(vault.append(&again(seq(3)), None).await.unwrap(), Appended::Occupied, "set back while it runs");
}

#[tokio::test]
async fn a_record_that_contradicts_itself_is_not_written() {
    let (place, chain, _) = twelve().await;
    let mut objects = Vec::new();
    for written in &chain.written[..3] {
        let record = place.vault.record(&chain.repo, &written.extent).await.unwrap();
        objects.push(Held { record, sealed: place.vault.hash(&chain.repo, &written.extent).await.unwrap() });
    }
    let sound = consolidate(&objects, &BTreeSet::new(), 1, None, None).unwrap();
    let spoiled: [fn(&mut Span); 6] = [
        |span| span.points[0].record.refs = None,
        |span| span.points.reverse(),
        |span| span.points[1].record.vault = Uuid::nil(),
        |span| span.extent.to = seq(2),
        |span| span.extent.rewriting = 0,
        |span| span.end.bytes += 1,
    ];
    for (case, spoil) in spoiled.into_iter().enumerate() {
        let mut record = sound.clone();
        spoil(record.span.as_mut().unwrap());
        let error = place.vault.append(&record, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Bug, "case {case}");
    }
    assert!(matches!(place.vault.append(&sound, None).await.unwrap(), Appended::Written(_)));
}
