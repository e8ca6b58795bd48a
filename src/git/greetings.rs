//! What servers said they can do, remembered for a while: a look at a repository is one request then, not two.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use super::http;
use super::v2::Version2;

/// Servers are upgraded without telling us. One that no longer understands is greeted again at once.
const REMEMBER: TimeDelta = TimeDelta::days(1);

/// What is needed to go on without asking again. Servers of version 0 and 1 tell their references in their greeting, so
/// theirs is of no use later.
#[derive(Clone)]
pub(super) struct Greeting {
    pub server: Version2,
    /// Where redirects led.
    pub base: Url,
    pub at: DateTime<Utc>,
}

impl Greeting {
    fn is_fresh(&self) -> bool {
        let age = Utc::now() - self.at;
        age >= TimeDelta::zero() && age < REMEMBER
    }
}

/// A greeting for another process. It leads nowhere: where redirects led is for each process to find out.
#[derive(Serialize, Deserialize)]
struct Note {
    asked: Url,
    server: Version2,
    at: DateTime<Utc>,
}

/// By the address that was asked.
#[derive(Default)]
pub(super) struct Greetings(Mutex<HashMap<Url, Greeting>>);

impl Greetings {
    pub fn of(&self, remote: &Url) -> Option<Greeting> {
        self.locked().get(remote).filter(|greeting| greeting.is_fresh()).cloned()
    }

    pub fn remember(&self, remote: &Url, greeting: Greeting) {
        self.locked().insert(remote.clone(), greeting);
    }

    pub fn forget(&self, remote: &Url) {
        self.locked().remove(remote);
    }

    /// For another process, unless redirects led elsewhere.
    pub fn note(&self, remote: &Url) -> Option<String> {
        let Greeting { server, base, at } = self.of(remote)?;
        let note = Note { asked: remote.clone(), server, at };
        (base == http::base(remote)).then(|| serde_json::to_string(&note).ok()).flatten()
    }

    /// Goes by another process's note, unless that is about another address or we know better. One that cannot be read was
    /// written by another version; the server can tell as well.
    pub fn recall(&self, remote: &Url, note: &str) {
        let Ok(Note { asked, server, at }) = serde_json::from_str(note) else { return };
        let greeting = Greeting { server, base: http::base(remote), at };
        let mut known = self.locked();
        if asked == *remote && greeting.is_fresh() && known.get(remote).is_none_or(|known| known.at < at) {
            known.insert(asked, greeting);
        }
    }

    /// What a thread left behind when it panicked is still a table of greetings.
    fn locked(&self) -> MutexGuard<'_, HashMap<Url, Greeting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
