//! Git: its wire protocol, its pack files, and the one place that runs the `git` program.
//!
//! A backup keeps no clone. [`Session::refs`] tells where a repository's references stand, [`Session::fetch`] receives
//! what is new as one [`Pack`]: verified, indexed, and able to say what it leans on.
//!
//! This module never: asks for a thin pack (every pack stands on its own as to deltas), sends a credential to another
//! host than the one it was given for, holds a whole pack in memory, runs a hook, or reads the machine's git settings.

mod answer;
pub mod bare;
mod delta;
mod greetings;
mod http;
mod index;
mod inflate;
mod ingest;
mod input;
mod join;
mod links;
mod listing;
mod login;
mod objects;
mod pack;
mod pkt_line;
pub mod program;
mod resolve;
mod scratch;
mod session;
mod side_band;
mod v1;
mod v2;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

pub use join::Joiner;
pub use listing::{Listing, Unusable};
pub use login::{Credential, Login};
pub use pack::{Lineage, Pack};
pub use scratch::Reader;
pub use session::Session;

use greetings::Greetings;

use crate::domain::{Error, Kind, ObjectFormat, RefName, Result};

/// Where a repository is fetched from and pushed to.
#[derive(Clone)]
pub struct Remote {
    /// Its https address, without credentials.
    pub url: Url,
    /// What opens it. `None` for public repositories.
    pub credential: Option<Arc<dyn Login>>,
}

/// What receiving a pack may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Packs up to this many bytes stay in memory, larger ones go to a temporary file.
    pub memory_scratch: usize,
    /// Folder for temporary files. `None`: the system's.
    pub scratch_dir: Option<PathBuf>,
    /// Objects larger than this when inflated are refused.
    pub max_object: u64,
    /// Threads that resolve the deltas of one pack. 0: as many as there are processors.
    pub threads: usize,
}

/// How far a fetch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the pack received.
    pub bytes: u64,
    /// Objects whose ids are known.
    pub indexed: u64,
    /// Objects in the pack; 0 until the server has told.
    pub objects: u64,
}

/// Opens sessions with git servers.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    limits: Limits,
    greetings: Arc<Greetings>,
}

impl Client {
    /// `http` must not follow redirects by itself (this module decides that) and should have a read timeout, which is
    /// what ends a stalled transfer.
    pub fn new(http: reqwest::Client, limits: &Limits) -> Self {
        Self { http, limits: limits.clone(), greetings: Arc::default() }
    }

    /// Asks the server what it can do.
    pub async fn open(&self, remote: &Remote) -> Result<Session> {
        Session::open(self.http(remote)?, self.limits.clone()).await
    }

    /// [`Self::open`] and [`Session::refs`] in one: a server that was asked before is not asked again what it can do.
    pub async fn list(&self, remote: &Remote, only: Option<&[RefName]>) -> Result<(Session, Listing)> {
        if let Some(greeting) = self.greetings.of(&remote.url) {
            let session = Session::resume(self.http(remote)?, self.limits.clone(), greeting);
            match session.refs(only).await {
                Ok(listing) => return Ok((session, listing)),
                Err(error) if asks_for_a_pause(&error) => return Err(error),
                // The repository may have moved, or the server may have been replaced: greet it again. Not at once where
                // it is the server that is in trouble.
                Err(error) => {
                    self.greetings.forget(&remote.url);
                    if error.kind().is_transient() && !is_moved(&error) {
                        return Err(error);
                    }
                }
            }
        }
        let session = self.open(remote).await?;
        let listing = session.refs(only).await?;
        if let Some(greeting) = session.greeting() {
            self.greetings.remember(&remote.url, greeting);
        }
        Ok((session, listing))
    }

    /// What is remembered of a server's greeting, for [`Self::recall`] in another process.
    pub fn note(&self, remote: &Remote) -> Option<String> {
        self.greetings.note(&remote.url)
    }

    /// Takes a note of [`Self::note`], so that [`Self::list`] need not ask what the server can do. One that is old, about
    /// something else, or of another version of this program is passed over.
    pub fn recall(&self, remote: &Remote, note: &str) {
        self.greetings.recall(&remote.url, note);
    }

    fn http(&self, remote: &Remote) -> Result<http::Http> {
        http::Http::new(self.http.clone(), remote)
    }
}

/// Reads a pack file and indexes it, with the same checks as for a received pack. Much quicker than starting git for each
/// of a thousand small packs.
pub async fn read_pack(file: &Path, format: ObjectFormat, limits: &Limits) -> Result<Pack> {
    ingest::reread(file, format, limits).await
}

/// It says when to come back, and nothing of what the server can do.
fn asks_for_a_pause(error: &Error) -> bool {
    match error.kind() {
        Kind::Throttled { .. } => true,
        Kind::Busy { retry_after } | Kind::Remote { retry_after } => retry_after.is_some(),
        _ => false,
    }
}

/// The repository changed between listing and fetching: an object that was wanted is gone. List again and retry.
///
/// True of the errors of [`Session`] only: nothing else in there is [`Kind::Busy`] without saying until when.
pub fn is_moved(error: &Error) -> bool {
    matches!(error.kind(), Kind::Busy { retry_after: None })
}
