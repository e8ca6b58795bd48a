//! The same story with the database, the vault and the processes somewhere else.

use serde_json::json;

use crate::support::world::{Service, World, files};

/// Connect, push, force-push, restore.
async fn the_story(world: &World, serve: impl AsyncFnOnce(&World) -> Vec<Service>) {
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    let one = work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let services = serve(world).await;
    world.snapshot("acme/api", 1).await;
    let first = world.server_refs(&api).await;
    work.commit("two").await;
    work.push(&["main", "HEAD:refs/tags/v1"]).await;
    world.snapshot("acme/api", 2).await;
    world.idle().await;
    let second = world.server_refs(&api).await;
    work.git(&["reset", "--quiet", "--hard", &one]).await;
    work.commit("other").await;
    work.push(&["--force", "main"]).await;
    assert_eq!(world.snapshot("acme/api", 3).await["refs"]["forced"], 1);
    world.idle().await;
    assert!(world.answers().iter().all(|status| *status == Some(202)), "{:?}", world.answers());

    assert_eq!(world.restored("acme/api", Some("1")).await, first);
    assert_eq!(world.restored("acme/api", Some("2")).await, second);
    world.matches(&api).await;
    assert_eq!(world.ok(&["refs", "acme/api", "--at", "2"]).await, second);
    assert_eq!(world.ok(&["backup", "acme/api", "--wait"]).await, json!({ "unchanged": true, "seq": 3 }));
    world.ok(&["verify", "--read-data", "--drill"]).await;
    for service in services {
        assert_eq!(service.stop().await, 0);
    }
}

async fn in_one_process(world: &World) -> Vec<Service> {
    vec![world.serve().await]
}

async fn in_a_process_for_each_role(world: &World) -> Vec<Service> {
    let roles = ["worker", "worker", "scheduler"];
    let mut services: Vec<Service> = roles.iter().map(|role| world.start(&["--role", role])).collect();
    services.push(world.serve_with(&["--role", "web"]).await);
    services
}

#[tokio::test]
async fn the_vault_in_s3() {
    let world = World::on_s3().await;
    the_story(&world, in_one_process).await;
    let bucket = world.s3.as_ref().unwrap().dir.path().join("bucket/backups/repos");
    assert_eq!(files(&bucket).iter().filter(|path| path.extension().is_some_and(|end| end == "age")).count(), 3);
    assert!(!world.folder().join("vault").exists());
}

#[tokio::test]
async fn the_database_in_postgresql() {
    the_story(&World::on_postgres().await, in_one_process).await;
}

#[tokio::test]
async fn a_process_for_each_role() {
    the_story(&World::new().await, in_a_process_for_each_role).await;
}

#[tokio::test]
async fn a_process_for_each_role_on_postgresql() {
    the_story(&World::on_postgres().await, in_a_process_for_each_role).await;
}
