//! What thousands of pushes come to after compaction: objects, bytes, and the time of a restore.

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use clap::Parser as _;
use common::history::{Choice, History, pack_bytes};
use common::refward::Refward;
use common::report::{Report, megabytes, seconds};
use common::{Result, bench_dir, git, scratch, text_of};
use refward::assembly::{Source, assemble};
use refward::catalog::RestoredRepository;
use refward::config::Settings;
use refward::domain::{Coverage, Head, Ledger, ObjectFormat, ObjectId, RefChange, RefState, RepoId, Seq, Trigger};
use refward::git::{Pack, bare, read_pack};
use refward::jobs;
use refward::services::{Services, git_limits};
use refward::vault::{self, Appended, PackEntry, PackSource, Parent, Record};

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    history: Choice,
    /// Snapshots after the first: each brings one more commit of `main`, and what it merged.
    #[arg(long, default_value_t = 1_000)]
    pushes: usize,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let history = History::prepare(&options.history)?;
    let folder = scratch()?;
    let pushes = Pushes::of(&history, options.pushes)?;
    let refward = Refward::init(&folder.path().join("refward"))?;
    let mut settings = Settings::load(&refward.dir.join("refward.toml"))?;
    settings.prune.grace = Duration::ZERO;
    settings.compact.bytes_per_day = 1 << 50;
    let title = "Compaction: a snapshot of each push of one commit, joined as a service would, then pruned";
    let mut report = Report::new(&format!("{title}\n{}", history.describe()));
    tokio::runtime::Runtime::new()?.block_on(run(settings, &history, &pushes, folder.path(), &mut report))?;
    report.print();
    Ok(())
}

async fn run(settings: Settings, history: &History, pushes: &Pushes, folder: &Path, report: &mut Report) -> Result<()> {
    let services = Services::open(settings).await?;
    let mut chain = Chain::begin(services).await?;
    let mut joining = Duration::ZERO;
    let mut next_look = 1;
    for (number, tip) in pushes.tips.iter().enumerate() {
        chain.snapshot(*tip, &pushes.pack(number)).await?;
        if number > 0 && number % chain.services.settings.compact.after == 0 {
            let clock = Instant::now();
            jobs::compact(&chain.services, &chain.repo).await?;
            joining += clock.elapsed();
        }
        if number == next_look || number + 1 == pushes.tips.len() {
            next_look *= 10;
            let (packs, time) = chain.restore(folder).await?;
            let cover = chain.services.vault.cover(&chain.repo).await?;
            let what = format!("restore after {number} pushes");
            report.note(&what, seconds(time), format!("{packs} packs of {} objects", cover.live.len()));
        }
    }
    let before = chain.stored().await?;
    jobs::compact(&chain.services, &chain.repo).await?;
    for _ in 0..2 {
        jobs::prune_now(&chain.services, true).await?.1?;
    }
    let after = chain.stored().await?;
    let fresh = fresh_full(history, pushes, folder)?;
    let spans = chain.services.catalog.spans(&chain.repo).await?;
    let rewritten: u64 = spans.iter().map(|span| span.stored_bytes).sum();
    let count = pushes.tips.len() - 1;
    report.note("objects in the vault before prune", before.0.to_string(), String::new());
    let single = |single: &vault::Stored| single.extent.is_single();
    let cover = chain.services.vault.cover(&chain.repo).await?;
    let consolidated = cover.live.iter().filter(|stored| !single(stored)).count();
    report.note("objects after prune", after.0.to_string(), format!("{consolidated} of them consolidated"));
    let ratio = megabytes(after.1) / megabytes(fresh);
    report.limit("stored, against a fresh full (`git repack -adf`)", ratio, None, 1.15, "×");
    report.note("stored", format!("{:.2} MB", megabytes(after.1)), format!("{:.2} MB", megabytes(fresh)));
    report.note("pushed, the first snapshot aside", format!("{:.2} MB", megabytes(chain.pushed)), String::new());
    let per_byte = megabytes(rewritten) / megabytes(chain.pushed);
    report.note("rewritten for each byte pushed", format!("{per_byte:.1}"), format!("{} times", spans.len()));
    report.note("time of joining, for each push", seconds(joining / u32::try_from(count)?), String::new());
    Ok(())
}

/// The tips of a branch and a pack for each, as a server would send them.
struct Pushes {
    tips: Vec<ObjectId>,
    folder: PathBuf,
}

impl Pushes {
    /// The last `count` first-parent commits of `main`; all that was before is the first snapshot. Kept between runs.
    fn of(history: &History, count: usize) -> Result<Self> {
        let listed = text_of(git(&history.path).args(["rev-list", "--first-parent", "--reverse", "main"]))?;
        let all: Vec<ObjectId> = listed.lines().map(str::parse).collect::<Result<_, _>>()?;
        let start = all.len().checked_sub(count + 1).ok_or("the history has fewer commits than that: --mb")?;
        let tips = all[start..].to_vec();
        let name = history.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = bench_dir().join(format!("pushes-{name}-{count}"));
        let pushes = Self { tips, folder };
        std::fs::create_dir_all(&pushes.folder)?;
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), String> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(tip) = pushes.tips.get(number) else { return Ok(()) };
                let before = number.checked_sub(1).map(|before| pushes.tips[before]);
                pushes.make(&history.path, number, tip, before).map_err(|error| error.to_string())?;
            }
        };
        std::thread::scope(|threads| {
            let running: Vec<_> = (0..4).map(|_| threads.spawn(work)).collect();
            running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread died".to_owned())?)
        })?;
        Ok(pushes)
    }

    fn pack(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number}.pack"))
    }

    fn make(&self, from: &Path, number: usize, tip: &ObjectId, before: Option<ObjectId>) -> Result<()> {
        if self.pack(number).exists() {
            return Ok(());
        }
        let part = self.folder.join(format!("{number}.part"));
        let mut child = git(from)
            .args(["pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset", "--threads=1"])
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&part)?)
            .spawn()?;
        let wanted = before.map_or_else(|| format!("{tip}\n"), |before| format!("{tip}\n^{before}\n"));
        child.stdin.take().ok_or("no standard input")?.write_all(wanted.as_bytes())?;
        if !child.wait()?.success() {
            return Err("git pack-objects failed".into());
        }
        Ok(std::fs::rename(part, self.pack(number))?)
    }
}

/// The snapshots of one repository, as a service takes them but for the forge.
struct Chain {
    services: Arc<Services>,
    repo: RepoId,
    parent: Option<Parent>,
    tip: Option<ObjectId>,
    /// Bytes stored by all snapshots but the first.
    pushed: u64,
}

impl Chain {
    async fn begin(services: Arc<Services>) -> Result<Self> {
        let repo = RepoId::derive("github", "github.com", "1");
        let known_as = RestoredRepository {
            forge: "github".to_owned(),
            host: "github.com".to_owned(),
            forge_id: "1".to_owned(),
            full_name: "bench/bench".to_owned(),
        };
        services.catalog.rebuild(&known_as, &repo, Vec::new(), &[]).await?;
        Ok(Self { services, repo, parent: None, tip: None, pushed: 0 })
    }

    async fn snapshot(&mut self, tip: ObjectId, file: &Path) -> Result<()> {
        let services = &self.services;
        let pack = read_pack(file, ObjectFormat::Sha1, &git_limits(&services.settings.git)).await?;
        let entry = entry(&pack);
        let refs = Coverage { expected: 1, captured: 1 };
        let main = "refs/heads/main".parse()?;
        let record = Record {
            format: vault::FORMAT,
            vault: services.vault.id(),
            repo: self.repo.clone(),
            seq: self.parent.map_or(Seq::FIRST, |parent| parent.seq.next()),
            forge: "github".to_owned(),
            host: "github.com".to_owned(),
            forge_id: "1".to_owned(),
            full_name: "bench/bench".to_owned(),
            time: Utc::now(),
            trigger: Trigger::default(),
            parent: self.parent,
            object_format: ObjectFormat::Sha1,
            head: Some(Head::Symbolic("refs/heads/main".parse()?)),
            changes: vec![RefChange { name: main, old: self.tip, new: Some(tip), forced: false }],
            refs: None,
            pack: Some(entry),
            ledger: Ledger { kinds: BTreeMap::from([("refs".to_owned(), refs)]), skipped: Vec::new() },
            duration_ms: 0,
            span: None,
            packed: None,
        };
        let source = PackSource { pack: Box::new(pack.reader()), index: None };
        let Appended::Written(sealed) = services.vault.append(&record, Some(source)).await? else {
            return Err("the number is taken".into());
        };
        services.catalog.commit(jobs::row(&record, sealed, 1)).await?;
        self.pushed += if self.parent.is_some() { sealed.bytes } else { 0 };
        self.parent = Some(Parent { seq: record.seq, sealed });
        self.tip = Some(tip);
        Ok(())
    }

    /// Restores the newest snapshot; gives the packs that were read for it.
    async fn restore(&self, folder: &Path) -> Result<(usize, Duration)> {
        let clock = Instant::now();
        let source = Source {
            vault: Arc::clone(&self.services.vault),
            repo: self.repo.clone(),
            limits: git_limits(&self.services.settings.git),
            known: BTreeMap::new(),
        };
        let (seq, state): (Seq, RefState) = source.vault.state_at(&self.repo, None).await?;
        let target = folder.join("restored.git");
        bare::create(&target, &state)?;
        let packs = assemble(&source, seq, &target.join("objects/pack"), &|_| {}).await?;
        let time = clock.elapsed();
        text_of(git(&target).args(["fsck", "--connectivity-only", "--no-dangling"]))?;
        std::fs::remove_dir_all(&target)?;
        Ok((packs, time))
    }

    /// Number and bytes of all objects of the repository.
    async fn stored(&self) -> Result<(usize, u64)> {
        let cover = self.services.vault.cover(&self.repo).await?;
        let all = || cover.live.iter().chain(&cover.superseded);
        Ok((all().count(), all().map(|stored| stored.bytes).sum()))
    }
}

fn entry(pack: &Pack) -> PackEntry {
    PackEntry {
        checksum: pack.checksum(),
        bytes: pack.bytes(),
        objects: pack.objects(),
        sha256: pack.sha256(),
        index: None,
    }
}

/// Bytes of the same history in one pack that git has made as well as it does.
fn fresh_full(history: &History, pushes: &Pushes, folder: &Path) -> Result<u64> {
    let fresh = folder.join("fresh.git");
    text_of(
        git(folder)
            .args(["clone", "--quiet", "--bare", "--single-branch", "--branch=main"])
            .arg(&history.path)
            .arg(&fresh),
    )?;
    let tip = pushes.tips.last().ok_or("no pushes")?.to_string();
    text_of(git(&fresh).args(["update-ref", "refs/heads/main", &tip]))?;
    text_of(git(&fresh).args(["repack", "-adfq"]))?;
    pack_bytes(&fresh)
}
