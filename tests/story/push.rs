//! From a push to the vault and back.

use crate::support::world::World;

#[tokio::test]
async fn a_push_becomes_a_snapshot() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    let first = world.snapshot("acme/api", 1).await;
    println!("{first:#}");
    work.commit("two").await;
    work.push(&["main"]).await;
    let second = world.snapshot("acme/api", 2).await;
    println!("{second:#}");
    world.idle().await;
    world.matches(&api).await;
    assert_eq!(service.stop().await, 0);
}
