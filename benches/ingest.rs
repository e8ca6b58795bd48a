//! Webhook deliveries per second, each durable before it is answered, against Probot, which stores nothing.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use common::load::{self, Load, Webhook};
use common::process::{peak_of, time_of};
use common::refward::{Refward, WEBHOOK_SECRET};
use common::report::{Report, megabytes, seconds};
use common::service::{Server, free_address};
use common::stub::{self, OWNER, Stub};
use common::{Result, scratch, text_of};
use sea_orm::ConnectionTrait as _;

/// Where both servers take webhooks.
const PATH: &str = "/hooks/github";

/// Repositories that the webhooks tell of.
const REPOSITORIES: usize = 64;

/// Seconds before each measurement, for compilers, caches and allocators.
const WARM_UP: u64 = 2;

#[derive(clap::Parser)]
struct Options {
    /// Of each measurement, in seconds.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Numbers of connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50])]
    connections: Vec<usize>,
    /// Of Probot; `production` is its fast way.
    #[arg(long, env = "NODE_ENV", default_value = "production")]
    node_env: String,
    /// Leave the repositories out of the backup, so that no delivery leads to a job.
    #[arg(long)]
    no_jobs: bool,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = scratch()?;
    let stub = Stub::start(folder.path(), REPOSITORIES)?;
    let refward = Refward::init(&folder.path().join("refward"))?;
    refward.connect(&stub.url, OWNER, if options.no_jobs { &["--exclude", "*"] } else { &[] })?;
    text_of(&mut refward.command(&["backup", "--all", "--wait"]))?;
    let webhooks: Vec<Webhook> = (0..REPOSITORIES)
        .map(|number| Webhook::push(WEBHOOK_SECRET, number as u64 + 1, &stub::full_name(number)))
        .collect();
    let jobs = if options.no_jobs { "has no jobs to do" } else { "works on the jobs at the same time" };
    let title = format!(
        "Webhook ingest, {} B push payloads, distinct deliveries of {REPOSITORIES} repositories, signatures checked.\n\
         Refward answers when a delivery is on disk (SQLite, synchronous=FULL) and {jobs};\n\
         Probot 14 answers after a handler that does nothing, and stores nothing.",
        webhooks[0].len()
    );
    let mut report = Report::new(&title);
    let webhooks = Arc::new(webhooks);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut sent, mut peaks) = (0, (0, 0));
    for &connections in &options.connections {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let measure = |server: &Server, seconds| -> Result<Measured> {
                let (length, before) = (Duration::from_secs(seconds), time_of(server.child.id()));
                let load = runtime.block_on(load::run(server.address, PATH, connections, length, &webhooks))?;
                Ok(Measured { load, processor: time_of(server.child.id()).saturating_sub(before) })
            };
            let server = Server::refward(&refward)?;
            let warm_up = measure(&server, WARM_UP)?;
            ours.push(measure(&server, options.seconds)?);
            sent += warm_up.answers() + ours.last().map_or(0, Measured::answers);
            peaks.0 = peaks.0.max(peak_of(server.child.id()));
            drop(server);

            let server = start_probot(&options.node_env)?;
            measure(&server, WARM_UP)?;
            theirs.push(measure(&server, options.seconds)?);
            peaks.1 = peaks.1.max(peak_of(server.child.id()));
        }
        compare(&mut report, connections, &mut ours, &mut theirs);
    }
    let stored = runtime.block_on(stored(&refward.dir))?;
    report.note("answered with 2xx / found in the database", format!("{sent} / {stored}"), "");
    report.note("peak memory", format!("{:.0} MB", megabytes(peaks.0)), format!("{:.0} MB", megabytes(peaks.1)));
    report.print();
    Ok(())
}

/// What came of a round, and what it took of the processors.
struct Measured {
    load: Load,
    processor: Duration,
}

impl Measured {
    fn answers(&self) -> usize {
        self.load.latencies.len()
    }

    fn processor_for_each(&self) -> String {
        format!("{} µs", self.processor.as_micros() / self.answers().max(1) as u128)
    }
}

/// Of each side the round in the middle, by its rate.
fn compare(report: &mut Report, connections: usize, ours: &mut [Measured], theirs: &mut [Measured]) {
    let [ours, theirs] = [ours, theirs].map(|rounds| {
        rounds.sort_by(|a, b| a.load.rate().total_cmp(&b.load.rate()));
        &rounds[rounds.len() / 2]
    });
    let what = |what| format!("{connections} connections: {what}");
    report.rate(&what("deliveries"), ours.load.rate(), theirs.load.rate(), 3.0);
    report.note(&what("p50"), seconds(ours.load.percentile(50)), seconds(theirs.load.percentile(50)));
    let p99 = |side: &Measured| side.load.percentile(99).as_secs_f64() * 1e3;
    report.limit(&what("p99"), p99(ours), Some(p99(theirs)), 25.0, "ms");
    report.note(&what("processor time for each delivery"), ours.processor_for_each(), theirs.processor_for_each());
}

fn start_probot(environment: &str) -> Result<Server> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = project.join(".test-tools/node_modules/probot");
    if !package.exists() {
        return Err("Probot is not there: run scripts/bench-setup.sh".into());
    }
    let address = free_address()?;
    let mut command = Command::new("node");
    command.arg(project.join("benches/probot.mjs")).arg(package).arg(address.port().to_string()).stdout(Stdio::null());
    Server::start(command.env("WEBHOOK_SECRET", WEBHOOK_SECRET).env("NODE_ENV", environment), address)
}

/// Deliveries in the database of a service that was killed.
async fn stored(dir: &Path) -> Result<i64> {
    let database = sea_orm::Database::connect(format!("sqlite://{}", dir.join("refward.db").display())).await?;
    let count = "SELECT COUNT(*) AS stored FROM delivery";
    let row = database.query_one_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, count)).await?;
    Ok(row.ok_or("no row")?.try_get("", "stored")?)
}
