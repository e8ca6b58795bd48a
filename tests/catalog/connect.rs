//! Opening the database.

use std::time::Duration;

use chrono::Utc;
use migrations::{Migrator, MigratorTrait as _};
use refward::catalog::{Catalog, NewDelivery, PackedBody};
use refward::config;
use refward::domain::{DeliveryId, Kind};

use crate::world::World;

on_both_databases! {
    processes_that_start_together_agree_on_the_schema,
    a_newer_schema_is_refused,
    the_newest_step_can_be_taken_back_and_taken_again,
    the_database_answers,
}

async fn processes_that_start_together_agree_on_the_schema(world: World) {
    let fresh = if world.is_postgresql() { World::postgresql().await } else { World::sqlite().await };
    drop(world);
    let starts = (0..6).map(|_| {
        let settings = fresh.settings.clone();
        tokio::spawn(async move { Catalog::connect(&settings).await.map(drop) })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
}

async fn a_newer_schema_is_refused(world: World) {
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_the_future', 0)";
    world.sabotage(&[newer]).await;
    let error = Catalog::connect(&world.settings).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.to_string().contains("newer version"), "{error}");
}

/// Whoever goes back to the release before finds what it left.
async fn the_newest_step_can_be_taken_back_and_taken_again(world: World) {
    world.catalog.record_greeting(&world.rocket, Some("good day")).await.unwrap();
    let db = sea_orm::Database::connect(&world.settings.url).await.unwrap();
    Migrator::down(&db, Some(1)).await.unwrap();
    assert_eq!(Migrator::get_pending_migrations(&db).await.unwrap().len(), 1);
    db.close().await.unwrap();
    let again = world.another_process().await;
    let rocket = again.repository(&world.rocket).await.unwrap();
    assert_eq!((rocket.full_name.as_str(), rocket.greeting.as_deref()), ("acme/rocket", None));
    again.record_greeting(&world.rocket, Some("good day")).await.unwrap();
    assert_eq!(again.repository(&world.rocket).await.unwrap().greeting.as_deref(), Some("good day"));
}

async fn the_database_answers(world: World) {
    world.catalog.check().await.unwrap();
    world.catalog.close().await.unwrap();
    let error = world.catalog.check().await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Busy { .. }), "{}", error.for_log());
}

#[tokio::test]
async fn empty_databases_are_made_by_whoever_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("new.db").display());
    let settings = config::Database { url, max_connections: 2 };
    let starts = (0..8).map(|_| {
        let settings = settings.clone();
        tokio::spawn(async move { Catalog::connect(&settings).await.map(drop) })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::sqlite().await;
    let file = world.settings.url.strip_prefix("sqlite://").unwrap();
    for end in ["", "-wal"] {
        let mode = std::fs::metadata(format!("{file}{end}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{end}");
    }
}

/// Or whoever delivers next waits until somebody has.
#[tokio::test]
async fn what_deliveries_write_finds_its_way_from_the_log_to_the_file() {
    let world = World::sqlite().await;
    let file = world.settings.url.strip_prefix("sqlite://").unwrap();
    let size = || std::fs::metadata(file).unwrap().len();
    let before = size();
    let batch: Vec<NewDelivery> = (0..1000)
        .map(|number| NewDelivery {
            forge: "github".into(),
            id: DeliveryId::parse(&format!("d{number}")).unwrap(),
            event: "star".into(),
            received_at: Utc::now(),
            body: PackedBody::new(b"{}"),
            connection: None,
            events: Vec::new(),
            jobs: Vec::new(),
        })
        .collect();
    world.catalog.store(&batch).await.unwrap();
    let folded = async {
        while size() <= before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), folded).await.expect("nobody folds the log");
}

#[tokio::test]
async fn a_missing_folder_is_told() {
    let settings = config::Database { url: "sqlite:///nowhere/refward.db".into(), max_connections: 1 };
    let error = Catalog::connect(&settings).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.next_step().unwrap().contains("folder must exist"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refward.db");
    std::fs::write(&file, "not a database, but long enough to have a header of a hundred bytes ".repeat(4)).unwrap();
    let settings = config::Database { url: format!("sqlite://{}", file.display()), max_connections: 1 };
    let error = Catalog::connect(&settings).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged, "{}", error.for_log());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let url = "postgres://refward@127.0.0.1:9/refward".to_owned();
    let error = Catalog::connect(&config::Database { url, max_connections: 1 }).await.map(drop).unwrap_err();
    assert!(matches!(error.kind(), Kind::Busy { .. }), "{}", error.for_log());
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
