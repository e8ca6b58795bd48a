//! What is only looked at.

use refward::domain::Role;

use super::scene::Scene;

#[tokio::test]
async fn whoever_may_look_sees_how_things_stand_privately() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Viewer).await;
    let told = mona.says(&scene.ops, "/refward status repo:acme/api").await;
    assert!(told.private());
    let text = told.answer().await.text();
    assert!(text.contains("acme/api: amber") && text.contains("No restore was proved yet"), "{text}");
    let snapshots = mona.says(&scene.ops, "/refward snapshots repo:acme/api").await.answer().await.text();
    assert!(snapshots.contains("1 snapshot"), "{snapshots}");
    let journal = mona.says(&scene.ops, "/refward journal repo:acme/api ref:main").await.answer().await.text();
    assert!(journal.contains("1 move"), "{journal}");
    let help = mona.says(&scene.ops, "/refward help").await.answer().await.text();
    assert!(help.contains("/refward restore repo [ref] [at] [to]") && help.contains("viewer"), "{help}");
    assert!(scene.ops.messages().is_empty(), "what only they may see stands in the channel");
}

#[tokio::test]
async fn the_journal_of_a_private_repository_is_for_who_may_read_it_on_the_forge_now() {
    let scene = Scene::new().await;
    let vault = scene.world.github.org("acme").repo("keys").await;
    let work = vault.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    scene.world.snapshot("acme/keys", 1).await;
    let lisa = scene.person("lisa", Role::Admin).await;
    let look = "/refward journal repo:acme/keys";
    let nobody = lisa.says(&scene.ops, look).await.answer().await.text();
    assert!(nobody.contains("/refward link"), "{nobody}");
    assert!(lisa.types(&scene.ops, "/refward journal repo:acme/keys ref:m|").await.is_empty(), "a branch is suggested");

    scene.link(&lisa, "lisa").await;
    let refused = lisa.says(&scene.ops, look).await.answer().await.text();
    assert!(refused.contains("you may not read acme/keys now"), "{refused}");
    vault.collaborator("lisa", "read");
    let seen = lisa.says(&scene.ops, look).await.answer().await.text();
    assert!(seen.contains("1 move"), "{seen}");
    // What is public they may read all the time.
    assert!(lisa.says(&scene.ops, "/refward journal repo:acme/api").await.answer().await.text().contains("1 move"));
}

#[tokio::test]
async fn names_that_look_like_markup_or_mentions_call_nobody() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Viewer).await;
    scene.work.commit("two").await;
    scene.work.git(&["branch", "@everyone/__now__"]).await;
    scene.work.push(&["@everyone/__now__"]).await;
    scene.world.snapshot("acme/api", 2).await;
    let journal = mona.says(&scene.ops, "/refward journal repo:acme/api").await.answer().await;
    assert!(journal.text().contains("everyone"), "{}", journal.text());
    assert!(journal.pings().is_empty() && journal.mentions().is_empty(), "{:?}", journal.pings());
}

#[tokio::test]
async fn the_same_words_are_understood_at_the_command_line() {
    let scene = Scene::new().await;
    let ran = scene.world.refward(&["ask", "status acme/api"]).await;
    assert!(ran.code == 0 && ran.stdout.contains("acme/api: amber"), "{ran:?}");
    scene.work.commit("two").await;
    scene.work.push(&["main"]).await;
    scene.world.snapshot("acme/api", 2).await;
    let plan = scene.world.refward(&["ask", "restore", "acme/api", "--ref", "main", "--at", "1"]).await;
    let press = plan.stdout.lines().find_map(|line| line.strip_prefix("[Confirm] refward ask --press "));
    let press = press.unwrap_or_else(|| panic!("nothing to press: {plan:?}"));
    let done = scene.world.refward(&["ask", "--press", press]).await;
    assert!(done.code == 0 && done.stdout.contains("Restore 1"), "{done:?}");
    let nowhere = scene.world.refward(&["ask", "status acme/nowhere"]).await;
    assert!(nowhere.code == 3 && !nowhere.stderr.contains("yours to see"), "{nowhere:?}");
    let wrong = scene.world.refward(&["ask", "frob", "--json"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
}
