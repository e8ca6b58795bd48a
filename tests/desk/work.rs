//! Work that takes longer than a chat waits.

use refward::catalog::job_kind;
use refward::domain::Role;

use super::scene::Scene;
use crate::support::fake_github::Fault;
use crate::support::world::eventually;

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
async fn what_failed_before_it_was_asked_for_is_no_answer() {
    let scene = Scene::with(&[("workers.count", "1"), ("workers.retry_first", "1h")]).await;
    let mona = scene.person("mona", Role::Operator).await;
    scene.world.github.fail_git(1, &Fault::html(500));
    mona.says(&scene.ops, "/refward backup repo:acme/api").await.answer().await.says("could not be backed up").await;
    // The only worker is busy elsewhere.
    scene.world.github.hold_fetches();
    let web = scene.world.github.org("acme").repo("web").await;
    let work = web.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    scene.world.github.fetch_is_held().await;
    let told = mona.says(&scene.ops, "/refward backup repo:acme/api").await;
    told.answer().await.says("Backing up acme/api").await;
    let catalog = scene.catalog().await;
    let looked = async || {
        let jobs = catalog.jobs().await.unwrap();
        let answers = jobs.iter().filter(|job| job.kind == job_kind::ANSWER);
        // Done with it already would be too soon.
        (jobs.iter().all(|job| job.kind != job_kind::ANSWER) || answers.max_by_key(|job| job.attempts)?.attempts > 2)
            .then_some(())
    };
    eventually(looked, || "the answer to be looked for twice".to_owned()).await;
    scene.world.github.let_fetches_go();
    told.answer().await.says("is as snapshot 1 has it").await;
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
