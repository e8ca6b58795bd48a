//! Wrong setup codes: a code is never guessed, but whoever tries costs us a look into the database each time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_mins(1);

/// Wrong codes in one window.
const MOST: u32 = 10;

/// Counts wrong codes, whoever sends them.
pub(super) struct Tries(Mutex<Option<(Instant, u32)>>);

impl Tries {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Another code may be looked at now.
    pub(super) fn may_try(&self) -> bool {
        let window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.is_none_or(|(since, wrong)| since.elapsed() > WINDOW || wrong < MOST)
    }

    pub(super) fn was_wrong(&self) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *window = match *window {
            Some((since, wrong)) if since.elapsed() <= WINDOW => Some((since, wrong + 1)),
            _ => Some((Instant::now(), 1)),
        };
    }
}
