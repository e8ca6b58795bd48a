//! Asks for the work that no webhook asks for: a lost webhook costs one interval, not data.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;

use crate::catalog::{Priority, job_kind};
use crate::domain::Result;
use crate::services::Services;

use super::Job;

/// How often the scheduler looks for what is due.
const TICK: Duration = Duration::from_secs(10);

/// Repositories that one look enqueues at most; the rest follow at the next.
const BATCH: u64 = 2_000;

/// The running scheduler of this process. Several in several processes do no harm: jobs coalesce.
pub struct Scheduler {
    task: JoinHandle<()>,
}

impl Scheduler {
    /// Starts it. Everything counts as due that was not looked at since this start: webhooks may have come meanwhile.
    pub fn start(services: &Arc<Services>) -> Self {
        let services = Arc::clone(services);
        let started = Utc::now();
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = enqueue_due(&services, started).await {
                    tracing::error!("cannot enqueue what is due: {}", error.for_log());
                }
                tokio::time::sleep(TICK).await;
            }
        });
        Self { task }
    }

    /// Stops it; what it enqueued stays.
    pub fn stop(self) {
        self.task.abort();
    }
}

async fn enqueue_due(services: &Services, started: DateTime<Utc>) -> Result<()> {
    let (catalog, settings) = (&services.catalog, &services.settings);
    let connections = catalog.connections_due(due_since(settings.sweep.discovery, started)).await?;
    let repositories = catalog.repositories_due(due_since(settings.sweep.interval, started), BATCH).await?;
    let subjects = |jobs: Vec<Job>| jobs.iter().map(Job::subject).collect::<Vec<_>>();
    let discoveries = subjects(connections.into_iter().map(Job::Discover).collect());
    catalog.enqueue_all(job_kind::DISCOVER, &discoveries, Priority::Sweep).await?;
    let syncs = subjects(repositories.into_iter().map(Job::SyncRepo).collect());
    catalog.enqueue_all(job_kind::SYNC_REPO, &syncs, Priority::Sweep).await?;
    let dropped = catalog.forget_bodies(Utc::now() - settings.deliveries.keep).await?;
    if dropped > 0 {
        tracing::debug!(dropped, "webhook bodies past their keep");
    }
    Ok(())
}

/// Whatever was last looked at before this moment is due.
fn due_since(interval: Duration, started: DateTime<Utc>) -> DateTime<Utc> {
    (Utc::now() - interval).max(started)
}
