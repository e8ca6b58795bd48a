//! A backup after a push of one commit, against a warm mirror, and against a warm mirror that restic backs up.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser as _;
use common::forge::{Forge, OWNER, REPOSITORY};
use common::history::{self, Choice, History};
use common::process::{self, Run};
use common::refward::{Refward, WEBHOOK_SECRET};
use common::report::{Report, megabytes, seconds};
use common::service::Server;
use common::{Result, git, median, scratch, text_of, usage};
use refward::cli::demo::forge::{Hook, send_push};
use refward::domain::{ObjectId, RefChange};

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    history: Choice,
    /// Pushes after which all peers have their turn.
    #[arg(long, default_value_t = 15)]
    rounds: u64,
    /// Incremental snapshots in total, to compare the last ones with the first.
    #[arg(long, default_value_t = 200)]
    pushes: u64,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One incremental.
struct Snapshot {
    run: Run,
    /// As the product measures it: without the start of the process.
    own: Duration,
    /// New files in the vault.
    objects: u64,
    pack: u64,
    stored: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let history = History::prepare(&options.history)?;
    let folder = scratch()?;
    let forge = Forge::start(&folder.path().join("forge"), &history)?;
    let refward = Refward::init(&folder.path().join("refward"))?;
    refward.connect(&forge.url, OWNER, &[])?;
    refward.backup(REPOSITORY)?;
    let mirror = Mirror::new(folder.path(), &forge)?;
    let title = "Incremental backup after a push of one commit: `refward backup REPO --wait` (whole process)\n\
                 against `git remote update` in a warm mirror, and that plus `restic backup` of the mirror";
    let mut report = Report::new(&format!("{title}\n{}", history.describe()));

    let (mut ours, mut updates, mut restics) = (Vec::new(), Vec::new(), Vec::new());
    let before = usage(&mirror.restic)?;
    for round in 0..options.rounds {
        history::push_one_commit(&forge.folder, round)?;
        // Whoever comes second finds the server's files in memory: take turns.
        if round % 2 == 0 {
            ours.push(back_up(&refward)?);
        }
        updates.push(mirror.update()?);
        restics.push(mirror.back_up()?);
        if round % 2 == 1 {
            ours.push(back_up(&refward)?);
        }
    }
    let after = usage(&mirror.restic)?;
    for number in options.rounds..options.pushes {
        history::push_one_commit(&forge.folder, number)?;
        if number % 100 == 0 {
            history::maintain(&forge.folder)?;
        }
        ours.push(back_up(&refward)?);
    }

    // The server has aged as well: what became of the peer says how much of a change is not ours.
    history::maintain(&forge.folder)?;
    mirror.update()?;
    let mut late = Vec::new();
    for number in 0..options.rounds {
        history::push_one_commit(&forge.folder, options.pushes + number)?;
        late.push(mirror.update()?);
    }

    let (served, beside) = served(&forge, &refward, &mirror, &options)?;

    let rounds = usize::try_from(options.rounds)?;
    let first = &ours[..rounds];
    let walls = |runs: &[Run]| median(&runs.iter().map(|run| run.wall).collect::<Vec<_>>());
    let (update, restic) = (walls(&updates), walls(&restics));
    report.ratio("time / git remote update", wall(first), update, 0.35);
    report.ratio("time / git remote update + restic backup", wall(first), update + restic, 0.1);
    report.note("the same without the start of the process", seconds(own(first)), "");
    let what = "running service, from the webhook to the sealed object / git remote update";
    report.ratio(what, median(&served), walls(&beside), 0.35);
    let peak = megabytes(ours.iter().map(|snapshot| snapshot.run.peak).max().unwrap_or(0));
    let git_peak = megabytes(updates.iter().map(|run| run.peak).max().unwrap_or(0));
    report.limit("peak memory of the largest process", peak, Some(git_peak), 64.0, "MB");
    storage(&mut report, &ours, (after.0 - before.0, after.1 - before.1), options.rounds);
    growth(&mut report, &ours);
    let what = "for comparison: git remote update at the end / at the start";
    report.note(what, "", format!("{} / {}", seconds(walls(&late)), seconds(update)));
    report.print();
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn storage(report: &mut Report, ours: &[Snapshot], restic: (u64, u64), rounds: u64) {
    let objects = ours.iter().map(|snapshot| snapshot.objects).max().unwrap_or(0);
    report.limit("objects written", objects as f64, Some(restic.0 as f64 / rounds as f64), 1.0, "");
    let share = |snapshot: &Snapshot| snapshot.stored as f64 / (1.1 * snapshot.pack as f64 + 2000.0);
    let mut sorted: Vec<&Snapshot> = ours.iter().collect();
    sorted.sort_unstable_by(|a, b| share(a).total_cmp(&share(b)));
    let (middle, worst) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    report.limit("stored bytes / (1.1 × pack + 2 kB), median", share(middle), None, 1.0, "×");
    let what = format!("  worst: {} B stored for a pack of {} B", worst.stored, worst.pack);
    report.limit(&what, share(worst), None, 1.0, "×");
    let mean = ours.iter().map(|snapshot| snapshot.stored).sum::<u64>() as f64 / ours.len() as f64;
    let theirs = format!("{:.1} kB", restic.1 as f64 / rounds as f64 / 1e3);
    report.note("stored bytes for each push, mean", format!("{:.1} kB", mean / 1e3), theirs);
}

fn growth(report: &mut Report, ours: &[Snapshot]) {
    let tenth = (ours.len() / 10).max(1);
    let (first, last) = (&ours[..tenth], &ours[ours.len() - tenth..]);
    let what = format!("last {tenth} of {} / first {tenth}", ours.len());
    report.ratio(&format!("{what}, whole process"), wall(last), wall(first), 1.1);
    report.ratio(&format!("{what}, own time"), own(last), own(first), 1.1);
}

fn wall(snapshots: &[Snapshot]) -> Duration {
    median(&snapshots.iter().map(|snapshot| snapshot.run.wall).collect::<Vec<_>>())
}

fn own(snapshots: &[Snapshot]) -> Duration {
    median(&snapshots.iter().map(|snapshot| snapshot.own).collect::<Vec<_>>())
}

fn back_up(refward: &Refward) -> Result<Snapshot> {
    let before = usage(&refward.vault())?;
    let (run, answer) = refward.backup(REPOSITORY)?;
    let number = |name: &str| answer[name].as_u64().ok_or_else(|| format!("no snapshot with {name}: {answer}"));
    let (own, pack, stored) = (number("duration_ms")?, number("pack_bytes")?, number("stored_bytes")?);
    let after = usage(&refward.vault())?;
    Ok(Snapshot { run, own: Duration::from_millis(own), objects: after.0 - before.0, pack, stored })
}

/// How long a running service takes from the webhook's first byte to the sealed object, in turns with the mirror's update.
fn served(forge: &Forge, refward: &Refward, mirror: &Mirror, options: &Options) -> Result<(Vec<Duration>, Vec<Run>)> {
    let server = Server::refward(refward)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{}/hooks/github", server.address).parse()?;
    let hook = Hook { url, secret: WEBHOOK_SECRET.into() };
    let repository = serde_json::json!({ "id": 1, "full_name": REPOSITORY, "private": true, "default_branch": "main" });
    let tip = || -> Result<ObjectId> { Ok(text_of(git(&forge.folder).args(["rev-parse", "main"]))?.trim().parse()?) };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // What was pushed since the last backup, so that every round finds one commit; and a first webhook for the caches.
    for round in 0..=options.rounds {
        let old = tip()?;
        history::push_one_commit(&forge.folder, 1_000_000 + round)?;
        let change = RefChange { name: "refs/heads/main".parse()?, old: Some(old), new: Some(tip()?), forced: false };
        let update_first = round % 2 == 1;
        if update_first {
            theirs.push(mirror.update()?);
        }
        let (before, started) = (usage(&refward.vault())?.0, Instant::now());
        runtime.block_on(send_push(&http, &hook, &repository, &change))?;
        while usage(&refward.vault())?.0 == before {
            if started.elapsed() > Duration::from_secs(30) {
                return Err("the service takes no snapshot: see serve.log".into());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        if round > 0 {
            ours.push(started.elapsed());
        }
        if !update_first {
            theirs.push(mirror.update()?);
        }
    }
    Ok((ours, theirs))
}

/// What peers do: a mirror on the disk, and a backup program that copies it.
struct Mirror {
    repository: PathBuf,
    restic: PathBuf,
    cache: PathBuf,
}

impl Mirror {
    fn new(folder: &Path, forge: &Forge) -> Result<Self> {
        let name = |name: &str| folder.join(name);
        let mirror = Self { repository: name("mirror.git"), restic: name("restic"), cache: name("restic-cache") };
        text_of(git(folder).args(["clone", "--quiet", "--mirror", &forge.clone_url]).arg(&mirror.repository))?;
        text_of(mirror.restic().arg("init"))?;
        mirror.back_up()?;
        Ok(mirror)
    }

    fn update(&self) -> Result<Run> {
        process::run(git(&self.repository).args(["remote", "update"]))
    }

    fn back_up(&self) -> Result<Run> {
        process::run(self.restic().arg("backup").arg("--quiet").arg(&self.repository))
    }

    fn restic(&self) -> Command {
        let mut command = Command::new("restic");
        command.arg("-r").arg(&self.restic).arg("--cache-dir").arg(&self.cache).env("RESTIC_PASSWORD", "benchmark");
        command
    }
}
