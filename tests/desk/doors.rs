//! Who gets in: signatures, replays, channels, grants.

use chrono::{TimeDelta, Utc};
use refward::domain::{Role, Seq};

use super::scene::Scene;
use crate::support::fake_github::{Fault, Repo};
use crate::support::world::eventually;

/// The snapshot that holds `main` as it is, as soon as there is one.
async fn kept(scene: &Scene, repo: &Repo) -> Seq {
    let (catalog, tip) = (scene.catalog().await, repo.tip("refs/heads/main").await);
    let look = async || {
        let known = catalog.resolve(&repo.full_name().parse().ok()?).await.ok()?;
        let (seq, state) = catalog.refs_at(&known.id, None).await.ok()?;
        state.refs.values().any(|id| id.to_string() == tip).then_some(seq)
    };
    eventually(look, || format!("a snapshot of {} with {tip}", repo.full_name())).await
}

#[tokio::test]
async fn what_discord_did_not_sign_lately_is_not_taken() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Viewer).await;
    let letter = mona.writes(&scene.ops, "/refward status");
    assert_eq!(letter.clone().forged().send().await.status, 401);
    assert_eq!(letter.clone().tampered("status", "backup").send().await.status, 401);
    assert_eq!(letter.clone().signed_at(Utc::now() - TimeDelta::hours(1)).send().await.status, 401);
    assert!(scene.recorded("status").await.is_empty(), "something was done for somebody unknown");
    // The same words, signed and in time.
    assert_eq!(letter.send().await.status, 200);
    scene.world.discord().forgive_violations();
}

#[tokio::test]
async fn what_is_sent_twice_is_done_once() {
    let scene = Scene::new().await;
    let mona = scene.person("mona", Role::Operator).await;
    let told = mona.says(&scene.ops, "/refward backup repo:acme/api").await;
    assert_eq!(scene.world.discord().replay(&told).await.status, 409);
    told.answer().await.says("Nothing has changed since").await;
    assert_eq!(scene.world.discord().replay(&told).await.status, 409);
    assert_eq!(scene.recorded("backup").await, ["mona Asked"]);
}

#[tokio::test]
async fn nobody_may_anything_until_somebody_grants_it_and_nothing_any_more_once_that_ends() {
    let scene = Scene::new().await;
    let eve = scene.world.discord().member("eve");
    let refused = eve.says(&scene.ops, "/refward backup repo:acme/api").await;
    assert!(refused.private());
    let unknown = refused.answer().await.text();
    let nowhere = eve.says(&scene.ops, "/refward backup repo:acme/nowhere").await.answer().await.text();
    assert_eq!(unknown.replace("acme/api", "X"), nowhere.replace("acme/nowhere", "X"), "what exists shows");
    let status = eve.says(&scene.ops, "/refward status").await.answer().await.text();
    assert!(status.contains("takes the role viewer"), "{status}");

    let eve = scene.person("eve", Role::Viewer).await;
    let status = eve.says(&scene.ops, "/refward status").await.answer().await.text();
    assert!(status.contains("acme/api"), "{status}");
    let refused = eve.says(&scene.ops, "/refward backup repo:acme/api").await.answer().await.text();
    assert!(refused.contains("takes the role operator for acme/api; you are viewer"), "{refused}");

    let catalog = scene.catalog().await;
    let grant = catalog.grants().await.unwrap().remove(0);
    catalog.revoke_grant(grant.id, &refward::domain::By::cli("root")).await.unwrap();
    let status = eve.says(&scene.ops, "/refward status").await.answer().await.text();
    assert!(status.contains("you have none"), "{status}");
    assert_eq!(scene.recorded("backup").await, ["eve Refused", "eve Refused", "eve Refused"]);
    assert_eq!(scene.recorded("status").await, ["eve Refused", "eve Done", "eve Refused"]);
}

#[tokio::test]
async fn a_grant_reaches_no_further_than_its_scope() {
    let scene = Scene::new().await;
    scene.world.github.org("acme").repo("web").await;
    scene.world.idle().await;
    let lisa = scene.person_with("lisa", Role::Operator, Some("acme/web")).await;
    let status = lisa.says(&scene.ops, "/refward status").await.answer().await.text();
    assert!(status.contains("acme/web") && !status.contains("acme/api"), "{status}");
    let api = lisa.says(&scene.ops, "/refward snapshots repo:acme/api").await.answer().await.text();
    assert!(api.contains("or it is not yours to see"), "{api}");
    let suggested = lisa.types(&scene.ops, "/refward backup repo:a|").await;
    assert_eq!(suggested.iter().map(|one| one.value.as_str()).collect::<Vec<_>>(), ["acme/web"]);
    // What is about everything is not hers, either.
    let credentials = lisa.says(&scene.ops, "/refward credentials").await.answer().await.text();
    assert!(credentials.contains("for all repositories"), "{credentials}");
}

#[tokio::test]
async fn commands_are_answered_only_in_the_channels_that_the_settings_say() {
    let world = crate::support::world::World::with_discord(&[]).await;
    let ops = world.discord().channel("ops");
    let settings = world.folder().join("refward.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("commands_in = []", &format!("commands_in = [\"{}\"]", ops.id))).unwrap();
    let scene = Scene::in_world(world).await;
    let mona = scene.person("mona", Role::Viewer).await;
    let lobby = scene.world.discord().channel("lobby");
    let refused = mona.says(&lobby, "/refward status").await;
    assert!(refused.private());
    assert!(refused.answer().await.text().contains("does not answer in this channel"));
    assert!(mona.types(&lobby, "/refward backup repo:a|").await.is_empty());
    assert!(mona.says(&scene.ops, "/refward status").await.answer().await.text().contains("acme/api"));
    assert_eq!(scene.recorded("status").await, ["mona Done"]);
    assert_eq!(scene.recorded("command").await, ["mona Refused"]);
}

#[tokio::test]
async fn the_first_admin_says_a_code_once() {
    let scene = Scene::new().await;
    let discord = scene.world.discord();
    let (mona, eve) = (discord.member("mona"), discord.member("eve"));
    let settings = refward::config::Settings::load(&scene.world.folder().join("refward.toml")).unwrap();
    let services = refward::services::Services::open(settings).await.unwrap();
    let code = refward::ops::people::claim_code(&services, &refward::domain::By::cli("root")).await.unwrap().code;
    let code = secrecy::ExposeSecret::expose_secret(&code).to_owned();
    let claim = format!("/refward claim code:{code}");
    let admin = mona.says(&scene.ops, &claim).await.answer().await.text();
    assert!(admin.contains("admin of everything"), "{admin}");
    let late = eve.says(&scene.ops, &claim).await.answer().await.text();
    assert!(late.contains("opens nothing"), "{late}");
    let wrong = eve.says(&scene.ops, "/refward claim code:guess").await.answer().await.text();
    assert!(wrong.contains("opens nothing"), "{wrong}");
    // Whoever is admin of something is not told that a wrong code has made them more.
    let otto = scene.person_with("otto", Role::Admin, Some("acme/api")).await;
    let wrong = otto.says(&scene.ops, "/refward claim code:guess").await.answer().await.text();
    assert!(wrong.contains("opens nothing"), "{wrong}");
    // The code is nowhere in the database, not even where what was asked is kept.
    for file in std::fs::read_dir(scene.world.folder()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(code.len()).any(|window| window == code.as_bytes());
            assert!(!found, "the code is in {}", path.display());
        }
    }
    assert!(!scene.service.log().contains(&code), "the code is in the log");
}

#[tokio::test]
async fn who_somebody_is_they_say_on_the_forge_and_the_answer_changes_when_they_have() {
    let scene = Scene::new().await;
    scene.world.github.sign_in_interval(1);
    let _app = scene.world.app("acme", 1).await.enable_device_flow();
    let lisa = scene.person("lisa", Role::Viewer).await;
    let told = lisa.says(&scene.ops, "/refward link").await;
    assert!(told.private());
    let answer = told.answer().await;
    let code = scene.world.github.user_code().unwrap();
    assert!(answer.text().contains(&code), "{}", answer.text());
    // A forge that stumbles meanwhile does not end it.
    scene.world.github.fail_sign_in(2, &Fault::html(502));
    scene.world.github.signs_in("lisa", &code);
    answer.says("You are linked to lisa").await;
    let links = scene.catalog().await.links_of(&super::scene::person(&lisa)).await.unwrap();
    assert_eq!(links.len(), 1);
    let ended = lisa.says(&scene.ops, "/refward unlink").await.answer().await.text();
    assert!(ended.contains("not linked any more"), "{ended}");
    for secret in scene.world.github.sign_in_secrets() {
        assert!(!scene.service.log().contains(&secret), "a sign-in's secret is in the log");
    }
}

#[tokio::test]
async fn whoever_may_not_see_a_repository_learns_its_name_from_no_button_and_no_mistake() {
    let scene = Scene::new().await;
    let secret = scene.world.github.org("acme").repo("moon-landing").await;
    let work = secret.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let one = kept(&scene, &secret).await;
    let mona = scene.person("mona", Role::Restorer).await;
    secret.collaborator("mona", "write");
    scene.link(&mona, "mona").await;
    work.commit("two").await;
    work.push(&["main"]).await;
    kept(&scene, &secret).await;
    let words = format!("/refward restore repo:acme/moon-landing at:{one} to:same");
    let plan = mona.says(&scene.ops, &words).await.answer().await;
    mona.presses(&plan, "Confirm").await;
    let standing = scene.ops.says("waits for a second person").await;
    assert!(!standing.text().contains("moon"), "{}", standing.text());

    // Everybody in the channel can press that button, and say what comes into their mind.
    let eve = scene.person_with("eve", Role::Restorer, Some("acme/api")).await;
    scene.api.collaborator("eve", "write");
    scene.link(&eve, "eve").await;
    let show = standing.button("Show plan");
    let mut told = vec![eve.presses(&standing, "Show plan").await.answer().await.text()];
    for what in ["approve", "reject"] {
        let id = format!("{}:{}", show.replace("show", what), "f".repeat(64));
        told.push(eve.presses_id(&standing, &id).await.answer().await.text());
    }
    let nowhere = show.replace(":1", ":99");
    let unknown = eve.presses_id(&standing, &nowhere).await.answer().await.text();
    assert_eq!(told, vec![unknown.replace("99", "1"); 3], "what exists shows");

    scene.work.commit("three").await;
    scene.work.push(&["main"]).await;
    scene.world.snapshot("acme/api", 2).await;
    for to in ["acme:acme/moon-landin", "acme:ACME/Moon-Landing", "acme/moon-landing"] {
        let words = format!("/refward restore repo:acme/api at:1 to:{to}");
        let told = eve.says(&scene.ops, &words).await.answer().await.text().replace('\\', "");
        assert!(told.contains(&format!("There is no {to} here")), "{told}");
        assert!(!told.replace(to, "").to_lowercase().contains("moon"), "{told}");
    }
    let told = eve.says(&scene.ops, "/refward status repo:ACME/Moon-Landing").await.answer().await.text();
    assert!(told.contains("ACME/Moon-Landing") && !told.contains("acme/moon"), "{told}");

    // The record has what was tried.
    let presses = scene.recorded("press").await;
    assert_eq!(presses.iter().filter(|row| *row == "eve Refused").count(), 4, "{presses:?}");
    let refused = scene.recorded("restore.plan").await;
    assert_eq!(refused.iter().filter(|row| *row == "eve Refused").count(), 3, "{refused:?}");
}

#[tokio::test]
async fn who_may_not_read_it_on_the_forge_any_more_is_shown_nothing_of_it() {
    let scene = Scene::new().await;
    let secret = scene.world.github.org("acme").repo("moon-landing").await;
    let work = secret.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let one = kept(&scene, &secret).await;
    work.commit("two").await;
    work.push(&["main"]).await;
    kept(&scene, &secret).await;
    let mona = scene.person("mona", Role::Restorer).await;
    secret.collaborator("mona", "write");
    scene.link(&mona, "mona").await;
    let words = format!("/refward restore repo:acme/moon-landing at:{one}");
    let plan = mona.says(&scene.ops, &words).await.answer().await;
    mona.presses(&plan, "Confirm").await;
    let standing = scene.ops.says("is done").await;
    assert!(mona.presses(&standing, "Show receipt").await.answer().await.text().contains("restored-"));
    secret.collaborator("mona", "none");
    let told = mona.presses(&standing, "Show receipt").await.answer().await.text();
    assert!(told.contains("you may not read") && !told.contains("restored-"), "{told}");
}

#[tokio::test]
async fn nobody_begins_to_sign_in_without_end() {
    let scene = Scene::new().await;
    let _app = scene.world.app("acme", 1).await.enable_device_flow();
    let eve = scene.world.discord().member("eve");
    for _ in 0..5 {
        eve.says(&scene.ops, "/refward link").await.answer().await.says("type this code").await;
    }
    let refused = eve.says(&scene.ops, "/refward link").await.answer().await.text();
    assert!(refused.contains("begun to sign in too often"), "{refused}");
    // That is nobody else's trouble.
    let lisa = scene.world.discord().member("lisa");
    lisa.says(&scene.ops, "/refward link").await.answer().await.says("type this code").await;
}
