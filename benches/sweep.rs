//! What it costs to find that nothing has changed in 10,000 repositories.

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Parser as _;
use common::forge::Kind;
use common::refward::Refward;
use common::report::{Report, megabytes, seconds};
use common::stub::{self, OWNER, Requests, Stub};
use common::{Result, azure, git, median, process, scratch};

/// Repositories that the peer looks at; more would only take longer.
const SAMPLE: u32 = 400;

#[derive(clap::Parser)]
struct Options {
    #[arg(long, default_value_t = 10_000)]
    repositories: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = scratch()?;
    let stub = Stub::start(folder.path(), options.repositories)?;
    let mut report = Report::new(&format!(
        "{} unchanged repositories, looked at in both ways that the scheduler does: a survey of marks (`refward repos\n\
         sync`) and every reference by git (`refward backup --all --wait`). Catalog on SQLite; the forge answers from memory,\n\
         so this is our own cost. Peer: `git ls-remote`, four at a time, on {SAMPLE} of them; it compares nothing and\n\
         remembers nothing.",
        options.repositories
    ));

    for kind in [Kind::Github, Kind::Azure] {
        report.heading(kind.title());
        let refward = Refward::init(&folder.path().join(format!("refward-{}", kind as u8)))?;
        sweep(&mut report, kind, &stub, &refward, &options)?;
    }
    report.print();
    Ok(())
}

fn sweep(report: &mut Report, kind: Kind, stub: &Stub, refward: &Refward, options: &Options) -> Result<()> {
    stub.requests();
    let started = Instant::now();
    match kind {
        Kind::Github => refward.connect(&stub.url, OWNER, &[])?,
        Kind::Azure => refward.connect_azure(&stub.organization)?,
    }
    report.note("connect: list of repositories", seconds(started.elapsed()), "");
    report.note("  requests", describe(stub.requests()), "");
    let first = process::run(&mut refward.command(&["backup", "--all", "--wait"]))?;
    report.note("first snapshot of each", seconds(first.wall), "");
    report.note("  requests", describe(stub.requests()), "");

    let (mut surveys, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peak, mut survey_requests, mut requests) = (0, String::new(), String::new());
    for _ in 0..options.rounds {
        stub.requests();
        surveys.push(process::run(&mut refward.command(&["repos", "sync"]))?.wall);
        survey_requests = describe(stub.requests());
        let run = process::run(&mut refward.command(&["backup", "--all", "--wait"]))?;
        ours.push(run.wall);
        peak = peak.max(run.peak);
        requests = describe(stub.requests());
        theirs.push(list_remotes(kind, stub)?);
    }
    let all = u32::try_from(options.repositories)?;
    report.note("survey: requests", survey_requests, "");
    report.note("survey: time in total", seconds(median(&surveys)), "");
    report.note("sweep: requests", requests, "");
    report.ratio("sweep: time for each repository", median(&ours) / all, median(&theirs) / SAMPLE, 1.0);
    report.note("sweep: time in total", seconds(median(&ours)), "");
    report.note("sweep: peak memory", format!("{:.0} MB", megabytes(peak)), "");
    Ok(())
}

fn describe(requests: Requests) -> String {
    let Requests { rest, graphql, info_refs, upload_pack } = requests;
    format!("{rest} REST, {graphql} GraphQL, {info_refs} GET info/refs, {upload_pack} POST git-upload-pack")
}

/// `git ls-remote` for the first repositories, four at a time.
fn list_remotes(kind: Kind, stub: &Stub) -> Result<Duration> {
    let folder = std::env::temp_dir();
    let started = Instant::now();
    for start in (0..SAMPLE).step_by(4) {
        let run = |number: u32| {
            let url = match kind {
                Kind::Github => format!("{}{}.git", stub.url, stub::full_name(number as usize)),
                Kind::Azure => azure::git_address(&stub.organization, &stub::full_name_in_project(number as usize)),
            };
            git(&folder).args(["ls-remote", "--quiet", &url]).stdout(Stdio::null()).spawn()
        };
        for child in (start..start + 4).map(run).collect::<Vec<_>>() {
            if !child?.wait()?.success() {
                return Err("git ls-remote failed".into());
            }
        }
    }
    Ok(started.elapsed())
}
