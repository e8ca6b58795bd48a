//! What opens something for a while, by its hash, and what was wished for with it. Nothing in here opens anything by itself.

use chrono::{TimeDelta, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use serde_json::Value;

use crate::domain::Result;

use super::Catalog;
use super::error::During;
use super::tables::setup::{self, Column};
use super::values::now;

/// What something opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupKind {
    /// A session, once.
    Code,
    /// The pages, for one browser.
    Session,
    /// The way back from a registration at the forge, once.
    State,
    /// Makes whoever says it in a chat the first admin, once.
    Claim,
    /// A sign-in on another device that is under way.
    Link,
    /// A download, for a while.
    Download,
}

impl SetupKind {
    fn word(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Session => "session",
            Self::State => "state",
            Self::Claim => "claim",
            Self::Link => "link",
            Self::Download => "download",
        }
    }
}

impl Catalog {
    /// Keeps the hash of something that opens `kind` for so long; forgets what opens nothing any more.
    pub async fn put_setup(&self, kind: SetupKind, hash: &[u8], draft: Value, lasts: TimeDelta) -> Result<()> {
        const DOING: &str = "keeping what opens the setup";
        let over = setup::Entity::delete_many().filter(Column::ExpiresAt.lte(now()));
        over.exec(&self.write).await.during(DOING)?;
        let row = setup::ActiveModel {
            hash: Set(hash.to_vec()),
            kind: Set(kind.word().to_owned()),
            draft: Set(Some(draft)),
            expires_at: Set((Utc::now() + lasts).timestamp_millis()),
            created_at: Set(now()),
        };
        setup::Entity::insert(row).exec_without_returning(&self.write).await.map(drop).during(DOING)
    }

    /// What was wished for with it. `None`: it opens nothing (any more).
    pub async fn setup(&self, kind: SetupKind, hash: &[u8]) -> Result<Option<Value>> {
        let row = setup::Entity::find().filter(opens(kind, hash)).one(&self.read).await;
        Ok(row.during("looking what opens the setup")?.map(|row| row.draft.unwrap_or_default()))
    }

    /// The same, and it opens nothing from now on: of two who try at the same time, one gets it.
    pub async fn take_setup(&self, kind: SetupKind, hash: &[u8]) -> Result<Option<Value>> {
        let draft = self.setup(kind, hash).await?;
        let taken = setup::Entity::delete_many().filter(opens(kind, hash)).exec(&self.write).await;
        let taken = taken.during("using what opens the setup")?.rows_affected == 1;
        Ok(draft.filter(|_| taken))
    }

    /// Something else is wished for.
    pub async fn set_setup_draft(&self, kind: SetupKind, hash: &[u8], draft: Value) -> Result<()> {
        let changed = setup::Entity::update_many().col_expr(Column::Draft, Expr::value(draft));
        changed.filter(opens(kind, hash)).exec(&self.write).await.map(drop).during("keeping what was wished for")
    }
}

pub(super) fn opens(kind: SetupKind, hash: &[u8]) -> sea_orm::Condition {
    sea_orm::Condition::all()
        .add(Column::Hash.eq(hash))
        .add(Column::Kind.eq(kind.word()))
        .add(Column::ExpiresAt.gt(now()))
}
