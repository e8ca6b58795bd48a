//! When a call may be made, and what keeps it.

use tokio::time::Instant;

/// When a call may be made, as far as can be told. Ordered by how long to wait: what bars the way longest decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Opening {
    Now,
    /// As soon as a call that is under way is answered.
    Answer,
    /// Not before.
    At(Instant),
}

/// What keeps a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// The host has asked all of us to slow down.
    Host,
    /// So many calls are under way.
    Concurrent,
    /// The primary limit: used up, or the rest is reserved.
    Budget { limit: Option<u32>, reserved: bool },
    /// The host has answered, and asked this domain to rest.
    Rest,
    /// Points in a minute, or a burst.
    Pace,
    /// Writes come one after another.
    Write,
    /// Content creation.
    Creation,
}

/// The gate that stays shut longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Barred {
    pub opening: Opening,
    pub gate: Gate,
}

impl Barred {
    /// The one that lasts longer; the first of equals.
    pub fn or(self, opening: Opening, gate: Gate) -> Self {
        if opening > self.opening { Self { opening, gate } } else { self }
    }
}
