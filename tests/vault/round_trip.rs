//! What goes in comes out; what it costs; states and journals from records alone.

use std::time::Instant;

use refward::domain::{Head, Kind, ObjectFormat, ObjectId, Point, RefState};
use refward::vault::Appended;
use tempfile::TempDir;

use super::support::{Chain, Place, fake_pack, pack_entry, seq, sha256, single, source, time};

#[tokio::test]
async fn a_pack_with_its_index_comes_back_byte_for_byte() {
    let place = Place::new().await;
    let chain = Chain::new("1");
    let (pack, index) = (fake_pack(300_000, 7), fake_pack(40_000, 8));
    let mut record = chain.record(&place.vault, &chain.state);
    record.pack = Some(pack_entry(&pack, ObjectFormat::Sha1, Some(&index)));
    let Appended::Written(sealed) = place.vault.append(&record, Some(source(&pack, Some(&index)))).await.unwrap()
    else {
        panic!("occupied")
    };

    let out = TempDir::new().unwrap();
    let extracted = place.vault.extract(&chain.repo, &single(1), out.path()).await.unwrap();
    assert_eq!(extracted.record, record);
    assert_eq!(extracted.sealed, sealed);
    assert_eq!(std::fs::read(extracted.pack.unwrap()).unwrap(), pack);
    assert_eq!(std::fs::read(extracted.index.unwrap()).unwrap(), index);
    assert_eq!(place.vault.hash(&chain.repo, &single(1)).await.unwrap(), sealed);
    assert_eq!(place.vault.record(&chain.repo, &single(1)).await.unwrap(), record);
    assert_eq!(place.vault.repositories().await.unwrap(), std::slice::from_ref(&chain.repo));
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn a_one_commit_push_stays_within_its_budget() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    chain.append_bytes(&place.vault, 600).await;
    for length in [600, 10_000] {
        let sealed = chain.append_bytes(&place.vault, length).await;
        println!("a pack of {length} bytes is stored in {} bytes", sealed.bytes);
        assert!(sealed.bytes <= length as u64 * 11 / 10 + 2048, "{} bytes for a pack of {length}", sealed.bytes);
    }
    let on_disk = std::fs::metadata(place.object(&chain.repo, 2)).unwrap().len();
    assert_eq!(on_disk, place.vault.cover(&chain.repo).await.unwrap().live[1].bytes);
}

#[tokio::test]
async fn a_large_pack_streams_through() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    let length = 96 << 20;
    let pack = fake_pack(length, 1);
    let mut record = chain.record(&place.vault, &chain.state);
    record.pack = Some(pack_entry(&pack, chain.format, None));
    let contents = source(&pack, None);
    let started = Instant::now();
    let sealed = chain.append(&place.vault, record, Some(contents)).await;
    let sealing = started.elapsed();
    assert!(sealed.bytes < length as u64 * 1001 / 1000, "{} bytes", sealed.bytes);

    let out = TempDir::new().unwrap();
    let started = Instant::now();
    let extracted = place.vault.extract(&chain.repo, &single(1), out.path()).await.unwrap();
    println!("96 MiB: sealed in {sealing:?}, extracted in {:?}", started.elapsed());
    assert!(std::fs::read(extracted.pack.unwrap()).unwrap() == pack);
    assert_eq!(extracted.sealed, sealed);
    assert_eq!(std::fs::read_dir(place.root().join("staging")).unwrap().count(), 0, "nothing stays in staging");
}

#[tokio::test]
async fn a_record_larger_than_the_first_read_is_read_by_further_ranges() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    let mut state = RefState { head: Some(Head::Detached(id(1))), ..chain.state.clone() };
    for number in 0..20_000 {
        state.refs.insert(format!("refs/pull/{number}/head").parse().unwrap(), id(number));
    }
    let record = chain.record(&place.vault, &state);
    let sealed = chain.append(&place.vault, record.clone(), None).await;
    assert!(sealed.bytes > 300_000, "{} bytes would fit the first read", sealed.bytes);
    assert_eq!(place.vault.record(&chain.repo, &single(1)).await.unwrap(), record);
    let (_, restored) = place.vault.state_at(&chain.repo, None).await.unwrap();
    assert_eq!(restored, state);
}

#[tokio::test]
async fn contents_that_are_not_what_the_record_says_are_not_written() {
    let place = Place::new().await;
    let chain = Chain::new("1");
    let pack = fake_pack(3 << 20, 1);
    let mut other = pack.clone();
    other[1_000_000] ^= 1;
    let mut record = chain.record(&place.vault, &chain.state);
    record.pack = Some(pack_entry(&pack, ObjectFormat::Sha1, None));
    let longer = [&pack[..], &[0]].concat();
    for wrong in [&other[..], &pack[..pack.len() - 1], &longer] {
        let error = place.vault.append(&record, Some(source(wrong, None))).await.unwrap_err();
        assert!(error.to_string().contains("is not the one that its record describes"), "{error}");
    }
    assert_eq!(place.vault.append(&record, None).await.unwrap_err().kind(), Kind::Bug);
    assert_eq!(place.vault.cover(&chain.repo).await.unwrap().live, []);
    assert!(place.vault.repositories().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_state_at_any_moment_comes_from_records_alone() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    let mut states = Vec::new();
    for step in 1..=40_u32 {
        let mut state = chain.state.clone();
        state.head = Some(Head::Symbolic("refs/heads/main".parse().unwrap()));
        state.refs.insert("refs/heads/main".parse().unwrap(), id(step));
        state.refs.insert(format!("refs/tags/v{step}").parse().unwrap(), id(step));
        state.refs.remove(&format!("refs/tags/v{}", step.saturating_sub(3)).parse().unwrap());
        let mut record = chain.record(&place.vault, &state);
        record.refs = (step % 17 == 0).then(|| state.refs.clone());
        chain.append(&place.vault, record, None).await;
        states.push(state);
    }
    for step in [1, 2, 16, 17, 18, 34, 40] {
        let index = usize::try_from(step).unwrap() - 1;
        for point in
            [Point::Seq(seq(step)), Point::Time(time(step)), Point::Time(time(step) + chrono::TimeDelta::seconds(59))]
        {
            let found = place.vault.state_at(&chain.repo, Some(point)).await.unwrap();
            assert_eq!(found, (seq(step), states[index].clone()), "{point:?}");
        }
    }
    assert_eq!(place.vault.state_at(&chain.repo, None).await.unwrap().0, seq(40));
    for point in [Point::Seq(seq(41)), Point::Time(time(0))] {
        assert_eq!(place.vault.state_at(&chain.repo, Some(point)).await.unwrap_err().kind(), Kind::NotFound);
    }
}

fn id(number: u32) -> ObjectId {
    ObjectId::from_raw(&sha256(&number.to_le_bytes())[..20]).unwrap()
}
