//! What git servers said they can do.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text_null;

/// Named by its file.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter().table("repository").add_column(text_null("greeting")).to_owned();
        manager.alter_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("repository").drop_column("greeting").to_owned()).await
    }
}
