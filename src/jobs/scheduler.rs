//! Asks for the work that no webhook asks for: a lost webhook costs one interval, not data.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;

use crate::catalog::{Catalog, JobState, Priority, job_kind};
use crate::domain::{RepoId, Result};
use crate::services::Services;

use super::digest::enqueue_digests;
use super::{Job, compact, drills_due, policies, record_end};

/// How often the scheduler looks for what is due.
const TICK: Duration = Duration::from_secs(10);

/// How long a notice waits at most before it is handed over, so that what comes with it can go with it.
const COMPANY: Duration = Duration::from_secs(3);

/// How often queue and events are counted for `/metrics`.
const GAUGE: Duration = Duration::from_mins(1);

/// How long it is kept what was asked in chats, and what was said to it: far longer than a replay is taken for new, and as
/// whoever asked may come back to it.
const ASKED_KEPT: TimeDelta = TimeDelta::days(7);

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
        let upkeep = services.settings.workers.upkeep;
        let task = tokio::spawn(async move {
            tokio::join!(
                every(TICK, "enqueue what is due", || enqueue_due(&services, started)),
                every(GAUGE, "measure the queue", || gauge(&services.catalog)),
                every(services.settings.alarms.every, "look for alarms", || {
                    services.catalog.enqueue(job_kind::WATCH, job_kind::ALL_OF_IT, Priority::Event)
                }),
                every(GAUGE, "look up which policies apply", || policies::assign(&services)),
                after(upkeep, "look after the vault", || enqueue_upkeep(&services)),
                after(upkeep, "sign the record", || record_end::sign(&services)),
                // Few at a time, so that workers are left for what is urgent; therefore more often.
                after(upkeep.min(GAUGE), "look for snapshots to join", || enqueue_compaction(&services)),
                every(GAUGE, "ask for the daily digests", || enqueue_digests(&services)),
                every(COMPANY, "hand notices over", || deliver_waiting(&services.catalog)),
                every(services.settings.sweep.installations, "follow the Apps", || {
                    for_each_app(&services.catalog, job_kind::FOLLOW_APP)
                }),
                every(services.settings.sweep.deliveries, "catch up with deliveries", || {
                    for_each_app(&services.catalog, job_kind::CATCH_UP)
                }),
                every(services.settings.sweep.hooks, "look after the hooks", || enqueue_hooks(&services)),
            );
        });
        Self { task }
    }

    /// Stops it; what it enqueued stays.
    pub fn stop(self) {
        self.task.abort();
    }
}

async fn every<F: Future<Output = Result<()>>>(pause: Duration, what: &str, work: impl Fn() -> F) {
    loop {
        if let Err(error) = work().await {
            tracing::error!("cannot {what}: {}", error.for_log());
        }
        tokio::time::sleep(pause).await;
    }
}

/// As [`every`], but not at the start.
async fn after<F: Future<Output = Result<()>>>(pause: Duration, what: &str, work: impl Fn() -> F) {
    tokio::time::sleep(pause).await;
    every(pause, what, work).await;
}

async fn enqueue_due(services: &Services, started: DateTime<Utc>) -> Result<()> {
    let (catalog, settings) = (&services.catalog, &services.settings);
    let connections = catalog.connections_due(started).await?;
    let watched_since = Utc::now() - settings.sweep.git;
    let since = due_since(settings.sweep.interval, started);
    let repositories = catalog.repositories_due(since, watched_since, BATCH).await?;
    let subjects = |jobs: Vec<Job>| jobs.iter().map(Job::subject).collect::<Vec<_>>();
    let discoveries = subjects(connections.into_iter().map(Job::Discover).collect());
    catalog.enqueue_all(job_kind::DISCOVER, &discoveries, Priority::Sweep).await?;
    let syncs = subjects(repositories.into_iter().map(Job::SyncRepo).collect());
    catalog.enqueue_all(job_kind::SYNC_REPO, &syncs, Priority::Sweep).await?;
    let dropped = catalog.forget_bodies(Utc::now() - settings.deliveries.keep).await?;
    let forgotten = catalog.forget_deliveries(Utc::now() - settings.deliveries.forget).await?;
    if dropped + forgotten > 0 {
        tracing::debug!(dropped, forgotten, "webhook bodies and deliveries past their keep");
    }
    catalog.forget_notices(Utc::now() - settings.notices.keep).await?;
    catalog.forget_chat_messages(Utc::now() - settings.notices.keep).await?;
    catalog.forget_interactions(Utc::now() - ASKED_KEPT).await?;
    policies::settle(services).await?;
    policies::enqueue_scheduled(services).await?;
    policies::enqueue_retention(services).await
}

async fn enqueue_compaction(services: &Services) -> Result<()> {
    let due: Vec<String> = compact::due(services).await?.iter().map(RepoId::to_string).collect();
    services.catalog.enqueue_all(job_kind::COMPACT, &due, Priority::Sweep).await
}

/// What nobody waits for: proof that the vault can be read, and less of it.
async fn enqueue_upkeep(services: &Services) -> Result<()> {
    let catalog = &services.catalog;
    let drills: Vec<String> = drills_due(services).await?.iter().map(RepoId::to_string).collect();
    catalog.enqueue_all(job_kind::DRILL, &drills, Priority::Sweep).await?;
    catalog.enqueue(job_kind::READ_SHARE, job_kind::ALL_OF_IT, Priority::Sweep).await?;
    // Where a person deletes, it does no more than to list what may be: from then on the grace counts.
    catalog.enqueue(job_kind::PRUNE, job_kind::ALL_OF_IT, Priority::Sweep).await
}

async fn deliver_waiting(catalog: &Catalog) -> Result<()> {
    let receivers = catalog.receivers_waiting().await?;
    catalog.enqueue_all(job_kind::DELIVER, &receivers, Priority::Event).await
}

async fn for_each_app(catalog: &Catalog, kind: &'static str) -> Result<()> {
    let apps: Vec<String> = catalog.apps().await?.iter().map(|app| app.id.to_string()).collect();
    catalog.enqueue_all(kind, &apps, Priority::Sweep).await
}

/// For the connections to forges that let us set hooks up.
async fn enqueue_hooks(services: &Services) -> Result<()> {
    let mut subjects = Vec::new();
    for connection in services.catalog.connections().await? {
        if services.forge(&connection.forge)?.hooks().is_some() {
            subjects.push(Job::KeepHooks(connection.id).subject());
        }
    }
    services.catalog.enqueue_all(job_kind::KEEP_HOOKS, &subjects, Priority::Sweep).await
}

/// What `/metrics` shows of the database: jobs by kind and state and by what they wait for, events by kind and whether a job has answered them.
#[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact beyond 2^52")]
async fn gauge(catalog: &Catalog) -> Result<()> {
    let mut jobs: HashMap<(String, &str), u32> = HashMap::new();
    for kind in job_kind::ALL {
        jobs.extend([(((*kind).to_owned(), "ready"), 0), (((*kind).to_owned(), "running"), 0)]);
    }
    let mut waiting: HashMap<&str, u32> = ["turn", "throttled", "retry"].map(|reason| (reason, 0)).into();
    let now = Utc::now();
    for job in catalog.jobs().await? {
        match &job {
            job if job.state == JobState::Running => {}
            job if job.run_at <= now => *waiting.entry("turn").or_default() += 1,
            job if job.last_error.as_deref().and_then(super::throttled).is_some() => {
                *waiting.entry("throttled").or_default() += 1;
            }
            _ => *waiting.entry("retry").or_default() += 1,
        }
        let state = if job.state == JobState::Running { "running" } else { "ready" };
        *jobs.entry((job.kind, state)).or_default() += 1;
    }
    for ((kind, state), count) in jobs {
        metrics::gauge!("refward_jobs", "kind" => kind, "state" => state).set(count);
    }
    for (reason, count) in waiting {
        metrics::gauge!("refward_jobs_waiting", "reason" => reason).set(count);
    }
    for events in catalog.event_counts().await? {
        let kind = events.kind;
        metrics::gauge!("refward_events", "kind" => kind.clone(), "state" => "stored").set(events.total as f64);
        metrics::gauge!("refward_events", "kind" => kind, "state" => "unanswered").set(events.unhandled as f64);
    }
    Ok(())
}

/// Whatever was last looked at before this moment is due.
fn due_since(interval: Duration, started: DateTime<Utc>) -> DateTime<Utc> {
    (Utc::now() - interval).max(started)
}
