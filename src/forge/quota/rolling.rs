//! How much was spent in the last minute, hour or second.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::opening::Opening;

/// Points in a window that moves with time. What the other side counts at some moment between our sending and its
/// answer is counted here from the sending until a whole span after the answer: whatever the network does, the other
/// side never sees more than the cap in any span of its own clock.
#[derive(Default)]
pub(super) struct Rolling {
    /// Of calls without an answer yet.
    open: u32,
    /// Until when, and how many. In order.
    spent: VecDeque<(Instant, u32)>,
    total: u32,
}

impl Rolling {
    pub fn open(&mut self, points: u32) {
        self.open += points;
    }

    /// The answer to what was [opened](Self::open) is here.
    pub fn close(&mut self, points: u32, span: Duration, now: Instant) {
        self.open = self.open.saturating_sub(points);
        self.spend(points, span, now);
    }

    pub fn spend(&mut self, points: u32, span: Duration, now: Instant) {
        self.forget(now);
        self.total += points;
        match self.spent.back_mut() {
            Some((until, last)) if *until == now + span => *last += points,
            _ => self.spent.push_back((now + span, points)),
        }
    }

    /// When `points` fit under `cap`.
    pub fn opening(&mut self, points: u32, cap: u32, now: Instant) -> Opening {
        self.forget(now);
        let room = cap.max(points) - points;
        let mut used = self.open.saturating_add(self.total);
        if used <= room {
            return Opening::Now;
        }
        for (until, spent) in &self.spent {
            used -= spent;
            if used <= room {
                return Opening::At(*until);
            }
        }
        Opening::Answer
    }

    fn forget(&mut self, now: Instant) {
        while let Some((_, points)) = self.spent.pop_front_if(|(until, _)| *until <= now) {
            self.total -= points;
        }
    }
}
