//! Where our Apps are installed, and who has asked for them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, TryInsertResult};

use crate::domain::{AppId, ConnectionId, Error, Result};

use super::error::{During, unreadable};
use super::tables::{installation, installation_request};
use super::values::time;
use super::{Catalog, Permissions};

/// An App on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInstallation {
    /// The App.
    pub app: AppId,
    /// The forge's id.
    pub forge_id: String,
    /// Organization or user.
    pub account: String,
    /// The forge's id of that.
    pub account_id: Option<String>,
    /// The connection that uses it.
    pub connection: Option<ConnectionId>,
    /// Where it is.
    pub state: InstallationState,
    /// `all` or `selected` repositories.
    pub selection: String,
    /// What the account has granted.
    pub permissions: Permissions,
    /// Who asked the owner for it.
    pub requested_by: Option<String>,
    /// Why we do not use it.
    pub refused: Option<String>,
    /// When the forge last told us.
    pub seen_at: DateTime<Utc>,
}

/// Where an installation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallationState {
    /// It works.
    Active,
    /// Somebody has suspended it: no calls, no webhooks.
    Suspended,
    /// It was uninstalled.
    Gone,
}

impl InstallationState {
    /// `active`, `suspended` or `gone`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Gone => "gone",
        }
    }
}

/// Somebody who may not install an App has asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// The App.
    pub app: AppId,
    /// Where it should be installed.
    pub account: String,
    /// Who asked.
    pub requester: String,
    /// When.
    pub requested_at: DateTime<Utc>,
}

impl Catalog {
    /// The installations of one App or of all.
    pub async fn installations(&self, of: Option<AppId>) -> Result<Vec<StoredInstallation>> {
        let mut query = installation::Entity::find();
        if let Some(id) = of {
            query = query.filter(installation::Column::AppId.eq(id.0));
        }
        let rows = query.order_by_asc(installation::Column::AppId).order_by_asc(installation::Column::Account);
        let rows = rows.all(&self.read).await.during("listing installations")?;
        rows.into_iter().map(StoredInstallation::try_from).collect()
    }

    /// Which connection an App's installation speaks for.
    pub async fn bindings(&self) -> Result<HashMap<(AppId, String), ConnectionId>> {
        let rows: Vec<(i64, String, i64)> = installation::Entity::find()
            .select_only()
            .columns([installation::Column::AppId, installation::Column::ForgeId, installation::Column::ConnectionId])
            .filter(installation::Column::ConnectionId.is_not_null())
            .filter(installation::Column::State.eq(InstallationState::Active.word()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("reading which connections Apps speak for")?;
        Ok(rows.into_iter().map(|(app, id, connection)| ((AppId(app), id), ConnectionId(connection))).collect())
    }

    /// Keeps what is known about an installation.
    pub async fn put_installation(&self, new: &StoredInstallation) -> Result<()> {
        let row = installation::ActiveModel {
            app_id: Set(new.app.0),
            forge_id: Set(new.forge_id.clone()),
            account: Set(new.account.clone()),
            account_id: Set(new.account_id.clone()),
            connection_id: Set(new.connection.map(|id| id.0)),
            state: Set(new.state.word().to_owned()),
            selection: Set(new.selection.clone()),
            permissions: Set(serde_json::to_value(&new.permissions).expect("words become JSON")),
            requested_by: Set(new.requested_by.clone()),
            refused: Set(new.refused.clone()),
            seen_at: Set(new.seen_at.timestamp_millis()),
        };
        let known = OnConflict::columns([installation::Column::AppId, installation::Column::ForgeId])
            .update_columns([
                installation::Column::Account,
                installation::Column::AccountId,
                installation::Column::ConnectionId,
                installation::Column::State,
                installation::Column::Selection,
                installation::Column::Permissions,
                installation::Column::RequestedBy,
                installation::Column::Refused,
                installation::Column::SeenAt,
            ])
            .to_owned();
        let put = installation::Entity::insert(row).on_conflict(known).exec_without_returning(&self.write);
        put.await.map(drop).during("keeping an installation")
    }

    /// Who has asked for Apps and waits for an owner.
    pub async fn installation_requests(&self) -> Result<Vec<StoredRequest>> {
        let rows = installation_request::Entity::find().all(&self.read).await.during("listing requests for Apps")?;
        let request = |row: installation_request::Model| StoredRequest {
            app: AppId(row.app_id),
            account: row.account,
            requester: row.requester,
            requested_at: time(row.requested_at),
        };
        Ok(rows.into_iter().map(request).collect())
    }

    /// Replaces the requests of one App by what the forge says now. Returns those that are new.
    pub async fn set_installation_requests(&self, of: AppId, now: Vec<StoredRequest>) -> Result<Vec<StoredRequest>> {
        const DOING: &str = "keeping requests for an App";
        let tx = self.begin(DOING).await?;
        let mine = || installation_request::Column::AppId.eq(of.0);
        let accounts: Vec<&str> = now.iter().map(|request| request.account.as_str()).collect();
        let answered = installation_request::Entity::delete_many().filter(mine());
        answered.filter(installation_request::Column::Account.is_not_in(accounts)).exec(&tx).await.during(DOING)?;
        let mut new = Vec::new();
        for request in now {
            let row = installation_request::ActiveModel {
                app_id: Set(of.0),
                account: Set(request.account.clone()),
                requester: Set(request.requester.clone()),
                requested_at: Set(request.requested_at.timestamp_millis()),
            };
            let inserted = installation_request::Entity::insert(row).on_conflict_do_nothing();
            // A request that is there already counts as no row.
            if let TryInsertResult::Inserted(1..) = inserted.exec_without_returning(&tx).await.during(DOING)? {
                new.push(request);
            }
        }
        tx.commit().await.during(DOING)?;
        Ok(new)
    }
}

impl TryFrom<installation::Model> for StoredInstallation {
    type Error = Error;

    fn try_from(row: installation::Model) -> Result<Self> {
        let state = match row.state.as_str() {
            "active" => InstallationState::Active,
            "suspended" => InstallationState::Suspended,
            "gone" => InstallationState::Gone,
            other => return Err(unreadable("an installation's state", other)),
        };
        let permissions = serde_json::from_value(row.permissions);
        Ok(Self {
            app: AppId(row.app_id),
            forge_id: row.forge_id,
            account: row.account,
            account_id: row.account_id,
            connection: row.connection_id.map(ConnectionId),
            state,
            selection: row.selection,
            permissions: permissions.map_err(|error| unreadable("an installation's permissions", error))?,
            requested_by: row.requested_by,
            refused: row.refused,
            seen_at: time(row.seen_at),
        })
    }
}
