//! Policies, retention, drills, verifications, alarms, the rebuilt catalog: for a repository with such a name as for any other.

use serde_json::json;

use super::{Acme, REPO};

#[tokio::test]
async fn a_catalog_is_made_anew_from_the_vault() {
    let acme = Acme::new().await;
    acme.push("two").await;
    acme.backup().await;
    let before = acme.world.snapshots(REPO).await;
    assert_eq!(acme.world.ok(&["catalog", "rebuild"]).await, json!({ "repositories": 1, "snapshots": 2 }));
    assert_eq!(acme.world.snapshots(REPO).await.len(), before.len());
    acme.world.matches(&acme.repo).await;
    acme.push("three").await;
    acme.look().await;
    acme.backup().await;
    assert_eq!(acme.world.snapshots(REPO).await.len(), 3, "the chain goes on");
    acme.world.matches(&acme.repo).await;
}

#[tokio::test]
async fn it_is_drilled_and_read_and_green() {
    let acme = Acme::new().await;
    let report = acme.world.ok(&["drill", REPO]).await[0].clone();
    assert_eq!((&report["passed"], &report["repository"]), (&json!(true), &json!(REPO)), "{report:#}");
    let compared = &report["restore"]["forge"];
    assert_eq!(compared["moved"], json!(0), "{report:#}");
    acme.world.ok(&["verify", REPO, "--read-data"]).await;
    acme.look().await;
    assert_eq!(acme.world.status(REPO).await["health"], "green");
}

#[tokio::test]
async fn policies_find_it_by_globs_and_by_name() {
    let acme = Acme::new().await;
    acme.world.ok(&["policy", "create", "ours", "select.include=prój*/my *", "retention.last=5"]).await;
    let explained = acme.world.ok(&["policy", "explain", REPO]).await;
    assert_eq!(explained["policy"], "ours", "{explained:#}");
    acme.world.ok(&["policy", "create", "named", "retention.last=9", "--allow-empty"]).await;
    acme.world.ok(&["policy", "assign", "named", REPO]).await;
    assert_eq!(acme.world.ok(&["policy", "explain", REPO]).await["policy"], "named");
    acme.repo.rename("Otro");
    acme.look().await;
    assert_eq!(
        acme.world.ok(&["policy", "explain", "Prój eñt/Otro"]).await["policy"],
        "named",
        "a name is kept as an id"
    );
}

#[tokio::test]
async fn a_rewritten_branch_is_an_alarm_with_a_command_to_paste() {
    let acme = Acme::new().await;
    let one = acme.work.git(&["rev-parse", "HEAD"]).await;
    let two = acme.work.commit("two").await;
    acme.work.push(&["main"]).await;
    acme.backup().await;
    acme.work.git(&["reset", "--quiet", "--hard", &one]).await;
    acme.work.commit("not what it was").await;
    acme.work.push(&["--force", "main"]).await;
    acme.backup().await;
    let alarm = acme.world.notices("history.rewritten").await.remove(0);
    let command = "refward restore 'acme:Prój eñt/My Repo' --at 2 --ref refs/heads/main --to-origin --force";
    assert_eq!(alarm["command"], command, "{alarm:#}");
    acme.world.paste(&alarm["command"]).await;
    assert_eq!(acme.repo.tip("refs/heads/main").await, two);
}
