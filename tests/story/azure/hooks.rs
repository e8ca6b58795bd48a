//! Service hooks: what happens there is known here at once.

use serde_json::json;

use super::{Acme, REPO};
use crate::support::world::{World, eventually};

impl Acme {
    /// Waits until the service has set its hooks up.
    async fn is_hooked(&self) {
        let hooked = async || {
            let hooks = self.world.ok(&["hooks", "list", "acme"]).await;
            let hooks =
                hooks.as_array()?.iter().filter(|hook| hook["event"] == "git.push" && hook["state"] == "enabled");
            (hooks.count() == 1).then_some(())
        };
        eventually(hooked, || "hooks for the project".to_owned()).await;
    }
}

#[tokio::test]
async fn a_push_is_told_and_is_a_snapshot_of_what_is_new() {
    let acme = Acme::in_world(World::with_azure(&[]).await).await;
    let _service = acme.world.serve().await;
    acme.is_hooked().await;
    acme.push("two").await;
    let second = acme.world.snapshot(REPO, 2).await;
    assert_eq!((&second["trigger"]["kind"], &second["objects"]), (&json!("webhook"), &json!(3)), "{second}");
    acme.world.done().await;
    acme.world.matches(&acme.repo).await;
}

#[tokio::test]
async fn a_repository_is_followed_as_soon_as_something_happens_to_it() {
    let acme = Acme::in_world(World::with_azure(&[]).await).await;
    let _service = acme.world.serve().await;
    acme.is_hooked().await;
    let told = async |kind: &str| {
        let look = async || (!acme.told(kind).await.is_empty()).then_some(());
        eventually(look, || format!("a notice {kind}")).await;
    };
    acme.repo.rename("Otro");
    told("repository.renamed").await;
    acme.repo.disable();
    told("repository.disabled").await;
    acme.repo.enable();
    told("repository.enabled").await;
    let later = acme.world.azure().org("acme").project("Prój eñt").repo("later").await;
    acme.world.snapshot(&later.full_name(), 1).await;
    acme.repo.delete();
    told("repository.recycled").await;
}
