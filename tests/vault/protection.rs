//! What a store protects from is tried, not believed, and nothing but what was made for it is touched.

use std::fs;
use std::sync::Arc;

use object_store::memory::InMemory;
use refward::vault::{Deleting, Level, Protection, Store};
use tempfile::TempDir;

use super::s3::S3;
use super::support::{Chain, Place, vault_in, vault_settings};

async fn in_bucket_of(s3: &S3) -> Place {
    let mut settings = vault_settings("s3://bucket/some/prefix");
    settings.options.extend(s3.options());
    Place::at(TempDir::new().unwrap(), settings).await
}

#[tokio::test]
async fn a_folder_protects_from_nothing_and_shares_a_disk() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    chain.append_bytes(&place.vault, 1000).await;
    let database = place.dir.path().join("refward.db");
    fs::write(&database, "").unwrap();
    let found = place.vault.protection(Some(&database)).await.unwrap();
    assert_eq!((&found.deleting, found.refuses_overwrites), (&Deleting::Gone, true));
    assert_eq!((found.database_on_same_disk, found.lock, found.sealed), (Some(true), None, false));
    assert_eq!(place.vault.protection(None).await.unwrap().database_on_same_disk, None);
    assert_eq!(place.vault.verify(&chain.repo, Level::ReadData(1.0), None, &|_| {}).await.unwrap(), []);
    assert_eq!(fs::read_dir(place.root().join("probe")).unwrap().count(), 0);
}

#[tokio::test]
async fn memory_can_be_deleted() {
    let dir = TempDir::new().unwrap();
    let vault = vault_in(Store::over(Arc::new(InMemory::new()), "memory:"), dir.path()).await;
    assert_eq!(vault.protection(None).await.unwrap().deleting, Deleting::Gone);
}

#[tokio::test]
async fn a_bucket_is_asked_to_delete() {
    let s3 = S3::start().await;
    let place = in_bucket_of(&s3).await;
    let found = place.vault.protection(None).await.unwrap();
    assert_eq!((&found.deleting, &found.lock), (&Deleting::Gone, &None));
    assert!(told(&found).contains("can delete the vault"), "{}", told(&found));
}

#[tokio::test]
async fn a_refusal_is_believed_and_leaves_one_object_however_often_it_is_tried() {
    let s3 = S3::start_keeping().await;
    let place = in_bucket_of(&s3).await;
    for _ in 0..3 {
        assert_eq!(place.vault.protection(None).await.unwrap().deleting, Deleting::Refused);
        assert_eq!(fs::read_dir(s3.dir.path().join("bucket/some/prefix/probe")).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn a_lock_is_told_in_the_words_of_the_store() {
    let s3 = S3::start_locked().await;
    let place = in_bucket_of(&s3).await;
    let found = place.vault.protection(None).await.unwrap();
    assert_eq!((&found.deleting, found.lock.as_deref()), (&Deleting::VersionKept, Some("COMPLIANCE for 30 days")));
    assert!(told(&found).contains("not destroy it"), "{}", told(&found));
}

#[tokio::test]
async fn a_store_that_is_away_is_an_error_and_not_a_protection() {
    let place = Place::new().await;
    fs::rename(place.root(), place.dir.path().join("aside")).unwrap();
    fs::write(place.root(), "a file, where there should be a folder").unwrap();
    assert!(place.vault.protection(None).await.is_err());
}

fn told(found: &Protection) -> String {
    found.sentences().join("\n")
}
