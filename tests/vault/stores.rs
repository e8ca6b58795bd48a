//! One contract for every store: a folder, memory, S3.

use std::fmt;
use std::fs;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use refward::config;
use refward::domain::Kind;
use refward::vault::{Appended, Level, Store, Vault};
use tempfile::TempDir;

use super::s3::S3;
use super::support::{
    Chain, Place, fake_pack, key_settings, pack_entry, seq, single, source, text, vault_in, vault_settings,
};

/// What the rest of the program relies on, of any store.
async fn contract(vault: &Vault) {
    let ability = vault.probe().await.unwrap();
    assert!(ability.create_only);
    assert!(vault.probe().await.unwrap().create_only, "a second look says the same");
    assert_eq!(vault.repositories().await.unwrap(), []);

    let mut chain = Chain::new("1");
    // One atomic write; several parts in a folder; several parts everywhere.
    for length in [1000, 3 << 20, 20 << 20] {
        chain.append_bytes(vault, length).await;
    }
    let mut other = Chain::new("2");
    other.append_bytes(vault, 100).await;
    let mut both = vec![chain.repo.clone(), other.repo.clone()];
    both.sort();
    assert_eq!(vault.repositories().await.unwrap(), both);

    let stored = vault.cover(&chain.repo).await.unwrap().live;
    assert_eq!(stored.iter().map(|stored| stored.extent.to.get()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(vault.verify(&chain.repo, Level::ReadData(1.0), Some(&chain.written), &|_| {}).await.unwrap(), []);
    let out = TempDir::new().unwrap();
    for at in 1..=3 {
        let extracted = vault.extract(&chain.repo, &single(at), out.path()).await.unwrap();
        assert_eq!(fs::metadata(extracted.pack.unwrap()).unwrap().len(), extracted.record.pack.unwrap().bytes);
    }
    for length in [1000, 20 << 20] {
        let pack = fake_pack(length, 77);
        let mut taken = chain.record(vault, &chain.state);
        taken.seq = seq(2);
        taken.parent.as_mut().unwrap().seq = seq(1);
        taken.pack = Some(pack_entry(&pack, chain.format, None));
        assert_eq!(vault.append(&taken, Some(source(&pack, None))).await.unwrap(), Appended::Occupied);
    }
    assert_eq!(vault.hash(&chain.repo, &single(2)).await.unwrap().sha256, chain.written[1].sha256);
    assert_eq!(vault.record(&chain.repo, &single(9)).await.unwrap_err().kind(), Kind::Damaged);
    assert_eq!(vault.cover(&Chain::new("3").repo).await.unwrap().live, []);
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    contract(&Place::new().await.vault).await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let dir = TempDir::new().unwrap();
    contract(&vault_in(Store::over(Arc::new(InMemory::new()), "memory:"), dir.path()).await).await;
}

#[tokio::test]
async fn s3_keeps_the_contract() {
    let s3 = S3::start().await;
    let place = Place::at(TempDir::new().unwrap(), s3_settings(&s3, "s3://bucket/some/prefix")).await;
    contract(&place.vault).await;
    assert!(s3.dir.path().join("bucket/some/prefix/vault.json").is_file());
    let vault = Vault::open_reading(&place.settings, &text(&place.kit())).await.unwrap();
    assert!(vault.record(&Chain::new("1").repo, &single(1)).await.is_ok());
}

#[tokio::test]
async fn s3_in_the_wrong_hands_is_told() {
    let s3 = S3::start().await;
    let dir = TempDir::new().unwrap();
    let found = |settings: config::Vault| {
        let (keys, kit) = (key_settings(dir.path()), dir.path().join("kit"));
        async move { Vault::found(&settings, &keys, &kit).await.err().unwrap() }
    };
    let mut settings = s3_settings(&s3, "s3://bucket");
    settings.options.insert("aws_secret_access_key".into(), "wrong".into());
    let error = found(settings).await;
    assert_eq!(error.kind(), Kind::Misconfigured, "{}", error.for_log());
    assert!(!error.for_log().contains("wrong"), "{}", error.for_log());

    let mut settings = s3_settings(&s3, "s3://bucket");
    settings.options.insert("aws_endpiont".into(), "x".into());
    let error = found(settings).await;
    assert!(error.to_string().contains("vault.options.aws_endpiont"), "{error}");
    for url in ["ftp://bucket", "vault", "s3://"] {
        assert_eq!(found(vault_settings(url)).await.kind(), Kind::Misconfigured, "{url}");
    }
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_found_out() {
    let careless = Store::over(Arc::new(Careless(InMemory::new())), "careless:");
    assert!(!careless.probe().await.unwrap().create_only);
    assert!(!careless.probe().await.unwrap().create_only);
}

fn s3_settings(s3: &S3, url: &str) -> config::Vault {
    let mut settings = vault_settings(url);
    settings.options.extend(s3.options());
    settings
}

/// Takes "only if it is not there" for a manner of speaking.
#[derive(Debug)]
struct Careless(InMemory);

impl fmt::Display for Careless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("careless")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Careless {
    async fn put_opts(&self, at: &Path, payload: PutPayload, opts: PutOptions) -> object_store::Result<PutResult> {
        self.0.put_opts(at, payload, PutOptions { mode: PutMode::Overwrite, ..opts }).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, at: &Path, opts: GetOptions) -> object_store::Result<GetResult> {
        self.0.get_opts(at, opts).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, opts: CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, opts).await
    }
}
