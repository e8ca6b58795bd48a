//! Consolidated snapshots, and facts.

use std::collections::BTreeMap;

use refward::catalog::{RestoredRepository, StoredSpan};
use refward::domain::{Expected, Extent, Point};
use serde_json::json;

use crate::world::{World, change, name, oid, seq, snapshot};

on_both_databases! {
    what_the_vault_should_hold_is_what_stands_for_everything,
    a_rebuild_takes_gaps_and_ranges_over,
    what_tells_every_reference_puts_the_next_list_off,
    a_fact_is_what_was_said_last,
}

fn span(from: u64, to: u64, rewriting: u32) -> StoredSpan {
    let extent = Extent { from: seq(from), to: seq(to), rewriting };
    let sha256 = [u8::try_from(100 + from + to).unwrap(); 32];
    StoredSpan { extent, sha256, stored_bytes: 900, pack_bytes: 800, objects: 7, points: 2 }
}

async fn what_the_vault_should_hold_is_what_stands_for_everything(world: World) {
    let World { catalog, rocket, .. } = &world;
    for number in 1..=5 {
        let old = (number > 1).then(|| number - 1);
        catalog.commit(snapshot(rocket, number, vec![change("main", old, Some(number))], 1)).await.unwrap();
    }
    let single = |number: u8| Expected { extent: Extent::single(seq(number.into())), sha256: [number; 32] };
    let of = |span: StoredSpan| Expected { extent: span.extent, sha256: span.sha256 };
    assert_eq!(catalog.expected(rocket).await.unwrap(), [1, 2, 3, 4, 5].map(single));

    let spans = [span(1, 2, 1), span(1, 4, 1), span(1, 4, 2), span(3, 4, 1)];
    for span in spans {
        catalog.put_span(rocket, &span).await.unwrap();
        catalog.put_span(rocket, &span).await.unwrap();
    }
    assert_eq!(catalog.spans(rocket).await.unwrap(), spans);
    assert_eq!(catalog.expected(rocket).await.unwrap(), [of(spans[2]), single(5)]);
}

async fn a_rebuild_takes_gaps_and_ranges_over(world: World) {
    let World { catalog, rocket, .. } = &world;
    catalog.put_span(rocket, &span(1, 2, 7)).await.unwrap();
    let known_as = RestoredRepository {
        forge: "github".into(),
        host: "github.com".into(),
        forge_id: "1".into(),
        full_name: "acme/rocket".into(),
    };
    let kept = [(2, None, 2), (5, Some(2), 5), (6, Some(5), 6)];
    let kept = kept.map(|(number, old, new)| snapshot(rocket, number, vec![change("main", old, Some(new))], 1));
    catalog.rebuild(&known_as, rocket, kept.to_vec(), &[span(1, 5, 1)]).await.unwrap();

    assert_eq!(catalog.spans(rocket).await.unwrap(), [span(1, 5, 1)], "what was known before is forgotten");
    let expected: Vec<_> = catalog.expected(rocket).await.unwrap().iter().map(|object| object.extent).collect();
    assert_eq!(expected, [span(1, 5, 1).extent, Extent::single(seq(6))]);
    assert_eq!(catalog.last_seq(rocket).await.unwrap(), Some(seq(6)));
    for number in [2, 5, 6] {
        let (found, state) = catalog.refs_at(rocket, Some(Point::Seq(seq(number)))).await.unwrap();
        assert_eq!((found, state.refs), (seq(number), BTreeMap::from([(name("main"), oid(number))])));
    }
    assert!(catalog.refs_at(rocket, Some(Point::Seq(seq(4)))).await.is_err());
}

async fn what_tells_every_reference_puts_the_next_list_off(world: World) {
    let World { catalog, rocket, .. } = &world;
    for number in 1..=5 {
        let old = (number > 1).then(|| number - 1);
        let moves = vec![change("main", old, Some(number)), change("topic", old, Some(number))];
        catalog.commit(snapshot(rocket, number, moves, 2)).await.unwrap();
    }
    let since = async || {
        let state = catalog.sync_state(rocket).await.unwrap();
        (state.records_since_checkpoint, state.changes_since_checkpoint)
    };
    assert_eq!(since().await, (5, 10));
    catalog.put_span(rocket, &span(1, 4, 1)).await.unwrap();
    assert_eq!(since().await, (1, 2));
    catalog.put_span(rocket, &span(1, 2, 1)).await.unwrap();
    assert_eq!(since().await, (1, 2), "an older one changes nothing");
}

async fn a_fact_is_what_was_said_last(world: World) {
    let World { catalog, .. } = &world;
    let known = async || catalog.fact::<serde_json::Value>("weather").await.unwrap();
    assert_eq!(known().await, None);
    catalog.put_fact("weather", &json!({ "why": "clouds" })).await.unwrap();
    catalog.put_fact("weather", &["sun", "wind"]).await.unwrap();
    assert_eq!(known().await, Some(json!(["sun", "wind"])));
    assert!(catalog.fact::<u64>("weather").await.is_err(), "another shape is not guessed at");
    catalog.remove_fact("weather").await.unwrap();
    catalog.remove_fact("weather").await.unwrap();
    assert_eq!(known().await, None);
}
