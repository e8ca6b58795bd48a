//! What the store protects the vault from: tried, not believed.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound as _, Utc};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Vault;
use super::store::Store;
use crate::domain::{Error, Result};

/// What is in here was made to be deleted.
const FOLDER: &str = "probe";

/// Leftovers of earlier probes that are tried again.
const LEFTOVERS: usize = 3;

const SIGNED_FOR: Duration = Duration::from_mins(1);

/// What the store was found to protect from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// When it was tried.
    pub checked_at: DateTime<Utc>,
    /// It refuses to overwrite when it is told to.
    pub refuses_overwrites: bool,
    /// What became of an attempt to delete.
    pub deleting: Deleting,
    /// How long the bucket locks what is written, in the store's words; `None`: not, or it would not tell.
    pub lock: Option<String>,
    /// The vault is a folder on the database's disk; `None`: neither is a local file.
    pub database_on_same_disk: Option<bool>,
    /// This deployment holds no key that reads the vault.
    pub sealed: bool,
}

/// What becomes of an object that our credential deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Deleting {
    /// It is gone for good.
    Gone,
    /// The bucket keeps versions, and this one could not be deleted.
    VersionKept,
    /// The store refused.
    Refused,
    /// It could not be tried.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl Protection {
    /// Under which fact the catalog keeps it.
    pub const FACT: &'static str = "protection";

    /// One sentence for each thing that somebody who relies on the vault should know.
    pub fn sentences(&self) -> Vec<String> {
        let mut told = vec![match &self.deleting {
            Deleting::Gone => {
                "Whoever gets hold of this service's right to write can delete the vault: the store lets it delete."
                    .into()
            }
            Deleting::VersionKept => {
                "Whoever gets hold of this service's right to write can hide what is in the vault, \
                not destroy it: the bucket keeps versions and refused to delete one."
                    .into()
            }
            Deleting::Refused => {
                "This service cannot delete what is in the vault, nor can whoever takes it over: the store refused."
                    .into()
            }
            Deleting::Unknown { why } => format!("Whether this service could delete the vault is not known: {why}"),
        }];
        told.extend(self.lock.iter().map(|lock| format!("The bucket locks what is written: {lock}.")));
        told.push(if self.refuses_overwrites {
            "The store refuses to overwrite.".into()
        } else {
            "The store overwrites where it should refuse: only the leases keep two workers apart.".into()
        });
        if self.database_on_same_disk == Some(true) {
            told.push("Vault and database are on the same disk: it takes both if it fails.".into());
        }
        told.push(if self.sealed {
            "This service is sealed: it holds no key that reads the vault.".into()
        } else {
            "This service holds a key that reads the vault.".into()
        });
        told
    }
}

impl Vault {
    /// Tries what the store protects from. `database` is its file, if it is one. Nothing but objects made for this is
    /// touched. Where nothing can be deleted, one small object stays in `probe/`.
    pub async fn protection(&self, database: Option<&FilePath>) -> Result<Protection> {
        let deleting = match self.store.try_to_delete().await {
            Ok(deleting) => deleting,
            Err(error) => Deleting::Unknown { why: error.to_string() },
        };
        Ok(Protection {
            checked_at: Utc::now().trunc_subsecs(0),
            refuses_overwrites: self.store.probe().await?.create_only,
            deleting,
            lock: self.store.lock().await,
            database_on_same_disk: self.store.local_folder().zip(database).and_then(|(a, b)| same_disk(a, b)),
            sealed: self.is_sealed(),
        })
    }
}

fn same_disk(vault: &FilePath, database: &FilePath) -> Option<bool> {
    Some(std::fs::metadata(vault).ok()?.dev() == std::fs::metadata(database).ok()?.dev())
}

/// Asks a bucket what `object_store` does not ask.
#[derive(Clone)]
pub(super) struct Bucket {
    pub signer: Arc<dyn Signer>,
    /// Of the vault, within the bucket.
    pub prefix: Path,
}

impl Bucket {
    async fn send(&self, method: Method, path: &Path, query: (&str, &str)) -> Result<reqwest::Response> {
        let options = SignedUrlOptions::new().with_query([query].into_iter().filter(|(name, _)| !name.is_empty()));
        let failed = |error: &dyn std::fmt::Display| Error::remote("asking the bucket what it protects").detail(error);
        let url = self.signer.signed_url_opts(method.clone(), path, SIGNED_FOR, &options).await;
        let url = url.map_err(|error| failed(&error))?;
        // Its address is a credential for a minute: no error may show it.
        let client =
            reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).timeout(Duration::from_mins(1));
        let sent = client.build().map_err(|error| failed(&error))?.request(method, url).send().await;
        sent.map_err(|error| failed(&error.without_url()))
    }
}

impl Store {
    /// Writes an object and deletes it again, or tries one that an earlier probe could not delete.
    async fn try_to_delete(&self) -> Result<Deleting> {
        for (name, _) in self.files(FOLDER).await?.into_iter().take(LEFTOVERS) {
            // What could not be deleted then and can be now tells nothing of what is written now: locks run out.
            match self.delete_probe(&name).await? {
                Deleting::Gone => {}
                kept => return Ok(kept),
            }
        }
        let name = format!("{}.txt", Uuid::new_v4().simple());
        let text = Bytes::from_static(b"refward writes this to see whether it can be deleted; delete it if you can\n");
        self.create_small(&format!("{FOLDER}/{name}"), text).await?;
        self.delete_probe(&name).await
    }

    /// Deletes one of our own probes, and nothing else.
    async fn delete_probe(&self, name: &str) -> Result<Deleting> {
        let path = Path::from_iter([FOLDER, name]);
        let Some(bucket) = &self.bucket else {
            return match self.inner.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(Deleting::Gone),
                Err(error) if refuses(&error) => Ok(Deleting::Refused),
                Err(error) => Err(self.failed(&format!("deleting {path}"), &error)),
            };
        };
        let version = self.exists(path.as_ref()).await?.and_then(|meta| meta.version);
        let query = version.as_deref().map_or(("", ""), |version| ("versionId", version));
        let full: Path = bucket.prefix.parts().chain(path.parts()).collect();
        let answer = bucket.send(Method::DELETE, &full, query).await?;
        match (answer.status(), version) {
            (status, _) if status.is_success() => Ok(Deleting::Gone),
            (StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::METHOD_NOT_ALLOWED, Some(_)) => {
                Ok(Deleting::VersionKept)
            }
            (StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::METHOD_NOT_ALLOWED, None) => {
                Ok(Deleting::Refused)
            }
            (status, _) => Err(Error::remote(format!("deleting {path}: the store answered {status}"))),
        }
    }

    /// The bucket's default retention: `COMPLIANCE for 30 days`.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html>
    async fn lock(&self) -> Option<String> {
        let answer = self.bucket.as_ref()?.send(Method::GET, &Path::default(), ("object-lock", "")).await.ok()?;
        let text = answer.error_for_status().ok()?.text().await.ok()?;
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once("</").map(|(value, _)| value.trim().to_owned())
        };
        let time = element("Days").map(|days| format!("{days} days"));
        let time = time.or_else(|| element("Years").map(|years| format!("{years} years")))?;
        Some(format!("{} for {time}", element("Mode")?))
    }
}

fn refuses(error: &object_store::Error) -> bool {
    use object_store::Error::{AlreadyExists, PermissionDenied, Precondition, Unauthenticated};
    let forbidden = [std::io::ErrorKind::PermissionDenied, std::io::ErrorKind::ReadOnlyFilesystem];
    // Azure says 409 of what a policy keeps.
    matches!(error, PermissionDenied { .. } | Unauthenticated { .. } | AlreadyExists { .. } | Precondition { .. })
        || super::store::io_kind(error).is_some_and(|kind| forbidden.contains(&kind))
}
