//! The catalog's contract, on SQLite and on PostgreSQL alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/postgres.rs"]
mod postgres;

/// Runs each story on both databases.
macro_rules! on_both_databases {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::world::World::sqlite().await).await;
            })*
        }
        mod postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::world::World::postgresql().await).await;
            })*
        }
    };
}

mod catalog {
    mod accept;
    mod alarms;
    mod apps;
    mod compaction;
    mod connect;
    mod connections;
    mod credentials;
    mod events;
    mod people;
    mod policies;
    mod proofs;
    mod queue;
    mod repositories;
    mod restores;
    mod snapshots;
    mod spans;
}

#[path = "catalog/world.rs"]
mod world;
