//! Restores, from the plan to the receipt.

use refward::domain::Role;

use super::scene::Scene;
use crate::support::fake_discord::{Member, Message};
use crate::support::world::World;

impl Scene {
    /// Somebody who may restore here, and push there.
    async fn restorer(&self, name: &str) -> Member {
        let member = self.person(name, Role::Restorer).await;
        self.api.collaborator(name, "write");
        self.link(&member, name).await;
        member
    }

    /// Somebody pushes rubbish over `main`; gives what was there before.
    async fn overwritten(&self) -> String {
        let good = self.api.tip("refs/heads/main").await;
        self.work.git(&["checkout", "--quiet", "--orphan", "rubbish"]).await;
        self.work.commit("rubbish").await;
        self.work.push(&["--force", "rubbish:main"]).await;
        self.world.snapshot("acme/api", 2).await;
        good
    }

    async fn plan(&self, member: &Member, words: &str) -> Message {
        member.says(&self.ops, &format!("/refward restore repo:acme/api {words}")).await.answer().await
    }
}

#[tokio::test]
async fn a_new_branch_needs_no_second_person() {
    let scene = Scene::new().await;
    let mona = scene.restorer("mona").await;
    let good = scene.overwritten().await;
    let plan = scene.plan(&mona, "ref:main at:1").await;
    assert!(plan.private() && plan.text().contains("nothing has happened yet"), "{}", plan.text());
    mona.presses(&plan, "Confirm").await;
    plan.says("is done").await;
    assert_eq!(scene.api.tip("refs/heads/restored-1/main").await, good);
    scene.ops.says("is done").await;
}

#[tokio::test]
async fn what_is_overwritten_takes_two_people_and_the_channel_follows_it() {
    let scene = Scene::new().await;
    let (mona, lisa) = (scene.restorer("mona").await, scene.restorer("lisa").await);
    let good = scene.overwritten().await;
    let bad = scene.api.tip("refs/heads/main").await;
    let plan = scene.plan(&mona, "ref:main at:1 to:same").await;
    assert!(plan.text().contains("a second person has to approve it"), "{}", plan.text());
    mona.presses(&plan, "Confirm").await;
    plan.says("waits for a second person").await;
    assert_eq!(scene.api.tip("refs/heads/main").await, bad, "it was restored without a second person");
    let standing = scene.ops.says("waits for a second person").await;

    // Whoever asked sees it, and cannot approve it.
    let own = mona.presses(&standing, "Show plan").await.answer().await;
    assert_eq!(own.buttons(), ["Cancel"]);
    let second = lisa.presses(&standing, "Show plan").await;
    assert!(second.private());
    let second = second.answer().await;
    lisa.presses(&second, "Approve").await;
    second.says("is done").await;
    standing.says("is done").await;
    assert_eq!(scene.api.tip("refs/heads/main").await, good);
    assert_eq!(scene.ops.messages().len(), 1, "one message for one thing");
    assert!(standing.pings().is_empty(), "{:?}", standing.pings());
    let receipt = mona.presses(&standing, "Show receipt").await.answer().await.text();
    assert!(receipt.contains("holds what was there before"), "{receipt}");
}

#[tokio::test]
async fn a_button_pressed_twice_or_by_somebody_else_does_nothing_more() {
    let scene = Scene::new().await;
    let (mona, eve) = (scene.restorer("mona").await, scene.person("eve", Role::Viewer).await);
    scene.overwritten().await;
    let plan = scene.plan(&mona, "ref:main at:1 to:same").await;
    let confirm = plan.button("Confirm");
    mona.presses_id(&plan, &confirm).await;
    plan.says("waits for a second person").await;
    let standing = scene.ops.says("waits for a second person").await;
    let looked = eve.presses(&standing, "Show plan").await.answer().await;
    assert!(looked.buttons().is_empty(), "{:?}", looked.buttons());
    // Their buttons would not let them.
    let forced = eve.presses_id(&standing, &confirm).await.answer().await.text();
    assert!(!forced.contains("is done"), "{forced}");
    let approve = confirm.replace("confirm", "approve");
    let forced = eve.presses_id(&standing, &approve).await.answer().await.text();
    assert!(forced.contains("takes the role restorer"), "{forced}");
    let own = mona.presses_id(&standing, &approve).await.answer().await.text();
    assert!(own.contains("needs a second person"), "{own}");
    mona.presses_id(&plan, &confirm).await;
    plan.says("waits for a second person").await;
    assert_eq!(scene.recorded("restore.confirm").await.iter().filter(|row| *row == "mona Approved").count(), 1);
}

#[tokio::test]
async fn a_reference_that_moves_after_the_plan_gets_a_new_plan() {
    let scene = Scene::new().await;
    let mona = scene.restorer("mona").await;
    scene.overwritten().await;
    let plan = scene.plan(&mona, "ref:main at:1 to:same").await;
    scene.work.commit("three").await;
    scene.work.push(&["rubbish:main"]).await;
    let newest = scene.api.tip("refs/heads/main").await;
    mona.presses(&plan, "Confirm").await;
    plan.says("This is the plan as it is now").await;
    assert_eq!(scene.api.tip("refs/heads/main").await, newest);
    assert_eq!(plan.buttons(), ["Confirm", "Cancel"]);
    mona.presses(&plan, "Cancel").await;
    plan.says("is cancelled").await;
}

#[tokio::test]
async fn a_force_push_is_undone_from_the_alarm_itself() {
    let world = World::with_discord(&[]).await;
    let alarms = world.discord().channel("alarms");
    world.tells(&alarms, "severity = \"warning\"");
    let scene = Scene::in_world(world).await;
    let (mona, lisa) = (scene.restorer("mona").await, scene.restorer("lisa").await);
    let eve = scene.person("eve", Role::Viewer).await;
    let good = scene.overwritten().await;
    let alarm = alarms.says("main").await;
    let refused = eve.presses(&alarm, "Undo").await;
    assert!(refused.private());
    assert!(refused.answer().await.text().contains("takes the role restorer"));
    let plan = mona.presses(&alarm, "Undo").await;
    assert!(plan.private());
    let plan = plan.answer().await;
    mona.presses(&plan, "Confirm").await;
    // This channel hears of the repository anyway, so its message names it.
    let standing = alarms.says("acme/api waits for a second person").await;
    let second = lisa.presses(&standing, "Show plan").await.answer().await;
    lisa.presses(&second, "Approve").await;
    standing.says("is done").await;
    assert_eq!(scene.api.tip("refs/heads/main").await, good);
}

#[tokio::test]
async fn of_two_who_decide_at_the_same_moment_one_does() {
    let scene = Scene::new().await;
    let mona = scene.restorer("mona").await;
    let (lisa, otto) = (scene.restorer("lisa").await, scene.restorer("otto").await);
    let good = scene.overwritten().await;
    let plan = scene.plan(&mona, "ref:main at:1 to:same").await;
    mona.presses(&plan, "Confirm").await;
    let standing = scene.ops.says("waits for a second person").await;
    let hers = lisa.presses(&standing, "Show plan").await.answer().await;
    let his = otto.presses(&standing, "Show plan").await.answer().await;
    tokio::join!(lisa.presses(&hers, "Approve"), otto.presses(&his, "Approve"));
    standing.says("is done").await;
    assert_eq!(scene.api.tip("refs/heads/main").await, good);
    let approved = scene.recorded("restore.approve").await;
    assert_eq!(approved.iter().filter(|row| row.ends_with("Approved")).count(), 1, "{approved:?}");
}

#[tokio::test]
async fn whose_rights_vanish_after_the_plan_restores_nothing() {
    let scene = Scene::new().await;
    let mona = scene.restorer("mona").await;
    scene.overwritten().await;
    let bad = scene.api.tip("refs/heads/main").await;
    let plan = scene.plan(&mona, "ref:main at:1 to:same").await;
    scene.api.collaborator("mona", "read");
    mona.presses(&plan, "Confirm").await;
    plan.says("No right to").await;
    assert_eq!(scene.api.tip("refs/heads/main").await, bad);
    assert!(scene.recorded("restore.confirm").await.contains(&"mona Refused".to_owned()));
}

#[tokio::test]
async fn what_was_approved_is_carried_out_once_by_whoever_runs_next() {
    let scene = Scene::new().await;
    let (mona, lisa) = (scene.restorer("mona").await, scene.restorer("lisa").await);
    let good = scene.overwritten().await;
    let plan = scene.plan(&mona, "ref:main at:1 to:same").await;
    mona.presses(&plan, "Confirm").await;
    let standing = scene.ops.says("waits for a second person").await;
    let second = lisa.presses(&standing, "Show plan").await.answer().await;
    // It is approved, and the process dies before anybody is told.
    scene.world.discord().down();
    lisa.presses(&second, "Approve").await;
    let Scene { service, world, api, .. } = scene;
    service.kill().await;
    world.discord().up();
    let _next = world.serve().await;
    standing.says("is done").await;
    second.says("is done").await;
    assert_eq!(api.tip("refs/heads/main").await, good);
}

#[tokio::test]
async fn a_download_is_an_address_for_who_asked_alone() {
    const PUBLIC: &str = "https://backup.example.com";
    let scene = Scene::with(&[("server.public_url", PUBLIC)]).await;
    let mona = scene.person("mona", Role::Restorer).await;
    let plan = scene.plan(&mona, "to:download").await;
    assert!(plan.text().contains("as a download for you"), "{}", plan.text());
    mona.presses(&plan, "Confirm").await;
    plan.says("is ready").await;
    assert!(plan.private());
    let text = plan.text();
    let address = text.lines().find_map(|line| line.strip_prefix(PUBLIC)).unwrap_or_else(|| panic!("{text}"));

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let bundle = http.post(scene.service.url(address)).send().await.unwrap().bytes().await.unwrap();
    assert!(bundle.starts_with(b"# v2 git bundle"), "{bundle:?}");
    // Only its hash is kept.
    let token = address.rsplit('/').next().unwrap();
    scene.world.idle().await;
    assert!(scene.ops.messages().is_empty(), "others are told of it");
    for file in std::fs::read_dir(scene.world.folder()).unwrap().map(|file| file.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "it is in {}", file.display());
    }
    assert!(!scene.service.log().contains(token), "it is in the log");
}

#[tokio::test]
async fn a_deployment_that_cannot_read_its_vault_says_so_and_plans_nothing() {
    let Scene { service, ops, world, api, work } = Scene::new().await;
    service.stop().await;
    std::fs::remove_file(world.folder().join("keys/vault.agekey")).unwrap();
    let service = world.serve().await;
    let scene = Scene { service, ops, api, work, world };
    let mona = scene.restorer("mona").await;
    let refused = scene.plan(&mona, "ref:main at:1").await;
    assert!(refused.text().contains("This deployment is sealed"), "{}", refused.text());
    assert!(refused.text().contains("Restore where the key is"), "{}", refused.text());
    assert_eq!(scene.recorded("restore.plan").await, ["mona Failed"]);
}

#[tokio::test]
async fn any_replica_goes_on_with_what_another_has_begun() {
    let scene = Scene::new().await;
    let (mona, lisa) = (scene.restorer("mona").await, scene.restorer("lisa").await);
    let good = scene.overwritten().await;
    let told = mona.says(&scene.ops, "/refward restore repo:acme/api ref:main at:1 to:same").await;
    let plan = told.answer().await;
    plan.says("nothing has happened yet").await;

    // From here on Discord talks to another process; both work.
    let _other = scene.world.serve().await;
    assert_eq!(scene.world.discord().replay(&told).await.status, 409, "it was answered by the first");
    mona.presses(&plan, "Confirm").await;
    let standing = scene.ops.says("waits for a second person").await;
    let second = lisa.presses(&standing, "Show plan").await.answer().await;
    lisa.presses(&second, "Approve").await;
    standing.says("is done").await;
    plan.says("waits for a second person").await;
    assert_eq!(scene.api.tip("refs/heads/main").await, good);
    assert_eq!(scene.ops.messages().len(), 1, "one message for one thing");
    assert_eq!(scene.recorded("restore.run").await.len(), 1);
}
