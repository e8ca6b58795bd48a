//! Connections to forges, and their webhook secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveTime, Utc};
use sea_orm::sea_query::{Expr, Func, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{ConnectionId, Error, Result};

use super::Catalog;
use super::credentials::{self, NewCredential};
use super::error::{During, is_duplicate, unreadable};
use super::tables::{connection, credential, delivery, repository, secret, snapshot};
use super::values::{column, count, now, time};

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
    /// The connection that restores go to by default.
    pub peer: Option<ConnectionId>,
    /// How the last listing went.
    pub survey: Option<Survey>,
}

impl Connection {
    /// The host's web address.
    pub fn address(&self) -> Result<url::Url> {
        url::Url::parse(&self.url).map_err(|error| unreadable("a connection's address", error))
    }

    /// The host as it enters a repository's id: with the port where it is not the usual one.
    pub fn host(&self) -> Result<String> {
        let url = self.address()?;
        let host = url.host_str().unwrap_or_default();
        Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }
}

/// Which repositories a connection selects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSettings {
    /// Select repositories that appear later.
    pub auto_add: bool,
    /// Globs over `NAME`, or with a slash over `OWNER/NAME`; empty means all.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs that win over `include`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Names for the repositories that match globs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
    /// When the repositories are listed anew, instead of when it seems worth it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
}

/// When a connection's repositories are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listing {
    /// Again and again, after as long a pause.
    Every(#[serde(with = "humantime_serde")] Duration),
    /// Once a day at this time, UTC.
    DailyAt(NaiveTime),
}

/// A connection to be made.
#[expect(missing_docs, reason = "the same words as in Connection")]
pub struct NewConnection {
    pub forge: String,
    pub name: String,
    pub url: String,
    pub owner: String,
    pub settings: ConnectionSettings,
    /// What opens it.
    pub credential: NewCredential,
    /// Sealed with the credential key. `None`: its Apps have theirs.
    pub webhook_secret: Option<Vec<u8>>,
}

/// How a connection's listings go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// When the next is due.
    pub next_at: DateTime<Utc>,
    /// The pause that led to that; longer while nothing is found that no webhook told of.
    pub interval: Duration,
    /// Requests that the last one took.
    pub requests: u64,
    /// How long it took.
    pub took: Duration,
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
        credentials::insert(&tx, id, new.credential).await?;
        if let Some(sealed) = new.webhook_secret {
            insert_secret(&tx, id, sealed).await?;
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

    /// The connections whose repositories are to be listed again, because it is time or because they were not listed
    /// since `since`.
    pub async fn connections_due(&self, since: DateTime<Utc>) -> Result<Vec<ConnectionId>> {
        let old = connection::Column::DiscoveredAt.lt(since.timestamp_millis());
        let due = connection::Column::NextSurveyAt.lte(now());
        let ids: Vec<i64> = connection::Entity::find()
            .select_only()
            .column(connection::Column::Id)
            .filter(connection::Column::RemovedAt.is_null())
            .filter(old.or(due).or(connection::Column::DiscoveredAt.is_null()))
            .into_tuple()
            .all(&self.read)
            .await
            .during("looking for connections to list again")?;
        Ok(ids.into_iter().map(ConnectionId).collect())
    }

    /// Forgets the connection's credentials and secrets and stops using it. Its repositories and their snapshots stay.
    pub async fn remove_connection(&self, id: ConnectionId) -> Result<()> {
        const DOING: &str = "removing the connection";
        let tx = self.begin(DOING).await?;
        secret::Entity::delete_many().filter(secret::Column::ConnectionId.eq(id.0)).exec(&tx).await.during(DOING)?;
        let credentials = credential::Entity::delete_many().filter(credential::Column::ConnectionId.eq(id.0));
        credentials.exec(&tx).await.during(DOING)?;
        connection::Entity::update_many()
            .col_expr(connection::Column::PeerId, Expr::value(Option::<i64>::None))
            .filter(connection::Column::PeerId.eq(id.0))
            .exec(&tx)
            .await
            .during(DOING)?;
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

    /// The repositories were listed.
    pub async fn record_survey(&self, id: ConnectionId, survey: &Survey) -> Result<()> {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let row = connection::ActiveModel {
            id: Set(id.0),
            last_error: Set(None),
            discovered_at: Set(Some(now())),
            next_survey_at: Set(Some(survey.next_at.timestamp_millis())),
            survey_interval_ms: Set(Some(millis(survey.interval))),
            survey_requests: Set(Some(column(survey.requests))),
            survey_ms: Set(Some(millis(survey.took))),
            ..Default::default()
        };
        row.update(&self.write).await.map(drop).during("keeping the state of the connection")
    }

    /// The repositories could not be listed.
    pub async fn record_survey_failure(&self, id: ConnectionId, error: &str) -> Result<()> {
        let row =
            connection::ActiveModel { id: Set(id.0), last_error: Set(Some(error.to_owned())), ..Default::default() };
        row.update(&self.write).await.map(drop).during("keeping the state of the connection")
    }

    /// Snapshots of a connection's repositories since then that no event asked for, first ones aside: changes that a survey
    /// found and no webhook told of.
    pub async fn found_by_survey(&self, id: ConnectionId, since: DateTime<Utc>) -> Result<u64> {
        let of_connection = Query::select()
            .column(repository::Column::Id)
            .from(repository::Entity)
            .and_where(repository::Column::ConnectionId.eq(id.0))
            .take();
        let found = snapshot::Entity::find()
            .filter(snapshot::Column::RepoId.in_subquery(of_connection))
            .filter(snapshot::Column::Time.gt(since.timestamp_millis()))
            .filter(snapshot::Column::Seq.gt(1))
            .filter(snapshot::Column::LagMs.is_null());
        found.count(&self.read).await.during("counting what surveys found")
    }

    /// Keeps which repositories a connection selects, and how.
    pub async fn change_connection(&self, id: ConnectionId, settings: &ConnectionSettings) -> Result<()> {
        let settings = serde_json::to_value(settings).expect("plain lists and flags become JSON");
        let row = connection::ActiveModel { id: Set(id.0), settings: Set(settings), ..Default::default() };
        row.update(&self.write).await.map(drop).during("changing the connection")
    }

    /// The owner has another name on the forge now.
    pub async fn rename_owner(&self, id: ConnectionId, owner: &str) -> Result<()> {
        let row = connection::ActiveModel { id: Set(id.0), owner: Set(owner.to_owned()), ..Default::default() };
        row.update(&self.write).await.map(drop).during("following a renamed owner")
    }

    /// Names the connection that restores go to by default. `None`: none.
    pub async fn set_peer(&self, id: ConnectionId, peer: Option<ConnectionId>) -> Result<()> {
        let row = connection::ActiveModel { id: Set(id.0), peer_id: Set(peer.map(|id| id.0)), ..Default::default() };
        row.update(&self.write).await.map(drop).during("pairing connections")
    }

    /// Adds a webhook secret. The others stay valid, so that they can be rotated.
    pub async fn put_webhook_secret(&self, id: ConnectionId, sealed: Vec<u8>) -> Result<()> {
        insert_secret(&self.write, id, sealed).await
    }

    /// Deletes all webhook secrets but the newest; says how many.
    pub async fn retire_webhook_secrets(&self, id: ConnectionId) -> Result<u64> {
        const DOING: &str = "retiring webhook secrets";
        let all = secret::Entity::find().filter(secret::Column::ConnectionId.eq(id.0));
        let newest = all.order_by_desc(secret::Column::Id).one(&self.read).await.during(DOING)?;
        let Some(newest) = newest else { return Ok(0) };
        let retired = secret::Entity::delete_many()
            .filter(secret::Column::ConnectionId.eq(id.0))
            .filter(secret::Column::Id.lt(newest.id))
            .exec(&self.write)
            .await;
        Ok(retired.during(DOING)?.rows_affected)
    }

    /// Since when a connection has each of its webhook secrets, newest first.
    pub async fn webhook_secrets_since(&self, id: ConnectionId) -> Result<Vec<DateTime<Utc>>> {
        let all = secret::Entity::find().filter(secret::Column::ConnectionId.eq(id.0));
        let rows = all.order_by_desc(secret::Column::Id).all(&self.read).await.during("reading the webhook secrets")?;
        Ok(rows.into_iter().map(|row| time(row.created_at)).collect())
    }

    /// When the last delivery came that speaks for a connection.
    pub async fn last_delivery(&self, id: ConnectionId) -> Result<Option<DateTime<Utc>>> {
        let newest: Option<Option<i64>> = delivery::Entity::find()
            .select_only()
            .column_as(delivery::Column::ReceivedAt.max(), "newest")
            .filter(delivery::Column::ConnectionId.eq(id.0))
            .into_tuple()
            .one(&self.read)
            .await
            .during("looking for the last delivery")?;
        Ok(newest.flatten().map(time))
    }

    /// How many snapshots of a connection's repositories there are, and their bytes in the vault.
    pub async fn holdings(&self, id: ConnectionId) -> Result<(u64, u64)> {
        let of_connection = Query::select()
            .column(repository::Column::Id)
            .from(repository::Entity)
            .and_where(repository::Column::ConnectionId.eq(id.0))
            .take();
        // PostgreSQL adds up big integers to something bigger.
        let bytes = Expr::col(snapshot::Column::StoredBytes).sum().cast_as("BIGINT");
        let found: Option<(i64, Option<i64>)> = snapshot::Entity::find()
            .select_only()
            .column_as(Expr::col(snapshot::Column::Seq).count(), "snapshots")
            .column_as(bytes, "bytes")
            .filter(snapshot::Column::RepoId.in_subquery(of_connection))
            .into_tuple()
            .one(&self.read)
            .await
            .during("counting a connection's snapshots")?;
        let (snapshots, bytes) = found.unwrap_or_default();
        Ok((count(snapshots), count(bytes.unwrap_or_default())))
    }

    /// The webhook secrets of one connection or of all, newest first.
    pub async fn webhook_secrets(&self, of: Option<ConnectionId>) -> Result<Vec<(ConnectionId, Vec<u8>)>> {
        let mut query = secret::Entity::find();
        if let Some(id) = of {
            query = query.filter(secret::Column::ConnectionId.eq(id.0));
        }
        let rows =
            query.order_by_desc(secret::Column::Id).all(&self.read).await.during("reading the webhook secrets")?;
        Ok(rows.into_iter().map(|row| (ConnectionId(row.connection_id), row.sealed)).collect())
    }
}

async fn insert_secret(db: &impl ConnectionTrait, id: ConnectionId, sealed: Vec<u8>) -> Result<()> {
    let row = secret::ActiveModel {
        connection_id: Set(id.0),
        kind: Set("webhook".to_owned()),
        sealed: Set(sealed),
        created_at: Set(now()),
        ..Default::default()
    };
    row.insert(db).await.map(drop).during("storing the webhook secret")
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
            peer: row.peer_id.map(ConnectionId),
            survey: survey(row.next_survey_at, row.survey_interval_ms, row.survey_requests, row.survey_ms),
        })
    }
}

fn survey(next_at: Option<i64>, interval: Option<i64>, requests: Option<i64>, took: Option<i64>) -> Option<Survey> {
    let millis = |millis: i64| Duration::from_millis(count(millis));
    Some(Survey {
        next_at: time(next_at?),
        interval: millis(interval?),
        requests: count(requests?),
        took: millis(took?),
    })
}
