//! Accepting deliveries in groups.

use std::time::Duration;

use chrono::Utc;
use futures_util::future::join_all;
use refward::catalog::{Catalog, JobState, PackedBody, StoredDelivery, job_kind};
use refward::domain::{Change, ConnectionId, DeliveryId, Event, Kind, RemoteRepository};
use refward::forge::Signer;
use refward::ops::accept::{Acceptor, Incoming};

use crate::world::{World, connect, list, name, oid, pools, remote};

on_both_databases! {
    many_at_once_are_stored_and_coalesced,
    a_repeat_is_stored_once,
    one_that_cannot_be_stored_does_not_harm_the_others,
    events_find_their_repository_and_their_job,
    a_connection_speaks_only_for_what_it_listed,
    an_unknown_repository_is_looked_for_once,
    trouble_with_the_database_is_told,
    jobs_let_deliveries_pass_but_not_for_ever,
}

fn push() -> Change {
    Change::Push { name: name("main"), old: Some(oid(1)), new: Some(oid(2)), forced: false }
}

fn incoming(id: &str, connection: ConnectionId, repository: Option<RemoteRepository>, change: Change) -> Incoming {
    Incoming {
        forge: "github",
        signers: vec![Signer::Connection(connection)],
        installation: None,
        scope: None,
        id: DeliveryId::parse(id).unwrap(),
        event: change.kind().to_owned(),
        received_at: Utc::now(),
        body: PackedBody::new(b"{}"),
        events: vec![Event { repository, actor: None, at: None, change }],
    }
}

/// What waits, as `kind subject`, in the order in which it came.
async fn waiting(catalog: &Catalog) -> Vec<String> {
    let jobs = catalog.jobs().await.unwrap();
    jobs.iter().filter(|job| job.state == JobState::Ready).map(|job| format!("{} {}", job.kind, job.subject)).collect()
}

async fn many_at_once_are_stored_and_coalesced(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let acceptor = Acceptor::start(catalog.clone());
    let all = (0..600).map(|number| {
        acceptor.accept(incoming(&format!("d{number}"), acme.id, Some(remote("1", "acme/rocket")), push()))
    });
    for outcome in join_all(all).await {
        assert_eq!(outcome.unwrap(), StoredDelivery::New);
    }
    assert_eq!(catalog.pending_events(rocket).await.unwrap().len(), 600);
    assert_eq!(waiting(catalog).await, [format!("{} {rocket}", job_kind::SYNC_REPO)]);
}

async fn a_repeat_is_stored_once(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let acceptor = Acceptor::start(catalog.clone());
    let one = || acceptor.accept(incoming("same", acme.id, Some(remote("1", "acme/rocket")), push()));
    let mut outcomes: Vec<_> = join_all((0..20).map(|_| one())).await.into_iter().map(Result::unwrap).collect();
    outcomes.push(one().await.unwrap());
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == StoredDelivery::New).count(), 1);
    assert_eq!(catalog.pending_events(rocket).await.unwrap().len(), 1);
    // Another forge may use the same ids.
    let mut elsewhere = incoming("same", acme.id, None, Change::Account("team"));
    elsewhere.forge = "elsewhere";
    assert_eq!(acceptor.accept(elsewhere).await.unwrap(), StoredDelivery::New);
}

async fn one_that_cannot_be_stored_does_not_harm_the_others(world: World) {
    if world.is_postgresql() {
        world
            .sabotage(&[
                "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$ LANGUAGE plpgsql",
                "CREATE TRIGGER poison BEFORE INSERT ON delivery FOR EACH ROW WHEN (NEW.delivery_id = 'poison')
                 EXECUTE FUNCTION refuse()",
            ])
            .await;
    } else {
        world
            .sabotage(&["CREATE TRIGGER poison BEFORE INSERT ON delivery WHEN NEW.delivery_id = 'poison'
                         BEGIN SELECT RAISE(ABORT, 'poison'); END"])
            .await;
    }
    let acceptor = Acceptor::start(world.catalog.clone());
    let ids = ["a", "b", "poison", "c", "d"];
    let all = ids.map(|id| acceptor.accept(incoming(id, world.acme.id, Some(remote("1", "acme/rocket")), push())));
    let outcomes = join_all(all).await;
    for (id, outcome) in ids.iter().zip(&outcomes) {
        assert_eq!(outcome.is_err(), *id == "poison", "{id}: {outcome:?}");
    }
    assert_eq!(outcomes[2].as_ref().unwrap_err().kind(), Kind::Bug);
    assert_eq!(world.catalog.pending_events(&world.rocket).await.unwrap().len(), 4);
}

async fn events_find_their_repository_and_their_job(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let other = list(catalog, acme, "2", "acme/other").await;
    catalog.select(&other, false).await.unwrap();
    let acceptor = Acceptor::start(catalog.clone());
    let accept = async |id: &str, forge_id: Option<&str>, full_name: &str, change: Change| {
        let repository = forge_id.map(|forge_id| remote(forge_id, full_name));
        acceptor.accept(incoming(id, acme.id, repository, change)).await.unwrap();
        let jobs = waiting(catalog).await;
        while let Some(lease) = catalog.claim("w", std::time::Duration::from_mins(1), &pools()).await.unwrap() {
            catalog.finish(&lease).await.unwrap();
        }
        jobs
    };
    let (sync, discover) = (format!("sync_repo {rocket}"), format!("discover {}", acme.id));
    assert_eq!(accept("1", Some("1"), "acme/rocket", push()).await, [sync.as_str()]);
    assert_eq!(accept("2", Some("1"), "acme/rocket", Change::Refs).await, [sync.as_str()]);
    assert_eq!(accept("3", Some("1"), "acme/rocket", Change::Issue(7)).await, [] as [&str; 0]);
    assert_eq!(accept("4", Some("2"), "acme/other", push()).await, [] as [&str; 0]);
    assert_eq!(accept("5", Some("2"), "acme/other", Change::Repository("renamed".into())).await, [discover.as_str()]);
    assert_eq!(accept("6", None, "", Change::Access("added".into())).await, [discover.as_str()]);
    assert_eq!(accept("7", None, "", Change::Account("team")).await, [] as [&str; 0]);
    let mut renamed = accept("8", Some("1"), "acme/ship", push()).await;
    renamed.sort();
    assert_eq!(renamed, [discover.as_str(), sync.as_str()]);
    catalog.mark_gone(acme.id, &[]).await.unwrap();
    assert_eq!(accept("9", Some("1"), "acme/rocket", push()).await, [discover.as_str()], "it seems to be back");
}

async fn a_connection_speaks_only_for_what_it_listed(world: World) {
    let World { catalog, rocket, .. } = &world;
    let mallory = connect(catalog, "mallory", "https://github.com/").await;
    let acceptor = Acceptor::start(catalog.clone());
    acceptor.accept(incoming("d", mallory.id, Some(remote("1", "acme/rocket")), push())).await.unwrap();
    assert_eq!(catalog.pending_events(rocket).await.unwrap(), []);
    assert_eq!(waiting(catalog).await, [format!("discover {}", mallory.id)]);
}

async fn an_unknown_repository_is_looked_for_once(world: World) {
    let World { catalog, acme, .. } = &world;
    let acceptor = Acceptor::start(catalog.clone());
    let unknown = |id| acceptor.accept(incoming(id, acme.id, Some(remote("77", "acme/new")), push()));
    unknown("d1").await.unwrap();
    assert_eq!(waiting(catalog).await, [format!("discover {}", acme.id)]);
    let lease = catalog.claim("w", std::time::Duration::from_mins(1), &pools()).await.unwrap().unwrap();
    catalog.finish(&lease).await.unwrap();
    unknown("d2").await.unwrap();
    assert_eq!(waiting(catalog).await, [] as [&str; 0], "left out by choice");
    // Once it is listed, what was told before counts.
    let id = list(catalog, acme, "77", "acme/new").await;
    assert_eq!(catalog.pending_events(&id).await.unwrap().len(), 2);
}

async fn trouble_with_the_database_is_told(world: World) {
    let acceptor = Acceptor::start(world.catalog.clone());
    world.catalog.close().await.unwrap();
    let all = (0..5).map(|number| acceptor.accept(incoming(&format!("d{number}"), world.acme.id, None, push())));
    for outcome in join_all(all).await {
        let error = outcome.unwrap_err();
        assert!(matches!(error.kind(), Kind::Busy { .. }), "{}", error.for_log());
    }
}

async fn jobs_let_deliveries_pass_but_not_for_ever(world: World) {
    let catalog = &world.catalog;
    let (long, moment) = (Duration::from_secs(30), Duration::from_millis(20));
    assert!(catalog.let_pass(Duration::ZERO).await, "nobody waits");

    let [one, other] = [catalog.arriving(), catalog.arriving()];
    assert!(!catalog.let_pass(moment).await, "two wait");
    drop(one);
    assert!(!catalog.let_pass(moment).await, "one waits");
    let passed = tokio::spawn({
        let catalog = catalog.clone();
        async move { catalog.let_pass(long).await }
    });
    drop(other);
    assert!(passed.await.unwrap());

    // Whatever becomes of a delivery, nobody waits for it afterwards.
    let acceptor = Acceptor::start(catalog.clone());
    let repository = Some(remote("1", "acme/rocket"));
    acceptor.accept(incoming("good", world.acme.id, repository.clone(), push())).await.unwrap();
    catalog.close().await.unwrap();
    acceptor.accept(incoming("bad", world.acme.id, repository, push())).await.unwrap_err();
    assert!(catalog.let_pass(long).await);
}
