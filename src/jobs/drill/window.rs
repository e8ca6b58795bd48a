//! How old a repository's last passed drill may be.

use std::collections::HashMap;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::domain::policy::Drill;
use crate::domain::{RepoId, Result};

/// What the policies say, read once for all repositories.
pub struct Windows(HashMap<RepoId, Drill>);

impl Windows {
    /// As the policies are now.
    pub async fn read(catalog: &Catalog) -> Result<Self> {
        catalog.drills().await.map(Self)
    }

    /// The window of a repository; `None`: its policy asks for no drill.
    pub fn of(&self, repo: &RepoId) -> Option<Duration> {
        match self.0.get(repo).copied().unwrap_or_default() {
            Drill::Every(period) => Some(period.duration()),
            Drill::Never => None,
        }
    }
}
