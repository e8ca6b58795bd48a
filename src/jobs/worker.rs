//! Takes jobs from the queue and runs them, a few at a time.
//!
//! A job belongs to whoever holds its lease; the lease is renewed while the work goes on and nothing is held open in the
//! database meanwhile. A worker that dies stops renewing, and another takes over. A worker that lost its lease finds out
//! at the next renewal and stops at once.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::Utc;
use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::sync_repo::urgency;
use super::{
    Job, Outcome, catch_up, compact, deliver, discover, drill, follow_app, keep_hooks, prune, quotas, read_share,
    retain, sync_repo, watch,
};
use crate::catalog::{CHAT_POOL, Lease};
use crate::domain::{Error, Kind, Result};
use crate::services::Services;

/// How often the queue is looked at when nobody rings. Another process may have added work.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long a job waits for deliveries that are being stored. Those of a burst have senders who wait, and each job that
/// runs takes turns with them at the database.
const LET_PASS: Duration = Duration::from_millis(100);

/// However long a server asks us to stay away.
const LONGEST_ABSENCE: Duration = Duration::from_hours(24);

/// How long handing leases back may take when the service stops.
const HAND_BACK: Duration = Duration::from_secs(5);

/// Work that a module above this one does; the queue knows its kind.
#[async_trait]
pub trait Errand: Send + Sync {
    /// As the queue has it.
    fn kind(&self) -> &'static str;

    /// Does it. Like every job it may run twice. `Throttled`: it comes back at the moment that the error names.
    async fn run(&self, services: &Services, subject: &str) -> Result<()>;
}

/// What the modules above bring.
pub type Errands = Arc<[Box<dyn Errand>]>;

/// Workers that answer people. What they do is short, or waits for somebody else.
const CHAT_WORKERS: usize = 4;

/// The running workers of this process.
pub struct Workers {
    tasks: JoinSet<()>,
    /// Take nothing new.
    stop: CancellationToken,
    /// Break off what runs.
    abandon: CancellationToken,
    alive: Weak<()>,
}

impl Workers {
    /// Starts as many as the settings say, in the pools that they say.
    pub fn start(services: &Arc<Services>, errands: &Errands) -> Self {
        let settings = &services.settings.workers;
        let mut workers = Self::start_in(services, errands, &settings.pools, settings.count);
        let shared = Arc::clone(services);
        let share = async move { quotas::share(&shared).await };
        workers.tasks.spawn(workers.stop.clone().run_until_cancelled_owned(share).map(drop));
        workers
    }

    /// Starts those that answer people.
    pub fn start_chat(services: &Arc<Services>, errands: &Errands) -> Self {
        Self::start_in(services, errands, &[CHAT_POOL.to_owned()], CHAT_WORKERS)
    }

    fn start_in(services: &Arc<Services>, errands: &Errands, pools: &[String], count: usize) -> Self {
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let alive = Arc::new(());
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let worker = Worker {
                services: Arc::clone(services),
                errands: Arc::clone(errands),
                pools: pools.to_vec(),
                name: worker_name(),
                stop: stop.clone(),
                abandon: abandon.clone(),
            };
            let alive = Arc::clone(&alive);
            tasks.spawn(async move {
                // A job that breaks down must not take the worker with it: the lease runs out, and the others go on.
                while AssertUnwindSafe(Box::pin(worker.run())).catch_unwind().await.is_err() {
                    tracing::error!("a job broke down; this is a bug");
                }
                drop(alive);
            });
        }
        Self { tasks, stop, abandon, alive: Arc::downgrade(&alive) }
    }

    /// Tells whether any of them still runs.
    pub fn watch(&self) -> impl Fn() -> Result<()> + Send + Sync + 'static {
        let alive = self.alive.clone();
        move || if alive.strong_count() > 0 { Ok(()) } else { Err(Error::bug("no worker is running")) }
    }

    /// Takes no new jobs, waits `grace` for the running ones, then breaks them off and hands their leases back, so that
    /// other workers go on at once.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace, self.finished()).await.is_err() {
            tracing::warn!("jobs still running after {grace:?} are handed back");
            self.abandon.cancel();
            // A database that does not answer must not hold up the end: leases run out by themselves.
            let _ = tokio::time::timeout(HAND_BACK, self.finished()).await;
        }
    }

    async fn finished(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Worker {
    services: Arc<Services>,
    errands: Errands,
    pools: Vec<String>,
    name: String,
    stop: CancellationToken,
    abandon: CancellationToken,
}

impl Worker {
    async fn run(&self) {
        let settings = &self.services.settings.workers;
        let mut bell = self.services.catalog.new_jobs();
        while !self.stop.is_cancelled() {
            let patience = if self.pools == [CHAT_POOL] { Duration::ZERO } else { LET_PASS };
            if self.stop.run_until_cancelled(self.services.catalog.let_pass(patience)).await.is_none() {
                break;
            }
            match self.services.catalog.claim(&self.name, settings.lease, &self.pools).await {
                Ok(Some(claimed)) => {
                    // Failures are logged and queued again there.
                    let work = Box::pin(work(&self.services, &self.errands, &claimed));
                    if self.abandon.run_until_cancelled(work).await.is_none() {
                        hand_back(&self.services, &claimed).await;
                    }
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::error!("cannot take a job: {}", error.for_log()),
            }
            tokio::select! {
                _ = bell.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }
}

/// Runs one job here, for somebody who waits for what comes of it. Takes turns with whatever worker has it already.
pub async fn run_now(services: &Services, job: &Job) -> Result<Outcome> {
    let name = worker_name();
    let length = services.settings.workers.lease;
    loop {
        if let Some(claimed) = services.catalog.enqueue_and_claim(job.kind(), &job.subject(), &name, length).await? {
            return work(services, &[], &claimed).await;
        }
        tokio::time::sleep(LOOK_AGAIN / 5).await;
    }
}

async fn hand_back(services: &Services, lease: &Lease) {
    if let Err(error) = services.catalog.release(lease).await {
        tracing::warn!(kind = lease.kind, subject = lease.subject, "cannot hand a job back: {}", error.for_log());
    }
}

async fn work(services: &Services, errands: &[Box<dyn Errand>], lease: &Lease) -> Result<Outcome> {
    tracing::info!(step = "leased", kind = lease.kind, subject = lease.subject, "job leased");
    let outcome = tokio::select! {
        outcome = run(services, errands, lease) => outcome,
        error = keep(services, lease) => Err(error),
    };
    let word = if outcome.is_ok() { "done" } else { "failed" };
    metrics::counter!("refward_jobs_total", "kind" => lease.kind.clone(), "outcome" => word).increment(1);
    if let Err(error) = settle(services, lease, outcome.as_ref().err()).await {
        // Harmless: the lease runs out and the job, being a reconciler, runs again.
        tracing::warn!(kind = lease.kind, subject = lease.subject, "cannot settle a job: {}", error.for_log());
    }
    outcome
}

async fn run(services: &Services, errands: &[Box<dyn Errand>], lease: &Lease) -> Result<Outcome> {
    if let Some(errand) = errands.iter().find(|errand| errand.kind() == lease.kind) {
        return errand.run(services, &lease.subject).await.map(|()| Outcome::Unchanged(None));
    }
    match Job::parse(&lease.kind, &lease.subject)? {
        Job::SyncRepo(repo) => sync_repo(services, &repo, lease).await,
        Job::Discover(connection) => {
            discover(services, connection, urgency(lease.priority)).await.map(|_| Outcome::Unchanged(None))
        }
        Job::FollowApp(app) => follow_app(services, app).await.map(|()| Outcome::Unchanged(None)),
        Job::KeepHooks(connection) => keep_hooks(services, connection).await.map(|()| Outcome::Unchanged(None)),
        Job::CatchUp(app) => catch_up(services, app).await.map(|_| Outcome::Unchanged(None)),
        Job::Retain(repo) => retain(services, &repo).await.map(|()| Outcome::Unchanged(None)),
        Job::Compact(repo) => compact(services, &repo).await.map(|()| Outcome::Unchanged(None)),
        Job::Prune => prune(services).await.map(|()| Outcome::Unchanged(None)),
        Job::Drill(repo) => drill(services, &repo).await.map(|()| Outcome::Unchanged(None)),
        Job::ReadShare => read_share(services).await.map(|()| Outcome::Unchanged(None)),
        Job::Watch => watch(services).await.map(|()| Outcome::Unchanged(None)),
        Job::Deliver(receiver) => deliver(services, &receiver).await.map(|()| Outcome::Unchanged(None)),
    }
}

/// Renews the lease for as long as it can; returns why it no longer can.
async fn keep(services: &Services, lease: &Lease) -> Error {
    let length = services.settings.workers.lease;
    let mut failures = 0;
    loop {
        tokio::time::sleep(length / 3).await;
        match services.catalog.renew(lease, length).await {
            Ok(true) => failures = 0,
            Ok(false) => return Error::busy("another worker has taken this job over"),
            // Twice a third of the lease has passed without the database: the lease may be gone at any moment.
            Err(error) if failures > 0 => return error,
            Err(_) => failures += 1,
        }
    }
}

async fn settle(services: &Services, lease: &Lease, failure: Option<&Error>) -> Result<()> {
    let catalog = &services.catalog;
    let Some(error) = failure else {
        // Nothing to do where the snapshot's row has ended the job with it.
        return catalog.finish(lease).await.map(drop);
    };
    let (kind, subject) = (&lease.kind, &lease.subject);
    if matches!(error.kind(), Kind::Throttled { .. }) {
        tracing::debug!(kind, subject, "job waits: {}", error.for_log());
    } else {
        tracing::warn!(kind, subject, attempts = lease.attempts, "job failed: {}", error.for_log());
    }
    let pause = pause(services, error, lease.attempts);
    if !catalog.retry(lease, Utc::now() + pause, &error.to_string()).await? {
        tracing::info!(kind, subject, "another worker has taken this job over");
    }
    Ok(())
}

/// How long to leave a failed job alone. What only a person can mend comes back too, but slowly: nobody should have to
/// tell us that it is mended.
fn pause(services: &Services, error: &Error, attempts: u32) -> Duration {
    let workers = &services.settings.workers;
    match error.kind() {
        Kind::Busy { retry_after: Some(after) }
        | Kind::Remote { retry_after: Some(after) }
        | Kind::Throttled { retry_after: after } => after.min(LONGEST_ABSENCE),
        kind if kind.is_transient() => {
            let delays = ExponentialBuilder::new()
                .with_min_delay(workers.retry_first)
                .with_max_delay(workers.retry_longest)
                .with_jitter()
                .without_max_times();
            let nth = attempts.saturating_sub(1).min(30) as usize;
            delays.build().nth(nth).unwrap_or(workers.retry_longest)
        }
        _ => workers.retry_longest,
    }
}

fn worker_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
