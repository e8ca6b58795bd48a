//! Which repositories there are and which are backed up.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::catalog::{ConnectionSettings, Priority, Repository};
use crate::domain::{Availability, ConnectionId, Error, RepoAddress, Result, Seq};
use crate::forge::quota::Urgency;
use crate::jobs::{self, Discovered, Job, groups_of};
use crate::services::Services;

/// A repository as listings show it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
#[expect(clippy::struct_excessive_bools, reason = "six facts that are independent of one another")]
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
    /// Whether it can be read on the forge.
    pub availability: Availability,
    /// The connection's globs leave it out; its backups stay.
    pub left_out: bool,
    /// Its connection is still there; without one nothing new is backed up.
    pub connected: bool,
    /// By the connection's rules.
    pub groups: Vec<String>,
    pub last_seq: Option<Seq>,
}

/// All repositories ever seen, or those of a group.
pub async fn list(services: &Services, group: Option<&str>) -> Result<Vec<RepoRow>> {
    let connections: HashSet<ConnectionId> = services.catalog.connections().await?.iter().map(|one| one.id).collect();
    let grouped = grouped(services, group).await?;
    let rows = grouped.into_iter().map(|(repository, groups)| RepoRow {
        groups,
        connected: connections.contains(&repository.connection_id),
        left_out: repository.left_out,
        connection: repository.connection,
        repository: repository.full_name,
        id: repository.id.to_string(),
        forge_id: repository.forge_id,
        private: repository.private,
        archived: repository.archived,
        selected: repository.selected,
        gone: repository.gone,
        availability: repository.availability,
        last_seq: repository.last_seq,
    });
    Ok(rows.collect())
}

/// The repositories of a group that are backed up.
pub async fn in_group(services: &Services, group: &str) -> Result<Vec<Repository>> {
    let grouped = grouped(services, Some(group)).await?.into_iter().map(|(repository, _)| repository);
    Ok(grouped.filter(Repository::is_wanted).collect())
}

/// Repositories with the names of their groups, in all connections or in those that have this group.
async fn grouped(services: &Services, group: Option<&str>) -> Result<Vec<(Repository, Vec<String>)>> {
    let settings: HashMap<ConnectionId, ConnectionSettings> =
        services.catalog.connections().await?.into_iter().map(|one| (one.id, one.settings)).collect();
    if let Some(group) = group
        && !settings.values().any(|settings| settings.groups.contains_key(group))
    {
        return Err(Error::not_found(format!("there is no group called `{group}`"))
            .hint("`refward connections set NAME --group GROUP=GLOB` makes one"));
    }
    let mut grouped = Vec::new();
    for repository in services.catalog.repositories().await? {
        let groups = match settings.get(&repository.connection_id) {
            Some(settings) => groups_of(settings, &repository.full_name)?,
            None => Vec::new(),
        };
        if group.is_none_or(|group| groups.iter().any(|name| name == group)) {
            grouped.push((repository, groups));
        }
    }
    Ok(grouped)
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
    if selected && repository.left_out {
        let connection = &repository.connection;
        return Err(Error::bad_request(format!("{} is left out by the globs of {connection}", repository.full_name))
            .hint(format!("change them first: refward connections set {connection} --help")));
    }
    services.catalog.select(&repository.id, selected).await?;
    if selected {
        let job = Job::SyncRepo(repository.id.clone());
        services.catalog.enqueue(job.kind(), &job.subject(), Priority::Manual).await?;
    }
    Ok(repository)
}
