//! Accepting webhook deliveries: nothing is answered before it is stored, nothing is stored before its sender is proved.

mod acceptor;
mod secrets;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::catalog::{Catalog, PackedBody, StoredDelivery};
use crate::domain::{Change, DeliveryId, Error, Event, Result};
use crate::forge::{Content, Delivery, Forge};
pub use crate::jobs::Incoming;

pub use acceptor::{Accepted, Acceptor};

pub use secrets::StoredSecrets;

pub use crate::forge::{HookSecret, Manners, Posted, Rejected};

/// From this size on, checking a body's signature would hold up other requests of the same thread.
const LARGE_BODY: usize = 256 << 10;

/// The webhook secrets in force. Asked at every delivery, so it answers from memory.
#[async_trait]
pub trait HookSecrets: Send + Sync {
    /// The secrets of all connections to this forge. None: nobody gets in.
    fn of(&self, forge: &str) -> Arc<[HookSecret]>;

    /// A signature fits none of them: reads them again, in case one was just added. Says whether that changed anything; an
    /// error: nobody can know who is meant to get in.
    async fn look_again(&self) -> Result<bool>;
}

/// Takes deliveries from any forge.
pub struct Receiver {
    forges: Vec<Arc<dyn Forge>>,
    secrets: Arc<dyn HookSecrets>,
    acceptor: Acceptor,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, and what it asks for is queued.
    Stored,
    /// It was stored before.
    Duplicate,
    /// It was only a sign of life.
    Pong,
    /// It tells nothing that a backup needs.
    Ignored,
    /// It was not taken.
    Rejected(Rejected),
}

impl Outcome {
    /// A stable word for answers and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Pong => "pong",
            Self::Ignored => "ignored",
            Self::Rejected(_) => "rejected",
        }
    }
}

impl Receiver {
    /// Starts the task that stores deliveries; it ends when the receiver is dropped.
    pub fn start(catalog: Catalog, forges: Vec<Arc<dyn Forge>>, secrets: Arc<dyn HookSecrets>) -> Self {
        Self { forges, secrets, acceptor: Acceptor::start(catalog) }
    }

    /// Whether anybody's deliveries from this forge are taken at all, to be known before a body is read.
    pub async fn is_open(&self, slug: &str) -> Result<bool> {
        let manners = self.forge(slug)?.manners();
        Ok(!self.secrets.of(slug).is_empty() || self.look_again(manners).await?)
    }

    /// How this forge wants to be answered.
    pub fn manners(&self, slug: &str) -> Result<Manners> {
        self.forge(slug).map(|forge| forge.manners())
    }

    /// Takes a delivery: proves its sender, reads it, stores it. An error means that it is not stored.
    ///
    /// `key`: what stands behind the forge's slug in the path. `body`: `None` if it did not arrive, or is not to be had.
    pub async fn receive(
        &self,
        slug: &str,
        key: Option<&str>,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Outcome> {
        let forge = self.forge(slug)?;
        let tried = self.secrets.of(slug);
        let mut read = self.read(forge, key, headers.clone(), body.clone(), &tried).await?;
        if matches!(read, Err(Rejected::Unauthenticated)) {
            let changed = self.look_again(forge.manners()).await?;
            let now = self.secrets.of(slug);
            // They may have changed while we tried the old ones, without the look bringing anything new.
            if changed || !Arc::ptr_eq(&now, &tried) {
                read = self.read(forge, key, headers, body, &now).await?;
            }
        }
        let outcome = match read {
            Err(rejected) => Ok(Outcome::Rejected(rejected)),
            Ok(Read::Done(outcome)) => Ok(outcome),
            Ok(Read::Store(incoming)) => self.acceptor.accept(incoming).await.map(Outcome::from),
        };
        let word = outcome.as_ref().map_or("failed", |outcome| outcome.word());
        metrics::counter!("refward_deliveries_total", "forge" => forge.slug(), "outcome" => word).increment(1);
        outcome
    }

    /// To turn somebody away because the database is away is what a forbearing forge does not forgive.
    async fn look_again(&self, manners: Manners) -> Result<bool> {
        match (self.secrets.look_again().await, manners) {
            (Err(error), Manners::Plain) => {
                tracing::warn!("cannot read the webhook secrets again: {}", error.for_log());
                Ok(false)
            }
            (looked, _) => looked,
        }
    }

    async fn read(
        &self,
        forge: &Arc<dyn Forge>,
        key: Option<&str>,
        headers: HeaderMap,
        body: Option<Bytes>,
        secrets: &Arc<[HookSecret]>,
    ) -> Result<Result<Read, Rejected>> {
        if body.as_ref().is_none_or(|body| body.len() < LARGE_BODY) {
            return Ok(read(forge.as_ref(), key, &headers, body, secrets));
        }
        let (forge, secrets, key) = (Arc::clone(forge), Arc::clone(secrets), key.map(str::to_owned));
        let reading =
            tokio::task::spawn_blocking(move || read(forge.as_ref(), key.as_deref(), &headers, body, &secrets));
        reading.await.map_err(|error| Error::bug("reading a delivery").detail(error))
    }

    fn forge(&self, slug: &str) -> Result<&Arc<dyn Forge>> {
        let found = self.forges.iter().find(|forge| forge.slug() == slug);
        found.ok_or_else(|| Error::not_found("there is no such forge"))
    }
}

enum Read {
    Done(Outcome),
    Store(Incoming),
}

fn read(
    forge: &dyn Forge,
    key: Option<&str>,
    headers: &HeaderMap,
    body: Option<Bytes>,
    secrets: &[HookSecret],
) -> Result<Read, Rejected> {
    // Forges refuse without a secret themselves; this does not depend on each of them getting it right.
    if secrets.is_empty() {
        return Err(Rejected::Unauthenticated);
    }
    let arrived = body.is_some();
    let verified = forge.verify(Posted { key, headers, body: body.unwrap_or_default() }, secrets)?;
    let delivery = if arrived { forge.read(&verified) } else { Err(Rejected::Malformed("the body did not arrive")) };
    let delivery = match (delivery, forge.manners()) {
        (Err(why), Manners::Forbearing) => {
            tracing::warn!(forge = forge.slug(), "a delivery cannot be read, so everything is looked at: {why}");
            unreadable(verified.body())
        }
        (delivery, _) => delivery?,
    };
    match delivery.content {
        Content::Ping => Ok(Read::Done(Outcome::Pong)),
        Content::Ignored => Ok(Read::Done(Outcome::Ignored)),
        Content::Events(events) => Ok(Read::Store(Incoming {
            forge: forge.slug(),
            signers: verified.signers().to_vec(),
            installation: delivery.installation,
            scope: delivery.scope,
            id: delivery.id,
            event: delivery.event,
            received_at: Utc::now(),
            body: PackedBody::new(verified.body()),
            events,
        })),
    }
}

/// Somebody wanted to tell us something, and we do not know what.
fn unreadable(body: &[u8]) -> Delivery {
    // What is sent once more is the same; of what never came, nobody can know that.
    let id = if body.is_empty() { Uuid::new_v4().to_string() } else { hex::encode(Sha256::digest(body)) };
    let change = Change::Repository("unreadable".to_owned());
    Delivery {
        id: DeliveryId::parse(&format!("unreadable/{id}")).expect("letters and digits are a delivery's id"),
        event: "unreadable".to_owned(),
        installation: None,
        scope: None,
        content: Content::Events(vec![Event { repository: None, actor: None, at: None, change }]),
    }
}

impl From<Accepted> for Outcome {
    fn from(accepted: Accepted) -> Self {
        match accepted {
            StoredDelivery::New => Self::Stored,
            StoredDelivery::Repeated => Self::Duplicate,
        }
    }
}
