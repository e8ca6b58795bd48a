//! Points that go, what stands for many, and what waits to be deleted.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use refward::catalog::{Drop, HoldKind, Intent, Priority, Retold, StoredSpan, job_kind};
use refward::domain::{By, Extent, Kind, RefChange, Result, Seq};

use crate::world::{World, change, list, name, oid, pools, seq, snapshot};

on_both_databases! {
    enough_singles_are_due_and_what_is_queued_is_not,
    points_that_leave_are_due_once,
    dropped_points_are_known_no_more,
    what_a_snapshot_may_lean_on_is_not_dropped,
    what_is_kept_after_all_is_not_dropped,
    an_object_is_condemned_once,
    a_day_has_its_share,
}

/// `main` moves at each of so many snapshots, to the object of that number.
async fn moved(world: &World, count: u64) {
    for number in 1..=count {
        let old = (number > 1).then(|| number - 1);
        let moves = vec![change("main", old, Some(number))];
        world.catalog.commit(snapshot(&world.rocket, number, moves, 1)).await.unwrap();
    }
}

fn points(numbers: &[u64]) -> BTreeSet<Seq> {
    numbers.iter().copied().map(seq).collect()
}

fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::seconds(1)
}

/// Marks points and drops them in favour of the one that follows.
async fn drop_points(world: &World, last: u64, numbers: &[u64], moves: Vec<(Seq, RefChange)>) -> Result<()> {
    let World { catalog, rocket, .. } = world;
    let points = points(numbers);
    let retold = moves.into_iter().map(|(seq, change)| Retold { seq, changes: vec![change], actors: BTreeMap::new() });
    let retold = retold.collect();
    catalog.drop_points(Drop { repo: rocket, last: seq(last), points: &points, before: later(), retold }).await
}

async fn mark(world: &World, numbers: &[u64]) {
    let seqs: Vec<Seq> = numbers.iter().copied().map(seq).collect();
    world.catalog.mark_leaving(&world.rocket, &seqs, Utc::now()).await.unwrap();
}

fn span(from: u64, to: u64) -> StoredSpan {
    StoredSpan {
        extent: Extent { from: seq(from), to: seq(to), rewriting: 1 },
        sha256: [9; 32],
        stored_bytes: 900,
        pack_bytes: 800,
        objects: 12,
        points: 3,
    }
}

async fn enough_singles_are_due_and_what_is_queued_is_not(world: World) {
    let World { catalog, rocket, .. } = &world;
    list(catalog, &world.acme, "2", "acme/quiet").await;
    moved(&world, 3).await;
    let due = async |after| catalog.compaction_due(after, None, 10).await.unwrap();
    assert_eq!(due(3).await, std::slice::from_ref(rocket));
    assert!(due(4).await.is_empty());

    catalog.enqueue(job_kind::COMPACT, rocket.as_str(), Priority::Sweep).await.unwrap();
    assert!(due(3).await.is_empty());
    let lease = catalog.claim("me", std::time::Duration::from_mins(1), &pools()).await.unwrap().unwrap();
    catalog.finish(&lease).await.unwrap();
    catalog.consolidated(rocket, &span(1, 3), &[]).await.unwrap();
    assert!(due(3).await.is_empty());
    assert!(due(1).await.is_empty());
}

async fn points_that_leave_are_due_once(world: World) {
    let World { catalog, rocket, .. } = &world;
    moved(&world, 3).await;
    let due = async || catalog.compaction_due(100, Some(later()), 10).await.unwrap();
    assert!(due().await.is_empty());
    mark(&world, &[2]).await;
    assert_eq!(due().await, std::slice::from_ref(rocket));
    assert_eq!(catalog.leaving(rocket, later()).await.unwrap(), points(&[2]));
    assert!(catalog.leaving(rocket, Utc::now() - TimeDelta::days(7)).await.unwrap().is_empty());

    catalog.put_off_dropping(rocket, later()).await.unwrap();
    assert!(due().await.is_empty());
    catalog.mark_leaving(rocket, &[seq(1)], Utc::now() + TimeDelta::seconds(2)).await.unwrap();
    let due = catalog.compaction_due(100, Some(Utc::now() + TimeDelta::seconds(3)), 10).await.unwrap();
    assert_eq!(due, std::slice::from_ref(rocket));
}

async fn dropped_points_are_known_no_more(world: World) {
    let World { catalog, rocket, .. } = &world;
    moved(&world, 4).await;
    mark(&world, &[2, 3]).await;
    let squashed = RefChange { forced: true, ..change("main", Some(1), Some(4)) };
    drop_points(&world, 4, &[2, 3], vec![(seq(4), squashed.clone())]).await.unwrap();

    let kept: Vec<Seq> = catalog.snapshots(rocket).await.unwrap().iter().map(|snapshot| snapshot.seq).collect();
    assert_eq!(kept, [seq(1), seq(4)]);
    let journal = catalog.journal(rocket, Some(&name("main"))).await.unwrap();
    assert_eq!(journal.len(), 2);
    assert_eq!(journal[1].change, squashed);
    assert_eq!(catalog.snapshots(rocket).await.unwrap()[1].refs.forced, 1);
    let known = catalog.known_tips(rocket, &[oid(1), oid(2), oid(3), oid(4)]).await.unwrap();
    assert_eq!(known, [oid(1), oid(4)].into());
    let state = catalog.sync_state(rocket).await.unwrap();
    assert_eq!((state.refs.refs[&name("main")], state.last.unwrap().seq), (oid(4), seq(4)));
}

async fn what_a_snapshot_may_lean_on_is_not_dropped(world: World) {
    let World { catalog, rocket, .. } = &world;
    moved(&world, 3).await;
    mark(&world, &[2]).await;
    catalog.enqueue(job_kind::SYNC_REPO, rocket.as_str(), Priority::Event).await.unwrap();
    let minute = std::time::Duration::from_mins(1);
    let lease = catalog.claim("me", minute, &pools()).await.unwrap().unwrap();
    let prepared = catalog.sync_state(rocket).await.unwrap().generation;
    let intent = |generation| Intent { repo: rocket, seq: seq(4), record: "{}", generation };

    // Announced first: nothing is dropped.
    catalog.intend(&lease, minute, intent(prepared)).await.unwrap();
    let refused = drop_points(&world, 3, &[2], vec![]).await.unwrap_err();
    assert!(matches!(refused.kind(), Kind::Busy { .. }), "{refused}");
    // Taken meanwhile: neither.
    catalog.commit(snapshot(rocket, 4, vec![change("main", Some(3), Some(4))], 1)).await.unwrap();
    let refused = drop_points(&world, 3, &[2], vec![]).await.unwrap_err();
    assert!(matches!(refused.kind(), Kind::Busy { .. }), "{refused}");
    assert_eq!(catalog.snapshots(rocket).await.unwrap().len(), 4);

    // Dropped first: what was prepared before is refused.
    drop_points(&world, 4, &[2], vec![]).await.unwrap();
    let refused = catalog.intend(&lease, minute, Intent { seq: seq(5), ..intent(prepared) }).await.unwrap_err();
    assert!(matches!(refused.kind(), Kind::Busy { .. }), "{refused}");
    let anew = catalog.sync_state(rocket).await.unwrap().generation;
    assert!(catalog.intend(&lease, minute, Intent { seq: seq(5), ..intent(anew) }).await.unwrap());
}

async fn what_is_kept_after_all_is_not_dropped(world: World) {
    let World { catalog, rocket, .. } = &world;
    moved(&world, 4).await;
    mark(&world, &[2, 3]).await;
    let refused = async |numbers: &[u64]| {
        let error = drop_points(&world, 4, numbers, vec![]).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Busy { .. }), "{error}");
    };
    refused(&[1]).await;
    refused(&[2, 4]).await;
    catalog.put_labels(rocket, seq(3), &["release".to_owned()]).await.unwrap();
    assert_eq!(catalog.leaving(rocket, later()).await.unwrap(), points(&[2]));
    refused(&[2, 3]).await;
    catalog.place_hold(rocket, HoldKind::Legal, "a lawsuit", &By::cli("lisa")).await.unwrap();
    assert!(catalog.leaving(rocket, later()).await.unwrap().is_empty());
    refused(&[2]).await;
    assert_eq!(catalog.snapshots(rocket).await.unwrap().len(), 4);
}

async fn an_object_is_condemned_once(world: World) {
    let World { catalog, rocket, .. } = &world;
    moved(&world, 3).await;
    let objects = [("repos/x/1".to_owned(), 501), ("repos/x/2".to_owned(), 502)];
    catalog.consolidated(rocket, &span(1, 2), &objects).await.unwrap();
    let first = catalog.condemned().await.unwrap();
    assert_eq!(
        first.iter().map(|one| (one.object.as_str(), one.bytes)).collect::<Vec<_>>(),
        [("repos/x/1", 501), ("repos/x/2", 502)]
    );
    assert_eq!(first[0].why, "snapshots 1 to 2 are one object now");
    let names: Vec<String> = objects.iter().map(|(name, _)| name.clone()).collect();
    catalog.listed(&names, "trash/one.list").await.unwrap();
    catalog.deleted(&names[..1]).await.unwrap();

    catalog.consolidated(rocket, &span(1, 2), &objects).await.unwrap();
    let left = catalog.condemned().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].object.as_str(), left[0].list.as_deref()), ("repos/x/2", Some("trash/one.list")));
    assert_eq!(left[0].condemned_at, first[1].condemned_at);
    assert_eq!(catalog.spans(rocket).await.unwrap(), [span(1, 2)]);
}

async fn a_day_has_its_share(world: World) {
    let (one, other) = (&world.catalog, world.another_process().await);
    assert!(one.spend_on_compaction(1_000, 100).await.unwrap(), "however large the first may be");
    assert!(!other.spend_on_compaction(1, 100).await.unwrap());
    assert!(other.spend_on_compaction(500, 1_500).await.unwrap());
    assert!(!one.spend_on_compaction(1, 1_500).await.unwrap());
    world.sabotage(&["UPDATE fact SET value = '{\"day\": \"2026-01-01\", \"bytes\": 9999}'"]).await;
    assert!(one.spend_on_compaction(1, 1_500).await.unwrap(), "it is another day");
}
