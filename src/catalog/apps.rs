//! Our Apps: their registrations and their secrets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::domain::{AppId, Error, Result};

use super::Catalog;
use super::error::{During, is_duplicate, unreadable};
use super::tables::{app, app_secret, credential, installation, installation_request};
use super::values::{now, time};

/// Rights by name: `contents` → `read`.
pub type Permissions = BTreeMap<String, String>;

/// An App that is registered with a forge.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredApp {
    /// Its number here.
    pub id: AppId,
    /// What the forge told when it was registered.
    pub facts: AppFacts,
    /// Everything that was delivered before this moment has been dealt with.
    pub deliveries_seen_at: Option<DateTime<Utc>>,
    /// When its installations were last looked at.
    pub checked_at: Option<DateTime<Utc>>,
    /// Why they could not be, the last time.
    pub last_error: Option<String>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}

/// What a registration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFacts {
    /// The forge's slug.
    pub forge: String,
    /// The host's web address.
    pub url: String,
    /// The account that it is registered with.
    pub owner: String,
    /// What it is for: `backup` or `restore`.
    pub role: String,
    /// 1 is the main one, up to 10.
    pub number: i32,
    /// The forge's id.
    pub forge_id: String,
    /// The forge's other id, for signing in.
    pub client_id: String,
    /// Its name in addresses.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// What it may ask its installations for.
    pub permissions: Permissions,
    /// What it is told about.
    pub events: Vec<String>,
}

/// What a secret of an App is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppSecret {
    /// Proves that we are the App.
    Key,
    /// Signs the deliveries that we receive.
    Webhook,
    /// Signs people in.
    Client,
}

impl AppSecret {
    fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Webhook => "webhook",
            Self::Client => "client",
        }
    }
}

impl Catalog {
    /// Keeps a registration with its secrets, all or nothing.
    pub async fn add_app(&self, facts: AppFacts, secrets: Vec<(AppSecret, Vec<u8>)>) -> Result<AppId> {
        const DOING: &str = "keeping an App's registration";
        let name = facts.name.clone();
        let tx = self.begin(DOING).await?;
        let row = app::ActiveModel {
            forge: Set(facts.forge),
            url: Set(facts.url),
            owner: Set(facts.owner),
            role: Set(facts.role),
            number: Set(facts.number),
            forge_id: Set(facts.forge_id),
            client_id: Set(facts.client_id),
            slug: Set(facts.slug),
            name: Set(facts.name),
            permissions: Set(serde_json::to_value(facts.permissions).expect("words become JSON")),
            events: Set(serde_json::to_value(facts.events).expect("words become JSON")),
            created_at: Set(now()),
            ..Default::default()
        };
        let id = match row.insert(&tx).await {
            Ok(row) => AppId(row.id),
            Err(error) if is_duplicate(&error) => {
                return Err(Error::bad_request(format!("the App {name} is here already")));
            }
            Err(error) => return Err(error).during(DOING),
        };
        for (kind, sealed) in secrets {
            insert_secret(&tx, id, kind, sealed).await?;
        }
        tx.commit().await.during(DOING)?;
        Ok(id)
    }

    /// All Apps, main ones first.
    pub async fn apps(&self) -> Result<Vec<StoredApp>> {
        let rows = app::Entity::find().order_by_asc(app::Column::Number).order_by_asc(app::Column::Id).all(&self.read);
        rows.await.during("listing the Apps")?.into_iter().map(StoredApp::try_from).collect()
    }

    /// The App with this number.
    pub async fn app(&self, id: AppId) -> Result<Option<StoredApp>> {
        let row = app::Entity::find_by_id(id.0).one(&self.read).await.during("looking up an App")?;
        row.map(StoredApp::try_from).transpose()
    }

    /// Forgets an App: its secrets, its installations, and the credentials that those were.
    pub async fn remove_app(&self, id: AppId) -> Result<()> {
        const DOING: &str = "forgetting an App";
        let tx = self.begin(DOING).await?;
        let credentials = credential::Entity::delete_many().filter(credential::Column::AppId.eq(id.0));
        credentials.exec(&tx).await.during(DOING)?;
        let installations = installation::Entity::delete_many().filter(installation::Column::AppId.eq(id.0));
        installations.exec(&tx).await.during(DOING)?;
        let requests = installation_request::Entity::delete_many().filter(installation_request::Column::AppId.eq(id.0));
        requests.exec(&tx).await.during(DOING)?;
        let secrets = app_secret::Entity::delete_many().filter(app_secret::Column::AppId.eq(id.0));
        secrets.exec(&tx).await.during(DOING)?;
        app::Entity::delete_by_id(id.0).exec(&tx).await.during(DOING)?;
        tx.commit().await.during(DOING)
    }

    /// Adds a secret. Those of the same kind stay valid, so that they can be rotated.
    pub async fn put_app_secret(&self, id: AppId, kind: AppSecret, sealed: Vec<u8>) -> Result<()> {
        insert_secret(&self.write, id, kind, sealed).await
    }

    /// The secrets of one kind, of one App or of all, newest first.
    pub async fn app_secrets(&self, kind: AppSecret, of: Option<AppId>) -> Result<Vec<(AppId, Vec<u8>)>> {
        let mut query = app_secret::Entity::find().filter(app_secret::Column::Kind.eq(kind.word()));
        if let Some(id) = of {
            query = query.filter(app_secret::Column::AppId.eq(id.0));
        }
        let rows = query.order_by_desc(app_secret::Column::Id).all(&self.read).await;
        Ok(rows.during("reading an App's secrets")?.into_iter().map(|row| (AppId(row.app_id), row.sealed)).collect())
    }

    /// Deletes all secrets of a kind but the newest; says how many.
    pub async fn retire_app_secrets(&self, id: AppId, kind: AppSecret) -> Result<u64> {
        const DOING: &str = "retiring an App's secrets";
        let newest: Option<i64> = app_secret::Entity::find()
            .select_only()
            .column(app_secret::Column::Id)
            .filter(app_secret::Column::AppId.eq(id.0))
            .filter(app_secret::Column::Kind.eq(kind.word()))
            .order_by_desc(app_secret::Column::Id)
            .into_tuple()
            .one(&self.read)
            .await
            .during(DOING)?;
        let Some(newest) = newest else { return Ok(0) };
        let retired = app_secret::Entity::delete_many()
            .filter(app_secret::Column::AppId.eq(id.0))
            .filter(app_secret::Column::Kind.eq(kind.word()))
            .filter(app_secret::Column::Id.lt(newest));
        Ok(retired.exec(&self.write).await.during(DOING)?.rows_affected)
    }

    /// An App's installations were looked at (`None`), or could not be, and why.
    pub async fn record_app_check(&self, id: AppId, error: Option<&str>) -> Result<()> {
        let row = app::ActiveModel {
            id: Set(id.0),
            checked_at: Set(Some(now())),
            last_error: Set(error.map(str::to_owned)),
            ..Default::default()
        };
        row.update(&self.write).await.map(drop).during("keeping the state of an App")
    }

    /// Everything that was delivered before this moment has been dealt with.
    pub async fn record_deliveries_seen(&self, id: AppId, until: DateTime<Utc>) -> Result<()> {
        let seen = Set(Some(until.timestamp_millis()));
        let row = app::ActiveModel { id: Set(id.0), deliveries_seen_at: seen, ..Default::default() };
        row.update(&self.write).await.map(drop).during("keeping how far an App's deliveries were read")
    }
}

async fn insert_secret(db: &impl ConnectionTrait, id: AppId, kind: AppSecret, sealed: Vec<u8>) -> Result<()> {
    let row = app_secret::ActiveModel {
        app_id: Set(id.0),
        kind: Set(kind.word().to_owned()),
        sealed: Set(sealed),
        created_at: Set(now()),
        ..Default::default()
    };
    row.insert(db).await.map(drop).during("storing an App's secret")
}

impl TryFrom<app::Model> for StoredApp {
    type Error = Error;

    fn try_from(row: app::Model) -> Result<Self> {
        let words = |error| unreadable("an App's registration", error);
        let facts = AppFacts {
            forge: row.forge,
            url: row.url,
            owner: row.owner,
            role: row.role,
            number: row.number,
            forge_id: row.forge_id,
            client_id: row.client_id,
            slug: row.slug,
            name: row.name,
            permissions: serde_json::from_value(row.permissions).map_err(words)?,
            events: serde_json::from_value(row.events).map_err(words)?,
        };
        Ok(Self {
            id: AppId(row.id),
            facts,
            deliveries_seen_at: row.deliveries_seen_at.map(time),
            checked_at: row.checked_at.map(time),
            last_error: row.last_error,
            created_at: time(row.created_at),
        })
    }
}
