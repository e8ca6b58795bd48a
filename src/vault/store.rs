//! The object store below the vault: a folder, S3, Azure Blob or Google Cloud Storage behind a few operations.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    ClientConfigKey, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutPayload, RetryConfig,
};
use url::Url;

use super::layout::{PROBE, STAGING};
use super::protection::Bucket;
use super::upload::Upload;
use crate::config;
use crate::domain::{Error, Result};

/// Where a vault lies.
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<dyn ObjectStore>,
    url: String,
    /// Set for a local vault.
    folder: Option<PathBuf>,
    /// Set for S3.
    pub(super) bucket: Option<Bucket>,
}

const LEFTOVER_AFTER: Duration = Duration::from_hours(24);

/// What a store can be trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreAbility {
    /// It refuses to overwrite when it is told to. Where it does not, only the lease keeps two writers apart.
    pub create_only: bool,
}

/// What became of a create-only write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Created {
    Written,
    Occupied,
}

impl Store {
    /// Opens the store that the settings name. Nothing is asked of it yet.
    pub fn open(settings: &config::Vault) -> Result<Self> {
        let refuse = |why: String| {
            Error::misconfigured(format!("the setting `vault.url` {why}"))
                .hint("write file://FOLDER, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX")
        };
        if let Some(folder) = settings.url.strip_prefix("file://") {
            return Self::folder(FilePath::new(folder), &settings.url);
        }
        let url = Url::parse(&settings.url).map_err(|e| refuse("is not an address".into()).detail(e))?;
        let options = &settings.options;
        let prefix = Path::from_url_path(url.path()).map_err(|e| refuse("has a malformed path".into()).detail(e))?;
        let mut bucket = None;
        let built = match url.scheme() {
            "s3" => configure::<_, AmazonS3ConfigKey>(
                AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry()),
                options,
                AmazonS3ConfigKey::Client,
                AmazonS3Builder::with_config,
            )?
            .build()
            .map(Arc::new)
            .map(|store| {
                bucket = Some(Bucket { signer: store.clone(), prefix: prefix.clone() });
                store as Arc<dyn ObjectStore>
            }),
            "az" => configure::<_, AzureConfigKey>(
                MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retry()),
                options,
                AzureConfigKey::Client,
                MicrosoftAzureBuilder::with_config,
            )?
            .build()
            .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
            "gs" => configure::<_, GoogleConfigKey>(
                GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retry()),
                options,
                GoogleConfigKey::Client,
                GoogleCloudStorageBuilder::with_config,
            )?
            .build()
            .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
            other => return Err(refuse(format!("has the unknown scheme `{other}`"))),
        };
        let inner = built.map_err(|e| {
            Error::misconfigured(format!("the vault's store {} cannot be set up", redacted(&url)))
                .hint("check [vault.options] and the store's environment variables")
                .detail(e)
        })?;
        let inner = if prefix.is_root() { inner } else { Arc::new(PrefixStore::new(inner, prefix)) as _ };
        Ok(Self { inner, url: redacted(&url), folder: None, bucket })
    }

    /// Any other store, for embedding and tests. `url` is what errors call it.
    pub fn over(inner: Arc<dyn ObjectStore>, url: impl Into<String>) -> Self {
        Self { inner, url: url.into(), folder: None, bucket: None }
    }

    fn folder(folder: &FilePath, url: &str) -> Result<Self> {
        let local = LocalFileSystem::new_with_prefix(folder).map_err(|e| {
            Error::misconfigured(format!("there is no vault folder at {}", folder.display()))
                .hint("check `vault.url` and that the disk is mounted; where there is no backup yet, `refward init` makes a vault")
                .detail(e)
        })?;
        let inner = Arc::new(local.with_fsync(true));
        Ok(Self { inner, url: url.to_owned(), folder: Some(folder.to_owned()), bucket: None })
    }

    /// Its address, without passwords.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn local_folder(&self) -> Option<&FilePath> {
        self.folder.as_deref()
    }

    pub(super) fn is_local(&self) -> bool {
        self.folder.is_some()
    }

    /// Removes what appends left in the staging folder when the process was killed; returns the bytes freed. An append
    /// that writes nothing for a day is taken for dead. Cloud stores drop unfinished uploads by a rule of their own.
    pub(super) fn clear_leftovers(&self) -> io::Result<u64> {
        let Some(folder) = &self.folder else { return Ok(0) };
        let entries = match std::fs::read_dir(folder.join(STAGING)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut freed = 0;
        for entry in entries {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.modified()?.elapsed().is_ok_and(|age| age > LEFTOVER_AFTER) {
                std::fs::remove_file(entry.path())?;
                freed += meta.len();
            }
        }
        Ok(freed)
    }

    /// Whether the store keeps the promise that writers rely on. Some accept the condition and ignore it, so this
    /// writes one small object twice.
    pub async fn probe(&self) -> Result<StoreAbility> {
        let text = Bytes::from_static(b"refward writes this twice to see whether the store refuses to overwrite\n");
        self.create_small(PROBE, text.clone()).await?;
        Ok(StoreAbility { create_only: self.create_small(PROBE, text).await? == Created::Occupied })
    }

    /// A create-only write of something that fits in memory.
    pub(super) async fn create_small(&self, name: &str, bytes: Bytes) -> Result<Created> {
        self.create_payload(name, bytes.into()).await
    }

    pub(super) async fn create_payload(&self, name: &str, payload: PutPayload) -> Result<Created> {
        match self.inner.put_opts(&Path::from(name), payload, PutMode::Create.into()).await {
            Ok(_) => Ok(Created::Written),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Occupied)
            }
            Err(e) => Err(self.failed(&format!("writing {name}"), &e)),
        }
    }

    /// A create-only write of a stream. `expected` is about how long it will be.
    pub(super) fn upload(&self, name: String, expected: u64) -> Upload<'_> {
        Upload::new(self, name, expected)
    }

    /// All of a small object, or `None`.
    pub(super) async fn read_small(&self, name: &str) -> Result<Option<Bytes>> {
        let failed = |e| self.failed(&format!("reading {name}"), &e);
        match self.inner.get(&Path::from(name)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }

    /// Starts reading all of an object that must be there.
    pub(super) async fn read(&self, name: &str) -> Result<GetResult> {
        self.get(name, GetOptions::default()).await
    }

    /// A part of an object that must be there, and how long all of it is.
    pub(super) async fn read_range(&self, name: &str, range: std::ops::Range<u64>) -> Result<(Bytes, u64)> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = match self.get(name, options).await {
            Ok(found) => found,
            // No range of an empty object is valid; stores report that in as many ways as there are stores.
            Err(_) if self.exists(name).await?.is_some_and(|meta| meta.size == 0) => return Ok((Bytes::new(), 0)),
            Err(e) => return Err(e),
        };
        let size = found.meta.size;
        let bytes = found.bytes().await.map_err(|e| self.failed(&format!("reading {name}"), &e))?;
        Ok((bytes, size))
    }

    async fn get(&self, name: &str, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(&Path::from(name), options).await.map_err(|e| match e {
            object_store::Error::NotFound { .. } => {
                Error::damaged(format!("{name} is missing from the vault")).detail(e)
            }
            e => self.failed(&format!("reading {name}"), &e),
        })
    }

    /// What the store knows about an object.
    pub(super) async fn exists(&self, name: &str) -> Result<Option<ObjectMeta>> {
        match self.inner.head(&Path::from(name)).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(&format!("looking for {name}"), &e)),
        }
    }

    /// Names of the folders right below `folder`.
    pub(super) async fn folders(&self, folder: &str) -> Result<Vec<String>> {
        let listed = self.inner.list_with_delimiter(Some(&Path::from(folder))).await;
        let listed = listed.map_err(|e| self.failed(&format!("listing {folder}"), &e))?;
        Ok(listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// Names and sizes of the objects in `folder`.
    pub(super) async fn files(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        let listed: Vec<ObjectMeta> = self
            .inner
            .list(Some(&Path::from(folder)))
            .try_collect()
            .await
            .map_err(|e| self.failed(&format!("listing {folder}"), &e))?;
        Ok(listed.iter().map(|meta| (meta.location.filename().unwrap_or_default().to_owned(), meta.size)).collect())
    }

    pub(super) fn failed(&self, doing: &str, e: &object_store::Error) -> Error {
        let error = match (io_kind(e), e) {
            (Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded), _) => {
                Error::busy(format!("{doing}: no space left in {}", self.url)).hint("free space or enlarge the disk")
            }
            (Some(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied), _)
            | (_, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) => {
                Error::misconfigured(format!("{doing}: the store {} does not permit it", self.url))
                    .hint("check who owns the folder and how it is mounted, or the store's credentials and policy")
            }
            (_, object_store::Error::NotFound { .. }) => {
                Error::misconfigured(format!("{doing}: {} is not there", self.url))
                    .hint("check `vault.url`: the bucket or container must exist")
            }
            _ => Error::remote(format!("{doing}: the store {} cannot be reached or failed", self.url)),
        };
        error.detail(Chain(e))
    }
}

/// Our defaults, then the user's options over them. An unknown option is refused like any unknown setting.
fn configure<B, K: FromStr>(
    builder: B,
    options: &BTreeMap<String, String>,
    client: fn(ClientConfigKey) -> K,
    with: fn(B, K, String) -> B,
) -> Result<B> {
    // A limit on a whole request would break off large transfers on slow lines: a stall is what must end.
    let defaults = [(ClientConfigKey::Timeout, "1 day"), (ClientConfigKey::ReadTimeout, "60 seconds")];
    let builder = defaults.into_iter().fold(builder, |b, (key, value)| with(b, client(key), value.to_owned()));
    options.iter().try_fold(builder, |builder, (name, value)| {
        let key = name.to_ascii_lowercase().parse().map_err(|_| {
            Error::misconfigured(format!("the setting `vault.options.{name}` is not one that this kind of store knows"))
                .hint("the names are those that the `object_store` crate documents for this store")
        })?;
        Ok(with(builder, key, value.clone()))
    })
}

/// Short: a job that fails is tried again later, and a person who waits for an answer wants one.
fn retry() -> RetryConfig {
    RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() }
}

fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // Cannot fail: a URL that has a password can have another.
        let _ = url.set_password(Some("(set)"));
    }
    url.to_string()
}

/// The operating system's reason, however deep it is wrapped.
pub(super) fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

/// An error and all of its causes, for the log. Causes that their parent has already spelled out are left away.
struct Chain<'e>(&'e (dyn StdError + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !told.contains(&text) {
                write!(f, ": {text}")?;
            }
            told = text;
            next = error.source();
        }
        Ok(())
    }
}
