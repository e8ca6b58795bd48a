//! Facts about the installation: values under a name, JSON.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, QueryTrait, Set};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{Error, Result};

use super::Catalog;
use super::error::{During, unreadable};
use super::tables::fact;
use super::values::now;

/// Why nothing may leave the vault for the time being: `{"why": …}`.
pub const RETENTION_PAUSED: &str = "retention_paused";

impl Catalog {
    /// The fact with this name, if there is one.
    pub async fn fact<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let found = fact::Entity::find_by_id(name).one(&self.read).await.during("reading a fact")?;
        let value = found.map(|row| serde_json::from_value(row.value)).transpose();
        value.map_err(|error| unreadable("a fact", format!("{name}: {error}")))
    }

    /// Writes a fact down, in the place of what was there under this name.
    pub async fn put_fact(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value).map_err(|error| Error::bug("cannot write a fact").detail(error))?;
        let row = fact::ActiveModel { name: Set(name.to_owned()), value: Set(value), at: Set(now()) };
        let anew =
            OnConflict::column(fact::Column::Name).update_columns([fact::Column::Value, fact::Column::At]).to_owned();
        let insert = fact::Entity::insert(row).on_conflict(anew);
        self.write.execute(&insert.into_query()).await.map(drop).during("writing a fact down")
    }

    /// It is no fact any more.
    pub async fn remove_fact(&self, name: &str) -> Result<()> {
        fact::Entity::delete_by_id(name).exec(&self.write).await.map(drop).during("removing a fact")
    }
}
