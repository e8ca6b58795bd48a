//! Discovery: making the catalog's repositories match what a forge lists.

use std::collections::HashSet;

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};

use crate::domain::{ConnectionId, RemoteRepository, RepoId, Result};

use super::Catalog;
use super::error::During;
use super::repositories::{ACTIVE, GONE, repo_id};
use super::tables::repository;
use super::values::now;

/// What [`Catalog::upsert`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upserted {
    /// The repository.
    pub id: RepoId,
    /// What was new about it.
    pub outcome: Outcome,
}

/// What was new about a listed repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// We did not know it.
    Created,
    /// It has another name or owner.
    Renamed {
        /// Its name so far.
        from: String,
    },
    /// Something else about it changed, or it is back.
    Updated,
    /// Nothing.
    Unchanged,
}

impl Catalog {
    /// Takes over what the forge says about a repository. `selected` counts only for one that is new.
    ///
    /// One that moved to the owner of another connection moves to that connection.
    pub async fn upsert(
        &self,
        connection: ConnectionId,
        host: &str,
        forge: &str,
        remote: &RemoteRepository,
        selected: bool,
    ) -> Result<Upserted> {
        const DOING: &str = "keeping a repository";
        let id = RepoId::derive(forge, host, &remote.forge_id);
        let known = repository::Entity::find_by_id(id.as_str()).one(&self.read).await.during(DOING)?;
        let outcome = match &known {
            None => Outcome::Created,
            Some(row) if row.full_name != remote.full_name => Outcome::Renamed { from: row.full_name.clone() },
            Some(row) if differs(row, connection, remote) => Outcome::Updated,
            Some(_) => return Ok(Upserted { id, outcome: Outcome::Unchanged }),
        };
        let row = repository::ActiveModel {
            id: Set(id.to_string()),
            connection_id: Set(connection.0),
            full_name: Set(remote.full_name.clone()),
            private: Set(remote.private),
            archived: Set(remote.archived),
            default_branch: Set(remote.default_branch.clone()),
            state: Set(ACTIVE.to_owned()),
            gone_at: Set(None),
            ..Default::default()
        };
        if known.is_some() {
            row.update(&self.write).await.during(DOING)?;
            return Ok(Upserted { id, outcome });
        }
        let row = repository::ActiveModel {
            forge: Set(forge.to_owned()),
            host: Set(host.to_owned()),
            forge_id: Set(remote.forge_id.clone()),
            selected: Set(selected),
            ..row
        };
        // Another process may have discovered it in this moment.
        let inserted =
            repository::Entity::insert(row).on_conflict_do_nothing().exec_without_returning(&self.write).await;
        let outcome = match inserted.during(DOING)? {
            sea_orm::TryInsertResult::Inserted(_) => Outcome::Created,
            _ => Outcome::Unchanged,
        };
        Ok(Upserted { id, outcome })
    }

    /// Marks the repositories of a connection that are not in `listed` as gone, and returns which are so since now.
    /// Their snapshots stay.
    pub async fn mark_gone(&self, connection: ConnectionId, listed: &HashSet<RepoId>) -> Result<Vec<RepoId>> {
        const DOING: &str = "marking repositories as gone";
        let known: Vec<String> = repository::Entity::find()
            .select_only()
            .column(repository::Column::Id)
            .filter(repository::Column::ConnectionId.eq(connection.0))
            .filter(repository::Column::State.eq(ACTIVE))
            .into_tuple()
            .all(&self.read)
            .await
            .during(DOING)?;
        let mut gone = known.iter().map(|id| repo_id(id)).collect::<Result<Vec<_>>>()?;
        gone.retain(|id| !listed.contains(id));
        for chunk in gone.chunks(1000) {
            repository::Entity::update_many()
                .col_expr(repository::Column::State, GONE.into())
                .col_expr(repository::Column::GoneAt, now().into())
                .filter(repository::Column::Id.is_in(chunk.iter().map(RepoId::as_str)))
                .filter(repository::Column::ConnectionId.eq(connection.0))
                .exec(&self.write)
                .await
                .during(DOING)?;
        }
        Ok(gone)
    }
}

fn differs(row: &repository::Model, connection: ConnectionId, remote: &RemoteRepository) -> bool {
    row.connection_id != connection.0
        || row.private != remote.private
        || row.archived != remote.archived
        || row.default_branch != remote.default_branch
        || row.state != ACTIVE
}
