//! `refward restores`, as it is read.

use insta::{assert_snapshot, with_settings};
use refward::ops::restores::Destination;

use super::office::Office;

/// With what differs from run to run taken out.
fn filters() -> Vec<(&'static str, &'static str)> {
    vec![(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]"), (r"\b[0-9a-f]{10}\b", "[ID]")]
}

async fn said(office: &Office, arguments: &[&str]) -> String {
    let ran = office.world.refward(&[&["restores"], arguments].concat()).await;
    format!("{}{}=> {}", ran.stdout, ran.stderr, ran.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_are_listed_shown_and_cancelled() {
    let office = Office::new().await;
    let empty = said(&office, &["list"]).await;
    office.approved(Destination::InPlace).await;
    office.works().await.unwrap();
    let mona = office.restorer("1", "mona").await;
    office.work.push(&["--force", "main"]).await;
    office.asks_for(&mona, &[], Destination::NewBranch).await.unwrap();
    let list = said(&office, &["list"]).await;
    let done = said(&office, &["show", "1"]).await;
    let cancelled = said(&office, &["cancel", "2", "--as", "root"]).await;
    let again = said(&office, &["cancel", "2", "--as", "root"]).await;
    let unknown = said(&office, &["show", "3"]).await;
    with_settings!({ filters => filters() }, {
        assert_snapshot!(empty, @r"
        Nobody has asked for a restore yet.
        => 0
        ");
        assert_snapshot!(list, @r"
        NO  REPOSITORY  TO          REFS  STATE    BY         ASKED (UTC)
        2   acme/api    new-branch  2     planned  discord:1  [TIME]
        1   acme/api    same        1     done     discord:1  [TIME]
        => 0
        ");
        assert_snapshot!(done, @r"
        Restore 1 of acme/api: done
          asked for by discord:1 at [TIME] UTC
          approved by discord:2 at [TIME] UTC
          snapshot 1 ([TIME] UTC) to acme:acme/api
          OVERWRITE  refs/heads/main from [ID] to [ID]: 1 commit lost, 2 commits regained
          snapshot 2 holds what was there before
          undo: refward restore acme:acme/api --at 2 --ref refs/heads/main --to-origin --force
        => 0
        ");
        assert_snapshot!(cancelled, @r"
        Restore 2 of acme/api: cancelled
          asked for by discord:1 at [TIME] UTC
          snapshot 1 ([TIME] UTC) to acme:acme/api
          create     refs/heads/restored-1/main at [ID]: 2 commits regained
          create     refs/heads/restored-1/topic at [ID]: 1 commit regained
        => 0
        ");
        assert_snapshot!(again, @r"
        error: restore 2 was cancelled
        => 2
        ");
        assert_snapshot!(unknown, @r"
        error: there is no restore 3
          `refward restores list` shows them
        => 3
        ");
    });
    let listed = office.world.ok(&["restores", "list", "acme/api", "--limit", "1"]).await;
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&2.into(), &"cancelled".into()));
    assert_eq!(listed[0]["wish"]["at"], "1");
}
