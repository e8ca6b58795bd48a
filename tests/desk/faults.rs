//! What breaks: processes that are killed, a Discord that does not answer.

use refward::domain::Role;

use super::scene::Scene;
use crate::support::fake_discord::Fault;

#[tokio::test]
async fn what_was_asked_is_answered_by_whoever_runs_next() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Viewer).await;
    // It says "later", cannot say more, and dies.
    scene.world.discord().down();
    let told = mona.says(&scene.ops, "/refward status").await;
    assert_eq!(told.status, 200);
    let Scene { service, world, .. } = scene;
    service.kill().await;
    world.discord().up();
    let _next = world.serve().await;
    told.answer().await.says("acme/api").await;
}

#[tokio::test]
async fn a_discord_that_stumbles_gets_the_answer_all_the_same() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Viewer).await;
    for fault in [Fault::Status(500), Fault::Status(502), Fault::Closed] {
        scene.world.discord().fail(1, fault);
        mona.says(&scene.ops, "/refward status").await.answer().await.says("acme/api").await;
    }
}
