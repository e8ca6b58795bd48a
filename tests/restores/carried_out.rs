//! What a worker makes of what was agreed on: all of it, once, or a clear word that it was not done.

use insta::assert_snapshot;
use refward::domain::By;
use refward::ops::people;
use refward::ops::restores::{self, Destination, State};

use super::office::{Office, told};
use crate::support::shell::git;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_branch_appears_beside_what_is_there() {
    let office = Office::new().await;
    let proposal = office.approved(Destination::NewBranch).await;
    office.works().await.unwrap();
    let done = office.get(&proposal).await;
    assert_eq!(done.state, State::Done, "{:?}", done.error);
    assert_eq!(
        office.server().await,
        [
            ("refs/heads/main".to_owned(), office.bad.clone()),
            ("refs/heads/restored-1/main".to_owned(), office.good.clone())
        ]
    );
    let receipt = done.receipt.unwrap();
    assert_eq!(receipt.undo, None);
    assert_eq!(receipt.page.unwrap(), format!("{}acme/api/tree/restored-1/main", office.world.github.url()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overwritten_is_in_the_vault_first_and_the_receipt_brings_it_back() {
    let office = Office::new().await;
    // No backup has seen this.
    let unseen = office.work.commit("unseen").await;
    office.work.push(&["main"]).await;
    let proposal = office.approved(Destination::InPlace).await;
    assert_eq!(proposal.plan.refs[0].lost, None, "what the vault does not hold is not counted");
    office.works().await.unwrap();
    let done = office.get(&proposal).await;
    assert_eq!(done.state, State::Done, "{:?}", done.error);
    assert_eq!(office.api.tip("main").await, office.good);

    let receipt = done.receipt.unwrap();
    let page = format!("{}acme/api/compare/{unseen}...{}", office.world.github.url(), office.good);
    assert_eq!(receipt.page.unwrap(), page);
    let undo = receipt.undo.unwrap();
    assert_eq!(undo.seq.get(), 3);
    let command = undo.command.unwrap();
    assert_snapshot!(command, @"refward restore acme:acme/api --at 3 --ref refs/heads/main --to-origin --force");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    office.world.ok(&words).await;
    assert_eq!(office.api.tip("main").await, unseen);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_not_done_again() {
    let office = Office::new().await;
    let proposal = office.approved(Destination::InPlace).await;
    office.works().await.unwrap();
    let pushes = office.pushes();
    office.work.push(&["--force", "main"]).await;
    office.works().await.unwrap();
    assert_eq!(office.get(&proposal).await.state, State::Done);
    assert_eq!(office.api.tip("main").await, office.bad, "it was done; what comes later is somebody else's wish");
    assert_eq!(office.pushes(), pushes + 1, "only the one from the outside came since");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_moved_since_the_approval_is_not_overwritten() {
    let office = Office::new().await;
    let proposal = office.approved(Destination::InPlace).await;
    let newer = office.work.commit("somebody else's").await;
    office.work.push(&["main"]).await;
    office.works().await.unwrap();
    assert_eq!(office.api.tip("main").await, newer);
    let stale = office.get(&proposal).await;
    assert_eq!(stale.state, State::Stale);
    let new = restores::get(&office.services, stale.replaced_by.unwrap()).await.unwrap();
    assert_eq!((new.state, new.plan.refs[0].now.unwrap().to_string()), (State::Planned, newer));
    assert_eq!(new.origin.approver_roles, Vec::<String>::new(), "a new plan needs a new approval");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_has_brought_it_back_already() {
    let office = Office::new().await;
    let proposal = office.approved(Destination::InPlace).await;
    office.work.git(&["reset", "--quiet", "--hard", &office.good]).await;
    office.work.push(&["--force", "main"]).await;
    let pushes = office.pushes();
    office.works().await.unwrap();
    assert_eq!((office.get(&proposal).await.state, office.pushes()), (State::Done, pushes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_branch_names_its_rule_and_the_way_out() {
    let office = Office::new().await;
    office.api.protect("main", &["Cannot force-push to this branch"]);
    let proposal = office.approved(Destination::InPlace).await;
    office.works().await.unwrap();
    let failed = office.get(&proposal).await;
    assert_eq!((failed.state, office.api.tip("main").await), (State::Failed, office.bad.clone()));
    assert_snapshot!(failed.error.unwrap(), @"the forge refused main: the protection of refs/heads/main: Cannot force-push to this branch; restore into a new branch, or have an admin of the repository add the restore App (or the token's user) to those who may bypass the rule: Settings, Branches");
    let receipt = failed.receipt.unwrap();
    assert!(receipt.written.is_empty() && receipt.refused[0].rule.is_some(), "{receipt:#?}");

    // The others go through.
    let mona = office.restorer("1", "mona").await;
    let proposal = office.asks_for(&mona, &["main", "topic"], Destination::InPlace).await.unwrap();
    let proposal = office.confirms(&mona, &proposal).await.unwrap();
    office.approves(&office.restorer("2", "lisa").await, &proposal).await.unwrap();
    office.works().await.unwrap();
    let partly = office.get(&proposal).await;
    assert_eq!(partly.state, State::Failed);
    assert_eq!(partly.receipt.unwrap().written[0].name.as_str(), "refs/heads/topic");
    assert_eq!(office.api.tip("topic").await, office.topic);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lost_their_rights_meanwhile_restores_nothing() {
    let office = Office::new().await;
    let proposal = office.approved(Destination::InPlace).await;
    office.api.collaborator("mona", "read");
    office.works().await.unwrap();
    let failed = office.get(&proposal).await;
    assert_eq!((failed.state, office.api.tip("main").await), (State::Failed, office.bad.clone()));
    assert_snapshot!(failed.error.unwrap().replace(&office.repository().await.host, "HOST"), @"discord:1 may not do this any more: no right to write to acme/api on HOST now; an admin of acme/api on HOST can change that");
    assert_eq!(office.record().await.last().unwrap(), "restore.run refused by refward");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_whoever_was_approved_by_somebody_whose_grant_ended() {
    let office = Office::new().await;
    let proposal = office.approved(Destination::InPlace).await;
    let grants = people::grants(&office.services.catalog).await.unwrap();
    let of_lisa = grants.iter().find(|grant| grant.holder.to_string() == "discord:user:2").unwrap();
    people::revoke(&office.services, of_lisa.id, &By::cli("root")).await.unwrap();
    office.works().await.unwrap();
    assert_eq!(office.get(&proposal).await.state, State::Failed);
    assert_eq!(office.api.tip("main").await, office.bad);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_has_taken_the_name_gets_nothing() {
    let office = Office::new().await;
    let proposal = office.approved(Destination::NewBranch).await;
    // No sweep has seen it yet, and mona may write to the one that she means, whatever it is called.
    office.api.rename("api-of-old");
    let other = office.world.github.org("acme").public_repo("api").await;
    office.works().await.unwrap();
    let failed = office.get(&proposal).await;
    assert_eq!(failed.state, State::Failed);
    assert!(failed.error.as_deref().unwrap_or_default().contains("another repository"), "{:?}", failed.error);
    assert_eq!(git(&other.folder(), &["for-each-ref"]).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_for_the_very_repository_that_it_names() {
    let office = Office::new().await;
    let there = office.world.github.org("acme").repo("mirror").await;
    office.world.ok(&["repos", "sync"]).await;
    there.collaborator("mona", "write");
    let mona = office.restorer("1", "mona").await;
    let to = Destination::Repository("acme:acme/mirror".parse().unwrap());
    let proposal = office.asks(&mona, to.clone()).await.unwrap();
    there.rename("mirror-of-old");
    let other = office.world.github.org("acme").public_repo("mirror").await;
    other.collaborator("mona", "write");
    office.world.ok(&["repos", "sync"]).await;
    let refused = office.confirms(&mona, &proposal).await.unwrap_err();
    assert!(told(&refused).contains("planned for another acme:acme/mirror"), "{}", told(&refused));
    // What is asked for now is for the one of now.
    let proposal = office.asks(&mona, to).await.unwrap();
    office.confirms(&mona, &proposal).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_whoever_was_approved_by_somebody_who_may_not_write_there_any_more() {
    let office = Office::new().await;
    let proposal = office.approved(Destination::InPlace).await;
    office.api.collaborator("lisa", "read");
    office.works().await.unwrap();
    let failed = office.get(&proposal).await;
    assert_eq!((failed.state, office.api.tip("main").await), (State::Failed, office.bad.clone()));
    assert!(failed.error.unwrap().starts_with("discord:2 may not do this any more"));
}
