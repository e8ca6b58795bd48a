//! Which snapshots an object of the vault stands for.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Seq;

/// The range of numbers that one object of the vault stands for.
///
/// Ordered by where it begins. Ranges of one repository nest: each lies within another, or they have no number in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Extent {
    /// The first number.
    pub from: Seq,
    /// The last one, `from` or later.
    pub to: Seq,
    /// 0: a snapshot as it was taken. From 1 on: a consolidated one; a higher one replaces a lower one of the same range.
    pub rewriting: u32,
}

impl Extent {
    /// One snapshot as it was taken.
    pub fn single(seq: Seq) -> Self {
        Self { from: seq, to: seq, rewriting: 0 }
    }

    /// Not a consolidated one.
    pub fn is_single(&self) -> bool {
        self.rewriting == 0
    }

    /// The number lies within.
    pub fn contains(&self, seq: Seq) -> bool {
        (self.from..=self.to).contains(&seq)
    }

    /// Parts `objects` into those that count, in the order of their numbers, and those that others stand for now.
    ///
    /// Of those that begin at the next number the one that reaches farthest counts, of these the one rewritten last. Where
    /// numbers are missing it goes on behind the gap.
    pub fn cover<T>(mut objects: Vec<T>, extent: impl Fn(&T) -> Self) -> (Vec<T>, Vec<T>) {
        objects.sort_by_key(|object| {
            let Self { from, to, rewriting } = extent(object);
            (from, Reverse(to), Reverse(rewriting))
        });
        let mut next = Seq::FIRST;
        objects.into_iter().partition(|object| {
            let Self { from, to, .. } = extent(object);
            let counts = from >= next;
            if counts {
                next = to.next();
            }
            counts
        })
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            return write!(f, "snapshot {}", self.from);
        }
        write!(f, "snapshots {} to {}", self.from, self.to)
    }
}

/// An object that the vault should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What it stands for.
    pub extent: Extent,
    /// SHA-256 of its sealed bytes.
    pub sha256: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(from: u64, to: u64, rewriting: u32) -> Extent {
        Extent { from: Seq::new(from).unwrap(), to: Seq::new(to).unwrap(), rewriting }
    }

    fn single(seq: u64) -> Extent {
        extent(seq, seq, 0)
    }

    #[test]
    fn of_what_begins_at_a_number_the_farthest_and_last_rewritten_counts() {
        let (wide, older, narrow) = (extent(1, 4, 2), extent(1, 4, 1), extent(1, 2, 7));
        let all = vec![single(6), single(1), narrow, single(3), older, extent(3, 4, 1), wide, single(5)];
        let (live, superseded) = Extent::cover(all, |extent| *extent);
        assert_eq!(live, [wide, single(5), single(6)]);
        assert_eq!(superseded, [older, narrow, single(1), extent(3, 4, 1), single(3)]);
    }

    #[test]
    fn behind_a_gap_it_goes_on() {
        let all = vec![single(2), extent(5, 8, 1), single(6), single(9)];
        let (live, superseded) = Extent::cover(all, |extent| *extent);
        assert_eq!(live, [single(2), extent(5, 8, 1), single(9)]);
        assert_eq!(superseded, [single(6)]);
    }
}
