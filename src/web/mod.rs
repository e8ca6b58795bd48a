//! The HTTP side: webhooks, health and metrics.

mod chat;
mod download;
mod error;
mod health;
mod hooks;
mod setup;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::config;
use crate::desk::Desk;
use crate::domain::{Error, Result};
use crate::ops::accept::Receiver;
use crate::ops::restores::Downloads;
use crate::ops::setup::Setup;

pub use health::{Check, Probe};

/// What requests are answered from.
pub struct State {
    /// Takes webhook deliveries.
    pub receiver: Receiver,
    /// What must work for `/readyz` to say so.
    pub checks: Vec<Check>,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// What `/setup` does. `None`: there is none.
    pub setup: Option<Setup>,
    /// Takes what chat platforms send. `None`: none is switched on.
    pub desk: Option<Desk>,
    /// What `/downloads` hands out. `None`: nothing.
    pub downloads: Option<Downloads>,
    /// The largest webhook body.
    pub max_body: usize,
}

/// A server that answers.
pub struct Running {
    address: SocketAddr,
    handle: ServerHandle,
}

/// Listens at `listen` and answers until [`Running::stop`].
pub fn start(listen: &str, state: State, settings: &config::Server) -> Result<Running> {
    let state = web::Data::from(Arc::new(state));
    let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes))
        .shutdown_timeout(settings.shutdown_grace.as_secs())
        // A sender whose headers do not come is cut off; `hooks` does the same for bodies.
        .client_request_timeout(Duration::from_secs(10))
        // Signals are the caller's: it stops workers, too.
        .disable_signals()
        .bind(listen)
        .map_err(|error| cannot_listen(listen, &error))?;
    let address = server.addrs().first().copied();
    let address = address.ok_or_else(|| Error::bug(format!("listening on {listen} gave no address")))?;
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(Running { address, handle })
}

impl Running {
    /// Where it listens; tells the port where any free one was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new requests and answers those under way.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/hooks/{sender}").post(hooks::receive))
        .service(web::resource("/hooks/{sender}/{key}").post(hooks::receive_with_key))
        .service(web::resource("/healthz").get(health::alive))
        .service(web::resource("/readyz").get(health::ready))
        .service(web::resource("/metrics").get(health::metrics))
        .service(web::resource("/downloads/{token}").get(download::show).post(download::fetch))
        .configure(setup::routes);
}

fn cannot_listen(listen: &str, error: &std::io::Error) -> Error {
    Error::misconfigured(format!("cannot listen on {listen}: {error}"))
        .hint("choose another `server.listen`; `127.0.0.1:0` takes any free port")
}
