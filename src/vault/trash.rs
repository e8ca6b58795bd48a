//! What is condemned: signed lists under `trash/`, and the one place that deletes.
//!
//! A list is `trash/TIME-UUID.list`, written create-only: a line of JSON that names objects and says why nobody needs them,
//! and a line with the Ed25519 signature over it in hex. An object goes when a list has named it for long enough; who can
//! write to the store but does not hold our key condemns nothing.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, Signer as _};
use futures_util::{StreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Vault;
use super::description::Description;
use super::layout::{DESCRIPTION, REPOSITORIES};
use super::record::FORMAT;
use super::store::{Created, Store};
use crate::config;
use crate::domain::{Error, Result};

const TRASH: &str = "trash";
const LIST: &str = ".list";

/// An object on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doomed {
    /// Its name in the store.
    pub object: String,
    /// Its length.
    pub bytes: u64,
    /// Why nobody needs it, in words.
    pub why: String,
}

/// A list whose signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashList {
    /// Its name in the store.
    pub name: String,
    /// When it was written, by the clock of who wrote it.
    pub written_at: DateTime<Utc>,
    /// When it was written, by the store's clock.
    pub stored_at: DateTime<Utc>,
    /// What it condemns.
    pub objects: Vec<Doomed>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    vault: Uuid,
    time: DateTime<Utc>,
    objects: Vec<Doomed>,
}

impl Vault {
    /// Writes a list of what is condemned; returns its name.
    pub async fn write_trash_list(&self, objects: Vec<Doomed>) -> Result<String> {
        let time = Utc::now();
        let name = format!("{TRASH}/{}-{}{LIST}", time.format("%Y%m%dT%H%M%SZ"), Uuid::new_v4().simple());
        let document = Document { format: FORMAT, vault: self.id(), time, objects };
        let json = serde_json::to_string(&document).map_err(|e| Error::bug("cannot write a list").detail(e))?;
        let signature = hex::encode(self.keys.signer()?.sign(json.as_bytes()).to_bytes());
        match self.store.create_small(&name, format!("{json}\n{signature}\n").into()).await? {
            Created::Written => Ok(name),
            Created::Occupied => Err(Error::bug(format!("{name} exists, although nobody can have chosen that name"))),
        }
    }

    /// Every list that is signed by us, oldest first. Others are left alone.
    pub async fn trash_lists(&self) -> Result<Vec<TrashList>> {
        let mut lists = Vec::new();
        for (file, _) in self.store.files(TRASH).await? {
            let name = format!("{TRASH}/{file}");
            if file.ends_with(LIST)
                && let Some(meta) = self.store.exists(&name).await?
                && let Some(text) = self.store.read_small(&name).await?
            {
                match self.open_list(&text) {
                    Some(Document { time, objects, .. }) => {
                        lists.push(TrashList { name, written_at: time, stored_at: meta.last_modified, objects });
                    }
                    None => {
                        tracing::warn!(object = name, "a list of what is condemned is not ours; it counts for nothing");
                    }
                }
            }
        }
        lists.sort_by(|a, b| (a.written_at, &a.name).cmp(&(b.written_at, &b.name)));
        Ok(lists)
    }

    fn open_list(&self, text: &[u8]) -> Option<Document> {
        let mut lines = std::str::from_utf8(text).ok()?.lines();
        let (json, signature) = (lines.next()?, lines.next()?);
        let signature = Signature::from_slice(&hex::decode(signature).ok()?).ok()?;
        if !self.signers.iter().any(|key| key.verify_strict(json.as_bytes(), &signature).is_ok()) {
            return None;
        }
        let document: Document = serde_json::from_str(json).ok()?;
        (document.format <= FORMAT && document.vault == self.id()).then_some(document)
    }

    /// A way to delete, with `options` over those of the vault: another credential may be allowed what ours is not.
    pub async fn shredder(&self, settings: &config::Vault, options: &config::Prune) -> Result<Shredder> {
        let mut settings = settings.clone();
        settings.options.extend(options.options.clone());
        let store = Store::open(&settings)?;
        match store.read_small(DESCRIPTION).await? {
            Some(json) if Description::is_of(&json, self.id()) => Ok(Shredder { store: Arc::new(store) }),
            _ => Err(Error::misconfigured(format!("what `prune.options` lead to is not the vault at {}", self.url()))),
        }
    }
}

/// What deletes from the store. Nothing else does.
pub struct Shredder {
    store: Arc<Store>,
}

impl Shredder {
    /// What time it is by the store's clock: the time of an object that is written for this and deleted again. A list is no
    /// older than that says, wherever our own clock has jumped to.
    pub async fn store_time(&self) -> Result<DateTime<Utc>> {
        let name = format!("{TRASH}/clock-{}", Uuid::new_v4().simple());
        // Who may not delete leaves nothing behind.
        self.remove(&name).await?;
        self.store.create_small(&name, "refward asks what time it is\n".into()).await?;
        let meta = self.store.exists(&name).await?;
        self.remove(&name).await?;
        meta.map(|meta| meta.last_modified)
            .ok_or_else(|| Error::remote(format!("{} does not show what was just written", self.store.url())))
    }

    /// Deletes these objects. Gives those that are gone by it, and why it stopped if it did.
    pub async fn delete(&self, objects: &[String]) -> (Vec<String>, Result<()>) {
        let allowed = |name: &str| name.starts_with(&format!("{REPOSITORIES}/")) || name.ends_with(LIST);
        if let Some(name) = objects.iter().find(|name| !allowed(name)) {
            return (Vec::new(), Err(Error::bug(format!("{name} is nothing that is ever deleted"))));
        }
        let (mut gone, mut outcome) = (Vec::new(), Ok(()));
        let paths: Vec<_> = objects.iter().map(|name| Ok(Path::from(name.as_str()))).collect();
        let mut deletions = self.store.inner.delete_stream(stream::iter(paths).boxed());
        while let Some(deleted) = deletions.next().await {
            match deleted {
                Ok(path) => gone.push(path.to_string()),
                // Somebody else was quicker.
                Err(object_store::Error::NotFound { .. }) => {}
                // A store that refuses one refuses all.
                Err(e) => {
                    outcome = Err(self.store.failed("deleting objects", &e));
                    break;
                }
            }
        }
        (gone, outcome)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        match self.store.inner.delete(&Path::from(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.store.failed(&format!("deleting {name}"), &e)),
        }
    }
}
