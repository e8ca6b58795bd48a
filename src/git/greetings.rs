//! What servers said they can do, remembered for a while: a look at a repository is one request then, not two.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use super::v2::Version2;

/// Servers are upgraded without telling us.
const REMEMBER: Duration = Duration::from_hours(1);

/// What is needed to go on without asking again. Servers of version 0 and 1 tell their references in their greeting, so
/// theirs is of no use later.
#[derive(Clone)]
pub(super) struct Greeting {
    pub server: Version2,
    /// Where redirects led.
    pub base: Url,
}

/// By the address that was asked.
#[derive(Default)]
pub(super) struct Greetings(Mutex<HashMap<Url, (Instant, Greeting)>>);

impl Greetings {
    pub fn of(&self, remote: &Url) -> Option<Greeting> {
        let (since, greeting) = self.locked().get(remote)?.clone();
        (since.elapsed() < REMEMBER).then_some(greeting)
    }

    pub fn remember(&self, remote: &Url, greeting: Greeting) {
        self.locked().insert(remote.clone(), (Instant::now(), greeting));
    }

    pub fn forget(&self, remote: &Url) {
        self.locked().remove(remote);
    }

    /// What a thread left behind when it panicked is still a table of greetings.
    fn locked(&self) -> MutexGuard<'_, HashMap<Url, (Instant, Greeting)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
