//! Messages of ours in channels that change as what they are about goes on.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait};

use crate::domain::Result;

use super::Catalog;
use super::error::During;
use super::tables::chat_message::{self, Column};
use super::values::{now, sha256};

/// A message of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// The platform's id of it.
    pub message: String,
    /// SHA-256 of what it says.
    pub digest: [u8; 32],
}

impl Catalog {
    /// Our message about this in a channel, if there is one.
    pub async fn chat_message(&self, platform: &str, channel: &str, subject: &str) -> Result<Option<ChatMessage>> {
        let key = (platform.to_owned(), channel.to_owned(), subject.to_owned());
        let row = chat_message::Entity::find_by_id(key).one(&self.read).await.during("looking up a message")?;
        row.map(|row| Ok(ChatMessage { message: row.message, digest: sha256(&row.digest)? })).transpose()
    }

    /// Forgets messages that nobody has changed since `before`.
    pub async fn forget_chat_messages(&self, before: DateTime<Utc>) -> Result<u64> {
        let old = chat_message::Entity::delete_many().filter(Column::At.lt(before.timestamp_millis()));
        Ok(old.exec(&self.write).await.during("forgetting old messages")?.rows_affected)
    }

    /// Our message about this, in the place of an older one.
    pub async fn put_chat_message(&self, platform: &str, channel: &str, subject: &str, is: &ChatMessage) -> Result<()> {
        let row = chat_message::ActiveModel {
            platform: Set(platform.to_owned()),
            channel: Set(channel.to_owned()),
            subject: Set(subject.to_owned()),
            message: Set(is.message.clone()),
            digest: Set(is.digest.to_vec()),
            at: Set(now()),
        };
        let key = [Column::Platform, Column::Channel, Column::Subject];
        let anew = OnConflict::columns(key).update_columns([Column::Message, Column::Digest, Column::At]).to_owned();
        let insert = chat_message::Entity::insert(row).on_conflict(anew);
        self.write.execute(&insert.into_query()).await.map(drop).during("keeping which message it is")
    }
}
