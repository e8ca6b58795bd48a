//! Database schema. The rules are in `migrations/README.md`.

pub use sea_orm_migration::prelude::MigratorTrait;

use sea_orm_migration::prelude::*;

mod m0001_catalog;
mod m0002_apps;
mod m0003_policies;
mod m0004_people;
mod m0005_hooks;
mod m0006_greetings;

/// Brings a database to the schema that this version of the program expects.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_catalog::Migration),
            Box::new(m0002_apps::Migration),
            Box::new(m0003_policies::Migration),
            Box::new(m0004_people::Migration),
            Box::new(m0005_hooks::Migration),
            Box::new(m0006_greetings::Migration),
        ]
    }
}

fn owned_by(table: &'static str, column: &'static str, owner: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(owner, "id").to_owned()
}
