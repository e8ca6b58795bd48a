//! Discovery: making the catalog's repositories match what a forge lists.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set, TryInsertResult,
};

use crate::domain::{Availability, ConnectionId, RemoteRepository, RepoId, Result};

use super::error::During;
use super::repositories::{ACTIVE, GONE, LEFT_OUT, repo_id};
use super::tables::repository;
use super::values::now;
use super::{Catalog, Connection, NewJob, job_kind, queue};

/// What we know of a repository that a forge lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the same words as in Repository and Surveyed")]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Known {
    pub connection: ConnectionId,
    pub remote: RemoteRepository,
    /// By a person's choice, whatever the connection's globs say.
    pub selected: bool,
    /// A change is a reason to back it up, says its policy.
    pub on_push: bool,
    pub gone: bool,
    pub left_out: bool,
    pub visibility: Option<String>,
    /// What the last survey said of its state.
    pub mark: Option<String>,
    pub availability: Availability,
    pub scope: Option<String>,
}

/// What a survey said of a repository, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the same words as in Known")]
pub struct Seen {
    pub id: RepoId,
    pub visibility: Option<String>,
    pub mark: Option<String>,
    pub availability: Availability,
    /// The forge's id of what its hooks belong to.
    pub scope: Option<String>,
    /// Something was pushed: all of it is to be compared, whatever events say.
    pub changed: bool,
    /// It was closed, or it is open again: whatever waits was wanted of it as it was.
    pub turned: bool,
}

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
        let row = seen_as(connection, id, remote);
        if known.is_some() {
            row.update(&self.write).await.during(DOING)?;
            return Ok(outcome);
        }
        let row = first_seen_as(connection, host, id, (remote, Availability::Open), selected);
        // Another process may have discovered it in this moment.
        let inserted = repository::Entity::insert(row).on_conflict_do_nothing();
        match inserted.exec_without_returning(&self.write).await.during(DOING)? {
            TryInsertResult::Inserted(1..) => Ok(Upserted::Created),
            _ => Ok(Upserted::Unchanged),
        }
    }

    /// Takes over repositories that we do not know, all or nothing. One that another process has discovered in this moment
    /// stays as that found it.
    pub async fn add_repositories<'a>(
        &self,
        connection: &Connection,
        host: &str,
        new: impl Iterator<Item = (&'a RepoId, &'a RemoteRepository, Availability)>,
        selected: bool,
    ) -> Result<()> {
        const DOING: &str = "keeping new repositories";
        let rows = new.map(|(id, remote, state)| first_seen_as(connection, host, id, (remote, state), selected));
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return Ok(());
        }
        let tx = self.begin(DOING).await?;
        for chunk in rows.chunks(1000) {
            let inserted = repository::Entity::insert_many(chunk.to_vec()).on_conflict_do_nothing();
            inserted.exec_without_returning(&tx).await.during(DOING)?;
        }
        tx.commit().await.during(DOING)
    }

    /// Takes over what the forge says about a repository that the connection's globs leave out. It stays known, and so do
    /// its snapshots and whether a person selected it.
    pub async fn leave_out(&self, connection: ConnectionId, id: &RepoId, remote: &RemoteRepository) -> Result<()> {
        let row = repository::ActiveModel {
            id: Set(id.to_string()),
            connection_id: Set(connection.0),
            full_name: Set(remote.full_name.clone()),
            private: Set(remote.private),
            archived: Set(remote.archived),
            default_branch: Set(remote.default_branch.clone()),
            state: Set(LEFT_OUT.to_owned()),
            gone_at: Set(None),
            ..Default::default()
        };
        row.update(&self.write).await.map(drop).during("leaving a repository out")
    }

    /// What we know of these repositories.
    pub async fn known(&self, ids: &[RepoId]) -> Result<HashMap<RepoId, Known>> {
        let mut known = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(1000) {
            let rows = repository::Entity::find()
                .filter(repository::Column::Id.is_in(chunk.iter().map(RepoId::as_str)))
                .all(&self.read)
                .await
                .during("looking up repositories")?;
            for row in rows {
                known.insert(repo_id(&row.id)?, Known::from(row));
            }
        }
        Ok(known)
    }

    /// Keeps what a survey said of some repositories' states, and queues `jobs` for what changed, all or nothing: a mark that
    /// is kept without its job would hide a change.
    pub async fn record_seen(&self, seen: &[Seen], jobs: Vec<NewJob>) -> Result<()> {
        const DOING: &str = "keeping what a survey saw";
        if seen.is_empty() && jobs.is_empty() {
            return Ok(());
        }
        let tx = self.begin(DOING).await?;
        for seen in seen {
            let row = repository::ActiveModel {
                id: Set(seen.id.to_string()),
                visibility: Set(seen.visibility.clone()),
                mark: Set(seen.mark.clone()),
                availability: Set(seen.availability.word().to_owned()),
                scope: Set(seen.scope.clone()),
                last_checked_at: if seen.changed { Set(None) } else { NotSet },
                // That it could not be read meanwhile was no failure.
                last_error: if seen.availability.is_open() { NotSet } else { Set(None) },
                last_error_at: if seen.availability.is_open() { NotSet } else { Set(None) },
                ..Default::default()
            };
            row.update(&tx).await.during(DOING)?;
        }
        let turned: Vec<&str> = seen.iter().filter(|seen| seen.turned).map(|seen| seen.id.as_str()).collect();
        queue::call_off(&tx, job_kind::SYNC_REPO, &turned).await?;
        queue::enqueue(&tx, jobs).await?;
        tx.commit().await.during(DOING)?;
        self.ring();
        Ok(())
    }

    /// The repositories of a connection that are not in `listed` and not marked as gone.
    pub async fn missing(&self, connection: ConnectionId, listed: &[RepoId]) -> Result<Vec<(RepoId, String)>> {
        let known: Vec<(String, String)> = repository::Entity::find()
            .select_only()
            .columns([repository::Column::Id, repository::Column::FullName])
            .filter(repository::Column::ConnectionId.eq(connection.0))
            .filter(repository::Column::State.ne(GONE))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for repositories that are gone")?;
        let listed: HashSet<&str> = listed.iter().map(RepoId::as_str).collect();
        let missing = known.into_iter().filter(|(id, _)| !listed.contains(id.as_str()));
        missing.map(|(id, name)| Ok((repo_id(&id)?, name))).collect()
    }

    /// Marks the repositories of a connection that are not in `listed` as gone, and returns the names of those that are
    /// so since now. Their snapshots stay.
    pub async fn mark_gone(&self, connection: ConnectionId, listed: &[RepoId]) -> Result<Vec<String>> {
        const DOING: &str = "marking repositories as gone";
        let missing = self.missing(connection, listed).await?;
        let (gone, names): (Vec<_>, Vec<_>) = missing.into_iter().map(|(id, name)| (String::from(id), name)).unzip();
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

fn seen_as(connection: &Connection, id: &RepoId, remote: &RemoteRepository) -> repository::ActiveModel {
    repository::ActiveModel {
        id: Set(id.to_string()),
        connection_id: Set(connection.id.0),
        full_name: Set(remote.full_name.clone()),
        private: Set(remote.private),
        archived: Set(remote.archived),
        default_branch: Set(remote.default_branch.clone()),
        state: Set(ACTIVE.to_owned()),
        gone_at: Set(None),
        ..Default::default()
    }
}

fn first_seen_as(
    connection: &Connection,
    host: &str,
    id: &RepoId,
    (remote, availability): (&RemoteRepository, Availability),
    selected: bool,
) -> repository::ActiveModel {
    repository::ActiveModel {
        availability: Set(availability.word().to_owned()),
        forge: Set(connection.forge.clone()),
        host: Set(host.to_owned()),
        forge_id: Set(remote.forge_id.clone()),
        selected: Set(selected),
        ..seen_as(connection, id, remote)
    }
}

fn differs(row: &repository::Model, connection: ConnectionId, remote: &RemoteRepository) -> bool {
    row.connection_id != connection.0
        || row.private != remote.private
        || row.archived != remote.archived
        || row.default_branch != remote.default_branch
        || row.state != ACTIVE
}

impl From<repository::Model> for Known {
    fn from(row: repository::Model) -> Self {
        Self {
            connection: ConnectionId(row.connection_id),
            remote: RemoteRepository {
                forge_id: row.forge_id,
                full_name: row.full_name,
                private: row.private,
                archived: row.archived,
                default_branch: row.default_branch,
            },
            selected: row.selected,
            on_push: row.on_push,
            gone: row.state == GONE,
            left_out: row.state == LEFT_OUT,
            visibility: row.visibility,
            mark: row.mark,
            availability: Availability::from_word(&row.availability),
            scope: row.scope,
        }
    }
}
