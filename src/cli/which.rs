//! Which repositories a command is about: one, or all that have a snapshot.

use crate::catalog::Repository;
use crate::domain::{RepoAddress, Result};
use crate::ops::backup;
use crate::services::Services;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub(super) struct Which {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
    #[arg(group = "which")]
    repo: Option<RepoAddress>,
    /// Every repository that has a snapshot.
    #[arg(long, group = "which")]
    all: bool,
}

impl Which {
    pub(super) async fn repositories(&self, services: &Services) -> Result<Vec<Repository>> {
        if let Some(address) = &self.repo {
            return backup::select(services, Some(address)).await;
        }
        let known = services.catalog.repositories().await?.into_iter();
        Ok(known.filter(|repository| repository.last_seq.is_some()).collect())
    }
}
