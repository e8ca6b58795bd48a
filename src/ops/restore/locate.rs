//! From a name to a chain of snapshots in the vault.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;

use crate::catalog::Catalog;
use crate::domain::{Error, Kind, RepoAddress, RepoId, Result, Seq};
use crate::git::Limits;
use crate::vault::Vault;

/// Vault objects opened at a time while looking for a name.
const AT_A_TIME: usize = 16;

/// A repository in the vault.
pub struct Source {
    /// The vault.
    pub vault: Arc<Vault>,
    /// The repository.
    pub repo: RepoId,
    /// What indexing its packs may cost.
    pub limits: Limits,
    /// SHA-256 of its objects, where there is a catalog that remembers them. Only it knows the end of the chain.
    pub known: BTreeMap<Seq, [u8; 32]>,
}

impl Source {
    /// A temporary folder that goes when it is dropped.
    pub(in crate::ops) fn scratch(&self) -> Result<TempDir> {
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("refward-");
        let made = self.limits.scratch_dir.as_ref().map_or_else(|| folder.tempdir(), |dir| folder.tempdir_in(dir));
        made.map_err(|error| {
            Error::misconfigured(format!("cannot make a scratch folder: {error}")).hint("see `git.scratch_dir`")
        })
    }
}

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
            Ok(repository) if repository.last_seq.is_none() && vault.snapshots(&repository.id).await?.is_empty() => {
                return Err(
                    Error::not_found(format!("there is no backup of {address} yet")).hint("`refward backup` takes one")
                );
            }
            Ok(repository) => {
                let known = catalog.sealed(&repository.id).await?.into_iter().collect();
                return Ok(Source { vault, repo: repository.id, limits, known });
            }
            Err(error) if error.kind() != Kind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
    let repo = search(&vault, address).await?;
    Ok(Source { vault, repo, limits, known: BTreeMap::new() })
}

async fn search(vault: &Vault, address: &RepoAddress) -> Result<RepoId> {
    let repos = vault.repositories().await?;
    let named = stream::iter(repos).map(|repo| async move {
        let newest = vault.snapshots(&repo).await?.last().map(|stored| stored.seq);
        let record = match newest {
            Some(seq) => Some(vault.record(&repo, seq).await?),
            None => None,
        };
        Ok::<_, Error>((repo, record))
    });
    let named: Vec<_> = named.buffer_unordered(AT_A_TIME).try_collect().await?;
    let mut hits = named.into_iter().filter_map(|(repo, record)| {
        let record = record?;
        record.full_name.eq_ignore_ascii_case(&address.full_name).then_some((repo, record.host))
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
