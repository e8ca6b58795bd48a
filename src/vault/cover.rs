//! Which objects of a repository count.

use super::Vault;
use super::layout::{self, object_name};
use crate::domain::{Error, Extent, RepoId, Result, Seq};

/// An object as the store lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it stands for.
    pub extent: Extent,
    /// Its length.
    pub bytes: u64,
}

/// A repository's objects. See [`Extent::cover`] for what makes one live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    repo: RepoId,
    /// Those that count, in the order of their numbers. Gaps and a missing end are for [`Vault::verify`] to judge.
    pub live: Vec<Stored>,
    /// Those that a live one stands for.
    pub superseded: Vec<Stored>,
}

impl Cover {
    pub(super) fn of(repo: &RepoId, files: &[(String, u64)]) -> Self {
        let stored = |(name, bytes): &(String, u64)| Some(Stored { extent: layout::extent_of(name)?, bytes: *bytes });
        let (live, superseded) = Extent::cover(files.iter().filter_map(stored).collect(), |stored| stored.extent);
        Self { repo: repo.clone(), live, superseded }
    }

    /// The last number that an object stands for.
    pub fn end(&self) -> Option<Seq> {
        self.live.last().map(|stored| stored.extent.to)
    }

    /// The live objects up to the one that holds `seq`. `Damaged` if a number is missing on the way there.
    pub fn through(&self, seq: Seq) -> Result<&[Stored]> {
        let mut next = Seq::FIRST;
        for (index, Stored { extent, .. }) in self.live.iter().enumerate() {
            if extent.from != next {
                break;
            }
            if extent.contains(seq) {
                return Ok(&self.live[..=index]);
            }
            next = extent.to.next();
        }
        Err(Error::damaged(format!("{} is missing from the vault", object_name(&self.repo, &Extent::single(next))))
            .hint("restore an earlier snapshot by its number: --at SEQ"))
    }
}

impl Vault {
    /// A repository's objects, from the listing alone. Needs no key.
    pub async fn cover(&self, repo: &RepoId) -> Result<Cover> {
        Ok(Cover::of(repo, &self.store.files(&layout::repository(repo)).await?))
    }
}
