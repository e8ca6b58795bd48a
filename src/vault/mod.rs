//! The vault: an open, encrypted, append-only store of snapshots. `FORMAT.md` is the format, `RECOVERY.md` reads it
//! without this program.
//!
//! A snapshot is one sealed object under `repos/ID/SEQ`: a signed [`Record`] and the pack with the objects that are
//! new. Later many may become one that stands for all of them, made by [`consolidate`]; [`Cover`] tells which count. [`Vault::append`] writes it with one create-only write, which is the commit; each record names the hash of the
//! object before it. [`Vault::record`] reads the beginning of an object, [`Vault::extract`] all of it,
//! [`Vault::verify`] proves a chain. What is read is believed only after signature, name and hashes have been checked.

mod attest;
mod chain;
mod consolidate;
mod cover;
mod description;
mod keys;
mod layout;
mod protection;
mod reader;
mod record;
mod recovery_kit;
mod seal;
mod source;
mod span;
mod store;
mod trash;
mod unseal;
mod upload;
mod verify;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use age::x25519::Recipient;
use chrono::Utc;
use ed25519_dalek::VerifyingKey;
use secrecy::SecretString;
use uuid::Uuid;

use crate::config;
use crate::domain::{Error, RepoId, Result, Seq};

pub use crate::domain::{Expected, Extent};
pub use attest::RecordEnd;
pub use chain::{Moment, replay};
pub use consolidate::{consolidate, tell};
pub use cover::{Cover, Stored};
pub use keys::{CredentialKey, Keys};
pub use layout::object_name;
pub use protection::{Deleting, Protection};
pub use reader::Extracted;
pub use record::{FORMAT, IndexEntry, PackEntry, Packed, Parent, Record, Sealed, checkpoint_due};
pub use seal::PackSource;
pub use span::{Held, Moves, Span};
pub use store::{Store, StoreAbility};
pub use trash::{Doomed, Shredder, TrashList};
pub use verify::{Finding, Level, Progress};
pub use writer::Appended;

use description::Description;
use keys::{NewFiles, NewKeys};
use layout::{DESCRIPTION, DESCRIPTION_SIGNATURE};
use store::Created;

/// An open vault.
pub struct Vault {
    store: Store,
    keys: Arc<Keys>,
    id: Uuid,
    recipients: Vec<Recipient>,
    signers: Vec<VerifyingKey>,
    index_from: u64,
    /// The last number that this process wrote, or was about to, for each repository.
    appended: Mutex<HashMap<RepoId, Seq>>,
}

impl Vault {
    /// Makes a new vault: keys, recovery kit, `vault.json`. Nothing that exists is overwritten, and if anything fails
    /// no file of ours stays behind.
    pub async fn found(settings: &config::Vault, paths: &config::Keys, recovery_kit: &Path) -> Result<Self> {
        if let Some(folder) = settings.url.strip_prefix("file://") {
            std::fs::create_dir_all(folder).map_err(|e| {
                Error::misconfigured(format!("cannot make the vault's folder {folder}"))
                    .hint("check `vault.url`")
                    .detail(e)
            })?;
        }
        Self::found_in(Store::open(settings)?, settings.index_from, paths, recovery_kit).await
    }

    /// [`Vault::found`] in a given store.
    pub async fn found_in(store: Store, index_from: u64, paths: &config::Keys, recovery_kit: &Path) -> Result<Self> {
        let occupied = || {
            Error::misconfigured(format!("there is a vault at {} already", store.url()))
                .hint("choose another place, or use the keys that belong to that vault")
        };
        if store.exists(DESCRIPTION).await?.is_some() {
            return Err(occupied());
        }
        let (vault, made, keys) = (Uuid::new_v4(), Utc::now(), NewKeys::generate());
        let (json, signature) = Description::write(vault, made, &keys)?;
        let kit = recovery_kit::render(&keys.recovery, vault, store.url(), &keys.keys.signer()?.verifying_key(), made);

        let mut files: NewFiles = keys.write(paths)?;
        files.write(recovery_kit, &kit)?;
        if store.create_small(DESCRIPTION_SIGNATURE, signature.into()).await? == Created::Occupied {
            return Err(Error::misconfigured(format!("{DESCRIPTION_SIGNATURE} is in {} already", store.url()))
                .hint("it is left from an interrupted `refward init`: delete it and run again"));
        }
        if store.create_small(DESCRIPTION, json.into()).await? == Created::Occupied {
            return Err(occupied());
        }
        files.keep();
        Self::open_in(store, index_from, keys.keys).await
    }

    /// Opens the vault of an installation.
    pub async fn open(settings: &config::Vault, keys: Keys) -> Result<Self> {
        Self::open_in(Store::open(settings)?, settings.index_from, keys).await
    }

    /// Opens a vault with nothing but its address and the text of an identity file or recovery kit.
    pub async fn open_reading(settings: &config::Vault, identity: &SecretString) -> Result<Self> {
        Self::open(settings, Keys::reading(identity)?).await
    }

    /// [`Vault::open`] in a given store.
    pub async fn open_in(store: Store, index_from: u64, keys: Keys) -> Result<Self> {
        let Description { vault, recipients, signers } = Description::open(&store, &keys).await?;
        Ok(Self { store, keys: Arc::new(keys), id: vault, recipients, signers, index_from, appended: Mutex::default() })
    }

    /// The vault's id, which every record carries.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its address, without passwords.
    pub fn url(&self) -> &str {
        self.store.url()
    }

    /// Holds no key that reads: it can append and compare hashes.
    pub fn is_sealed(&self) -> bool {
        self.keys.is_sealed()
    }

    /// Whether a pack of this size should bring its index. Smaller ones are indexed again when they are restored.
    pub fn wants_index(&self, pack_bytes: u64) -> bool {
        pack_bytes >= self.index_from
    }

    /// Frees the space of appends that were killed in a local vault; returns the bytes. To be called at start-up.
    pub fn clear_leftovers(&self) -> Result<u64> {
        self.store
            .clear_leftovers()
            .map_err(|e| Error::busy(format!("cannot clear the staging folder of {}", self.url())).detail(e))
    }

    /// The store answers and still holds this vault.
    pub async fn check(&self) -> Result<()> {
        match self.store.exists(DESCRIPTION).await? {
            Some(_) => Ok(()),
            None => Err(Error::misconfigured(format!("the vault at {} is gone", self.store.url()))
                .hint("check that the disk is mounted")),
        }
    }

    /// What the store can be trusted with; see [`Store::probe`].
    pub async fn probe(&self) -> Result<StoreAbility> {
        self.store.probe().await
    }
}
