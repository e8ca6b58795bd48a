//! People who ask from a chat: grants, identities, what they asked, restores, and the record of all that. What the tables
//! mean is told in `src/catalog/tables/people.rs`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, boolean, json, json_null, text, text_null};

/// Named by its file.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        manager.alter_table(Table::alter().table("notice").add_column(json_null("undo")).to_owned()).await?;
        for statement in INDEXES {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX notice_subject").await?;
        manager.alter_table(Table::alter().table("notice").drop_column("undo").to_owned()).await?;
        for table in tables().iter().rev() {
            if let Some(name) = table.get_table_name() {
                manager.drop_table(Table::drop().table(name.clone()).to_owned()).await?;
            }
        }
        Ok(())
    }
}

const INDEXES: &[&str] = &[
    "CREATE INDEX role_grant_standing ON role_grant (holder) WHERE revoked_at IS NULL",
    "CREATE UNIQUE INDEX identity_link_standing ON identity_link (person, host) WHERE ended_at IS NULL",
    "CREATE INDEX interaction_received ON interaction (received_at)",
    "CREATE INDEX restore_repository ON restore (repo_id, state)",
    "CREATE INDEX restore_state ON restore (state, expires_at)",
    "CREATE INDEX audit_at ON audit (at)",
    "CREATE INDEX notice_subject ON notice (subject) WHERE subject IS NOT NULL",
];

fn tables() -> Vec<TableCreateStatement> {
    vec![role_grant(), identity_link(), interaction(), restore(), chat_message(), audit()]
}

fn role_grant() -> TableCreateStatement {
    Table::create()
        .table("role_grant")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("holder"))
        .col(text("role"))
        .col(json_null("scope"))
        .col(big_integer("created_at"))
        .col(text("created_by"))
        .col(big_integer_null("revoked_at"))
        .col(text_null("revoked_by"))
        .to_owned()
}

fn identity_link() -> TableCreateStatement {
    Table::create()
        .table("identity_link")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("person"))
        .col(text("forge"))
        .col(text("host"))
        .col(text("forge_user"))
        .col(text("login"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("ended_at"))
        .to_owned()
}

fn interaction() -> TableCreateStatement {
    Table::create()
        .table("interaction")
        .col(text("id").primary_key())
        .col(big_integer("received_at"))
        .col(json("asked"))
        .col(blob("reply_to").null().to_owned())
        .col(big_integer_null("answered_at"))
        .to_owned()
}

fn restore() -> TableCreateStatement {
    Table::create()
        .table("restore")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("repo_id"))
        .col(text("requested_by"))
        .col(json("origin"))
        .col(json("wish"))
        .col(json("plan"))
        .col(text("plan_hash"))
        .col(boolean("needs_approval"))
        .col(text("state"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("confirmed_at"))
        .col(text_null("decided_by"))
        .col(big_integer_null("decided_at"))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("finished_at"))
        .col(json_null("progress"))
        .col(json_null("receipt"))
        .col(text_null("error"))
        .col(big_integer_null("replaced_by"))
        .to_owned()
}

fn chat_message() -> TableCreateStatement {
    Table::create()
        .table("chat_message")
        .col(text("platform"))
        .col(text("channel"))
        .col(text("subject"))
        .col(text("message"))
        .col(blob("digest"))
        .col(big_integer("at"))
        .primary_key(Index::create().col("platform").col("channel").col("subject"))
        .to_owned()
}

fn audit() -> TableCreateStatement {
    Table::create()
        .table("audit")
        .col(big_integer("seq").primary_key())
        .col(text("entry"))
        .col(blob("hash"))
        .col(big_integer("at"))
        .to_owned()
}
