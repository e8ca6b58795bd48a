//! Events between webhook and snapshot: what waits, since when, and what is kept.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use refward::catalog::{Catalog, NewDelivery, NewEvent, NewJob, PackedBody, Priority, StoredDelivery, job_kind};
use refward::domain::{Actor, Change, DeliveryId, Event, RepoId};

use crate::world::{World, change, list, minute, name, oid, pools, seq, snapshot};

on_both_databases! {
    an_event_waits_until_a_snapshot_answers_it,
    only_what_a_job_follows_counts_as_waiting,
    bodies_are_forgotten_once_nothing_waits,
    deliveries_are_forgotten_after_their_bodies,
    status_tells_of_every_repository_at_once,
}

const BODY: &[u8] = b"{ \"as\": \"it came\" }\n\xff";

fn push() -> Change {
    Change::Push { name: name("main"), old: Some(oid(1)), new: Some(oid(2)), forced: true }
}

async fn deliver(catalog: &Catalog, id: &str, received_at: DateTime<Utc>, repo: &RepoId, change: Change) {
    let event = Event { repository: None, actor: Some(Actor("mona".into())), at: Some(received_at), change };
    let delivery = NewDelivery {
        forge: "github".into(),
        id: DeliveryId::parse(id).unwrap(),
        event: "push".into(),
        received_at,
        body: PackedBody::new(BODY),
        connection: None,
        events: vec![NewEvent { repo: Some(repo.clone()), event }],
        jobs: vec![NewJob {
            kind: job_kind::SYNC_REPO,
            subject: repo.to_string(),
            priority: Priority::Event,
            delay: Duration::ZERO,
        }],
    };
    assert_eq!(catalog.store(&[delivery]).await.unwrap(), [StoredDelivery::New]);
}

async fn an_event_waits_until_a_snapshot_answers_it(world: World) {
    let World { catalog, rocket, .. } = &world;
    deliver(catalog, "d1", minute(0), rocket, push()).await;
    deliver(catalog, "d2", minute(1), rocket, Change::Refs).await;
    let pending = catalog.pending_events(rocket).await.unwrap();
    assert_eq!(pending.len(), 2);
    let first = &pending[0];
    assert_eq!((first.delivery.as_str(), first.name.as_ref(), first.forced), ("d1", Some(&name("main")), true));
    assert_eq!((first.old, first.new, first.received_at), (Some(oid(1)), Some(oid(2)), minute(0)));
    assert_eq!(first.actor, Some(Actor("mona".into())));
    assert_eq!(catalog.oldest_pending().await.unwrap()[rocket], minute(0));
    let second = [DeliveryId::parse("d2").unwrap()];
    assert_eq!(catalog.events_of(&second, rocket).await.unwrap(), pending[1..]);

    let mut commit = snapshot(rocket, 1, vec![change("main", None, Some(2))], 1);
    commit.handled_events = vec![first.id];
    catalog.commit(commit).await.unwrap();
    assert_eq!(catalog.oldest_pending().await.unwrap()[rocket], minute(1));
    catalog.record_unchanged(rocket, None, &[pending[1].id], Some(seq(1)), None).await.unwrap();
    assert!(catalog.oldest_pending().await.unwrap().is_empty());
    assert_eq!(catalog.pending_events(rocket).await.unwrap(), []);
}

async fn only_what_a_job_follows_counts_as_waiting(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let unselected = list(catalog, acme, "2", "acme/other").await;
    catalog.select(&unselected, false).await.unwrap();
    deliver(catalog, "d1", minute(0), rocket, Change::Issue(42)).await;
    deliver(catalog, "d2", minute(0), &unselected, push()).await;
    assert!(catalog.oldest_pending().await.unwrap().is_empty());
    let counts = catalog.event_counts().await.unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (count.kind.as_str(), count.total, count.unhandled)).collect();
    assert_eq!(counts, [("issue", 1, 1), ("push", 1, 1)]);
    catalog.select(&unselected, true).await.unwrap();
    assert_eq!(catalog.oldest_pending().await.unwrap()[&unselected], minute(0));
}

async fn bodies_are_forgotten_once_nothing_waits(world: World) {
    let World { catalog, rocket, .. } = &world;
    deliver(catalog, "old-and-waiting", minute(0), rocket, push()).await;
    deliver(catalog, "old", minute(0), rocket, Change::Issue(1)).await;
    deliver(catalog, "young", minute(10), rocket, Change::Issue(1)).await;
    let before = minute(5);
    let body = async |id: &str| catalog.body("github", &DeliveryId::parse(id).unwrap()).await.unwrap();
    assert_eq!(body("old").await.as_deref(), Some(BODY));
    assert_eq!(catalog.forget_bodies(before).await.unwrap(), 1);
    assert_eq!((body("old").await, body("old-and-waiting").await.as_deref()), (None, Some(BODY)));
    assert_eq!(catalog.forget_bodies(before).await.unwrap(), 0);
    let waiting: Vec<i64> = catalog.pending_events(rocket).await.unwrap().iter().map(|event| event.id).collect();
    catalog.record_unchanged(rocket, None, &waiting, None, None).await.unwrap();
    assert_eq!(catalog.forget_bodies(before).await.unwrap(), 1);
    assert_eq!(catalog.forget_bodies(minute(10) + TimeDelta::seconds(1)).await.unwrap(), 1);
}

async fn deliveries_are_forgotten_after_their_bodies(world: World) {
    let World { catalog, rocket, .. } = &world;
    deliver(catalog, "with-body", minute(0), rocket, push()).await;
    deliver(catalog, "old", minute(0), rocket, Change::Issue(1)).await;
    deliver(catalog, "young", minute(10), rocket, Change::Issue(1)).await;
    assert_eq!(catalog.forget_bodies(minute(11)).await.unwrap(), 2);
    assert_eq!(catalog.forget_deliveries(minute(5)).await.unwrap(), 1);
    let ids = ["with-body", "old", "young"].map(|id| DeliveryId::parse(id).unwrap());
    let stored = catalog.stored("github", &ids).await.unwrap();
    assert_eq!(stored, HashSet::from([ids[0].clone(), ids[2].clone()]));
    assert_eq!(catalog.pending_events(rocket).await.unwrap().len(), 1, "what waits stays");
    assert_eq!(catalog.event_counts().await.unwrap().iter().map(|kind| kind.total).sum::<i64>(), 2);
}

async fn status_tells_of_every_repository_at_once(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let other = list(catalog, acme, "2", "acme/other").await;
    deliver(catalog, "d1", minute(0), rocket, push()).await;
    let lease = catalog.claim("w", std::time::Duration::from_mins(1), &pools()).await.unwrap().unwrap();
    deliver(catalog, "d2", minute(1), rocket, push()).await;
    catalog.record_error(&other, "the forge is down").await.unwrap();
    catalog.commit(snapshot(&other, 1, vec![], 0)).await.unwrap();

    let rows = catalog.status().await.unwrap();
    let [other, rocket] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((rocket.full_name.as_str(), rocket.connection.as_deref()), ("acme/rocket", Some("acme")));
    assert_eq!((rocket.running, rocket.queued, rocket.oldest_pending), (true, true, Some(minute(0))));
    assert_eq!((rocket.last_seq, rocket.complete), (None, None));
    assert_eq!((other.running, other.queued, other.next_attempt), (false, false, None));
    assert_eq!((other.last_error.as_deref(), other.complete), (None, Some(true)), "the snapshot came after the error");
    assert!(catalog.finish(&lease).await.unwrap());
}
