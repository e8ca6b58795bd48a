//! Group commit: deliveries that come at the same time are stored in one transaction.
//!
//! One task stores. While it waits for the disk the next deliveries gather, so that load makes larger transactions
//! instead of longer queues, and a lone delivery waits for nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::catalog::{Arriving, Catalog, StoredDelivery};
use crate::domain::{Error, Kind, Result};
use crate::jobs::{Incoming, Router};

/// What became of an accepted delivery.
pub type Accepted = StoredDelivery;

/// Deliveries in one transaction at most.
const BATCH: usize = 256;

/// Deliveries that wait at most. Beyond that the sender is told to come back.
const QUEUE: usize = 2048;

/// Bytes of bodies that wait at most, in KiB.
const QUEUE_KIB: usize = 192 << 10;

/// How long storing may take: longer than the database's own time limits together.
const PATIENCE: Duration = Duration::from_secs(20);

/// When a sender should come back.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Stores deliveries. Cheap to clone; the task behind it ends with the last clone.
#[derive(Clone)]
pub struct Acceptor {
    queue: mpsc::Sender<Waiting>,
    memory: Arc<Semaphore>,
    catalog: Catalog,
}

struct Waiting {
    delivery: Incoming,
    sender: Sender,
}

/// Who waits to hear what became of a delivery, and the memory that it takes until then.
struct Sender {
    answer: oneshot::Sender<Result<Accepted>>,
    _memory: OwnedSemaphorePermit,
    _arriving: Arriving,
}

impl Sender {
    /// The sender may have gone away; the delivery is stored all the same.
    fn tell(self, outcome: Result<Accepted>) {
        drop(self.answer.send(outcome));
    }
}

impl Acceptor {
    /// Starts the task that stores.
    pub fn start(catalog: Catalog) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(run(catalog.clone(), waiting));
        Self { queue, memory: Arc::new(Semaphore::new(QUEUE_KIB)), catalog }
    }

    /// Stores a delivery; returns once it would survive a power cut. `Busy` when it is not stored.
    pub async fn accept(&self, delivery: Incoming) -> Result<Accepted> {
        let kib = u32::try_from(delivery.body.len() / 1024 + 1).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(kib).map_err(|_| full())?;
        let (answer, answered) = oneshot::channel();
        let sender = Sender { answer, _memory: memory, _arriving: self.catalog.arriving() };
        self.queue.try_send(Waiting { delivery, sender }).map_err(|_| full())?;
        answered.await.unwrap_or_else(|_| Err(Error::bug("the task that stores deliveries has ended")))
    }
}

fn full() -> Error {
    Error::new(Kind::Busy { retry_after: Some(RETRY_AFTER) }, "too many deliveries are waiting to be stored")
}

async fn run(catalog: Catalog, mut queue: mpsc::Receiver<Waiting>) {
    let mut router = Router::new(catalog);
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        settle(&mut router, std::mem::take(&mut batch)).await;
    }
}

async fn settle(router: &mut Router, batch: Vec<Waiting>) {
    let (deliveries, senders): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.delivery, waiting.sender)).unzip();
    match store(router, &deliveries).await {
        Ok(outcomes) => senders.into_iter().zip(outcomes).for_each(|(sender, outcome)| sender.tell(Ok(outcome))),
        // The database is away: it will not be back for each of them.
        Err(error) if error.kind().is_transient() => {
            tracing::error!("cannot store {} deliveries: {}", deliveries.len(), error.for_log());
            for sender in senders {
                sender.tell(Err(Error::new(error.kind(), error.to_string())));
            }
        }
        // One of them cannot be stored; the others must not suffer for it.
        Err(_) => {
            for (delivery, sender) in deliveries.iter().zip(senders) {
                sender.tell(store_alone(router, delivery).await);
            }
        }
    }
}

/// A database that was cut off says nothing at all; who waits must hear something.
async fn store(router: &mut Router, deliveries: &[Incoming]) -> Result<Vec<Accepted>> {
    let stored = tokio::time::timeout(PATIENCE, router.store(deliveries)).await;
    stored.unwrap_or_else(|_| Err(Error::busy("storing deliveries: the database does not answer")))
}

async fn store_alone(router: &mut Router, delivery: &Incoming) -> Result<Accepted> {
    let stored = store(router, std::slice::from_ref(delivery)).await;
    if let Err(error) = &stored {
        tracing::error!(delivery = delivery.id.as_str(), "cannot store a delivery: {}", error.for_log());
    }
    stored?.pop().ok_or_else(|| Error::bug("a delivery was stored and nobody knows how"))
}
