//! Plans: what would change, what that costs, and who may see it.

use insta::assert_snapshot;
use refward::domain::Kind;
use refward::ops::restore::Action;
use refward::ops::restores::{Destination, State};

use super::office::{Office, REPO, told};
use crate::support::fake_github::Fault;

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_is_lost_and_regained_and_changes_nothing() {
    let office = Office::new().await;
    let mona = office.restorer("1", "mona").await;
    let planned = office.asks_for(&mona, &[], Destination::InPlace).await.unwrap();

    assert_eq!((planned.state, planned.needs_approval, planned.public), (State::Planned, true, false));
    assert_eq!(planned.plan.target, format!("acme:{REPO}"));
    let [main, topic] = &planned.plan.refs[..] else { panic!("{:#?}", planned.plan) };
    assert_eq!(main.name.as_str(), "refs/heads/main");
    assert_eq!(main.now.unwrap().to_string(), office.bad);
    assert_eq!(main.then.to_string(), office.good);
    assert_eq!((main.action.clone(), main.lost, main.regained), (Action::Overwrite, Some(1), Some(2)));
    assert!(main.moved_at.is_some());
    // A branch that was deleted overwrites nothing when it comes back.
    assert_eq!((topic.now, topic.then.to_string()), (None, office.topic.clone()));
    assert_eq!((topic.action.clone(), topic.lost, topic.regained), (Action::Create, Some(0), Some(1)));
    assert!(planned.plan.estimate_ms.unwrap() > 0);

    office.works().await.unwrap();
    assert_eq!(office.api.tip("main").await, office.bad);
    assert_eq!(office.get(&planned).await.state, State::Planned);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_branch_needs_no_second_person_and_is_in_nobodys_way() {
    let office = Office::new().await;
    let mona = office.restorer("1", "mona").await;
    let planned = office.asks(&mona, Destination::NewBranch).await.unwrap();
    assert!(!planned.needs_approval);
    assert_eq!(planned.plan.refs[0].target.as_str(), "refs/heads/restored-1/main");
    assert_eq!(planned.plan.refs[0].lost, Some(0));
    assert_eq!(planned.plan.refs[0].regained, Some(2));

    // git allows no branch below another.
    office.work.push(&["HEAD:refs/heads/restored-1"]).await;
    let planned = office.asks(&mona, Destination::NewBranch).await.unwrap();
    assert_eq!(planned.plan.refs[0].target.as_str(), "refs/heads/restored-1-2/main");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_it_was_is_not_planned() {
    let office = Office::new().await;
    let mona = office.restorer("1", "mona").await;
    office.work.git(&["reset", "--quiet", "--hard", &office.good]).await;
    office.work.push(&["--force", "main"]).await;
    let refused = office.asks(&mona, Destination::InPlace).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::BadRequest);
    assert_snapshot!(told(&refused), @"acme:acme/api is as snapshot 1 has it: there is nothing to restore; name an earlier moment; the journal tells when a reference moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_keeps_what_it_has() {
    let office = Office::new().await;
    let mona = office.restorer("1", "mona").await;
    let spare = office.world.github.org("acme").repo("spare").await;
    office.world.ok(&["repos", "sync"]).await;
    let to = Destination::Repository("acme:acme/spare".parse().unwrap());
    let refused = office.asks(&mona, to.clone()).await.unwrap_err();
    assert_snapshot!(told(&refused).replace(&office.repository().await.host, "HOST"), @"no right to write to acme/spare on HOST now; an admin of acme/spare on HOST can change that");

    spare.collaborator("mona", "write");
    let planned = office.asks_for(&mona, &[], to.clone()).await.unwrap();
    assert!(!planned.needs_approval);
    office.confirms(&mona, &planned).await.unwrap();
    office.works().await.unwrap();
    assert_eq!(office.get(&planned).await.state, State::Done, "{:?}", office.get(&planned).await.error);
    assert_eq!(spare.tip("main").await, office.good);
    assert_eq!(spare.tip("topic").await, office.topic);

    let refused = office.asks(&mona, to).await.unwrap_err();
    assert_snapshot!(told(&refused), @"acme:acme/spare is as snapshot 1 has it: there is nothing to restore; name an earlier moment; the journal tells when a reference moved");
    let itself = office.asks(&mona, format!("acme:{REPO}").parse().unwrap()).await.unwrap_err();
    assert_snapshot!(told(&itself), @"acme:acme/api is what is to be restored; write `same` for that, or `new-branch`");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_is_refused_and_that_is_recorded() {
    let office = Office::new().await;
    let host = office.repository().await.host;
    let stranger = Office::stranger("7");
    let refused = office.asks(&stranger, Destination::NewBranch).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotAllowed);
    assert_snapshot!(told(&refused), @"no leave to restore acme/api; that takes the role restorer: an admin can grant it, see `refward grants --help`");

    // Granted, but nobody on the forge.
    let mona = office.restorer("1", "mona").await;
    office.services.catalog.end_links(&mona.person, None, &refward::domain::By::cli("root")).await.unwrap();
    let refused = office.asks(&mona, Destination::NewBranch).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotAllowed);
    assert_snapshot!(told(&refused).replace(&host, "HOST"), @"it is not known who you are on HOST; tell it, and try again: `/refward link`");

    // Somebody there, but may only read.
    office.link(&mona.person, "mona").await;
    office.api.collaborator("mona", "read");
    let refused = office.asks(&mona, Destination::NewBranch).await.unwrap_err();
    assert_snapshot!(told(&refused).replace(&host, "HOST"), @"no right to write to acme/api on HOST now; an admin of acme/api on HOST can change that");

    // What cannot be checked is refused.
    office.api.collaborator("mona", "write");
    office.world.github.fail(100, &Fault::json(503, "Service Unavailable"));
    let refused = office.asks(&mona, Destination::NewBranch).await.unwrap_err();
    assert!(refused.kind().is_transient(), "{refused}");
    assert_snapshot!(office.record().await.join("\n"), @r"
    restore.plan refused by discord:7
    restore.plan refused by discord:1
    restore.plan refused by discord:1
    restore.plan failed by discord:1
    ");
}
