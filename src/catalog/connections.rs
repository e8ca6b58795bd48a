//! Connections to forges, and their secrets.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{ConnectionId, Error, Result};

use super::Catalog;
use super::error::{During, is_duplicate, unreadable};
use super::tables::{connection, secret};
use super::values::{now, time};

/// One owner on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// The forge's slug.
    pub forge: String,
    /// What people call it; unique, whatever the case, among connections that are not removed.
    pub name: String,
    /// The host's web address.
    pub url: String,
    /// Organization or user.
    pub owner: String,
    /// Which of the owner's repositories are backed up.
    pub settings: ConnectionSettings,
    /// What the credential turned out to be, as the forge's inspection put it.
    pub inspection: Option<Value>,
    /// Why the repositories could not be listed the last time.
    pub last_error: Option<String>,
    /// When the repositories were last listed.
    pub discovered_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Connection {
    /// The host as it enters a repository's id: with the port where it is not the usual one.
    pub fn host(&self) -> Result<String> {
        let url = url::Url::parse(&self.url).map_err(|error| unreadable("a connection's address", error))?;
        let host = url.host_str().unwrap_or_default();
        Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }
}

/// Which repositories a connection selects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSettings {
    /// Select repositories that appear later.
    pub auto_add: bool,
    /// Globs over `OWNER/NAME`; empty means all.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs over `OWNER/NAME` that win over `include`.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// A connection to be made.
#[expect(missing_docs, reason = "the same words as in Connection")]
pub struct NewConnection {
    pub forge: String,
    pub name: String,
    pub url: String,
    pub owner: String,
    pub settings: ConnectionSettings,
    /// Sealed with the credential key.
    pub secrets: Vec<(SecretKind, Vec<u8>)>,
}

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// The credential for the forge's API and git.
    Token,
    /// Signs the deliveries that we receive.
    Webhook,
}

impl SecretKind {
    fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Webhook => "webhook",
        }
    }
}

impl Catalog {
    /// Makes a connection, with its secrets, all or nothing.
    pub async fn add_connection(&self, new: NewConnection) -> Result<ConnectionId> {
        const DOING: &str = "adding the connection";
        let (name, owner, url) = (new.name.clone(), new.owner.clone(), new.url.clone());
        let tx = self.begin(DOING).await?;
        let row = connection::ActiveModel {
            forge: Set(new.forge),
            name: Set(new.name),
            url: Set(new.url),
            owner: Set(new.owner),
            settings: Set(serde_json::to_value(new.settings).expect("plain lists and flags become JSON")),
            created_at: Set(now()),
            ..Default::default()
        };
        let id = match row.insert(&tx).await {
            Ok(row) => ConnectionId(row.id),
            Err(error) if is_duplicate(&error) => {
                return Err(Error::bad_request(format!(
                    "there is already a connection called {name}, or one to {owner} on {url}"
                ))
                .hint("`refward connections list` shows them; choose another name, or remove the old one first"));
            }
            Err(error) => return Err(error).during(DOING),
        };
        for (kind, sealed) in new.secrets {
            insert_secret(&tx, id, kind, sealed).await?;
        }
        tx.commit().await.during(DOING)?;
        Ok(id)
    }

    /// All connections that are not removed, by name.
    pub async fn connections(&self) -> Result<Vec<Connection>> {
        let rows = connection::Entity::find()
            .filter(connection::Column::RemovedAt.is_null())
            .order_by_asc(connection::Column::Name)
            .all(&self.read)
            .await;
        rows.during("listing the connections")?.into_iter().map(Connection::try_from).collect()
    }

    /// The connection with this number, unless it is removed.
    pub async fn connection_by_id(&self, id: ConnectionId) -> Result<Option<Connection>> {
        let row = connection::Entity::find_by_id(id.0).filter(connection::Column::RemovedAt.is_null()).one(&self.read);
        row.await.during("looking up a connection")?.map(Connection::try_from).transpose()
    }

    /// The connection that people call `name`, whatever the case.
    pub async fn connection(&self, name: &str) -> Result<Option<Connection>> {
        let named = Expr::expr(Func::lower(Expr::col(connection::Column::Name))).eq(name.to_lowercase());
        let row =
            connection::Entity::find().filter(named).filter(connection::Column::RemovedAt.is_null()).one(&self.read);
        row.await.during("looking up a connection")?.map(Connection::try_from).transpose()
    }

    /// The connections whose repositories were not listed since `since`.
    pub async fn connections_due(&self, since: DateTime<Utc>) -> Result<Vec<ConnectionId>> {
        let old = connection::Column::DiscoveredAt.lt(since.timestamp_millis());
        let ids: Vec<i64> = connection::Entity::find()
            .select_only()
            .column(connection::Column::Id)
            .filter(connection::Column::RemovedAt.is_null())
            .filter(old.or(connection::Column::DiscoveredAt.is_null()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for connections to list again")?;
        Ok(ids.into_iter().map(ConnectionId).collect())
    }

    /// Forgets the connection's secrets and stops using it. Its repositories and their snapshots stay.
    pub async fn remove_connection(&self, id: ConnectionId) -> Result<()> {
        const DOING: &str = "removing the connection";
        let tx = self.begin(DOING).await?;
        secret::Entity::delete_many().filter(secret::Column::ConnectionId.eq(id.0)).exec(&tx).await.during(DOING)?;
        connection::Entity::update_many()
            .col_expr(connection::Column::RemovedAt, now().into())
            .filter(connection::Column::Id.eq(id.0))
            .filter(connection::Column::RemovedAt.is_null())
            .exec(&tx)
            .await
            .during(DOING)?;
        tx.commit().await.during(DOING)
    }

    /// Keeps what the credential turned out to be.
    pub async fn set_inspection(&self, id: ConnectionId, inspection: &impl Serialize) -> Result<()> {
        const DOING: &str = "keeping what the credential may do";
        let inspection = serde_json::to_value(inspection).map_err(|error| Error::bug(DOING).detail(error))?;
        let row = connection::ActiveModel { id: Set(id.0), inspection: Set(Some(inspection)), ..Default::default() };
        row.update(&self.write).await.map(drop).during(DOING)
    }

    /// The repositories were listed (`None`), or could not be, and why.
    pub async fn record_discovery(&self, id: ConnectionId, error: Option<&str>) -> Result<()> {
        let mut row =
            connection::ActiveModel { id: Set(id.0), last_error: Set(error.map(str::to_owned)), ..Default::default() };
        if error.is_none() {
            row.discovered_at = Set(Some(now()));
        }
        row.update(&self.write).await.map(drop).during("keeping the state of the connection")
    }

    /// Adds a secret. Those of the same kind stay valid, so that they can be rotated.
    pub async fn put_secret(&self, id: ConnectionId, kind: SecretKind, sealed: Vec<u8>) -> Result<()> {
        insert_secret(&self.write, id, kind, sealed).await
    }

    /// Deletes all secrets of a kind but the newest; says how many.
    pub async fn retire_secrets(&self, id: ConnectionId, kind: SecretKind) -> Result<u64> {
        const DOING: &str = "retiring secrets";
        let of_kind = || {
            secret::Entity::find()
                .filter(secret::Column::ConnectionId.eq(id.0))
                .filter(secret::Column::Kind.eq(kind.word()))
        };
        let newest = of_kind().order_by_desc(secret::Column::Id).one(&self.read).await.during(DOING)?;
        let Some(newest) = newest else { return Ok(0) };
        let retired = secret::Entity::delete_many()
            .filter(secret::Column::ConnectionId.eq(id.0))
            .filter(secret::Column::Kind.eq(kind.word()))
            .filter(secret::Column::Id.lt(newest.id))
            .exec(&self.write)
            .await;
        Ok(retired.during(DOING)?.rows_affected)
    }

    /// The secrets of one kind, of one connection or of all, newest first.
    pub async fn secrets(&self, kind: SecretKind, of: Option<ConnectionId>) -> Result<Vec<(ConnectionId, Vec<u8>)>> {
        let mut query = secret::Entity::find().filter(secret::Column::Kind.eq(kind.word()));
        if let Some(id) = of {
            query = query.filter(secret::Column::ConnectionId.eq(id.0));
        }
        let rows = query.order_by_desc(secret::Column::Id).all(&self.read).await.during("reading the secrets")?;
        Ok(rows.into_iter().map(|row| (ConnectionId(row.connection_id), row.sealed)).collect())
    }
}

async fn insert_secret(db: &impl ConnectionTrait, id: ConnectionId, kind: SecretKind, sealed: Vec<u8>) -> Result<()> {
    let row = secret::ActiveModel {
        connection_id: Set(id.0),
        kind: Set(kind.word().to_owned()),
        sealed: Set(sealed),
        created_at: Set(now()),
        ..Default::default()
    };
    row.insert(db).await.map(drop).during("storing the secret")
}

impl TryFrom<connection::Model> for Connection {
    type Error = Error;

    fn try_from(row: connection::Model) -> Result<Self> {
        Ok(Self {
            id: ConnectionId(row.id),
            forge: row.forge,
            name: row.name,
            url: row.url,
            owner: row.owner,
            settings: serde_json::from_value(row.settings)
                .map_err(|error| unreadable("settings of a connection", error))?,
            inspection: row.inspection,
            last_error: row.last_error,
            discovered_at: row.discovered_at.map(time),
            created_at: time(row.created_at),
        })
    }
}
