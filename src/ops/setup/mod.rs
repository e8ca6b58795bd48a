//! Registering Apps in a browser, and connecting by a sign-in: who may, what they wish for, and what the forge sends back.
//!
//! A one-time code, which only somebody who can run commands or read the service's output has, opens a session for one
//! browser. The session holds what was wished for; each registration at the forge gets a state of its own, which works once
//! and only for that session. The database has hashes of all three.

mod door;
mod register;
mod sign_in;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;
use url::Url;

use super::apps::{self, AppRow};
use crate::catalog::{Priority, job_kind};
use crate::domain::Result;
use crate::services::Services;

pub use crate::forge::OauthClient as Client;
pub use door::{Door, Session, new_code};
pub(super) use door::{hash, random};
pub use register::{Next, Wish};
pub use sign_in::{Authority, Came, Step, Steps, Wanted};

/// How long a browser is kept waiting for a look at the forge before it is asked to come back.
const MOMENT: Duration = Duration::from_secs(3);

/// Everything behind `/setup`.
pub struct Setup {
    services: Arc<Services>,
}

impl Setup {
    /// For this deployment.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }

    /// Where browsers and forges reach this service; ends with a slash.
    pub fn public_url(&self) -> Result<Url> {
        self.services.settings.server.public_url()
    }

    /// Every App, as last seen.
    pub async fn apps(&self) -> Result<Vec<AppRow>> {
        apps::list(&self.services).await
    }

    /// Every App as the forge tells it now, and whether that was quick enough to be already in there.
    pub async fn look(&self) -> Result<(Vec<AppRow>, bool)> {
        let (catalog, asked) = (&self.services.catalog, Utc::now());
        let ids: Vec<String> = self.apps().await?.iter().map(|app| app.id.to_string()).collect();
        catalog.enqueue_all(job_kind::FOLLOW_APP, &ids, Priority::Manual).await?;
        let patience = Instant::now() + MOMENT;
        loop {
            let apps = self.apps().await?;
            let done = apps.iter().all(|app| app.checked_at.is_some_and(|at| at > asked));
            if done || Instant::now() > patience {
                return Ok((apps, done));
            }
            tokio::time::sleep(MOMENT / 12).await;
        }
    }
}
