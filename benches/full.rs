//! The first backup of a repository against `git clone --mirror` from the same server.

mod common;

use std::time::Duration;

use clap::Parser as _;
use common::forge::{Forge, Kind, REPOSITORY};
use common::history::{Choice, History};
use common::process::{self, Run};
use common::refward::Refward;
use common::report::{Report, megabytes};
use common::{Result, git, median, scratch};

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    history: Choice,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let history = History::prepare(&options.history)?;
    let folder = scratch()?;
    let forge = Forge::start(Kind::Github, &folder.path().join("forge"), &history)?;
    let title =
        "Full backup: `refward backup REPO --wait` (whole process, encrypted and sealed) against `git clone --mirror`";
    let mut report = Report::new(&format!("{title}\n{}", history.describe()));

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        // Whoever comes second finds the server's files in memory: take turns.
        let order = if round % 2 == 0 { [true, false] } else { [false, true] };
        for refward in order {
            let target = folder.path().join("target");
            if refward {
                ours.push(back_up(&target, &forge)?);
            } else {
                let clone = ["clone", "--quiet", "--mirror", &forge.clone_url];
                theirs.push(process::run(git(folder.path()).args(clone).arg(&target))?);
            }
            std::fs::remove_dir_all(&target)?;
        }
    }

    report.ratio("time", median_wall(&ours), median_wall(&theirs), 0.6);
    let peak = |runs: &[Run]| megabytes(runs.iter().map(|run| run.peak).max().unwrap_or(0));
    report.limit("peak memory of the largest process", peak(&ours), Some(peak(&theirs)), 200.0, "MB");
    report.print();
    Ok(())
}

/// A first backup into a new vault.
fn back_up(target: &std::path::Path, forge: &Forge) -> Result<Run> {
    let refward = Refward::init(target)?;
    refward.connect(&forge.url, common::forge::OWNER, &[])?;
    let (run, snapshot) = refward.backup(REPOSITORY)?;
    if snapshot["seq"] != 1 {
        return Err(format!("this is no first snapshot: {snapshot}").into());
    }
    Ok(run)
}

fn median_wall(runs: &[Run]) -> Duration {
    median(&runs.iter().map(|run| run.wall).collect::<Vec<_>>())
}
