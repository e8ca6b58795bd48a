//! Which repositories there are and which are backed up.

use serde::Serialize;

use crate::catalog::{Priority, Repository};
use crate::domain::{RepoAddress, Result, Seq};
use crate::forge::quota::Urgency;
use crate::jobs::{self, Discovered, Job};
use crate::services::Services;

/// A repository as listings show it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
#[expect(clippy::struct_excessive_bools, reason = "four facts that are independent of one another")]
pub struct RepoRow {
    pub repository: String,
    pub connection: String,
    pub id: String,
    pub forge_id: String,
    pub private: bool,
    pub archived: bool,
    /// Backed up.
    pub selected: bool,
    /// No longer on the forge; its backups stay.
    pub gone: bool,
    pub last_seq: Option<Seq>,
}

/// All repositories ever seen.
pub async fn list(services: &Services) -> Result<Vec<RepoRow>> {
    let repositories = services.catalog.repositories().await?;
    let rows = repositories.into_iter().map(|repository| RepoRow {
        connection: repository.connection,
        repository: repository.full_name,
        id: repository.id.to_string(),
        forge_id: repository.forge_id,
        private: repository.private,
        archived: repository.archived,
        selected: repository.selected,
        gone: repository.gone,
        last_seq: repository.last_seq,
    });
    Ok(rows.collect())
}

/// Reads the lists of one connection, or of all, again.
pub async fn sync(services: &Services, connection: Option<&str>) -> Result<Vec<(String, Discovered)>> {
    let connections = match connection {
        Some(name) => vec![super::connect::named(services, name).await?],
        None => services.catalog.connections().await?,
    };
    let mut found = Vec::new();
    for connection in connections {
        let discovered = jobs::discover(services, connection.id, Urgency::Person).await?;
        found.push((connection.name, discovered));
    }
    Ok(found)
}

/// Starts or stops backing a repository up. What is in the vault stays either way.
pub async fn select(services: &Services, address: &RepoAddress, selected: bool) -> Result<Repository> {
    let repository = services.catalog.resolve(address).await?;
    services.catalog.select(&repository.id, selected).await?;
    if selected {
        let job = Job::SyncRepo(repository.id.clone());
        services.catalog.enqueue(job.kind(), &job.subject(), Priority::Manual).await?;
    }
    Ok(repository)
}
