//! Hooks that we have set up on forges, as they were when we last looked, and how looking went.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Set,
};

use crate::domain::{Availability, ConnectionId, RepoId, Result};

use super::Catalog;
use super::error::During;
use super::repositories::{ACTIVE, LEFT_OUT, repo_id};
use super::tables::{connection, hook, repository};
use super::values::{now, time};

/// A hook that we have set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHook {
    /// For whom.
    pub connection: ConnectionId,
    /// The forge's id of what it is for.
    pub scope: String,
    /// What people call that.
    pub scope_name: String,
    /// The forge's name for the event.
    pub event: String,
    /// The forge's id of the hook.
    pub forge_id: String,
    /// `enabled`, `probation`, …: as we left it.
    pub state: String,
    /// What was wrong with it, and since when: until a look finds that nothing is.
    pub trouble: Option<(String, DateTime<Utc>)>,
    /// Everything that it should have delivered before has been looked after.
    pub seen_until: DateTime<Utc>,
}

/// How looking after a connection's hooks goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookCare {
    /// When they were last found, or put, as they should be.
    pub checked_at: Option<DateTime<Utc>>,
    /// Why that could not be done the last time, and since when.
    pub failing: Option<(String, DateTime<Utc>)>,
}

/// Rows that one statement stores at most: databases count the values in one.
const ROWS: usize = 1_000;

impl Catalog {
    /// The hooks of one connection, or of all, by scope and event.
    pub async fn hooks(&self, of: Option<ConnectionId>) -> Result<Vec<StoredHook>> {
        let mut query = hook::Entity::find();
        if let Some(id) = of {
            query = query.filter(hook::Column::ConnectionId.eq(id.0));
        }
        let sorted = query.order_by_asc(hook::Column::ConnectionId).order_by_asc(hook::Column::ScopeName);
        let rows = sorted.order_by_asc(hook::Column::Event).all(&self.read).await.during("reading the hooks")?;
        Ok(rows.into_iter().map(StoredHook::from).collect())
    }

    /// Keeps hooks, in the place of what was there for the same scope and event.
    pub async fn put_hooks(&self, hooks: &[StoredHook]) -> Result<()> {
        use hook::Column;
        let anew = OnConflict::columns([Column::ConnectionId, Column::Scope, Column::Event])
            .update_columns([Column::ScopeName, Column::ForgeId, Column::State])
            .update_columns([Column::Trouble, Column::TroubledSince, Column::SeenUntil])
            .to_owned();
        for chunk in hooks.chunks(ROWS) {
            let rows = chunk.iter().map(hook::ActiveModel::from);
            let insert = hook::Entity::insert_many(rows).on_conflict(anew.clone());
            self.write.execute(&insert.into_query()).await.during("keeping hooks")?;
        }
        Ok(())
    }

    /// A hook is not ours any more.
    pub async fn forget_hook(&self, connection: ConnectionId, scope: &str, event: &str) -> Result<()> {
        let gone = hook::Entity::delete_many()
            .filter(hook::Column::ConnectionId.eq(connection.0))
            .filter(hook::Column::Scope.eq(scope))
            .filter(hook::Column::Event.eq(event));
        gone.exec(&self.write).await.map(drop).during("forgetting a hook")
    }

    /// How looking after the hooks of each connection goes.
    pub async fn hook_care(&self) -> Result<HashMap<ConnectionId, HookCare>> {
        let rows = connection::Entity::find().filter(connection::Column::RemovedAt.is_null()).all(&self.read).await;
        let care = rows.during("reading how hooks are looked after")?.into_iter().map(|row| {
            let failing = row.hooks_error.zip(row.hooks_failing_since.map(time));
            (ConnectionId(row.id), HookCare { checked_at: row.hooks_checked_at.map(time), failing })
        });
        Ok(care.collect())
    }

    /// The hooks of a connection are as they should be.
    pub async fn record_hooks_kept(&self, id: ConnectionId) -> Result<()> {
        let row = connection::ActiveModel {
            id: Set(id.0),
            hooks_checked_at: Set(Some(now())),
            hooks_error: Set(None),
            hooks_failing_since: Set(None),
            ..Default::default()
        };
        row.update(&self.write).await.map(drop).during("noting that hooks are right")
    }

    /// They are not, and why.
    pub async fn record_hooks_failure(&self, id: ConnectionId, error: &str) -> Result<()> {
        let since = Expr::col(connection::Column::HooksFailingSince).if_null(now());
        let update = connection::Entity::update_many()
            .col_expr(connection::Column::HooksError, Expr::value(error))
            .col_expr(connection::Column::HooksFailingSince, since)
            .filter(connection::Column::Id.eq(id.0));
        update.exec(&self.write).await.map(drop).during("noting that hooks cannot be kept")
    }

    /// What is backed up of a connection's scope, and can be read.
    pub async fn selected_in_scope(&self, connection: ConnectionId, scope: &str) -> Result<Vec<RepoId>> {
        let ids: Vec<String> = repository::Entity::find()
            .select_only()
            .column(repository::Column::Id)
            .filter(repository::Column::ConnectionId.eq(connection.0))
            .filter(repository::Column::Scope.eq(scope))
            .filter(repository::Column::Selected.eq(true))
            .filter(repository::Column::State.eq(ACTIVE))
            .filter(repository::Column::Availability.eq(Availability::Open.word()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking up the repositories of a scope")?;
        ids.iter().map(|id| repo_id(id)).collect()
    }

    /// The scopes of a connection's repositories, and whether its globs let any of them through.
    pub async fn scopes(&self, connection: ConnectionId) -> Result<HashMap<String, bool>> {
        let rows: Vec<(String, String)> = repository::Entity::find()
            .select_only()
            .column(repository::Column::Scope)
            .column(repository::Column::State)
            .filter(repository::Column::ConnectionId.eq(connection.0))
            .filter(repository::Column::Scope.is_not_null())
            .filter(repository::Column::State.is_in([ACTIVE, LEFT_OUT]))
            .distinct()
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking up scopes")?;
        let mut scopes = HashMap::new();
        for (scope, state) in rows {
            *scopes.entry(scope).or_insert(false) |= state == ACTIVE;
        }
        Ok(scopes)
    }
}

impl From<hook::Model> for StoredHook {
    fn from(row: hook::Model) -> Self {
        Self {
            connection: ConnectionId(row.connection_id),
            scope: row.scope,
            scope_name: row.scope_name,
            event: row.event,
            forge_id: row.forge_id,
            state: row.state,
            trouble: row.trouble.zip(row.troubled_since.map(time)),
            seen_until: time(row.seen_until),
        }
    }
}

impl From<&StoredHook> for hook::ActiveModel {
    fn from(hook: &StoredHook) -> Self {
        let (trouble, since) = hook.trouble.clone().unzip();
        Self {
            connection_id: Set(hook.connection.0),
            scope: Set(hook.scope.clone()),
            scope_name: Set(hook.scope_name.clone()),
            event: Set(hook.event.clone()),
            forge_id: Set(hook.forge_id.clone()),
            state: Set(hook.state.clone()),
            trouble: Set(trouble),
            troubled_since: Set(since.map(|at| at.timestamp_millis())),
            seen_until: Set(hook.seen_until.timestamp_millis()),
            ..Default::default()
        }
    }
}
