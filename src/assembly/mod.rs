//! From the sealed objects of one repository in the vault to its packs: what restores, drills and compaction build on.

mod drill;
mod packs;

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;

use crate::domain::{Error, Extent, RepoId, Result};
use crate::git::Limits;
use crate::vault::Vault;

pub use drill::{Rehearsal, clear_drills, rehearse};
pub use packs::assemble;

/// A repository in the vault.
pub struct Source {
    /// The vault.
    pub vault: Arc<Vault>,
    /// The repository.
    pub repo: RepoId,
    /// What indexing its packs may cost.
    pub limits: Limits,
    /// SHA-256 of its objects, where there is a catalog that remembers them. Only it knows the end of the chain.
    pub known: BTreeMap<Extent, [u8; 32]>,
}

impl Source {
    /// A temporary folder that goes when it is dropped.
    pub fn scratch(&self) -> Result<TempDir> {
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("refward-");
        let made = self.limits.scratch_dir.as_ref().map_or_else(|| folder.tempdir(), |dir| folder.tempdir_in(dir));
        made.map_err(|error| {
            Error::misconfigured(format!("cannot make a scratch folder: {error}")).hint("see `git.scratch_dir`")
        })
    }
}
