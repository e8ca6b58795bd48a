//! What a hook could not deliver is found: in the forge's history, or by a look at all that it is for.

use std::time::Duration;

use crate::house::House;
use crate::support::fake_azure_devops::{FakeAzureDevops, Repo};
use crate::support::fake_github::Work;

struct Scene {
    azure: FakeAzureDevops,
    house: House,
    work: Work,
    hook: uuid::Uuid,
}

impl Scene {
    /// One push was heard of and backed up.
    async fn new() -> Self {
        let azure = FakeAzureDevops::start().await;
        let api: Repo = azure.org("acme").project("Web").repo("api").await;
        let house = House::new(&azure, &api).await;
        house.keeps().await;
        house.keeps().await;
        let work = api.work().await;
        let hook = house.hook("git.push").await.forge_id.parse().unwrap();
        let scene = Self { azure, house, work, hook };
        scene.push("one").await;
        assert_eq!(scene.house.pushes_heard().await, 1);
        scene.house.works().await;
        assert_eq!(scene.house.snapshots().await, 1);
        scene
    }

    async fn push(&self, message: &str) {
        self.work.commit(message).await;
        self.work.push(&["main"]).await;
        self.azure.hooks_arrive().await;
    }

    fn status(&self) -> &'static str {
        self.azure.subscriptions().into_iter().find(|hook| hook.id == self.hook).unwrap().status
    }
}

#[tokio::test]
async fn a_push_that_is_told_twice_is_heard_once() {
    let scene = Scene::new().await;
    scene.push("two").await;
    scene.azure.redeliver_hooks(scene.hook);
    scene.azure.hooks_arrive().await;
    assert_eq!(scene.house.pushes_heard().await, 1);
}

#[tokio::test]
async fn deliveries_that_come_in_any_order_are_all_heard() {
    let scene = Scene::new().await;
    scene.azure.hold_hooks();
    scene.push("two").await;
    scene.push("three").await;
    assert_eq!(scene.house.pushes_heard().await, 0);
    scene.azure.release_hooks(|held| held.reverse());
    scene.azure.hooks_arrive().await;
    assert_eq!(scene.house.pushes_heard().await, 2);
}

#[tokio::test]
async fn what_was_lost_on_probation_is_backed_up() {
    let scene = Scene::new().await;
    scene.azure.alter_hook(scene.hook, "basicAuthPassword", "wrong");
    scene.push("refused").await;
    assert_eq!(scene.status(), "onProbation");
    scene.push("told to nobody").await;
    assert_eq!(scene.house.pushes_heard().await, 0);

    scene.house.keeps().await;
    assert_eq!(scene.status(), "enabled");
    assert_eq!(scene.house.pushes_heard().await, 1, "the first is in the history");
    scene.house.works().await;
    assert_eq!(scene.house.snapshots().await, 2, "the second is found by a look at the repository");
    scene.push("three").await;
    assert_eq!(scene.house.pushes_heard().await, 1, "the hook delivers again");
}

#[tokio::test]
async fn a_hook_that_the_forge_gave_up_is_switched_on_and_what_failed_comes_exactly_once() {
    let scene = Scene::new().await;
    scene.azure.alter_hook(scene.hook, "basicAuthPassword", "wrong");
    scene.push("refused").await;
    for _ in 0..7 {
        scene.azure.hooks_later(Duration::from_hours(16)).await;
    }
    assert_eq!(scene.status(), "disabledBySystem");
    scene.house.keeps().await;
    assert_eq!(scene.status(), "enabled");
    insta::assert_snapshot!(scene.house.alarms().await.join("\n"), @"hooks.disabled: Hooks of acme were switched off: git.push in Web since by the forge, after deliveries that failed.");
    assert_eq!(scene.house.pushes_heard().await, 1);
    scene.house.keeps().await;
    assert_eq!(scene.house.pushes_heard().await, 1, "once");
    assert_eq!(scene.house.alarms().await, Vec::<String>::new(), "a later look finds it on");
}

#[tokio::test]
async fn hooks_of_somebody_who_left_are_switched_on_by_whoever_looks_after_them_now() {
    let scene = Scene::new().await;
    scene.azure.set_status(scene.hook, "disabledByInactiveIdentity");
    scene.push("told to nobody").await;
    scene.house.keeps().await;
    assert_eq!(scene.status(), "enabled");
    scene.house.works().await;
    assert_eq!(scene.house.snapshots().await, 2);
}

#[tokio::test]
async fn a_number_that_is_missing_makes_us_look() {
    let scene = Scene::new().await;
    scene.azure.lose_hooks(1);
    scene.push("lost on the way").await;
    scene.push("three").await;
    scene.house.works().await;
    scene.house.keeps().await;
    assert!(scene.house.works().await.contains(&"sync_repo".to_owned()));
}

#[tokio::test]
async fn a_delivery_that_could_not_be_stored_comes_back_by_itself() {
    let scene = Scene::new().await;
    // Nobody listens there for a moment.
    let url = scene.azure.subscriptions().into_iter().find(|hook| hook.id == scene.hook).unwrap().url;
    scene.azure.alter_hook(scene.hook, "url", "http://127.0.0.1:9/");
    scene.push("two").await;
    assert_eq!((scene.status(), scene.house.pushes_heard().await), ("enabled", 0));
    scene.azure.alter_hook(scene.hook, "url", &url);
    scene.azure.hooks_later(Duration::from_secs(1)).await;
    assert_eq!(scene.house.pushes_heard().await, 1);
}
