//! A restore to a ready bare repository against `git clone --mirror` from the server that it came from.

mod common;

use std::path::Path;
use std::time::Duration;

use clap::Parser as _;
use common::forge::{Forge, Kind, OWNER, REPOSITORY};
use common::history::{self, Choice, History};
use common::process::{self, Run};
use common::refward::Refward;
use common::report::{Report, megabytes};
use common::{Result, git, median, scratch, text_of};

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    history: Choice,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Incremental snapshots before the second part.
    #[arg(long, default_value_t = 200)]
    pushes: u64,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let history = History::prepare(&options.history)?;
    let folder = scratch()?;
    let forge = Forge::start(Kind::Github, &folder.path().join("forge"), &history)?;
    let refward = Refward::init(&folder.path().join("refward"))?;
    refward.connect(&forge.url, OWNER, &[])?;
    let title = "Restore: `refward restore REPO --to-dir DIR --bare` against `git clone --mirror` from the same server\n\
                 Outside of the timed part: all references equal to the server's, `git fsck --connectivity-only` clean";
    let mut report = Report::new(&format!("{title}\n{}", history.describe()));

    refward.backup(REPOSITORY)?;
    history::push_one_commit(&forge.folder, 0)?;
    refward.backup(REPOSITORY)?;
    compare(&mut report, "after 1 increment", &options, &forge, &refward, folder.path())?;
    for number in 1..options.pushes {
        history::push_one_commit(&forge.folder, number)?;
        refward.backup(REPOSITORY)?;
    }
    history::maintain(&forge.folder)?;
    let what = format!("after {} increments", options.pushes);
    compare(&mut report, &what, &options, &forge, &refward, folder.path())?;
    // As the service does by itself after 32.
    process::run(&mut refward.command(&["compact", REPOSITORY]))?;
    compare(&mut report, &format!("{what}, joined"), &options, &forge, &refward, folder.path())?;
    report.print();
    Ok(())
}

fn compare(
    report: &mut Report,
    what: &str,
    options: &Options,
    forge: &Forge,
    refward: &Refward,
    folder: &Path,
) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let target = folder.join("restored.git");
        let mut restore = refward.command(&["restore", REPOSITORY, "--bare", "--to-dir"]);
        ours.push(process::run(restore.arg(&target))?);
        check(&target, &forge.folder)?;
        std::fs::remove_dir_all(&target)?;

        let target = folder.join("clone.git");
        let clone = ["clone", "--quiet", "--mirror", &forge.clone_url];
        theirs.push(process::run(git(folder).args(clone).arg(&target))?);
        std::fs::remove_dir_all(&target)?;
    }
    let walls = |runs: &[Run]| -> Duration { median(&runs.iter().map(|run| run.wall).collect::<Vec<_>>()) };
    report.ratio(&format!("time, {what}"), walls(&ours), walls(&theirs), 0.1);
    let peak = |runs: &[Run]| format!("{:.0} MB", megabytes(runs.iter().map(|run| run.peak).max().unwrap_or(0)));
    report.note(&format!("peak memory of the largest process, {what}"), peak(&ours), peak(&theirs));
    Ok(())
}

/// Fails unless `restored` is what the server has.
fn check(restored: &Path, served: &Path) -> Result<()> {
    let state = |repository: &Path| -> Result<(String, String)> {
        let refs = text_of(git(repository).args(["for-each-ref", "--format=%(objectname) %(refname)"]))?;
        Ok((refs, text_of(git(repository).args(["symbolic-ref", "HEAD"]))?))
    };
    if state(restored)? != state(served)? {
        return Err("the restored references are not the server's".into());
    }
    text_of(git(restored).args(["fsck", "--connectivity-only", "--no-dangling"]))?;
    Ok(())
}
