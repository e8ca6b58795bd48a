//! Work that takes longer than a chat waits.

use refward::domain::Role;

use super::scene::Scene;
use crate::support::fake_github::Fault;

#[tokio::test]
async fn a_backup_a_verification_and_a_drill_say_what_came_of_them() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Operator).await;
    scene.work.commit("two").await;
    scene.world.github.hold();
    scene.work.push(&["main"]).await;
    let told = mona.says(&scene.ops, "/refward backup repo:acme/api").await;
    assert!(told.private());
    told.answer().await.says("is backed up: snapshot 2").await;
    let verified = mona.says(&scene.ops, "/refward verify repo:acme/api").await;
    verified.answer().await.says("The backups of acme/api are whole").await;
    let drilled = mona.says(&scene.ops, "/refward drill repo:acme/api").await;
    drilled.answer().await.says("A restore of acme/api is whole").await;
    assert_eq!(scene.recorded("drill").await, ["mona Asked"]);
}

#[tokio::test]
async fn a_backup_that_fails_says_why() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Operator).await;
    scene.world.github.fail_git(1000, &Fault::html(500));
    let told = mona.says(&scene.ops, "/refward backup repo:acme/api").await;
    told.answer().await.says("could not be backed up").await;
}

#[tokio::test]
async fn what_takes_longer_than_an_answer_lives_is_ready_in_the_channel_for_who_asked() {
    let scene = Scene::new().await;
    let (mona, eve) = (scene.person("mona", Role::Operator).await, scene.person("eve", Role::Operator).await);
    scene.work.commit("two").await;
    scene.world.github.hold_fetches();
    scene.work.push(&["main"]).await;
    scene.world.github.fetch_is_held().await;
    let told = mona.says(&scene.ops, "/refward backup repo:acme/api").await;
    told.answer().await.says("Backing up acme/api").await;
    scene.world.discord().expire_tokens();
    scene.world.github.let_fetches_go();
    let ready = scene.ops.says("is ready").await;
    assert!(!ready.text().contains("acme"), "{}", ready.text());
    let hers = eve.presses(&ready, "Show").await;
    assert!(hers.private());
    assert!(hers.answer().await.text().contains("somebody else's"));
    let his = mona.presses(&ready, "Show").await;
    assert!(his.private());
    assert!(his.answer().await.text().contains("acme/api"));
    scene.world.discord().forgive_violations();
}
