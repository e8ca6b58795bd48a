//! Discovery: making the catalog's repositories match what a forge lists.

use std::collections::HashSet;

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set, TryInsertResult};

use crate::domain::{ConnectionId, RemoteRepository, RepoId, Result};

use super::error::During;
use super::repositories::{ACTIVE, GONE};
use super::tables::repository;
use super::values::now;
use super::{Catalog, Connection};

/// What was new about a listed repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upserted {
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
    pub async fn upsert_repository(
        &self,
        connection: &Connection,
        host: &str,
        id: &RepoId,
        remote: &RemoteRepository,
        selected: bool,
    ) -> Result<Upserted> {
        const DOING: &str = "keeping a repository";
        let known = repository::Entity::find_by_id(id.as_str()).one(&self.read).await.during(DOING)?;
        let outcome = match &known {
            None => Upserted::Created,
            Some(row) if row.full_name != remote.full_name => Upserted::Renamed { from: row.full_name.clone() },
            Some(row) if differs(row, connection.id, remote) => Upserted::Updated,
            Some(_) => return Ok(Upserted::Unchanged),
        };
        let row = repository::ActiveModel {
            id: Set(id.to_string()),
            connection_id: Set(connection.id.0),
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
            return Ok(outcome);
        }
        let row = repository::ActiveModel {
            forge: Set(connection.forge.clone()),
            host: Set(host.to_owned()),
            forge_id: Set(remote.forge_id.clone()),
            selected: Set(selected),
            ..row
        };
        // Another process may have discovered it in this moment.
        let inserted = repository::Entity::insert(row).on_conflict_do_nothing();
        match inserted.exec_without_returning(&self.write).await.during(DOING)? {
            TryInsertResult::Inserted(_) => Ok(Upserted::Created),
            _ => Ok(Upserted::Unchanged),
        }
    }

    /// Marks the repositories of a connection that are not in `listed` as gone, and returns the names of those that are
    /// so since now. Their snapshots stay.
    pub async fn mark_gone(&self, connection: ConnectionId, listed: &[RepoId]) -> Result<Vec<String>> {
        const DOING: &str = "marking repositories as gone";
        let known: Vec<(String, String)> = repository::Entity::find()
            .select_only()
            .columns([repository::Column::Id, repository::Column::FullName])
            .filter(repository::Column::ConnectionId.eq(connection.0))
            .filter(repository::Column::State.eq(ACTIVE))
            .into_tuple()
            .all(&self.read)
            .await
            .during(DOING)?;
        let listed: HashSet<&str> = listed.iter().map(RepoId::as_str).collect();
        let (gone, names): (Vec<_>, Vec<_>) = known.into_iter().filter(|(id, _)| !listed.contains(id.as_str())).unzip();
        for chunk in gone.chunks(1000) {
            repository::Entity::update_many()
                .col_expr(repository::Column::State, GONE.into())
                .col_expr(repository::Column::GoneAt, now().into())
                .filter(repository::Column::Id.is_in(chunk))
                .filter(repository::Column::ConnectionId.eq(connection.0))
                .exec(&self.write)
                .await
                .during(DOING)?;
        }
        Ok(names)
    }
}

fn differs(row: &repository::Model, connection: ConnectionId, remote: &RemoteRepository) -> bool {
    row.connection_id != connection.0
        || row.private != remote.private
        || row.archived != remote.archived
        || row.default_branch != remote.default_branch
        || row.state != ACTIVE
}
