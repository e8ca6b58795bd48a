//! Policies, changed from a chat.

use refward::domain::Role;

use super::scene::Scene;

#[tokio::test]
async fn a_change_is_shown_first_and_made_when_it_is_confirmed_by_who_asked_once() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Admin).await;
    let plan = mona.says(&scene.ops, "/refward policy set name:default set:retention.daily=120").await.answer().await;
    assert!(plan.text().contains("Nothing has changed yet"), "{}", plan.text());
    let shown = scene.world.ok(&["policy", "show", "default"]).await;
    assert_ne!(shown["retention"]["daily"], 120, "it was changed before anybody confirmed it");

    let confirm = plan.button("Confirm");
    let done = mona.presses_id(&plan, &confirm).await.answer().await;
    assert!(done.text().contains("is changed"), "{}", done.text());
    assert_eq!(scene.world.ok(&["policy", "show", "default"]).await["retention"]["daily"], 120);
    let twice = mona.presses_id(&plan, &confirm).await.answer().await;
    twice.says("It is so already").await;
    assert_eq!(scene.world.ok(&["policy", "history"]).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_changed_meanwhile_is_not_confirmed_blindly() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Admin).await;
    let plan = mona.says(&scene.ops, "/refward policy set name:default set:retention.daily=120").await.answer().await;
    scene.world.ok(&["policy", "set", "default", "retention.daily=150"]).await;
    mona.presses(&plan, "Confirm").await;
    plan.says("It would mean something else by now").await;
    assert_eq!(scene.world.ok(&["policy", "show", "default"]).await["retention"]["daily"], 150);
}

#[tokio::test]
async fn what_protects_less_waits_for_a_second_admin() {
    let scene = Scene::with(&[("policies.grace", "0s")]).await;
    let (mona, lisa) = (scene.person("mona", Role::Admin).await, scene.person("lisa", Role::Admin).await);
    let eve = scene.person("eve", Role::Restorer).await;
    let weaker = "/refward policy set name:default set:retention.within=1d";
    let plan = mona.says(&scene.ops, weaker).await.answer().await;
    assert!(plan.text().contains("Less:"), "{}", plan.text());
    let confirm = plan.button("Confirm");
    mona.presses_id(&plan, &confirm).await;
    plan.says("This is change 1").await;
    let standing = scene.ops.says("waits for a second admin").await;
    assert!(standing.pings().is_empty());
    mona.presses_id(&plan, &confirm).await;
    plan.says("Change 1 of the policy default waits").await;
    assert_eq!(scene.ops.messages().len(), 1, "one message for one thing");

    let refused = eve.presses(&standing, "Show").await.answer().await.text();
    assert!(refused.contains("takes the role admin"), "{refused}");
    let own = mona.presses(&standing, "Show").await.answer().await;
    assert!(!own.buttons().contains(&"Approve".to_owned()), "{:?}", own.buttons());
    let own = mona.says(&scene.ops, "/refward policy approve change:1").await.answer().await.text();
    assert!(own.contains("somebody else has to approve it"), "{own}");

    let second = lisa.presses(&standing, "Show").await.answer().await;
    lisa.presses(&second, "Approve").await;
    second.says("is approved").await;
    standing.says("acts now").await;
    assert_eq!(scene.world.ok(&["policy", "show", "default"]).await["retention"]["within"], "1d");
}

#[tokio::test]
async fn a_second_account_of_the_same_person_is_no_second_person() {
    let scene = Scene::new().await;
    let (mona, lisa) = (scene.person("mona", Role::Admin).await, scene.person("lisa", Role::Admin).await);
    scene.link(&mona, "mona").await;
    scene.link(&lisa, "mona").await;
    let plan = mona.says(&scene.ops, "/refward policy set name:default set:retention.within=1d").await.answer().await;
    mona.presses(&plan, "Confirm").await;
    plan.says("This is change 1").await;
    let refused = lisa.says(&scene.ops, "/refward policy approve change:1").await.answer().await.text();
    assert!(refused.contains("somebody else has to approve it"), "{refused}");
}

#[tokio::test]
async fn what_policies_say_and_why_is_told_to_who_may_see_everything() {
    let scene = Scene::new().await;
    let (mona, eve) =
        (scene.person("mona", Role::Admin).await, scene.person_with("eve", Role::Admin, Some("acme/api")).await);
    let all = mona.says(&scene.ops, "/refward policy show").await.answer().await.text();
    assert!(all.contains("default"), "{all}");
    let one = mona.says(&scene.ops, "/refward policy show name:default").await.answer().await.text();
    assert!(one.contains("[retention]"), "{one}");
    for member in [&mona, &eve] {
        let why = member.says(&scene.ops, "/refward policy explain repo:acme/api").await.answer().await.text();
        assert!(why.contains("is under the policy default"), "{why}");
    }
    let refused = eve.says(&scene.ops, "/refward policy show").await.answer().await.text();
    assert!(refused.contains("for all repositories"), "{refused}");

    let select = "select.include=mobile-*";
    scene.world.ok(&["policy", "create", "important", "--allow-empty", select, "retention.daily=365"]).await;
    let named = "/refward policy assign name:important repos:acme/api";
    let plan = mona.says(&scene.ops, named).await.answer().await;
    mona.presses(&plan, "Confirm").await;
    plan.says("is changed").await;
    let why = eve.says(&scene.ops, "/refward policy explain repo:acme/api").await.answer().await.text();
    assert!(why.contains("is under the policy important"), "{why}");
    let past = mona.says(&scene.ops, "/refward policy history").await.answer().await.text();
    assert!(past.contains("important"), "{past}");
    let pool = mona.says(&scene.ops, "/refward credentials").await.answer().await.text();
    assert!(pool.contains("1 credential"), "{pool}");
}
