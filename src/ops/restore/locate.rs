//! From a name to a chain of snapshots in the vault.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::assembly::Source;
use crate::catalog::{Catalog, Repository};
use crate::domain::{Error, Kind, RepoAddress, RepoId, Result, same_name};
use crate::git::Limits;
use crate::vault::Vault;

/// Vault objects opened at a time while looking for a name.
const AT_A_TIME: usize = 16;

/// Asks the catalog where there is one, and looks into the vault itself where it does not know.
pub async fn locate(
    vault: Arc<Vault>,
    limits: Limits,
    catalog: Option<&Catalog>,
    address: &RepoAddress,
) -> Result<Source> {
    super::refuse_sealed(&vault)?;
    if let Some(catalog) = catalog {
        match catalog.resolve(address).await {
            Ok(repository) => return source_of(vault, limits, catalog, &repository).await,
            Err(error) if error.kind() != Kind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
    let repo = search(&vault, address).await?;
    Ok(Source { vault, repo, limits, known: BTreeMap::new() })
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
    let repos = vault.repositories().await?;
    let named = stream::iter(repos).map(|repo| async move {
        let record = match vault.cover(&repo).await?.live.last() {
            Some(newest) => Some(vault.record(&repo, &newest.extent).await?),
            None => None,
        };
        Ok::<_, Error>((repo, record))
    });
    let named: Vec<_> = named.buffer_unordered(AT_A_TIME).try_collect().await?;
    let mut hits = named.into_iter().filter_map(|(repo, record)| {
        let record = record?;
        same_name(&record.full_name, &address.full_name).then_some((repo, record.host))
    });
    match (hits.next(), hits.next()) {
        (Some((repo, _)), None) => Ok(repo),
        (None, _) => Err(Error::not_found(format!("there is no backup of {address}")).hint("see `refward repos list`")),
        (Some((first, here)), Some((second, there))) => Err(Error::bad_request(format!(
            "{address} is in the vault twice: {first} from {here}, {second} from {there}"
        ))
        .hint("put the connection's name in front: CONNECTION:OWNER/NAME")),
    }
}
