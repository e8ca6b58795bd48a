//! How old a repository's last passed drill may be.

use std::collections::HashMap;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::domain::{RepoId, Result};

/// Of repositories without a policy of their own.
const DEFAULT: Duration = Duration::from_hours(30 * 24);

/// What the policies say, read once for all repositories.
pub struct Windows {
    policies: HashMap<RepoId, String>,
    /// `None`: its repositories are never drilled.
    windows: HashMap<String, Option<Duration>>,
}

impl Windows {
    /// As the policies are now.
    pub async fn read(catalog: &Catalog) -> Result<Self> {
        Ok(Self { policies: catalog.policies_of_repositories().await?, windows: HashMap::new() })
    }

    /// The window of a repository; `None`: its policy asks for no drill.
    pub fn of(&self, repo: &RepoId) -> Option<Duration> {
        let window = self.policies.get(repo).and_then(|policy| self.windows.get(policy));
        window.copied().unwrap_or(Some(DEFAULT))
    }
}
