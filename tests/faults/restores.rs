//! kill -9 between the approval of a restore and its receipt: it is done once, or it is said that it was not.

use std::sync::Arc;

use refward::config::Settings;
use refward::domain::{By, Person};
use refward::ops::restores::{self, Asker, Destination, Proposal, State, Wish};
use refward::services::Services;

use crate::faults::stage::{REPO, Stage};
use crate::support::world::eventually;

/// `main` at its second commit in snapshot 2, then forced to a bad one, and somebody's restore of it that was approved while
/// no worker was there.
struct Approved {
    stage: Stage,
    services: Arc<Services>,
    proposal: Proposal,
    good: String,
    bad: String,
}

impl Approved {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let service = stage.running().await;
        stage.push("good").await;
        stage.settled(Some(2)).await;
        let good = stage.repo.tip("main").await;
        stage.work.git(&["reset", "--quiet", "--hard", "HEAD~1"]).await;
        let bad = stage.work.commit("bad").await;
        stage.work.push(&["--force", "main"]).await;
        stage.settled(Some(3)).await;
        service.kill().await;

        let settings = Settings::load(&stage.file("refward.toml")).unwrap();
        let services = Services::open(settings).await.unwrap();
        let repository = services.catalog.resolve(&REPO.parse().unwrap()).await.unwrap();
        let wish = Wish { refs: vec!["main".to_owned()], at: Some("2".parse().unwrap()), to: Destination::InPlace };
        let (mona, lisa) = (By::cli("mona"), By::cli("lisa"));
        let (one, other): (Person, Person) = (mona.who.parse().unwrap(), lisa.who.parse().unwrap());
        let mona = Asker { person: &one, roles: &[], by: &mona, channel: None };
        let lisa = Asker { person: &other, roles: &[], by: &lisa, channel: None };
        let proposal = restores::propose(&services, &mona, &repository, wish).await.unwrap();
        restores::confirm(&services, &mona, proposal.id, &proposal.hash).await.unwrap();
        restores::approve(&services, &lisa, proposal.id, &proposal.hash).await.unwrap();
        Self { stage, services, proposal, good, bad }
    }

    /// Waits until nothing can come of it any more.
    async fn ended(&self) -> Proposal {
        let look = async || {
            let proposal = restores::get(&self.services, self.proposal.id).await.unwrap();
            Some(proposal).filter(|proposal| proposal.state.is_final())
        };
        eventually(look, || "the restore to end".to_owned()).await
    }

    async fn main(&self) -> String {
        self.stage.repo.tip("main").await
    }

    /// It was done, once, and can be undone.
    async fn done_once(&self) {
        let done = self.ended().await;
        assert_eq!((done.state, self.main().await), (State::Done, self.good.clone()), "{:?}", done.error);
        let undo = done.receipt.unwrap().undo.unwrap();
        assert_eq!(undo.seq.get(), 3);
        let told = self.services.catalog.recorded(None, 1000).await.unwrap();
        assert_eq!(told.iter().filter(|row| row.action == "restore.run").count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_worker_has_begun() {
    let approved = Approved::new().await;
    assert_eq!(approved.main().await, approved.bad);
    let _workers = approved.stage.workers();
    approved.done_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_push() {
    let approved = Approved::new().await;
    let hold = approved.stage.forge.hold_request("POST", "git-receive-pack");
    let workers = approved.stage.workers();
    hold.reached().await;
    workers.kill().await;
    assert_eq!(approved.main().await, approved.bad);

    let _workers = approved.stage.workers();
    approved.done_once().await;
    assert_eq!(approved.stage.forge.requests(&["POST", "git-receive-pack"]), 2, "the first came to nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_push_before_its_answer() {
    let approved = Approved::new().await;
    let hold = approved.stage.forge.hold_answer("POST", "git-receive-pack");
    let workers = approved.stage.workers();
    hold.reached().await;
    workers.kill().await;
    assert_eq!(approved.main().await, approved.good, "the server has it");

    let _workers = approved.stage.workers();
    approved.done_once().await;
    assert_eq!(approved.stage.forge.requests(&["POST", "git-receive-pack"]), 1, "it was pushed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_does_after_the_push_stays() {
    let approved = Approved::new().await;
    let hold = approved.stage.forge.hold_answer("POST", "git-receive-pack");
    let workers = approved.stage.workers();
    hold.reached().await;
    workers.kill().await;
    let newer = approved.stage.work.commit("somebody else's").await;
    approved.stage.work.push(&["--force", "main"]).await;

    let _workers = approved.stage.workers();
    let stale = approved.ended().await;
    assert_eq!((stale.state, approved.main().await), (State::Stale, newer));
    assert!(stale.replaced_by.is_some());
}
