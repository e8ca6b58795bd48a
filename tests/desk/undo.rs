//! From where people are told of lost history to where it is back.

use refward::domain::Role;

use super::scene::Scene;
use crate::support::world::World;

#[tokio::test]
async fn a_force_push_is_undone_where_it_is_told() {
    let world = World::with_discord(&[]).await;
    let ops = world.discord().channel("ops");
    world.tells(&ops, "repositories = [\"acme/api\"]");
    let scene = Scene::in_world(world).await;
    let (mona, lisa, eve) = (
        scene.person("mona", Role::Restorer).await,
        scene.person("lisa", Role::Restorer).await,
        scene.person("eve", Role::Viewer).await,
    );
    for member in [&mona, &lisa] {
        scene.api.collaborator(&member.name, "write");
        scene.link(member, &member.name).await;
    }
    scene.world.idle().await;
    let good = scene.api.tip("refs/heads/main").await;
    let work = scene.api.work().await;
    work.git(&["checkout", "--quiet", "--orphan", "rubbish"]).await;
    work.commit("rubbish").await;
    work.push(&["--force", "rubbish:main", "rubbish:topic"]).await;

    let alarm = ops.says("history of acme/api was rewritten").await;
    let refused = eve.presses(&alarm, "Undo").await;
    assert!(refused.private());
    assert!(refused.answer().await.text().contains("takes the role restorer"));

    // The plan is about exactly what the alarm is about.
    let plan = mona.presses(&alarm, "Undo").await;
    assert!(plan.private());
    let plan = plan.answer().await;
    assert!(plan.text().contains("main") && !plan.text().contains("topic"), "{}", plan.text());
    mona.presses(&plan, "Confirm").await;
    let standing = ops.says("waits for a second person").await;
    let second = lisa.presses(&standing, "Show plan").await.answer().await;
    lisa.presses(&second, "Approve").await;
    standing.says("is done").await;
    assert_eq!(scene.api.tip("refs/heads/main").await, good);
    assert_ne!(scene.api.tip("refs/heads/topic").await, good, "nobody asked for that");
    assert!(ops.messages().iter().all(|message| message.pings().is_empty()));
}
