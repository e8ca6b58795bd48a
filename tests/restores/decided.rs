//! Who confirms, who approves, and that one decision wins.

use std::time::Duration;

use insta::assert_snapshot;
use refward::domain::Kind;
use refward::ops::restores::{self, Destination, State};

use super::office::{Office, told};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_person_approves_and_main_is_back() {
    let office = Office::new().await;
    let (mona, lisa) = (office.restorer("1", "mona").await, office.restorer("2", "lisa").await);
    let planned = office.asks(&mona, Destination::InPlace).await.unwrap();
    let confirmed = office.confirms(&mona, &planned).await.unwrap();
    assert_eq!(confirmed.state, State::Confirmed);
    office.works().await.unwrap();
    assert_eq!(office.api.tip("main").await, office.bad, "nobody has approved it");

    let approved = office.approves(&lisa, &planned).await.unwrap();
    assert_eq!((approved.state, approved.decided_by), (State::Approved, Some(lisa.person.clone())));
    office.works().await.unwrap();
    assert_eq!(office.api.tip("main").await, office.good);
    assert_eq!(office.get(&planned).await.state, State::Done);
    assert_snapshot!(office.record().await.join("\n"), @r"
    restore.plan asked by discord:1
    restore.confirm approved by discord:1
    restore.approve approved by discord:2
    restore.run done by refward
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_asked_confirms_and_only_somebody_else_approves() {
    let office = Office::new().await;
    let (mona, lisa) = (office.restorer("1", "mona").await, office.restorer("2", "lisa").await);
    let planned = office.asks(&mona, Destination::InPlace).await.unwrap();
    assert_snapshot!(told(&office.confirms(&lisa, &planned).await.unwrap_err()), @"only who asked for restore 1 can confirm it; -");
    assert_snapshot!(told(&office.approves(&lisa, &planned).await.unwrap_err()), @"restore 1 waits for who asked for it to confirm; -");
    office.confirms(&mona, &planned).await.unwrap();
    assert_snapshot!(told(&office.approves(&mona, &planned).await.unwrap_err()), @"restore 1 needs a second person: you have asked for it, or share an identity with who did; -");

    // A second account of the same human being.
    let again = office.restorer("3", "mona").await;
    let refused = office.approves(&again, &planned).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotAllowed);
    assert_snapshot!(told(&refused), @"restore 1 needs a second person: you have asked for it, or share an identity with who did; -");

    // Entitled here, but may not write there any more.
    office.api.collaborator("lisa", "read");
    assert_eq!(office.approves(&lisa, &planned).await.unwrap_err().kind(), Kind::NotAllowed);
    assert_eq!(office.get(&planned).await.state, State::Confirmed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_approval_is_for_one_plan() {
    let office = Office::new().await;
    let (mona, lisa) = (office.restorer("1", "mona").await, office.restorer("2", "lisa").await);
    let (one, other) = (
        office.asks(&mona, Destination::InPlace).await.unwrap(),
        office.asks_for(&mona, &["main", "topic"], Destination::InPlace).await.unwrap(),
    );
    assert_ne!(one.hash, other.hash);
    let wrong = restores::confirm(&office.services, &mona.asker(), one.id, &other.hash).await.unwrap_err();
    assert_snapshot!(told(&wrong), @"this is not the plan of restore 1; look at the plan again");
    for too_little in ["", &one.hash[..15]] {
        assert!(restores::confirm(&office.services, &mona.asker(), one.id, too_little).await.is_err());
    }
    // What fits on a button.
    restores::confirm(&office.services, &mona.asker(), one.id, &one.hash[..16]).await.unwrap();
    assert!(restores::approve(&office.services, &lisa.asker(), one.id, &other.hash).await.is_err());
    assert_eq!(office.get(&one).await.state, State::Confirmed);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_decide_at_once_one_does() {
    let office = Office::new().await;
    let (mona, lisa, nat) =
        (office.restorer("1", "mona").await, office.restorer("2", "lisa").await, office.restorer("3", "nat").await);
    let planned = office.asks(&mona, Destination::InPlace).await.unwrap();
    office.confirms(&mona, &planned).await.unwrap();
    let (one, other) = tokio::join!(office.approves(&lisa, &planned), office.approves(&nat, &planned));
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    let winner = won.unwrap().decided_by.unwrap();
    let lost = told(&lost.unwrap_err()).replace(&winner.to_string(), "WINNER");
    assert_snapshot!(lost, @"restore 1 was approved by WINNER, and is about to be carried out; -");
    let after = restores::reject(&office.services, &nat.asker(), planned.id, &planned.hash).await;
    assert!(after.is_err(), "a rejection comes too late");
    assert_eq!(office.get(&planned).await.decided_by, Some(winner));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_or_cancelled_is_not_carried_out() {
    let office = Office::new().await;
    let (mona, lisa) = (office.restorer("1", "mona").await, office.restorer("2", "lisa").await);
    let rejected = office.asks(&mona, Destination::InPlace).await.unwrap();
    office.confirms(&mona, &rejected).await.unwrap();
    restores::reject(&office.services, &lisa.asker(), rejected.id, &rejected.hash).await.unwrap();

    let cancelled = office.asks(&mona, Destination::NewBranch).await.unwrap();
    office.confirms(&mona, &cancelled).await.unwrap();
    let refused = restores::cancel(&office.services, &lisa.asker(), cancelled.id).await.unwrap_err();
    assert_snapshot!(told(&refused), @"only who asked for restore 2 can cancel it; -");
    restores::cancel(&office.services, &mona.asker(), cancelled.id).await.unwrap();

    office.works().await.unwrap();
    assert_eq!(office.server().await, [("refs/heads/main".to_owned(), office.bad.clone())]);
    assert_snapshot!(told(&office.confirms(&mona, &cancelled).await.unwrap_err()), @"restore 2 was cancelled; -");
    assert_snapshot!(told(&office.approves(&lisa, &rejected).await.unwrap_err()), @"restore 1 was rejected by discord:2; -");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_goes_on_with_expires() {
    let office = Office::with(|settings| settings.people.plan_lasts = Duration::from_millis(1)).await;
    let mona = office.restorer("1", "mona").await;
    let planned = office.asks(&mona, Destination::NewBranch).await.unwrap();
    let shown = super::office::until(async || Some(office.get(&planned).await).filter(|it| it.state.is_final())).await;
    assert_eq!(shown.state, State::Expired);
    assert_snapshot!(told(&office.confirms(&mona, &planned).await.unwrap_err()), @"restore 1 has expired; ask for it again");
    assert_snapshot!(office.record().await.join("\n"), @r"
    restore.plan asked by discord:1
    restore.expire done by refward
    restore.confirm refused by discord:1
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_comes_too_late_is_none() {
    let office = Office::with(|settings| settings.people.approval_lasts = Duration::from_millis(1)).await;
    let (mona, lisa) = (office.restorer("1", "mona").await, office.restorer("2", "lisa").await);
    let planned = office.asks(&mona, Destination::InPlace).await.unwrap();
    // It may be over before it is looked at.
    let _ = office.confirms(&mona, &planned).await;
    super::office::until(async || Some(()).filter(|()| chrono::Utc::now() > planned.created_at)).await;
    assert_eq!(office.approves(&lisa, &planned).await.unwrap_err().kind(), Kind::BadRequest);
    office.works().await.unwrap();
    assert_eq!(office.get(&planned).await.state, State::Expired);
    assert_eq!(office.api.tip("main").await, office.bad);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_moved_since_the_plan_needs_a_new_one() {
    let office = Office::new().await;
    let mona = office.restorer("1", "mona").await;
    let planned = office.asks(&mona, Destination::InPlace).await.unwrap();
    let newer = office.work.commit("somebody else's").await;
    office.work.push(&["main"]).await;

    let stale = office.confirms(&mona, &planned).await.unwrap();
    assert_eq!(stale.state, State::Stale);
    assert_snapshot!(stale.error.unwrap(), @"main moved since the plan was made");
    let new = restores::get(&office.services, stale.replaced_by.unwrap()).await.unwrap();
    assert_eq!((new.state, new.requested_by), (State::Planned, mona.person.clone()));
    assert_eq!(new.plan.refs[0].now.unwrap().to_string(), newer);
    assert_ne!(new.hash, planned.hash);
    assert_snapshot!(told(&office.confirms(&mona, &planned).await.unwrap_err()), @"restore 1 has ended: a reference moved since it was planned; restore 2 is the new plan");
}
