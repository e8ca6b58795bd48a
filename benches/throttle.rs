//! How much of what GitHub allows is used, and how often it has to refuse: an organization is swept and synced in virtual
//! time, against a simulated GitHub that enforces its limits.

mod common;
#[path = "../tests/quota/simulated.rs"]
mod simulated;

use clap::Parser as _;
use common::Result;
use common::report::Report;
use refward::forge::github::limits::CLOUD;
use simulated::Organization;

#[derive(clap::Parser)]
struct Options {
    #[arg(long, default_value_t = 10_000)]
    repositories: u32,
    /// Requests that it takes to sync one of them.
    #[arg(long, default_value_t = 6)]
    requests: u32,
    #[arg(long, default_value_t = 200)]
    workers: u32,
    /// Numbers of installations, each with 5,000 requests an hour.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 3, 10])]
    installations: Vec<u32>,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let Options { repositories, requests: requests_each, workers, .. } = options;
    let mut report = Report::new(&format!(
        "Throttling: {repositories} repositories swept by the hundred, then {requests_each} requests for each; {workers} \
         workers, 150 to 250 ms for each request.\nTime is virtual. The peer is the least time that the budgets allow: full hours use them up, the \
         rest comes at 900 points a minute."
    ));
    for installations in options.installations {
        let organization = Organization { repositories, requests_each, installations, workers };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let outcome = runtime.block_on(organization.back_up(&CLOUD));
        let what = format!("{installations} × 5,000: time for {} requests", organization.requests());
        report.ratio(&what, outcome.time, outcome.at_least, 1.05);
        report.note("  refused by the forge (goal: none)", outcome.seen.refusals.to_string(), "");
        report.note("  workers told to come back later", outcome.sent_away.to_string(), "");
        let most = format!("{}, {}", outcome.seen.most_at_a_time, outcome.seen.most_in_a_minute);
        report.note("  of one installation: most at a time, most points a minute", most, "");
    }
    report.print();
    Ok(())
}
