//! Requests that are kept waiting, so that a test can do something meanwhile.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Whether they may pass, and how many wait.
pub struct Fetches {
    gate: watch::Sender<Gate>,
}

#[derive(Default)]
struct Gate {
    closed: bool,
    waiting: usize,
}

impl Default for Fetches {
    fn default() -> Self {
        Self { gate: watch::Sender::new(Gate::default()) }
    }
}

impl Fetches {
    pub fn hold(&self) {
        self.gate.send_modify(|gate| gate.closed = true);
    }

    pub fn let_go(&self) {
        self.gate.send_modify(|gate| gate.closed = false);
    }

    pub async fn is_held(&self) {
        let patience = Instant::now();
        while self.gate.borrow().waiting == 0 {
            assert!(patience.elapsed() < Duration::from_mins(1), "nobody asks");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns when the request may go on.
    pub async fn pass(&self) {
        let mut gate = self.gate.subscribe();
        self.gate.send_modify(|gate| gate.waiting += 1);
        // Fails only when the double is gone, and this request with it.
        let _ = gate.wait_for(|gate| !gate.closed).await;
        self.gate.send_modify(|gate| gate.waiting -= 1);
    }
}
