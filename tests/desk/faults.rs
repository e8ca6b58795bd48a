//! What breaks: processes that are killed, a Discord that does not answer.

use refward::catalog::job_kind;
use refward::domain::Role;

use super::scene::Scene;
use crate::support::fake_discord::Fault;
use crate::support::world::eventually;

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
    let limited = Fault::Limited { retry_after: 3.0, global: false };
    for fault in [Fault::Status(500), Fault::Status(502), Fault::Closed, limited, Fault::Hang] {
        scene.world.discord().fail(1, fault);
        mona.says(&scene.ops, "/refward status").await.answer().await.says("acme/api").await;
    }
}

#[tokio::test]
async fn what_nobody_can_read_any_more_is_not_tried_for_ever() {
    let scene = Scene::new().await;
    let catalog = scene.catalog().await;
    let asked = serde_json::json!({ "of": "another version" });
    catalog.put_interaction("discord:1", asked, Some(b"sealed with another key".to_vec())).await.unwrap();
    let given_up = async || catalog.interaction("discord:1").await.unwrap().reply_to.is_none().then_some(());
    eventually(given_up, || "nobody to be answered any more".to_owned()).await;
    scene.world.idle().await;
    assert!(catalog.job(job_kind::ANSWER, "discord:1").await.unwrap().is_none());
}
