//! The first schema. What the tables mean is told in `src/catalog/tables.rs`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, blob_null, boolean, integer, json, json_null, text, text_null, uuid,
};

use crate::owned_by;

/// Named by its file.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables().iter().rev() {
            if let Some(name) = table.get_table_name() {
                manager.drop_table(Table::drop().table(name.clone()).to_owned()).await?;
            }
        }
        Ok(())
    }
}

fn tables() -> Vec<TableCreateStatement> {
    vec![
        connection(),
        secret(),
        repository(),
        current_ref(),
        snapshot(),
        intent(),
        ref_change(),
        delivery(),
        event(),
        job(),
    ]
}

/// Partial and expression indexes are the same SQL on both databases.
const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX connection_name ON connection (lower(name)) WHERE removed_at IS NULL",
    "CREATE UNIQUE INDEX connection_owner ON connection (forge, url, lower(owner)) WHERE removed_at IS NULL",
    "CREATE INDEX secret_connection ON secret (connection_id, kind)",
    "CREATE INDEX repository_connection ON repository (connection_id, forge_id)",
    "CREATE INDEX repository_name ON repository (lower(full_name))",
    "CREATE INDEX ref_change_seq ON ref_change (repo_id, seq)",
    r#"CREATE INDEX ref_change_new ON ref_change (repo_id, "new")"#,
    "CREATE UNIQUE INDEX delivery_once ON delivery (forge, delivery_id)",
    "CREATE INDEX delivery_with_body ON delivery (received_at) WHERE body IS NOT NULL",
    "CREATE INDEX event_delivery ON event (delivery)",
    "CREATE INDEX event_unhandled ON event (repo_id, received_at) WHERE handled_at IS NULL",
    "CREATE UNIQUE INDEX job_ready ON job (kind, subject) WHERE state = 'ready'",
    "CREATE UNIQUE INDEX job_running ON job (kind, subject) WHERE state = 'running'",
    "CREATE INDEX job_failed ON job (kind, subject) WHERE state = 'failed'",
    "CREATE INDEX job_next ON job (priority, run_at, id) WHERE state = 'ready'",
    "CREATE INDEX job_lease ON job (lease_until) WHERE state = 'running'",
];

fn connection() -> TableCreateStatement {
    Table::create()
        .table("connection")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("forge"))
        .col(text("name"))
        .col(text("url"))
        .col(text("owner"))
        .col(json("settings"))
        .col(json_null("inspection"))
        .col(text_null("last_error"))
        .col(big_integer_null("discovered_at"))
        .col(big_integer("created_at"))
        .col(big_integer_null("removed_at"))
        .to_owned()
}

fn secret() -> TableCreateStatement {
    Table::create()
        .table("secret")
        .col(big_integer("id").auto_increment().primary_key())
        .col(big_integer("connection_id"))
        .col(text("kind"))
        .col(blob("sealed"))
        .col(big_integer("created_at"))
        .foreign_key(&mut owned_by("secret", "connection_id", "connection"))
        .to_owned()
}

fn repository() -> TableCreateStatement {
    Table::create()
        .table("repository")
        .col(text("id").primary_key())
        .col(big_integer("connection_id"))
        .col(text("forge"))
        .col(text("host"))
        .col(text("forge_id"))
        .col(text("full_name"))
        .col(boolean("private"))
        .col(boolean("archived"))
        .col(text_null("default_branch"))
        .col(boolean("selected"))
        .col(text("state"))
        .col(big_integer_null("gone_at"))
        .col(text_null("object_format"))
        .col(text_null("head"))
        .col(big_integer("last_seq").default(0))
        .col(blob_null("last_sealed"))
        .col(big_integer("last_stored_bytes").default(0))
        .col(blob_null("refs_fingerprint"))
        .col(big_integer("refs_total").default(0))
        .col(big_integer("records_since_checkpoint").default(0))
        .col(big_integer("changes_since_checkpoint").default(0))
        .col(big_integer_null("last_snapshot_at"))
        .col(big_integer_null("last_checked_at"))
        .col(text_null("last_error"))
        .col(big_integer_null("last_error_at"))
        .foreign_key(&mut owned_by("repository", "connection_id", "connection"))
        .to_owned()
}

fn current_ref() -> TableCreateStatement {
    Table::create()
        .table("current_ref")
        .col(text("repo_id"))
        .col(text("name"))
        .col(blob("oid"))
        .primary_key(Index::create().col("repo_id").col("name"))
        .foreign_key(&mut owned_by("current_ref", "repo_id", "repository"))
        .to_owned()
}

fn snapshot() -> TableCreateStatement {
    Table::create()
        .table("snapshot")
        .col(text("repo_id"))
        .col(big_integer("seq"))
        .col(big_integer("time"))
        .col(json("trigger"))
        .col(boolean("complete"))
        .col(big_integer("refs_total"))
        .col(big_integer("refs_created"))
        .col(big_integer("refs_updated"))
        .col(big_integer("refs_deleted"))
        .col(big_integer("refs_forced"))
        .col(big_integer("objects"))
        .col(big_integer("pack_bytes"))
        .col(big_integer("stored_bytes"))
        .col(blob("sealed"))
        .col(big_integer("duration_ms"))
        .col(boolean("checkpoint"))
        .col(text_null("head"))
        .primary_key(Index::create().col("repo_id").col("seq"))
        .foreign_key(&mut owned_by("snapshot", "repo_id", "repository"))
        .to_owned()
}

fn intent() -> TableCreateStatement {
    Table::create()
        .table("intent")
        .col(text("repo_id"))
        .col(big_integer("seq"))
        .col(uuid("attempt"))
        .col(text("record"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("repo_id").col("seq").col("attempt"))
        .foreign_key(&mut owned_by("intent", "repo_id", "repository"))
        .to_owned()
}

fn ref_change() -> TableCreateStatement {
    Table::create()
        .table("ref_change")
        .col(text("repo_id"))
        .col(text("name"))
        .col(big_integer("seq"))
        .col(blob_null("old"))
        .col(blob_null("new"))
        .col(boolean("forced"))
        .col(text_null("actor"))
        .primary_key(Index::create().col("repo_id").col("name").col("seq"))
        .foreign_key(&mut owned_by("ref_change", "repo_id", "repository"))
        .to_owned()
}

fn delivery() -> TableCreateStatement {
    Table::create()
        .table("delivery")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("forge"))
        .col(text("delivery_id"))
        .col(text("event"))
        .col(big_integer("received_at"))
        .col(blob_null("body"))
        .col(big_integer_null("connection_id"))
        .to_owned()
}

fn event() -> TableCreateStatement {
    Table::create()
        .table("event")
        .col(big_integer("id").auto_increment().primary_key())
        .col(big_integer("delivery"))
        .col(text_null("repo_id"))
        .col(text("kind"))
        .col(text_null("subject"))
        .col(text_null("ref"))
        .col(blob_null("old"))
        .col(blob_null("new"))
        .col(boolean("forced"))
        .col(text_null("actor"))
        .col(big_integer_null("at"))
        .col(big_integer("received_at"))
        .col(big_integer_null("handled_at"))
        .col(big_integer_null("handled_seq"))
        .foreign_key(&mut owned_by("event", "delivery", "delivery"))
        .to_owned()
}

fn job() -> TableCreateStatement {
    Table::create()
        .table("job")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("kind"))
        .col(text("subject"))
        .col(text("state"))
        .col(integer("priority"))
        .col(big_integer("run_at"))
        .col(integer("attempts").default(0))
        .col(text_null("holder"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence").default(0))
        .col(text_null("last_error"))
        .col(big_integer("created_at"))
        .to_owned()
}
