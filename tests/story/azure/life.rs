//! A repository's life: whatever happens to it or to its project is followed by its id and told, and its backups stay.

use serde_json::json;

use super::{Acme, REPO};
use crate::support::world::World;

#[tokio::test]
async fn a_repository_that_is_renamed_stays_the_same() {
    let acme = Acme::new().await;
    let id = acme.row(REPO).await["id"].clone();
    acme.repo.rename("Otro Nombre");
    acme.look().await;
    assert_eq!(acme.told("repository.renamed").await, ["Prój eñt/My Repo is called Prój eñt/Otro Nombre now."]);
    assert_eq!(acme.row("Prój eñt/Otro Nombre").await["id"], id);
    acme.push("two").await;
    acme.backup().await;
    assert_eq!(acme.world.snapshots("Prój eñt/Otro Nombre").await.len(), 2, "the chain goes on");
    acme.world.matches(&acme.repo).await;
}

#[tokio::test]
async fn a_project_that_is_renamed_takes_its_repositories_along_and_is_told_once() {
    let acme = Acme::new().await;
    let project = acme.world.azure().org("acme").project("Prój eñt");
    let web = project.repo("web").await;
    acme.look().await;
    project.rename("Nuevo");
    acme.look().await;
    let told = acme.told("repository.renamed").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("Prój eñt is called Nuevo now, with its 2 repositories: "), "{told:?}");
    acme.push("two").await;
    acme.backup().await;
    acme.world.matches(&acme.repo).await;
    acme.world.matches(&web).await;
}

#[tokio::test]
async fn what_is_disabled_is_kept_told_once_and_backed_up_when_it_is_open_again() {
    let acme = Acme::new().await;
    let then = acme.world.server_refs(&acme.repo).await;
    acme.push("unseen").await;
    acme.repo.disable();
    for _ in 0..2 {
        acme.look().await;
    }
    let text = "Prój eñt/My Repo is disabled on the forge: it is not backed up meanwhile. Its backups stay.";
    assert_eq!(acme.told("repository.disabled").await, [text], "once");
    let row = acme.row(REPO).await;
    assert_eq!(
        (&row["availability"], &row["gone"], &row["selected"]),
        (&json!("disabled"), &json!(false), &json!(true))
    );
    let status = acme.world.status(REPO).await;
    assert_eq!((&status["state"], &status["health"]), (&json!("disabled"), &json!("amber")));
    assert_eq!((&status["queue"], &status["last_error"]), (&json!("idle"), &json!(null)));

    // Nobody tries in vain, but whoever asks for it by name is told why not.
    acme.backup().await;
    let refused = acme.world.refward(&["backup", REPO, "--wait", "--json"]).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    let said = refused.error()["message"].as_str().unwrap().to_owned();
    assert_eq!(said, "Prój eñt/My Repo cannot be backed up: it is disabled on the forge");
    assert_eq!(acme.world.status(REPO).await["state"], "disabled");

    // What is there can be proved and restored.
    assert_eq!(acme.world.ok(&["drill", REPO]).await[0]["passed"], true);
    assert_eq!(acme.world.restored(REPO, None).await, then);

    acme.repo.enable();
    acme.look().await;
    assert_eq!(acme.told("repository.enabled").await, ["Prój eñt/My Repo is open on the forge again."]);
    let _service = acme.world.serve().await;
    acme.world.snapshot(REPO, 2).await;
    acme.world.done().await;
    acme.world.matches(&acme.repo).await;
    assert_eq!(acme.world.status(REPO).await["state"], "ok");
}

#[tokio::test]
async fn what_is_deleted_is_in_the_recycle_bin_until_it_is_gone() {
    let acme = Acme::new().await;
    let then = acme.world.server_refs(&acme.repo).await;
    acme.repo.delete();
    for _ in 0..2 {
        acme.look().await;
    }
    let text = "Prój eñt/My Repo was deleted on the forge, and can be brought back there until it is emptied from the recycle bin. Its backups stay.";
    assert_eq!(acme.told("repository.recycled").await, [text], "once");
    let alarm = acme.world.notices("repository.recycled").await.remove(0);
    assert_eq!(alarm["severity"], "alarm");
    assert_eq!(acme.row(REPO).await["availability"], "recycled");
    assert_eq!(acme.world.status(REPO).await["state"], "recycled");
    acme.world.paste(&alarm["command"]).await;

    acme.repo.undelete();
    acme.look().await;
    assert_eq!(acme.told("resolved").await, ["Prój eñt/My Repo is open on the forge again."]);
    acme.push("two").await;
    acme.backup().await;
    acme.world.matches(&acme.repo).await;

    acme.repo.delete();
    acme.look().await;
    acme.repo.destroy();
    acme.look().await;
    let told = acme.told("repository.gone").await;
    assert_eq!(told, ["Prój eñt/My Repo is no longer on the forge, or out of our sight. Its backups stay."]);
    let row = acme.row(REPO).await;
    assert_eq!((&row["gone"], &acme.world.status(REPO).await["state"]), (&json!(true), &json!("gone")));
    assert_eq!(acme.world.snapshots(REPO).await.len(), 2);
    assert_ne!(acme.world.restored(REPO, None).await, then, "the newest");
    assert_eq!(acme.world.restored(REPO, Some("1")).await, then);
}

#[tokio::test]
async fn a_project_in_the_recycle_bin_is_one_alarm_and_comes_back_whole() {
    let acme = Acme::new().await;
    let project = acme.world.azure().org("acme").project("Prój eñt");
    let web = project.repo("web").await;
    let other = acme.world.azure().org("acme").project("Other");
    for name in ["a", "b", "c"] {
        other.repo(name).await;
    }
    acme.look().await;
    acme.backup().await;
    project.delete();
    acme.look().await;
    let loud: Vec<_> = acme.world.ok(&["notices"]).await.as_array().unwrap().clone();
    let loud: Vec<_> = loud.iter().filter(|notice| notice["severity"] == "alarm").collect();
    assert_eq!(loud.len(), 1, "{loud:#?}");
    assert!(
        loud[0]["text"].as_str().unwrap().starts_with("2 repositories of acme were deleted on the forge"),
        "{loud:#?}"
    );
    for repo in [REPO, "Prój eñt/web"] {
        assert_eq!(acme.world.status(repo).await["state"], "recycled");
    }
    project.undelete();
    acme.look().await;
    acme.push("two").await;
    acme.backup().await;
    acme.world.matches(&acme.repo).await;
    acme.world.matches(&web).await;
}

#[tokio::test]
async fn what_was_deleted_before_we_came_is_none_of_ours() {
    let world = World::with_azure(&[]).await;
    let org = world.azure().org("acme");
    let (old, closed) = (org.project("One").repo("old").await, org.project("One").repo("closed").await);
    org.project("One").repo("api").await;
    old.delete();
    closed.disable();
    world.connect_azure("acme").await;
    world.ok(&["backup", "--all", "--wait"]).await;
    let rows = world.ok(&["repos", "list"]).await;
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["repository"].clone()).collect();
    assert_eq!(names, ["One/api", "One/closed"]);
    assert_eq!(world.status("One/closed").await["state"], "disabled");
}
