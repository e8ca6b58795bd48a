//! Policies, holds, consolidated snapshots, what is condemned, proofs, and an outbox of notices. What the tables mean is told
//! in `src/catalog/tables.rs`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, boolean, integer, json, json_null, text, text_null,
};

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
        for statement in INDEXES {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in
            ["DROP INDEX delivery_without_body", "DROP INDEX snapshot_leaving", "DROP INDEX repository_next_run"]
        {
            manager.get_connection().execute_unprepared(statement).await?;
        }
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
    "CREATE UNIQUE INDEX policy_name ON policy (lower(name))",
    "CREATE INDEX policy_change_state ON policy_change (state, effective_at)",
    "CREATE INDEX hold_standing ON hold (repo_id) WHERE lifted_at IS NULL",
    "CREATE INDEX snapshot_leaving ON snapshot (repo_id, leaving_at) WHERE leaving_at IS NOT NULL",
    "CREATE INDEX repository_next_run ON repository (next_run_at) WHERE next_run_at IS NOT NULL",
    "CREATE INDEX condemned_waiting ON condemned (condemned_at) WHERE deleted_at IS NULL",
    "CREATE INDEX condemned_repository ON condemned (repo_id)",
    "CREATE INDEX proof_latest ON proof (repo_id, kind, started_at)",
    "CREATE INDEX reading_repository ON reading (repo_id)",
    "CREATE INDEX outbox_waiting ON outbox (receiver, next_at) WHERE state = 'waiting'",
    "CREATE INDEX outbox_notice ON outbox (notice_id)",
    "CREATE INDEX delivery_without_body ON delivery (received_at) WHERE body IS NULL",
];

fn new_columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("repository", text_null("policy")),
        ("repository", boolean("on_push").default(true).to_owned()),
        ("repository", big_integer("coalesce_ms").default(0).to_owned()),
        ("repository", text_null("pool")),
        ("repository", big_integer_null("next_run_at")),
        ("repository", json_null("former_rules")),
        ("repository", big_integer("generation").default(0).to_owned()),
        ("snapshot", json_null("labels")),
        ("snapshot", json_null("skipped")),
        ("snapshot", big_integer_null("leaving_at")),
        ("notice", text("severity").default("info").to_owned()),
        ("notice", text_null("subject")),
        ("notice", text_null("command")),
    ]
}

fn tables() -> Vec<TableCreateStatement> {
    vec![policy(), policy_change(), hold(), span(), condemned(), proof(), reading(), outbox(), alarm(), fact()]
}

fn policy() -> TableCreateStatement {
    Table::create()
        .table("policy")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("name"))
        .col(integer("position"))
        .col(json("document"))
        .col(integer("version"))
        .col(big_integer("created_at"))
        .col(big_integer("changed_at"))
        .to_owned()
}

fn policy_change() -> TableCreateStatement {
    Table::create()
        .table("policy_change")
        .col(big_integer("id").auto_increment().primary_key())
        .col(big_integer("at"))
        .col(text("actor"))
        .col(text("policy"))
        .col(text("kind"))
        .col(json_null("before"))
        .col(json_null("after"))
        .col(text("state"))
        .col(big_integer("effective_at"))
        .col(text_null("decided_by"))
        .col(big_integer_null("decided_at"))
        .col(json_null("weakens"))
        .to_owned()
}

fn hold() -> TableCreateStatement {
    Table::create()
        .table("hold")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("repo_id"))
        .col(text("kind"))
        .col(text("reason"))
        .col(text("actor"))
        .col(big_integer("created_at"))
        .col(big_integer_null("lifted_at"))
        .col(text_null("lifted_by"))
        .to_owned()
}

fn span() -> TableCreateStatement {
    Table::create()
        .table("span")
        .col(text("repo_id"))
        .col(big_integer("from_seq"))
        .col(big_integer("to_seq"))
        .col(integer("rewriting"))
        .col(blob("sealed"))
        .col(big_integer("stored_bytes"))
        .col(big_integer("pack_bytes"))
        .col(big_integer("objects"))
        .col(integer("points"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("repo_id").col("from_seq").col("to_seq").col("rewriting"))
        .to_owned()
}

fn condemned() -> TableCreateStatement {
    Table::create()
        .table("condemned")
        .col(text("object").primary_key())
        .col(text("repo_id"))
        .col(big_integer("bytes"))
        .col(text("why"))
        .col(big_integer("condemned_at"))
        .col(text_null("list"))
        .col(big_integer_null("deleted_at"))
        .to_owned()
}

fn proof() -> TableCreateStatement {
    Table::create()
        .table("proof")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("repo_id"))
        .col(text("kind"))
        .col(big_integer_null("seq"))
        .col(big_integer("started_at"))
        .col(big_integer("duration_ms"))
        .col(boolean("passed"))
        .col(big_integer("bytes"))
        .col(text("report"))
        .col(blob("signature"))
        .to_owned()
}

fn reading() -> TableCreateStatement {
    Table::create()
        .table("reading")
        .col(text("object").primary_key())
        .col(text("repo_id"))
        .col(big_integer("bytes"))
        .col(big_integer("read_at"))
        .to_owned()
}

fn outbox() -> TableCreateStatement {
    Table::create()
        .table("outbox")
        .col(big_integer("id").auto_increment().primary_key())
        .col(big_integer("notice_id"))
        .col(text("receiver"))
        .col(text("state"))
        .col(integer("attempts").default(0).to_owned())
        .col(big_integer("next_at"))
        .col(text_null("last_error"))
        .col(big_integer_null("sent_at"))
        .to_owned()
}

fn alarm() -> TableCreateStatement {
    Table::create()
        .table("alarm")
        .col(text("subject").primary_key())
        .col(text("kind"))
        .col(big_integer("raised_at"))
        .col(big_integer("notice_id"))
        .to_owned()
}

fn fact() -> TableCreateStatement {
    Table::create().table("fact").col(text("name").primary_key()).col(json("value")).col(big_integer("at")).to_owned()
}
