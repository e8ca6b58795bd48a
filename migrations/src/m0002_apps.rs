//! Apps, several credentials for each connection, what limits are left, what people were told. What the tables mean is
//! told in `src/catalog/tables.rs`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, blob_null, boolean, integer, json, json_null, text, text_null,
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
        for (table, mut column) in new_columns() {
            manager.alter_table(Table::alter().table(table).add_column(&mut column).to_owned()).await?;
        }
        for statement in INDEXES.iter().chain(MOVE_TOKENS) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(MOVE_TOKENS_BACK).await?;
        for (table, column) in new_columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        for table in tables().iter().rev() {
            if let Some(name) = table.get_table_name() {
                manager.drop_table(Table::drop().table(name.clone()).to_owned()).await?;
            }
        }
        Ok(())
    }
}

const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX app_once ON app (forge, url, forge_id)",
    "CREATE INDEX app_secret_app ON app_secret (app_id, kind)",
    "CREATE INDEX installation_connection ON installation (connection_id)",
    "CREATE UNIQUE INDEX credential_label ON credential (connection_id, lower(label))",
    "CREATE UNIQUE INDEX credential_main ON credential (connection_id) WHERE main",
    "CREATE INDEX notice_at ON notice (at)",
];

/// Every connection's newest token becomes its main credential; no copy stays behind.
const MOVE_TOKENS: &[&str] = &[
    "INSERT INTO credential (connection_id, label, kind, main, enabled, sealed, created_at)
     SELECT connection_id, 'token', 'token', TRUE, TRUE, sealed, created_at FROM secret
     WHERE kind = 'token' AND id IN (SELECT MAX(id) FROM secret WHERE kind = 'token' GROUP BY connection_id)",
    "DELETE FROM secret WHERE kind = 'token'",
];

const MOVE_TOKENS_BACK: &str = "INSERT INTO secret (connection_id, kind, sealed, created_at)
     SELECT connection_id, 'token', sealed, created_at FROM credential WHERE main AND kind = 'token'";

fn new_columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("connection", big_integer_null("peer_id")),
        ("connection", big_integer_null("next_survey_at")),
        ("connection", big_integer_null("survey_interval_ms")),
        ("connection", big_integer_null("survey_requests")),
        ("connection", big_integer_null("survey_ms")),
        ("repository", text_null("mark")),
        ("repository", text_null("visibility")),
        ("snapshot", big_integer_null("lag_ms")),
    ]
}

fn tables() -> Vec<TableCreateStatement> {
    vec![app(), app_secret(), installation(), installation_request(), credential(), quota(), notice(), setup()]
}

fn app() -> TableCreateStatement {
    Table::create()
        .table("app")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("forge"))
        .col(text("url"))
        .col(text("owner"))
        .col(text("role"))
        .col(integer("number"))
        .col(text("forge_id"))
        .col(text("client_id"))
        .col(text("slug"))
        .col(text("name"))
        .col(json("permissions"))
        .col(json("events"))
        .col(big_integer_null("deliveries_seen_at"))
        .col(big_integer_null("checked_at"))
        .col(text_null("last_error"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn app_secret() -> TableCreateStatement {
    Table::create()
        .table("app_secret")
        .col(big_integer("id").auto_increment().primary_key())
        .col(big_integer("app_id"))
        .col(text("kind"))
        .col(blob("sealed"))
        .col(big_integer("created_at"))
        .foreign_key(&mut owned_by("app_secret", "app_id", "app"))
        .to_owned()
}

fn installation() -> TableCreateStatement {
    Table::create()
        .table("installation")
        .col(big_integer("app_id"))
        .col(text("forge_id"))
        .col(text("account"))
        .col(text_null("account_id"))
        .col(big_integer_null("connection_id"))
        .col(text("state"))
        .col(text("selection"))
        .col(json("permissions"))
        .col(text_null("requested_by"))
        .col(text_null("refused"))
        .col(big_integer("seen_at"))
        .primary_key(Index::create().col("app_id").col("forge_id"))
        .foreign_key(&mut owned_by("installation", "app_id", "app"))
        .to_owned()
}

fn installation_request() -> TableCreateStatement {
    Table::create()
        .table("installation_request")
        .col(big_integer("app_id"))
        .col(text("account"))
        .col(text("requester"))
        .col(big_integer("requested_at"))
        .primary_key(Index::create().col("app_id").col("account"))
        .foreign_key(&mut owned_by("installation_request", "app_id", "app"))
        .to_owned()
}

fn credential() -> TableCreateStatement {
    Table::create()
        .table("credential")
        .col(big_integer("id").auto_increment().primary_key())
        .col(big_integer("connection_id"))
        .col(text("label"))
        .col(text("kind"))
        .col(boolean("main"))
        .col(boolean("enabled"))
        .col(blob_null("sealed"))
        .col(big_integer_null("app_id"))
        .col(text_null("installation"))
        .col(json_null("inspection"))
        .col(big_integer("created_at"))
        .foreign_key(&mut owned_by("credential", "connection_id", "connection"))
        .to_owned()
}

fn quota() -> TableCreateStatement {
    Table::create()
        .table("quota")
        .col(text("host"))
        .col(text("who"))
        .col(text("resource"))
        .col(big_integer_null("limit"))
        .col(big_integer_null("remaining"))
        .col(big_integer_null("reset_at"))
        .col(big_integer_null("paused_until"))
        .col(text_null("why"))
        .col(big_integer("observed_at"))
        .primary_key(Index::create().col("host").col("who").col("resource"))
        .to_owned()
}

fn notice() -> TableCreateStatement {
    Table::create()
        .table("notice")
        .col(big_integer("id").auto_increment().primary_key())
        .col(big_integer("at"))
        .col(text("kind"))
        .col(big_integer_null("connection_id"))
        .col(text_null("repo_id"))
        .col(text("text"))
        .to_owned()
}

/// One-time codes, browser sessions and half-done registrations of `/setup`; only hashes of what opens them.
fn setup() -> TableCreateStatement {
    Table::create()
        .table("setup")
        .col(blob("hash").primary_key())
        .col(text("kind"))
        .col(json_null("draft"))
        .col(big_integer("expires_at"))
        .col(big_integer("created_at"))
        .to_owned()
}
