//! Deliveries first: their senders wait, and give up; whoever works through what is stored has time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Catalog;

/// A delivery that waits to be stored, for as long as this exists.
pub struct Arriving(Arc<watch::Sender<usize>>);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.send_if_modified(|waiting| {
            *waiting -= 1;
            *waiting == 0
        });
    }
}

impl Catalog {
    /// Somebody waits until a delivery is stored.
    pub fn arriving(&self) -> Arriving {
        self.arriving.send_if_modified(|waiting| {
            *waiting += 1;
            false
        });
        Arriving(Arc::clone(&self.arriving))
    }

    /// Waits until no delivery waits to be stored by this process, `patience` at most; says whether that came to pass. Who
    /// writes to SQLite takes turns, and who writes to PostgreSQL shares a disk and the processors.
    pub async fn let_pass(&self, patience: Duration) -> bool {
        let mut arriving = self.arriving.subscribe();
        // The sender lives in here, so it cannot be closed.
        tokio::time::timeout(patience, arriving.wait_for(|waiting| *waiting == 0)).await.is_ok()
    }
}
