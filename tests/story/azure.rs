//! Azure DevOps, end to end: connected, followed, backed up and restored like every other forge.

#[path = "azure/hooks.rs"]
mod hooks;
#[path = "azure/life.rs"]
mod life;
#[path = "azure/trouble.rs"]
mod trouble;
#[path = "azure/upkeep.rs"]
mod upkeep;

use serde_json::{Value, json};

use crate::support::fake_azure_devops::Repo;
use crate::support::fake_github::Work;
use crate::support::shell::git;
use crate::support::world::World;

/// As awkward as people's names are.
const REPO: &str = "Prój eñt/My Repo";

/// A repository of acme's with a commit, connected and in a first snapshot.
struct Acme {
    world: World,
    repo: Repo,
    work: Work,
}

impl Acme {
    async fn new() -> Self {
        Self::in_world(World::with_azure(&[]).await).await
    }

    async fn in_world(world: World) -> Self {
        let repo = world.azure().org("acme").project("Prój eñt").repo("My Repo").await;
        let work = repo.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        world.connect_azure("acme").await;
        let acme = Self { world, repo, work };
        acme.backup().await;
        acme
    }

    /// A commit on a branch of its own, whatever the repository is called by now.
    async fn push(&self, branch: &str) {
        let work = self.repo.work().await;
        work.git(&["pull", "--quiet", "origin", "main"]).await;
        work.commit(branch).await;
        work.push(&[&format!("HEAD:refs/heads/{branch}")]).await;
    }

    /// Everything, now.
    async fn backup(&self) {
        self.world.ok(&["backup", "--all", "--wait"]).await;
    }

    /// Reads the forge's list again, as surveys do.
    async fn look(&self) {
        self.world.ok(&["repos", "sync"]).await;
    }

    /// One repository as `repos list` has it.
    async fn row(&self, name: &str) -> Value {
        let rows = self.world.ok(&["repos", "list"]).await;
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|row| row["repository"] == name).unwrap_or_else(|| panic!("{name} is not listed")).clone()
    }

    /// The texts of all notices of this kind, oldest first.
    async fn told(&self, kind: &str) -> Vec<String> {
        let notices = self.world.notices(kind).await;
        notices.iter().map(|notice| notice["text"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn what_was_pushed_since_is_added_and_comes_back_with_names_as_people_give_them() {
    let acme = Acme::new().await;
    acme.world.matches(&acme.repo).await;
    acme.push("añadido").await;
    acme.work.push(&["HEAD:refs/tags/versión 1".replace(' ', "-").as_str()]).await;
    acme.backup().await;
    let second = acme.world.snapshot(REPO, 2).await;
    assert_eq!((&second["objects"], &second["complete"]), (&json!(3), &json!(true)), "{second}");
    acme.world.matches(&acme.repo).await;
    assert_eq!(acme.world.ok(&["refs", "PRÓJ EÑT/my repo"]).await, acme.world.server_refs(&acme.repo).await);

    let folder = acme.world.path("My Repo");
    acme.world.ok(&["restore", "acme:Prój eñt/My Repo", "--to-dir", &folder]).await;
    assert_eq!(git(folder.as_ref(), &["log", "--format=%s"]).await, "one");
}

#[tokio::test]
async fn every_project_is_looked_through() {
    let world = World::with_azure(&[]).await;
    let org = world.azure().org("acme");
    let first = org.project("One").repo("api").await;
    let second = org.project("Two").repo("api").await;
    for repo in [&first, &second] {
        let work = repo.work().await;
        work.commit(&repo.full_name()).await;
        work.push(&["main"]).await;
    }
    world.connect_azure("acme").await;
    world.ok(&["backup", "--all", "--wait"]).await;
    world.matches(&first).await;
    world.matches(&second).await;
    assert_ne!(world.server_refs(&first).await, world.server_refs(&second).await);
}

#[tokio::test]
async fn what_a_pull_request_would_become_is_kept() {
    let acme = Acme::new().await;
    acme.push("feature").await;
    let merge = acme.repo.tip("refs/heads/feature").await;
    git(&acme.repo.path(), &["update-ref", "refs/pull/7/merge", &merge]).await;
    acme.backup().await;
    assert_eq!(acme.world.ok(&["refs", REPO]).await["refs/pull/7/merge"], json!(merge));
    acme.world.matches(&acme.repo).await;
}

#[tokio::test]
async fn an_empty_repository_is_a_snapshot_too_and_grows() {
    let world = World::with_azure(&[]).await;
    let repo = world.azure().org("acme").project("new").repo("empty").await;
    world.connect_azure("acme").await;
    world.ok(&["backup", "--all", "--wait"]).await;
    assert_eq!(world.status("new/empty").await["state"], "ok");
    let work = repo.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.ok(&["backup", "--all", "--wait"]).await;
    world.matches(&repo).await;
}

#[tokio::test]
async fn a_server_of_ones_own_is_backed_up_like_the_service() {
    let acme = Acme::in_world(World::with_azure_server("7.0", &[]).await).await;
    acme.push("two").await;
    acme.look().await;
    acme.backup().await;
    acme.world.matches(&acme.repo).await;
    acme.repo.rename("Otro");
    acme.look().await;
    assert_eq!(acme.told("repository.renamed").await, ["Prój eñt/My Repo is called Prój eñt/Otro now."]);
}
