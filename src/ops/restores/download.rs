//! A repository, or some of it, in one file for whoever asked: `git clone` and `git fetch` take it.
//!
//! Whoever knows the address gets the file for a while; only the address's hash is kept. What they may is asked once more
//! when they fetch it.

use std::fs::File;
use std::sync::Arc;

use chrono::Utc;
use rand_core::RngCore as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::assembly::assemble;
use crate::catalog::{NewRecord, RestoreStep, SetupKind, Verdict};
use crate::domain::{By, Error, Head, Kind, RefName, RefState, Result};
use crate::git::{bare, program};
use crate::ops::restore::moment;
use crate::services::Services;

use super::entitled::Places;
use super::look::get;
use super::proposal::{Asker, Destination, Link, Proposal, State};
use super::propose::kept;

/// Files that a process makes at a time: each needs room for a repository twice.
static ROOM: Semaphore = Semaphore::const_new(2);

/// What is kept with the hash of an address.
#[derive(Serialize, Deserialize)]
struct Opens {
    restore: i64,
}

/// The one who asked gets what fetches it. The end stays where it was if they had one before.
pub(super) async fn hand_out(services: &Services, asker: &Asker<'_>, proposal: &Proposal) -> Result<Proposal> {
    let now = Utc::now();
    let expires_at = match proposal.state {
        State::Done => proposal.expires_at,
        _ => now + services.settings.people.download_lasts,
    };
    let token = token();
    let opens = kept(&Opens { restore: proposal.id })?;
    services.catalog.put_setup(SetupKind::Download, &hash(token.expose_secret()), opens, expires_at - now).await?;
    let told = proposal.record(asker.by, "restore.confirm", Verdict::Approved);
    let step = RestoreStep::HandOut { until: expires_at };
    if !services.catalog.step_restore(proposal.id, &proposal.repo, step, Some(told)).await? {
        return Err(Error::bad_request(format!("restore {} has expired", proposal.id)).hint("ask for it again"));
    }
    let public = services.settings.server.public_url()?;
    let url = SecretString::from(format!("{public}downloads/{}", token.expose_secret()));
    Ok(Proposal { link: Some(Link { url, expires_at }), ..get(services, proposal.id).await? })
}

/// What downloads are answered from.
#[derive(Clone)]
pub struct Downloads {
    services: Arc<Services>,
}

/// A file to be sent.
#[derive(Debug)]
pub struct Bundle {
    /// What it is called.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// It, at its beginning. It has no name on the disk any more.
    pub file: File,
}

impl Downloads {
    /// From these services.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }

    /// Something can be fetched with this.
    pub async fn knows(&self, token: &str) -> Result<bool> {
        self.find(token).await.map(|found| found.is_some())
    }

    /// Makes the file. `NotFound`: nothing can be fetched with this (any more), or not by who asked for it.
    pub async fn fetch(&self, token: &str) -> Result<Bundle> {
        let services = &*self.services;
        let Some(proposal) = self.find(token).await? else { return Err(nothing()) };
        let by = By { who: proposal.requested_by.to_string(), whence: "web".to_owned() };
        let fetched = async {
            let places = Places::again(services, &proposal).await?;
            places.entitled(services, &proposal.requested_by, &proposal.origin.roles).await?;
            bundle(services, &places, &proposal).await
        };
        let fetched = fetched.await;
        let told = |verdict| proposal.record(&by, "restore.download", verdict);
        match &fetched {
            Ok(_) => services.catalog.record(told(Verdict::Done)).await?,
            Err(error) => {
                let verdict = if error.kind() == Kind::NotAllowed { Verdict::Refused } else { Verdict::Failed };
                let told = NewRecord { detail: json!({ "why": error.to_string() }), ..told(verdict) };
                services.catalog.record(told).await?;
            }
        }
        // Whoever found the address learns nothing from it.
        fetched.map_err(|error| if error.kind() == Kind::NotAllowed { nothing() } else { error })
    }

    async fn find(&self, token: &str) -> Result<Option<Proposal>> {
        let Some(kept) = self.services.catalog.setup(SetupKind::Download, &hash(token)).await? else { return Ok(None) };
        let opens: Opens =
            serde_json::from_value(kept).map_err(|error| Error::bug("a download that leads nowhere").detail(error))?;
        let proposal = get(&self.services, opens.restore).await?;
        let is_download = proposal.wish.to == Destination::Download && proposal.state == State::Done;
        Ok(Some(proposal).filter(|proposal| is_download && proposal.expires_at > Utc::now()))
    }
}

async fn bundle(services: &Services, places: &Places, proposal: &Proposal) -> Result<Bundle> {
    let Ok(_room) = ROOM.try_acquire() else {
        return Err(Error::busy("other downloads are being made just now").hint("try again in a minute"));
    };
    let plan = &proposal.plan;
    let backup = places.backup(services).await?;
    let at = moment(&backup, Some(crate::domain::Point::Seq(plan.seq))).await?;
    let refs: RefState = RefState {
        object_format: at.state.object_format,
        head: at.state.head,
        refs: plan.refs.iter().map(|planned| (planned.name.clone(), planned.then)).collect(),
    };
    let scratch = backup.scratch()?;
    let (git_dir, file) = (scratch.path().join("download.git"), scratch.path().join("download.bundle"));
    bare::create(&git_dir, &refs)?;
    assemble(&backup, plan.seq, &git_dir.join("objects/pack"), &|_| {}).await?;
    let names: Vec<RefName> = refs.refs.keys().cloned().collect();
    let head = matches!(&refs.head, Some(Head::Symbolic(name)) if refs.refs.contains_key(name));
    program::bundle(&git_dir, &names, head, &file).await?;
    let cannot = |error: std::io::Error| Error::misconfigured(format!("cannot read a download back: {error}"));
    let file = File::open(&file).map_err(cannot)?;
    Ok(Bundle { name: file_name(proposal), bytes: file.metadata().map_err(cannot)?.len(), file })
}

/// What every system takes as a file's name.
fn file_name(proposal: &Proposal) -> String {
    let name = proposal.repository.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    format!("{}-at-{}.bundle", name.trim_start_matches('.'), proposal.plan.seq)
}

/// 256 bits.
fn token() -> SecretString {
    let mut bytes = [0; 32];
    rand_core::OsRng.fill_bytes(&mut bytes);
    hex::encode(bytes).into()
}

/// What is random needs no slow hash.
fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

fn nothing() -> Error {
    Error::not_found("there is nothing here")
}
