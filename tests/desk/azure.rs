//! Azure DevOps from a chat: the same commands, with what somebody may do there and names with spaces in them.

use refward::domain::Role;

use super::scene::Scene;
use crate::support::fake_azure_devops::{FakeAzureDevops, Repo};
use crate::support::fake_discord::Member;
use crate::support::fake_github::Work;
use crate::support::world::World;

const REPO: &str = "Prój eñt/My Repo";

/// Beside acme's repository on GitHub one on Azure DevOps, backed up once.
async fn scene() -> (Scene, Repo, Work) {
    let azure = FakeAzureDevops::start().await;
    let repo = azure.org("contoso").project("Prój eñt").repo("My Repo").await;
    let work = repo.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let mut world = World::with_discord(&[]).await;
    world.gets(azure);
    world.connect_azure("contoso").await;
    let scene = Scene::in_world(world).await;
    scene.world.snapshot(REPO, 1).await;
    (scene, repo, work)
}

impl Scene {
    /// Somebody who may restore here, and is somebody there.
    async fn contributor(&self, name: &str, repo: &Repo, permissions: &[&str]) -> Member {
        let member = self.person(name, Role::Restorer).await;
        let org = self.world.azure().org("contoso");
        let there = org.person(name);
        there.may(repo, permissions);
        let url = org.url();
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        self.link_to(&member, "azure-devops", &host, &format!("{}/{}", org.tenant(), there.origin_id), name).await;
        member
    }
}

#[tokio::test]
async fn what_somebody_may_read_there_is_shown_to_them() {
    let (scene, repo, _work) = scene().await;
    let mona = scene.contributor("mona", &repo, &["GenericRead"]).await;
    let told = mona.says(&scene.ops, &format!("/refward snapshots repo:{REPO}")).await.answer().await;
    assert!(told.text().contains(REPO) && !told.text().contains("may not"), "{}", told.text());
    let suggested = mona.types(&scene.ops, "/refward snapshots repo:prój e|").await;
    assert_eq!(suggested.iter().map(|one| one.value.as_str()).collect::<Vec<_>>(), [REPO]);

    let eve = scene.contributor("eve", &repo, &[]).await;
    let told = eve.says(&scene.ops, &format!("/refward snapshots repo:{REPO}")).await.answer().await;
    assert!(told.text().contains("you may not read"), "{}", told.text());
}

#[tokio::test]
async fn whoever_may_write_there_restores_beside_what_is_there() {
    let (scene, repo, work) = scene().await;
    let mona = scene.contributor("mona", &repo, &["GenericRead", "GenericContribute"]).await;
    let good = repo.tip("refs/heads/main").await;
    work.git(&["checkout", "--quiet", "--orphan", "rubbish"]).await;
    work.commit("rubbish").await;
    work.push(&["--force", "rubbish:main"]).await;
    scene.world.ok(&["backup", REPO, "--wait"]).await;
    let plan = mona.says(&scene.ops, &format!("/refward restore repo:{REPO} ref:main at:1")).await.answer().await;
    assert!(plan.private() && plan.text().contains("nothing has happened yet"), "{}", plan.text());
    mona.presses(&plan, "Confirm").await;
    plan.says("is done").await;
    assert_eq!(repo.tip("refs/heads/restored-1/main").await, good);
}
