//! Whatever happens to an object is noticed, and the error names it.

use std::fs;

use refward::domain::{Kind, Seq};
use refward::vault::{Finding, Level};
use tempfile::TempDir;

use super::support::{Chain, Place, single};

const PACK: usize = 200_000;

/// A chain of five.
async fn five() -> (Place, Chain) {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    for _ in 0..5 {
        chain.append_bytes(&place.vault, PACK).await;
    }
    (place, chain)
}

async fn verify(place: &Place, chain: &Chain, level: Level) -> Vec<Finding> {
    place.vault.verify(&chain.repo, level, Some(&chain.written), &|_| {}).await.unwrap()
}

fn about(findings: &[Finding]) -> Vec<u64> {
    let mut seqs: Vec<_> = findings.iter().filter_map(|finding| finding.seq).map(Seq::get).collect();
    seqs.dedup();
    seqs
}

#[tokio::test]
async fn a_sound_chain_has_no_findings() {
    let (place, chain) = five().await;
    let steps = std::sync::Mutex::new(Vec::new());
    let findings = place
        .vault
        .verify(&chain.repo, Level::ReadData(1.0), Some(&chain.written), &|step| steps.lock().unwrap().push(step))
        .await
        .unwrap();
    assert_eq!(findings, []);
    let last = *steps.lock().unwrap().last().unwrap();
    assert_eq!((last.done, last.total), (10, 10));
    assert_eq!(verify(&place, &chain, Level::Structure).await, []);
    assert_eq!(place.vault.verify(&chain.repo, Level::ReadData(0.3), None, &|_| {}).await.unwrap(), []);
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_noticed() {
    let (place, chain) = five().await;
    let object = place.object(&chain.repo, 3);
    let original = fs::read(&object).unwrap();
    let name = object.strip_prefix(place.root()).unwrap().display().to_string();
    // age's version line, a recipient, the header's MAC, the record, the pack, the end.
    for at in [3, 40, 250, 700, 100_000, original.len() - 1] {
        let mut changed = original.clone();
        changed[at] ^= 1;
        fs::write(&object, changed).unwrap();
        let findings = verify(&place, &chain, Level::ReadData(1.0)).await;
        assert_eq!(about(&findings), [3], "byte {at}: {findings:?}");
        assert_eq!(findings[0].object, name);
        let out = TempDir::new().unwrap();
        let error = place.vault.extract(&chain.repo, &single(3), out.path()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged, "byte {at}: {error}");
        assert!(error.to_string().contains(&name), "{error}");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "nothing unproven is left behind");
    }
    fs::write(&object, original).unwrap();
    assert_eq!(verify(&place, &chain, Level::ReadData(1.0)).await, []);
}

#[tokio::test]
async fn a_truncated_object_is_noticed_even_without_reading_it() {
    let (place, chain) = five().await;
    let object = place.object(&chain.repo, 3);
    let original = fs::read(&object).unwrap();
    for length in [original.len() - 1, PACK / 2, 70_000, 300, 10, 0] {
        fs::write(&object, &original[..length]).unwrap();
        for level in [Level::Structure, Level::ReadData(1.0)] {
            assert_eq!(about(&verify(&place, &chain, level).await), [3], "{length} bytes, {level:?}");
        }
        let out = TempDir::new().unwrap();
        let error = place.vault.extract(&chain.repo, &single(3), out.path()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged, "{length} bytes: {error}");
        if length < 1000 {
            assert_eq!(place.vault.record(&chain.repo, &single(3)).await.unwrap_err().kind(), Kind::Damaged);
        }
    }
}

#[tokio::test]
async fn appended_bytes_are_noticed() {
    let (place, chain) = five().await;
    let object = place.object(&chain.repo, 2);
    let mut longer = fs::read(&object).unwrap();
    longer.extend_from_slice(b"tail");
    fs::write(&object, longer).unwrap();
    assert_eq!(about(&verify(&place, &chain, Level::Structure).await), [2]);
    let out = TempDir::new().unwrap();
    assert_eq!(place.vault.extract(&chain.repo, &single(2), out.path()).await.unwrap_err().kind(), Kind::Damaged);
}

#[tokio::test]
async fn swapped_objects_are_noticed() {
    let (place, chain) = five().await;
    let (two, four) = (place.object(&chain.repo, 2), place.object(&chain.repo, 4));
    let (second, fourth) = (fs::read(&two).unwrap(), fs::read(&four).unwrap());
    fs::write(&two, fourth).unwrap();
    fs::write(&four, &second).unwrap();
    assert_eq!(about(&verify(&place, &chain, Level::Structure).await), [2, 4]);
    let error = place.vault.record(&chain.repo, &single(4)).await.unwrap_err();
    assert!(error.to_string().contains("is not what its name says: it holds snapshot 2"), "{error}");

    let mut other = Chain::new("2");
    other.append_bytes(&place.vault, 1000).await;
    other.append_bytes(&place.vault, 1000).await;
    fs::copy(place.object(&chain.repo, 5), place.object(&other.repo, 2)).unwrap();
    assert_eq!(place.vault.record(&other.repo, &single(2)).await.unwrap_err().kind(), Kind::Damaged);
}

#[tokio::test]
async fn an_object_of_another_vault_is_refused() {
    let (place, chain) = five().await;
    let (stranger, foreign) = five().await;
    assert_eq!(chain.repo, foreign.repo);
    fs::copy(stranger.object(&foreign.repo, 3), place.object(&chain.repo, 3)).unwrap();
    let findings = verify(&place, &chain, Level::Structure).await;
    assert_eq!(about(&findings), [3], "{findings:?}");
}

#[tokio::test]
async fn missing_objects_are_noticed_the_newest_only_by_the_catalog() {
    let (place, chain) = five().await;
    fs::remove_file(place.object(&chain.repo, 2)).unwrap();
    let findings = verify(&place, &chain, Level::Structure).await;
    assert_eq!(about(&findings), [2]);
    assert_eq!(findings[0].problem, "is missing");
    let error = place.vault.record(&chain.repo, &single(2)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains("0000000002.tar.gz.age is missing"), "{error}");

    let (place, chain) = five().await;
    fs::remove_file(place.object(&chain.repo, 5)).unwrap();
    assert_eq!(about(&verify(&place, &chain, Level::Structure).await), [5]);
    assert_eq!(place.vault.verify(&chain.repo, Level::Structure, None, &|_| {}).await.unwrap(), []);
}

#[tokio::test]
async fn an_older_copy_put_back_is_noticed_by_its_hash() {
    let (place, chain) = five().await;
    // The same snapshot, written a second time elsewhere with the same keys: valid in itself, yet not the one.
    let twin = place.vault.record(&chain.repo, &single(3)).await.unwrap();
    let out = TempDir::new().unwrap();
    let extracted = place.vault.extract(&chain.repo, &single(3), out.path()).await.unwrap();
    fs::remove_file(place.object(&chain.repo, 3)).unwrap();
    let pack = fs::read(extracted.pack.unwrap()).unwrap();
    place.vault.append(&twin, Some(super::support::source(&pack, None))).await.unwrap();
    let findings = verify(&place, &chain, Level::ReadData(1.0)).await;
    assert!(about(&findings).contains(&3), "{findings:?}");
}

#[tokio::test]
async fn strange_files_and_contradictions_are_told() {
    let (place, mut chain) = five().await;
    fs::write(place.root().join("repos").join(chain.repo.as_str()).join("notes.txt"), "hello").unwrap();
    let mut record = chain.record(&place.vault, &chain.state);
    record.refs = Some(std::collections::BTreeMap::new());
    record.time = super::support::time(1);
    chain.append(&place.vault, record, None).await;
    let problems: Vec<_> =
        verify(&place, &chain, Level::Structure).await.into_iter().map(|finding| finding.problem).collect();
    assert_eq!(
        problems,
        [
            "is not a snapshot",
            "is older than the snapshot before it",
            "lists other references than the changes before it lead to"
        ]
    );
}
