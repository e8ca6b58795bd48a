//! From a name to a chain of snapshots in the vault.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::assembly::Source;
use crate::catalog::{Catalog, Repository};
use crate::domain::{Error, Kind, RepoAddress, RepoId, Result, Seq, same_name};
use crate::git::Limits;
use crate::vault::{Record, Vault};

/// Vault objects opened at a time while looking for a name.
const AT_A_TIME: usize = 16;

/// A deleted repository that had the name of the one that is restored.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Namesake {
    pub id: RepoId,
    pub repository: String,
    /// The newest snapshot.
    pub last_seq: Option<Seq>,
    pub gone_since: Option<DateTime<Utc>>,
}

impl Namesake {
    /// For a person who may have meant this one.
    pub fn way(&self) -> String {
        let Self { id, repository, gone_since, .. } = self;
        let since =
            gone_since.map(|at| format!(", gone since {} UTC,", at.format("%Y-%m-%d %H:%M"))).unwrap_or_default();
        format!("a deleted repository{since} was called {repository}, too: refward restore {id} …")
    }
}

impl From<Repository> for Namesake {
    fn from(known: Repository) -> Self {
        Self { id: known.id, repository: known.full_name, last_seq: known.last_seq, gone_since: known.gone_at }
    }
}

/// Asks the catalog where there is one, and looks into the vault itself where it does not know.
pub async fn locate(
    vault: Arc<Vault>,
    limits: Limits,
    catalog: Option<&Catalog>,
    address: &RepoAddress,
) -> Result<(Source, Vec<Namesake>)> {
    super::refuse_sealed(&vault)?;
    if let Some(catalog) = catalog {
        match catalog.resolve(address).await {
            Ok(repository) => {
                let source = source_of(vault, limits, catalog, &repository).await;
                let namesakes = namesakes(catalog, &repository, address).await?;
                let source = source.map_err(|error| match namesakes.first() {
                    Some(deleted) if error.kind() == Kind::NotFound => error.hint(deleted.way()),
                    _ => error,
                });
                return Ok((source?, namesakes));
            }
            Err(error) if error.kind() != Kind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
    let repo = search(&vault, address).await?;
    Ok((Source { vault, repo, limits, known: BTreeMap::new() }, Vec::new()))
}

/// What somebody who wrote this name may have meant instead; an id leaves nothing open.
pub async fn namesakes(catalog: &Catalog, repository: &Repository, address: &RepoAddress) -> Result<Vec<Namesake>> {
    if matches!(address, RepoAddress::Id(_)) || repository.is_deleted() {
        return Ok(Vec::new());
    }
    Ok(catalog.namesakes(repository).await?.into_iter().map(Namesake::from).collect())
}

/// A repository that the catalog knows, in the vault.
pub async fn source_of(
    vault: Arc<Vault>,
    limits: Limits,
    catalog: &Catalog,
    repository: &Repository,
) -> Result<Source> {
    super::refuse_sealed(&vault)?;
    if repository.last_seq.is_none() && vault.cover(&repository.id).await?.end().is_none() {
        let name = &repository.full_name;
        return Err(Error::not_found(format!("there is no backup of {name} yet")).hint("`refward backup` takes one"));
    }
    let expected = catalog.expected(&repository.id).await?;
    let known = expected.iter().map(|object| (object.extent, object.sha256)).collect();
    Ok(Source { vault, repo: repository.id.clone(), limits, known })
}

async fn search(vault: &Vault, address: &RepoAddress) -> Result<RepoId> {
    let missing = || Error::not_found(format!("there is no backup of {address}")).hint("see `refward repos list`");
    let name = match address {
        RepoAddress::Id(id) if vault.cover(id).await?.end().is_some() => return Ok(id.clone()),
        RepoAddress::Id(_) => return Err(missing()),
        RepoAddress::Name { full_name, .. } => full_name,
    };
    let newest = stream::iter(vault.repositories().await?).map(|repo| async move {
        let cover = vault.cover(&repo).await?;
        let Some(newest) = cover.live.last() else { return Ok(None) };
        let record = vault.record(&repo, &newest.extent).await?;
        // A record may list all references: only those that are meant stay in memory.
        Ok::<_, Error>(same_name(&record.full_name, name).then_some(record))
    });
    let found: Vec<Option<Record>> = newest.buffer_unordered(AT_A_TIME).try_collect().await?;
    let mut named: Vec<Record> = found.into_iter().flatten().collect();
    named.sort_by_key(|record| Reverse(record.time));
    let on_host: Vec<&Record> =
        named.iter().filter(|record| address.means(&record.repo, &[&record.host], &record.full_name)).collect();
    match (&on_host[..], &named[..]) {
        ([one], _) => Ok(one.repo.clone()),
        ([], []) => Err(missing()),
        // What stands in front may be a connection's name, of which the vault knows nothing.
        ([], [one]) if !is_host(address) => Ok(one.repo.clone()),
        ([], found) => Err(which(address, found)),
        (found, _) => Err(which(address, found.iter().copied())),
    }
}

fn is_host(address: &RepoAddress) -> bool {
    matches!(address, RepoAddress::Name { within: Some(within), .. } if within.contains(['.', ':']))
}

fn which<'a>(address: &RepoAddress, found: impl IntoIterator<Item = &'a Record>) -> Error {
    let told = found.into_iter().map(|record| {
        let Record { repo, host, forge_id, time, .. } = record;
        format!("{repo} (from {host}, number {forge_id} there, last snapshot {} UTC)", time.format("%Y-%m-%d %H:%M"))
    });
    let told: Vec<String> = told.collect();
    Error::bad_request(format!("{address} may be any of these in the vault: {}", told.join(", ")))
        .hint("write the id of the one that you mean: refward restore ID …")
}
