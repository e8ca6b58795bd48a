//! A repository of one of our connections as the target of a restore: there already, or to be made.

use super::{Kin, Server};
use crate::catalog::{Connection, Repository};
use crate::domain::{Error, Kind, RefName, RepoAddress, Result, same_name};
use crate::forge::{self, Access, Forge};
use crate::ops::connect::named;
use crate::ops::pair;
use crate::services::Services;

/// Where a restore goes.
pub struct Place {
    connection: Connection,
    full_name: String,
    /// Only the one with this id will do.
    forge_id: Option<String>,
    kin: Kin,
}

impl Place {
    /// What has the repository's name now: after it was deleted, that is one that somebody has made for this.
    pub async fn origin(services: &Services, repository: &Repository) -> Result<Self> {
        let connection = services.connection(repository.connection_id).await?;
        Ok(Self { connection, full_name: repository.full_name.clone(), forge_id: None, kin: Kin::Same })
    }

    /// A repository that we know, and not another one that has taken its name.
    pub async fn known(services: &Services, repository: &Repository, kin: Kin) -> Result<Self> {
        let forge_id = Some(repository.forge_id.clone());
        Ok(Self { forge_id, kin, ..Self::origin(services, repository).await? })
    }

    /// The repository of the same name at the peer.
    pub async fn peer(services: &Services, repository: &Repository) -> Result<Self> {
        let peer = pair::peer_for(services, repository).await?;
        let full_name = services.forge(&peer.forge)?.name_at(&peer.owner, &repository.full_name);
        Ok(Self { connection: peer, full_name, forge_id: None, kin: Kin::Other })
    }

    /// Wherever somebody says.
    pub async fn at(services: &Services, repository: &Repository, to: &RepoAddress) -> Result<Self> {
        let RepoAddress::Name { within: Some(name), full_name } = to else {
            return Err(Error::bad_request(format!("`{to}` does not say at which connection"))
                .hint("write CONNECTION:OWNER/NAME"));
        };
        let connection = named(services, name).await?;
        let same = connection.id == repository.connection_id && same_name(full_name, &repository.full_name);
        let kin = if same { Kin::Same } else { Kin::Other };
        Ok(Self { connection, full_name: full_name.clone(), forge_id: None, kin })
    }

    /// The slug of the forge that it is on.
    pub fn forge(&self) -> &str {
        &self.connection.forge
    }

    /// Ready to be pushed to. `NotFound`: it is not there.
    pub async fn ready(&self, services: &Services) -> Result<Server> {
        let (forge, access) = self.reach(services).await?;
        let remote = forge.target(&access, &self.full_name, self.forge_id.as_deref()).await;
        let remote = remote.map_err(|error| error.while_doing(format!("restoring to {}", self.address())))?;
        Ok(Server::new(remote, self.kin, forge.takes(&access.url), &services.settings))
    }

    /// Ready, or as it will be once [`Self::make`] has made it.
    pub async fn ready_or_new(&self, services: &Services) -> Result<Server> {
        match self.ready(services).await {
            Err(error) if error.kind() == Kind::NotFound => {
                let (forge, access) = self.reach(services).await?;
                let place = forge::Place { forge_id: "", full_name: &self.full_name };
                let remote = forge.remote(&access, place)?;
                Ok(Server::new(remote, Kin::New, forge.takes(&access.url), &services.settings))
            }
            ready => ready,
        }
    }

    /// Makes it, empty.
    pub async fn make(&self, services: &Services) -> Result<Server> {
        let (forge, access) = self.reach(services).await?;
        let made = forge.create(&access, &self.full_name).await;
        made.map_err(|error| error.while_doing(format!("making {}", self.address())))?;
        Ok(Server { kin: Kin::New, ..self.ready(services).await? })
    }

    /// Shows this branch first from now on, in a repository that was made.
    pub async fn show_first(&self, services: &Services, branch: &RefName) -> Result<()> {
        let (forge, access) = self.reach(services).await?;
        forge.set_default_branch(&access, &self.full_name, branch).await
    }

    async fn reach<'a>(&self, services: &'a Services) -> Result<(&'a dyn Forge, Access)> {
        let access = services.access_to_push(&self.connection).await?;
        if access.credentials.is_empty() {
            return Err(nothing_writes(&self.connection).while_doing(format!("restoring to {}", self.address())));
        }
        Ok((services.forge(&self.connection.forge)?, access))
    }

    fn address(&self) -> String {
        format!("{}:{}", self.connection.name, self.full_name)
    }
}

pub(in crate::ops) fn nothing_writes(connection: &Connection) -> Error {
    let (name, owner) = (&connection.name, &connection.owner);
    Error::misconfigured(format!("the connection {name} has nothing that may write: a backup App only reads")).hint(
        format!(
            "install the restore App on {owner} (refward apps --help), or add a token that may write: refward credentials add {name} --token-file FILE"
        ),
    )
}
