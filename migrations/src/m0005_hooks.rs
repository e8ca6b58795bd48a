//! Hooks that we set up ourselves, clients of OAuth authorities, and repositories that are listed but closed. What the table
//! means is told in `src/catalog/tables/upkeep.rs`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, json_null, text, text_null};

use crate::owned_by;

/// Named by its file.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(hook()).await?;
        for (table, mut column) in new_columns() {
            manager.alter_table(Table::alter().table(table).add_column(&mut column).to_owned()).await?;
        }
        let unique = "CREATE UNIQUE INDEX hook_of ON hook (connection_id, scope, event)";
        manager.get_connection().execute_unprepared(unique).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in new_columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        manager.drop_table(Table::drop().table("hook").to_owned()).await
    }
}

fn hook() -> TableCreateStatement {
    Table::create()
        .table("hook")
        .col(big_integer("id").auto_increment().primary_key())
        .col(big_integer("connection_id"))
        .col(text("scope"))
        .col(text("scope_name"))
        .col(text("event"))
        .col(text("forge_id"))
        .col(text("state"))
        .col(text_null("trouble"))
        .col(big_integer_null("troubled_since"))
        .col(big_integer("seen_until"))
        .foreign_key(&mut owned_by("hook", "connection_id", "connection"))
        .to_owned()
}

fn new_columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("credential", json_null("client")),
        ("repository", text("availability").default("open").to_owned()),
        ("repository", text_null("scope")),
        ("connection", big_integer_null("hooks_checked_at")),
        ("connection", text_null("hooks_error")),
        ("connection", big_integer_null("hooks_failing_since")),
    ]
}
