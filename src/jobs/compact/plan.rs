//! What to write together, decided from sizes and numbers alone.
//!
//! Objects become fewer as in a log-structured merge tree: singles are joined once there are enough of them, together with
//! whatever before them is not much larger. So each object is several times as large as the one after it, a restore reads
//! O(log n) of them, and all but the first are a small share of what is stored.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use crate::domain::{RefChange, RefName, Seq};
use crate::vault::Stored;

/// Singles that are joined at once at most: git opens as many packs. A longer backlog takes several steps.
const AT_ONCE: usize = 512;

/// When to join; `[compact]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// So many singles at the end.
    pub after: usize,
    /// With an object before them that is less than so many times as large.
    pub ratio: u64,
}

/// The neighbours among `live` that should become one object now. The singles are at the end: they are joined from their
/// beginning on, so nothing but singles follows an object that was joined.
pub(super) fn join(live: &[Stored], rules: Rules) -> Option<Range<usize>> {
    let first = live.iter().rposition(|stored| !stored.extent.is_single()).map_or(0, |last| last + 1);
    let singles = live.len() - first;
    if singles < rules.after.max(2) {
        return None;
    }
    let end = first + singles.min(AT_ONCE);
    let mut start = first;
    let mut together = bytes(&live[first..end]);
    let far_larger = |place: usize, than: u64| live[place].bytes >= rules.ratio * than;
    // A large beginning, as the first snapshot of a repository often is, stays as it was taken where it is in place.
    while start + 2 < end
        && far_larger(start, together - live[start].bytes)
        && start.checked_sub(1).is_none_or(|before| far_larger(before, live[start].bytes))
    {
        together -= live[start].bytes;
        start += 1;
    }
    while let Some(before) = start.checked_sub(1).filter(|&before| !far_larger(before, together)) {
        start = before;
        together += live[before].bytes;
    }
    Some(start..end)
}

/// Of all of these objects.
pub(super) fn bytes(objects: &[Stored]) -> u64 {
    objects.iter().map(|stored| stored.bytes).sum()
}

/// Whether it is worth writing everything anew to be rid of the `leaving` ones among `points`: something would really go
/// that no recovery point kept has, or they are many. `moves` is the journal in the order of its numbers.
pub(super) fn worth_dropping<'a>(
    points: &BTreeSet<Seq>,
    leaving: &BTreeSet<Seq>,
    moves: impl IntoIterator<Item = (Seq, &'a RefChange)>,
) -> bool {
    if leaving.len() * 4 > points.len() {
        return true;
    }
    // Where each reference came to its value.
    let mut since: HashMap<&RefName, Seq> = HashMap::new();
    moves.into_iter().any(|(seq, change)| {
        let came = since.insert(&change.name, seq);
        // A value that is followed by one that contains it goes or stays with that one. Forges remake the references of pull
        // requests all the time: that alone is no reason to write everything again.
        let counts = change.name.is_branch() || change.name.is_tag();
        let abandoned = counts && change.old.is_some() && (change.forced || change.new.is_none());
        let kept_in = |from: Seq| points.range(from..seq).any(|point| !leaving.contains(point));
        abandoned && came.is_some_and(|from| !kept_in(from))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Extent;

    const RULES: Rules = Rules { after: 32, ratio: 8 };

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    /// Takes snapshots of these sizes and joins whatever there is to join. Gives the objects and the bytes written together.
    fn live_through(sizes: impl IntoIterator<Item = u64>, rules: Rules) -> (Vec<Stored>, u64) {
        let (mut live, mut rewritten) = (Vec::<Stored>::new(), 0);
        for (number, size) in (1..).zip(sizes) {
            live.push(Stored { extent: Extent::single(seq(number)), bytes: size });
            while let Some(range) = join(&live, rules) {
                let together = bytes(&live[range.clone()]);
                let extent =
                    Extent { from: live[range.start].extent.from, to: live[range.end - 1].extent.to, rewriting: 1 };
                live.splice(range, [Stored { extent, bytes: together }]);
                rewritten += together;
            }
        }
        (live, rewritten)
    }

    proptest! {
        #[test]
        fn each_object_is_far_larger_than_the_one_after_it(
            sizes in prop::collection::vec(1_u64..1_000_000, 1..600), after in 2_usize..40, ratio in 2_u64..16,
        ) {
            let total: u64 = sizes.iter().sum();
            let (live, _) = live_through(sizes.clone(), Rules { after, ratio });
            let joined = live.iter().rposition(|stored| !stored.extent.is_single()).map_or(0, |last| last + 1);
            prop_assert!(live.len() - joined < after);
            prop_assert!(live[..joined].windows(2).all(|pair| pair[0].bytes >= ratio * pair[1].bytes));
            prop_assert!(joined <= 2 + total.ilog(ratio) as usize);
            // Nothing is lost, nothing is out of place.
            prop_assert_eq!(bytes(&live), total);
            prop_assert!(live.windows(2).all(|pair| pair[0].extent.to.next() == pair[1].extent.from));
            prop_assert_eq!(live[0].extent.from, Seq::FIRST);
            prop_assert_eq!(live[live.len() - 1].extent.to.get(), sizes.len() as u64);
        }
    }

    #[test]
    fn a_large_beginning_stays_where_it_is() {
        let (live, rewritten) = live_through([1_000_000_000].into_iter().chain([3_000; 1_000]), RULES);
        assert_eq!(live[0].bytes, 1_000_000_000);
        assert!(live.len() < 40, "{live:?}");
        assert!(rewritten < 40 * 3_000_000, "{rewritten}");
    }

    #[test]
    fn what_is_large_joins_what_is_small_before_it() {
        let (live, _) = live_through([1, 1, 1, 100, 1, 1], Rules { after: 3, ratio: 14 });
        assert_eq!(live.len(), 1, "{live:?}");
    }

    #[test]
    fn ten_thousand_pushes_of_one_size() {
        let (live, rewritten) = live_through(std::iter::repeat_n(1_000, 10_000), RULES);
        let spans = live.iter().filter(|stored| !stored.extent.is_single()).count();
        assert!(spans <= 4, "{live:?}");
        assert!(rewritten <= 30 * 10_000_000, "{rewritten}");
    }

    #[test]
    fn a_backlog_is_joined_in_steps() {
        let live: Vec<Stored> =
            (1..=1_000).map(|number| Stored { extent: Extent::single(seq(number)), bytes: 1 }).collect();
        assert_eq!(join(&live, RULES), Some(0..AT_ONCE));
    }

    fn change(name: &str, old: Option<char>, new: Option<char>, forced: bool) -> RefChange {
        let id = |letter: char| letter.to_string().repeat(40).parse().unwrap();
        RefChange { name: name.parse().unwrap(), old: old.map(id), new: new.map(id), forced }
    }

    #[test]
    fn what_was_forced_away_and_is_in_no_kept_point_is_worth_dropping() {
        let moves = [
            (seq(1), change("refs/heads/main", None, Some('a'), false)),
            (seq(2), change("refs/heads/main", Some('a'), Some('b'), false)),
            (seq(3), change("refs/heads/main", Some('b'), Some('c'), true)),
        ];
        let points: BTreeSet<Seq> = (1..=20).map(seq).collect();
        let worth = |leaving: &[u64]| {
            let leaving = leaving.iter().copied().map(seq).collect();
            worth_dropping(&points, &leaving, moves.iter().map(|(seq, change)| (*seq, change)))
        };
        assert!(worth(&[2]));
        assert!(!worth(&[1]), "b contains it");
        assert!(!worth(&[3, 4, 5]), "c is where it still is");
        assert!(worth(&[1, 3, 4, 5, 6, 7]), "they are many");
    }

    #[test]
    fn a_branch_that_came_and_went_between_kept_points_is_worth_dropping() {
        let moves = [
            (seq(3), change("refs/heads/spike", None, Some('a'), false)),
            (seq(5), change("refs/heads/spike", Some('a'), None, false)),
        ];
        let points: BTreeSet<Seq> = (1..=20).map(seq).collect();
        let worth = |leaving: [u64; 2]| {
            worth_dropping(&points, &leaving.map(seq).into(), moves.iter().map(|(seq, change)| (*seq, change)))
        };
        assert!(worth([3, 4]));
        assert!(!worth([4, 5]), "point 3 has it");
    }
}
