//! Fetches that are kept waiting, so that a test can do something meanwhile.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// How many more may pass (`None`: any number), and how many wait.
pub struct Fetches {
    gate: watch::Sender<Gate>,
}

#[derive(Default)]
struct Gate {
    allowed: Option<usize>,
    waiting: usize,
}

impl Default for Fetches {
    fn default() -> Self {
        Self { gate: watch::Sender::new(Gate::default()) }
    }
}

impl Fetches {
    pub fn hold(&self, after: usize) {
        self.gate.send_modify(|gate| gate.allowed = Some(after));
    }

    pub fn let_go(&self) {
        self.gate.send_modify(|gate| gate.allowed = None);
    }

    pub async fn is_held(&self) {
        let patience = Instant::now();
        while self.gate.borrow().waiting == 0 {
            assert!(patience.elapsed() < Duration::from_secs(60), "nobody fetches");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns when the request may go on.
    pub async fn pass(&self) {
        let mut passes = true;
        self.gate.send_if_modified(|gate| {
            passes = gate.allowed != Some(0);
            gate.allowed = gate.allowed.map(|left| left.saturating_sub(1));
            gate.waiting += usize::from(!passes);
            !passes
        });
        if !passes {
            let mut gate = self.gate.subscribe();
            // Fails only when the double is gone, and this request with it.
            let _ = gate.wait_for(|gate| gate.allowed.is_none()).await;
            self.gate.send_modify(|gate| gate.waiting -= 1);
        }
    }
}
