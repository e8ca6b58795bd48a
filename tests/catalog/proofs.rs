//! Proofs and readings: what a status and a drill's turn are made from.

use chrono::{DateTime, TimeDelta, Utc};
use refward::catalog::{Reading, Standing, StoredSpan};
use refward::domain::{Extent, Problem, ProofKind, ReadAmount, RepoId, Report, Skipped};

use crate::world::{World, change, list, minute, seq, snapshot};

on_both_databases!(
    the_newest_of_each_kind_tells_how_a_repository_stands,
    old_proofs_are_forgotten_but_never_the_newest,
    a_reading_replaces_the_one_before,
    what_a_snapshot_lacks_is_kept_with_it,
    what_a_restore_reads_is_counted_once,
);

fn report(repo: &RepoId, kind: ProofKind, started_at: DateTime<Utc>, passed: bool) -> Report {
    let problem =
        Problem { object: "repos/x/0000000001.tar.gz.age".into(), seq: Some(seq(1)), problem: "is empty".into() };
    Report {
        kind,
        version: Report::VERSION,
        program: "refward".into(),
        vault: uuid::Uuid::nil(),
        repo: repo.clone(),
        repository: "acme/rocket".into(),
        snapshot: None,
        started_at,
        duration_ms: 7,
        passed,
        method: "looked at".into(),
        findings: if passed { Vec::new() } else { vec![problem] },
        read: ReadAmount { objects: 1, bytes: 100 },
        restore: None,
    }
}

async fn put(world: &World, report: &Report) {
    world.catalog.put_proof(report, &report.canonical().unwrap(), &[1; 64]).await.unwrap();
}

async fn the_newest_of_each_kind_tells_how_a_repository_stands(world: World) {
    use ProofKind::{Drill, Verify};

    let (rocket, catalog) = (&world.rocket, &world.catalog);
    assert!(catalog.standings().await.unwrap().is_empty());
    let other = list(catalog, &world.acme, "2", "acme/lander").await;
    put(&world, &report(rocket, Drill, minute(1), true)).await;
    put(&world, &report(rocket, Drill, minute(2), false)).await;
    put(&world, &report(rocket, Verify, minute(3), false)).await;
    // At the very moments of the other's proofs, which must not confuse them.
    put(&world, &report(&other, Drill, minute(2), false)).await;
    put(&world, &report(&other, Drill, minute(1), true)).await;
    put(&world, &report(&other, Drill, minute(4), true)).await;
    let standings = catalog.standings().await.unwrap();
    let failed =
        Standing { last_drill: Some((minute(2), false)), passed_at: Some(minute(1)), damaged_at: Some(minute(3)) };
    assert_eq!(standings[rocket], failed);
    let passed = Standing { last_drill: Some((minute(4), true)), passed_at: Some(minute(4)), damaged_at: None };
    assert_eq!(standings[&other], passed);

    put(&world, &report(rocket, Verify, minute(5), true)).await;
    assert_eq!(catalog.standings().await.unwrap()[rocket].damaged_at, None);
    assert_eq!(catalog.drilled_bytes(minute(2)).await.unwrap(), 300);
    let kept = catalog.proofs(Some(rocket), minute(2)).await.unwrap();
    assert_eq!(kept.iter().map(|proof| proof.report.started_at).collect::<Vec<_>>(), [minute(2), minute(3), minute(5)]);
    assert_eq!((&kept[0].text, &kept[0].signature), (&kept[0].report.canonical().unwrap(), &vec![1; 64]));
    let last = catalog.last_verification(rocket).await.unwrap().unwrap();
    assert_eq!(last.report, report(rocket, Verify, minute(5), true));
}

async fn old_proofs_are_forgotten_but_never_the_newest(world: World) {
    let (rocket, catalog) = (&world.rocket, &world.catalog);
    for at in 1..=4 {
        put(&world, &report(rocket, ProofKind::Drill, minute(at), at < 4)).await;
    }
    assert_eq!(catalog.forget_proofs(minute(9)).await.unwrap(), 2);
    let left = catalog.proofs(None, DateTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(left.iter().map(|proof| proof.report.started_at).collect::<Vec<_>>(), [minute(3), minute(4)]);
}

async fn a_reading_replaces_the_one_before(world: World) {
    let (rocket, catalog) = (&world.rocket, &world.catalog);
    let reading = |object: &str, bytes| Reading { object: object.into(), repo: rocket.clone(), bytes };
    assert_eq!(catalog.read_so_far().await.unwrap().oldest, None);
    let before = Utc::now() - TimeDelta::seconds(1);
    catalog.put_readings(&[reading("a", 1), reading("b", 2)]).await.unwrap();
    catalog.put_readings(&[reading("b", 2), reading("c", 4)]).await.unwrap();
    let read = catalog.read_so_far().await.unwrap();
    assert_eq!((read.objects, read.bytes), (3, 7));
    assert!(read.oldest.unwrap() > before);
    catalog.forget_readings(&["a".to_owned(), "c".to_owned()]).await.unwrap();
    assert_eq!(catalog.readings(rocket).await.unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
}

async fn what_a_snapshot_lacks_is_kept_with_it(world: World) {
    let (rocket, catalog) = (&world.rocket, &world.catalog);
    let mut commit = snapshot(rocket, 1, vec![change("main", None, Some(1))], 1);
    let lacks = vec![Skipped { what: "refs/heads/ä".into(), why: "its name".into() }];
    commit.snapshot.complete = false;
    commit.snapshot.missing.clone_from(&lacks);
    catalog.commit(commit).await.unwrap();
    assert_eq!(catalog.snapshot(rocket, seq(1)).await.unwrap().missing, lacks);
    assert_eq!(catalog.status().await.unwrap()[0].missing, lacks);
    catalog.commit(snapshot(rocket, 2, Vec::new(), 1)).await.unwrap();
    assert_eq!(catalog.status().await.unwrap()[0].missing, []);
    assert_eq!(catalog.live_bytes().await.unwrap()[rocket], 501 + 502);
    assert_eq!(catalog.snapshot_times(rocket).await.unwrap()[&seq(2)], minute(2));
}

async fn what_a_restore_reads_is_counted_once(world: World) {
    let (rocket, catalog) = (&world.rocket, &world.catalog);
    for number in 1..=5 {
        catalog.commit(snapshot(rocket, number, Vec::new(), 1)).await.unwrap();
    }
    let span = |from, to, rewriting, stored_bytes| StoredSpan {
        extent: Extent { from: seq(from), to: seq(to), rewriting },
        sha256: [7; 32],
        stored_bytes,
        pack_bytes: 0,
        objects: 0,
        points: 1,
    };
    // The second stands for the first, too; snapshot 5 for itself.
    for span in [span(1, 2, 1, 10_000), span(1, 4, 1, 20_000), span(1, 4, 2, 30_000)] {
        catalog.put_span(rocket, &span).await.unwrap();
    }
    assert_eq!(catalog.live_bytes().await.unwrap()[rocket], 30_000 + 505);
}
