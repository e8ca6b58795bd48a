//! `refward serve`: webhooks, workers and scheduler in one process, or some of them.

use std::sync::Arc;

use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::signal::unix::{SignalKind, signal};

use super::apps::describe_door;
use super::{Context, output};
use crate::assembly::clear_drills;
use crate::config::names_a_port;
use crate::desk::{self, Desk};
use crate::domain::{Error, Result};
use crate::jobs::{Scheduler, Workers};
use crate::ops::accept::{Receiver, StoredSecrets};
use crate::ops::protection;
use crate::ops::restores::Downloads;
use crate::ops::setup::{self, Setup};
use crate::services::{Services, git_limits};
use crate::web::{self, Check, State};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Address and port for webhooks, health and metrics, instead of the one in the settings. Port 0: any free one.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Only this part of the service; by default all of it.
    #[arg(long, value_enum)]
    role: Option<Role>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Receive webhooks.
    Web,
    /// Run jobs.
    Worker,
    /// Enqueue what is due.
    Scheduler,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    if let Some(listen) = args.listen.as_deref().filter(|listen| !names_a_port(listen)) {
        return Err(Error::bad_request(format!("--listen {listen} is no address with a port"))
            .hint("for example 127.0.0.1:8080; port 0 takes any free one"));
    }
    let services = context.services().await?;
    let listen = args.listen.unwrap_or_else(|| services.settings.server.listen.clone());
    let running = Running::start(&services, &listen, |role| args.role.is_none_or(|only| only == role)).await?;
    if let Some(address) = running.address {
        tracing::info!(%address, "listening");
        offer_setup(&services).await?;
    }
    stop_signal().await?;
    tracing::info!("stopping");
    running.stop(&services).await;
    services.catalog.close().await
}

/// As long as there is nothing to back up, whoever reads the output may set it up; the log is kept by too many for a code.
async fn offer_setup(services: &Services) -> Result<()> {
    let nothing = services.catalog.apps().await?.is_empty() && services.catalog.connections().await?.is_empty();
    if nothing && !services.settings.server.public_url.is_empty() {
        output::write_line(&describe_door(&setup::new_code(services).await?))?;
    }
    Ok(())
}

/// The parts of the service that run in this process.
pub(super) struct Running {
    /// Where webhooks arrive.
    pub(super) address: Option<std::net::SocketAddr>,
    web: Option<web::Running>,
    workers: Option<Workers>,
    answering: Option<Workers>,
    scheduler: Option<Scheduler>,
}

impl Running {
    /// Everything, for one process that is the whole service.
    pub(super) async fn start_all(services: &Arc<Services>, listen: &str) -> Result<Self> {
        Self::start(services, listen, |_| true).await
    }

    async fn start(services: &Arc<Services>, listen: &str, runs: impl Fn(Role) -> bool) -> Result<Self> {
        prepare_vault(services).await?;
        let errands = desk::errands();
        let workers = runs(Role::Worker).then(|| Workers::start(services, &errands));
        // Whoever asks is answered, however busy the others are.
        let answering =
            (runs(Role::Web) && !services.chats.is_empty()).then(|| Workers::start_chat(services, &errands));
        let web = if runs(Role::Web) {
            Some(web::start(listen, state(services, workers.as_ref()).await?, &services.settings.server)?)
        } else {
            None
        };
        Ok(Self {
            address: web.as_ref().map(web::Running::address),
            web,
            workers,
            answering,
            scheduler: runs(Role::Scheduler).then(|| Scheduler::start(services)),
        })
    }

    /// Takes nothing new, then lets what runs come to its end.
    pub(super) async fn stop(self, services: &Services) {
        if let Some(scheduler) = self.scheduler {
            scheduler.stop();
        }
        if let Some(web) = self.web {
            web.stop().await;
        }
        let workers = self.answering.into_iter().chain(self.workers);
        join_all(workers.map(|workers| workers.stop(services.settings.server.shutdown_grace))).await;
    }
}

/// Sweeps up after killed writers and drills, and finds out what the store can promise.
async fn prepare_vault(services: &Services) -> Result<()> {
    services.vault.clear_leftovers()?;
    clear_drills(&git_limits(&services.settings.git));
    if !protection::examine(services).await?.refuses_overwrites {
        tracing::warn!(
            vault = services.vault.url(),
            "this store overwrites where it should refuse: only the leases keep two workers apart"
        );
    }
    Ok(())
}

async fn state(services: &Arc<Services>, workers: Option<&Workers>) -> Result<State> {
    let secrets = StoredSecrets::watch(Arc::clone(services)).await?;
    let receiver = Receiver::start(services.catalog.clone(), services.forges.clone(), secrets);
    let (catalog, vault) = (services.catalog.clone(), Arc::clone(&services.vault));
    let mut checks = vec![
        Check::new("database", move || {
            let catalog = catalog.clone();
            async move { catalog.check().await }
        }),
        Check::new("vault", move || {
            let vault = Arc::clone(&vault);
            async move { vault.check().await }
        }),
    ];
    if let Some(alive) = workers.map(Workers::watch) {
        checks.push(Check::new("workers", move || std::future::ready(alive())));
    }
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| Error::bug("cannot collect metrics").detail(error))?;
    let setup = Some(Setup::new(Arc::clone(services)));
    let desk = (!services.chats.is_empty()).then(|| Desk::new(Arc::clone(services)));
    let downloads = Some(Downloads::new(Arc::clone(services)));
    Ok(State { receiver, checks, metrics, setup, desk, downloads, max_body: services.settings.server.max_body })
}

async fn stop_signal() -> Result<()> {
    let cannot = |error| Error::bug(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
