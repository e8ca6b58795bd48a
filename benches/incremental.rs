//! A backup after a push of one commit, against a warm mirror, and against a warm mirror that restic backs up.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser as _;
use common::forge::{Forge, Kind, OWNER, REPOSITORY};
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
    let title = "Incremental backup after a push of one commit: `refward backup REPO --wait` (whole process)\n\
                 against `git remote update` in a warm mirror, and that plus `restic backup` of the mirror";
    let mut report = Report::new(&format!("{title}\n{}", history.describe()));
    let start = |kind| Scene::start(kind, folder.path(), &history);
    let mut scenes = [start(Kind::Github)?, start(Kind::Azure)?];
    for round in 0..options.rounds {
        for scene in &mut scenes {
            scene.turn(round)?;
        }
    }
    for scene in &mut scenes {
        scene.stored = minus(usage(&scene.mirror.restic)?, scene.stored);
        scene.age(&options)?;
    }
    let (served, beside) = served(&scenes[0], &options)?;

    for scene in &scenes {
        scene.tell(&mut report, &options);
        if scene.forge.kind == Kind::Github {
            let what = "running service, from the webhook to the sealed object / git remote update";
            report.ratio(what, median(&served), walls(&beside), 0.35);
        }
    }
    let [github, azure] = &scenes;
    let what = "for comparison: Azure DevOps, protocol v0 / GitHub, protocol v2";
    report.ratio(what, wall(azure.first(&options)), wall(github.first(&options)), 1.0);
    report.print();
    Ok(())
}

/// A forge, an installation that backs its repository up, and a peer.
struct Scene {
    forge: Forge,
    refward: Refward,
    mirror: Mirror,
    ours: Vec<Snapshot>,
    updates: Vec<Run>,
    restics: Vec<Run>,
    /// Updates after all pushes.
    late: Vec<Run>,
    /// Files and bytes of restic: before the first turn, then what all turns brought.
    stored: (u64, u64),
}

impl Scene {
    fn start(kind: Kind, folder: &Path, history: &History) -> Result<Self> {
        let folder = folder.join(if kind == Kind::Github { "github" } else { "azure" });
        std::fs::create_dir_all(&folder)?;
        let forge = Forge::start(kind, &folder.join("forge"), history)?;
        let refward = Refward::init(&folder.join("refward"))?;
        match kind {
            Kind::Github => refward.connect(&forge.url, OWNER, &[])?,
            Kind::Azure => refward.connect_azure(&forge.url)?,
        }
        refward.backup(REPOSITORY)?;
        let mirror = Mirror::new(&folder, &forge)?;
        let stored = usage(&mirror.restic)?;
        let (ours, updates, restics, late) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { forge, refward, mirror, ours, updates, restics, late, stored })
    }

    /// A push, and all who deal with it.
    fn turn(&mut self, round: u64) -> Result<()> {
        history::push_one_commit(&self.forge.folder, round)?;
        // Whoever comes second finds the server's files in memory: take turns.
        if round.is_multiple_of(2) {
            self.ours.push(back_up(&self.refward)?);
        }
        self.updates.push(self.mirror.update()?);
        self.restics.push(self.mirror.back_up()?);
        if !round.is_multiple_of(2) {
            self.ours.push(back_up(&self.refward)?);
        }
        Ok(())
    }

    /// All other pushes. The server ages as well: what becomes of the peer says how much of a change is not ours.
    fn age(&mut self, options: &Options) -> Result<()> {
        for number in options.rounds..options.pushes {
            history::push_one_commit(&self.forge.folder, number)?;
            if number.is_multiple_of(100) {
                history::maintain(&self.forge.folder)?;
            }
            self.ours.push(back_up(&self.refward)?);
        }
        history::maintain(&self.forge.folder)?;
        self.mirror.update()?;
        for number in 0..options.rounds {
            history::push_one_commit(&self.forge.folder, options.pushes + number)?;
            self.late.push(self.mirror.update()?);
        }
        Ok(())
    }

    /// The snapshots that were taken beside the peer.
    fn first(&self, options: &Options) -> &[Snapshot] {
        &self.ours[..usize::try_from(options.rounds).unwrap_or(usize::MAX).min(self.ours.len())]
    }

    fn tell(&self, report: &mut Report, options: &Options) {
        report.heading(self.forge.kind.title());
        let first = self.first(options);
        let (update, restic) = (walls(&self.updates), walls(&self.restics));
        report.ratio("time / git remote update", wall(first), update, 0.35);
        report.ratio("time / git remote update + restic backup", wall(first), update + restic, 0.1);
        report.note("the same without the start of the process", seconds(own(first)), "");
        let peak = megabytes(self.ours.iter().map(|snapshot| snapshot.run.peak).max().unwrap_or(0));
        let git_peak = megabytes(self.updates.iter().map(|run| run.peak).max().unwrap_or(0));
        report.limit("peak memory of the largest process", peak, Some(git_peak), 64.0, "MB");
        storage(report, &self.ours, self.stored, options.rounds);
        growth(report, &self.ours);
        let what = "for comparison: git remote update at the end / at the start";
        report.note(what, "", format!("{} / {}", seconds(walls(&self.late)), seconds(update)));
    }
}

fn minus(after: (u64, u64), before: (u64, u64)) -> (u64, u64) {
    (after.0 - before.0, after.1 - before.1)
}

fn walls(runs: &[Run]) -> Duration {
    median(&runs.iter().map(|run| run.wall).collect::<Vec<_>>())
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
fn served(scene: &Scene, options: &Options) -> Result<(Vec<Duration>, Vec<Run>)> {
    let Scene { forge, refward, mirror, .. } = scene;
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
