//! Repositories: finding and listing them, and noting how their last check went.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Set};

use crate::domain::{ConnectionId, Error, ObjectFormat, RemoteRepository, RepoAddress, RepoId, Result, Seq};

use super::Catalog;
use super::error::{During, unreadable};
use super::tables::{connection, repository};
use super::values::{count, now, time};

/// A repository that we know, selected or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Repository {
    /// Its name in the vault.
    pub id: RepoId,
    /// The connection that lists it, or listed it last.
    pub connection: ConnectionId,
    /// That connection's name.
    pub connection_name: String,
    /// The forge's slug.
    pub forge: String,
    /// The forge's web host.
    pub host: String,
    /// As the forge described it last.
    pub remote: RemoteRepository,
    /// It is backed up.
    pub selected: bool,
    /// Whether the forge still has it.
    pub state: RepositoryState,
    /// Known once there is a snapshot.
    pub object_format: Option<ObjectFormat>,
    /// The newest snapshot.
    pub last_seq: Option<Seq>,
    /// References in the newest snapshot.
    pub refs_total: u64,
    /// When the newest snapshot was taken.
    pub last_snapshot_at: Option<DateTime<Utc>>,
    /// When it was last compared with the forge.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed; `None` after one that did not.
    pub last_error: Option<String>,
    /// When it failed.
    pub last_error_at: Option<DateTime<Utc>>,
}

impl Repository {
    /// Names it beyond doubt.
    pub fn address(&self) -> RepoAddress {
        RepoAddress { connection: Some(self.connection_name.clone()), full_name: self.remote.full_name.clone() }
    }
}

/// Whether the forge still has a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepositoryState {
    /// It was there when we last looked.
    Active,
    /// It is no longer listed: deleted, transferred, or hidden from us. Its snapshots stay.
    Gone {
        /// Since when.
        since: DateTime<Utc>,
    },
}

/// Which repositories to list. The default lists all.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepositoryFilter {
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only those that are, or are not, backed up.
    pub selected: Option<bool>,
    /// Only those that the forge has, or has no longer.
    pub active: Option<bool>,
}

pub(super) const ACTIVE: &str = "active";
pub(super) const GONE: &str = "gone";

impl Catalog {
    /// Repositories by name.
    pub async fn repositories(&self, filter: RepositoryFilter) -> Result<Vec<Repository>> {
        let mut query = repository::Entity::find().find_also_related(connection::Entity);
        if let Some(id) = filter.connection {
            query = query.filter(repository::Column::ConnectionId.eq(id.0));
        }
        if let Some(selected) = filter.selected {
            query = query.filter(repository::Column::Selected.eq(selected));
        }
        if let Some(active) = filter.active {
            query = query.filter(repository::Column::State.eq(if active { ACTIVE } else { GONE }));
        }
        let rows = query.order_by_asc(repository::Column::FullName).all(&self.read).await;
        rows.during("listing the repositories")?.into_iter().map(Repository::try_from).collect()
    }

    /// The repository with this id.
    pub async fn repository(&self, id: &RepoId) -> Result<Repository> {
        let row = repository::Entity::find_by_id(id.as_str()).find_also_related(connection::Entity).one(&self.read);
        let row = row.await.during("looking up a repository")?;
        row.ok_or_else(|| Error::not_found(format!("there is no repository {id} in the catalog")))?.try_into()
    }

    /// The repository that a connection lists under the forge's own id.
    pub async fn by_forge_id(&self, connection: ConnectionId, forge_id: &str) -> Result<Option<Repository>> {
        let row = repository::Entity::find()
            .find_also_related(connection::Entity)
            .filter(repository::Column::ConnectionId.eq(connection.0))
            .filter(repository::Column::ForgeId.eq(forge_id))
            .one(&self.read);
        row.await.during("looking up a repository")?.map(Repository::try_from).transpose()
    }

    /// The repository that a person means. Case does not matter, as on the forges.
    pub async fn resolve(&self, address: &RepoAddress) -> Result<Repository> {
        let named = Expr::expr(Func::lower(Expr::col((repository::Entity, repository::Column::FullName))));
        let rows = repository::Entity::find()
            .find_also_related(connection::Entity)
            .filter(named.eq(address.full_name.to_lowercase()))
            .all(&self.read)
            .await
            .during("looking up a repository")?;
        let mut found = rows.into_iter().map(Repository::try_from).collect::<Result<Vec<_>>>()?;
        if let Some(connection) = &address.connection {
            found.retain(|repository| repository.connection_name.eq_ignore_ascii_case(connection));
        }
        // A name can be used again after its repository was deleted or renamed away.
        if found.len() > 1 && found.iter().any(|repository| repository.state == RepositoryState::Active) {
            found.retain(|repository| repository.state == RepositoryState::Active);
        }
        match found.len() {
            0 => Err(self.unknown(address).await?),
            1 => Ok(found.remove(0)),
            _ => Err(ambiguous(address, &found)),
        }
    }

    async fn unknown(&self, address: &RepoAddress) -> Result<Error> {
        let missing = Error::not_found(format!("{address} is not a repository that refward knows"));
        let known = self.repositories(RepositoryFilter::default()).await?;
        let wanted = address.full_name.to_lowercase();
        let closest = known
            .iter()
            .map(|known| (distance(&known.remote.full_name.to_lowercase(), &wanted), known))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= usize::max(3, wanted.len() / 4));
        Ok(match closest {
            Some((0, known)) => missing.hint(format!("it is in another connection: {}", known.address())),
            Some((_, known)) => missing.hint(format!("did you mean {}?", known.remote.full_name)),
            None => missing.hint("`refward repos` lists them; `refward discover` looks for new ones"),
        })
    }

    /// The repository was compared with the forge; `fingerprint` is what makes an unchanged answer recognizable.
    pub async fn record_checked(&self, id: &RepoId, fingerprint: &[u8; 32]) -> Result<()> {
        let row = repository::ActiveModel {
            id: Set(id.to_string()),
            refs_fingerprint: Set(Some(fingerprint.to_vec())),
            last_checked_at: Set(Some(now())),
            last_error: Set(None),
            last_error_at: Set(None),
            ..Default::default()
        };
        row.update(&self.write).await.map(drop).during("keeping the state of the repository")
    }

    /// The last attempt failed.
    pub async fn record_error(&self, id: &RepoId, error: &str) -> Result<()> {
        let row = repository::ActiveModel {
            id: Set(id.to_string()),
            last_error: Set(Some(error.to_owned())),
            last_error_at: Set(Some(now())),
            ..Default::default()
        };
        row.update(&self.write).await.map(drop).during("keeping the state of the repository")
    }

    /// Starts or stops backing a repository up.
    pub async fn select(&self, id: &RepoId, selected: bool) -> Result<()> {
        let row = repository::ActiveModel { id: Set(id.to_string()), selected: Set(selected), ..Default::default() };
        row.update(&self.write).await.map(drop).during("selecting a repository")
    }
}

fn ambiguous(address: &RepoAddress, found: &[Repository]) -> Error {
    let choices: Vec<String> = found.iter().map(|repository| repository.address().to_string()).collect();
    Error::bad_request(format!("{address} is ambiguous: {}", choices.join(", "))).hint("write one of these")
}

/// Levenshtein's distance: letters to change, add or remove.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

pub(super) fn repo_id(text: &str) -> Result<RepoId> {
    text.parse().map_err(|error| unreadable("a repository id", error))
}

impl TryFrom<(repository::Model, Option<connection::Model>)> for Repository {
    type Error = Error;

    fn try_from((row, connection): (repository::Model, Option<connection::Model>)) -> Result<Self> {
        let object_format = row.object_format.as_deref().map(str::parse).transpose();
        Ok(Self {
            id: repo_id(&row.id)?,
            connection: ConnectionId(row.connection_id),
            connection_name: connection.map(|connection| connection.name).unwrap_or_default(),
            forge: row.forge,
            host: row.host,
            remote: RemoteRepository {
                forge_id: row.forge_id,
                full_name: row.full_name,
                private: row.private,
                archived: row.archived,
                default_branch: row.default_branch,
            },
            selected: row.selected,
            state: match row.state.as_str() {
                GONE => RepositoryState::Gone { since: time(row.gone_at.unwrap_or_default()) },
                _ => RepositoryState::Active,
            },
            object_format: object_format.map_err(|error| unreadable("an object format", error))?,
            last_seq: Seq::new(count(row.last_seq)),
            refs_total: count(row.refs_total),
            last_snapshot_at: row.last_snapshot_at.map(time),
            last_checked_at: row.last_checked_at.map(time),
            last_error: row.last_error,
            last_error_at: row.last_error_at.map(time),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_single_letter_edits() {
        assert_eq!(distance("acme/rocket", "acme/rocket"), 0);
        assert_eq!(distance("acme/rocket", "acme/rokcet"), 2);
        assert_eq!(distance("acme/rocket", "acme/rockets"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
