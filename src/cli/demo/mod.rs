//! `refward demo`: a guided tour of the real product on loopback.
//!
//! Nothing here is pretended: a real git server with a real repository, the whole service with its defaults, signed webhooks
//! over HTTP, and the same code behind every step as in production. Only the forge is a small stand-in, because GitHub
//! cannot run on a laptop.

pub mod forge;
pub mod git_server;
mod workshop;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::backup::told;
use super::serve::Running;
use crate::config::Settings;
use crate::domain::{Error, Point, RepoAddress, Result, Seq, Snapshot};
use crate::forge::Takes;
use crate::forge::quota::Urgency;
use crate::ops::connect::{Connect, connect};
use crate::ops::restore::{self, Kin, Restore, Server, Source, Target, source_of};
use crate::ops::status::status;
use crate::ops::verify::{Depth, verify};
use crate::ops::{ConnectionSettings, Level, history};
use crate::services::{Given, Services, git_limits, http_client};
use forge::{DemoForge, Hook};
use workshop::Workshop;

/// How long nothing may happen before the tour is called stuck. A big repository of `--repo` keeps the service busy longer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(super) struct Args {
    /// Use a copy of this git repository instead of a small one made on the spot.
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// Where to leave everything; by default a new folder among the temporary ones.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => tempfile::Builder::new()
            .prefix("refward-demo-")
            .tempdir()
            .map_err(|error| cannot("make a folder", &error))?
            .keep(),
    };
    Tour::begin(&dir, args.repo.as_deref()).await?.walk().await
}

/// Everything that the tour holds in its hands.
struct Tour {
    dir: PathBuf,
    forge: DemoForge,
    services: Arc<Services>,
    service: Running,
    workshop: Workshop,
    address: RepoAddress,
}

impl Tour {
    async fn begin(dir: &Path, repo: Option<&Path>) -> Result<Self> {
        say("Refward, a guided tour. Everything happens on this machine, in", &dir.display().to_string());
        let backup = dir.join("backup");
        super::init::init(&backup).await?;
        step(1, "made settings, database, vault, keys and a recovery kit (refward init)");

        let (token, secret) = (random_secret(), random_secret());
        let settings = Settings::load(&backup.join("refward.toml"))?;
        let forge = DemoForge::start(&dir.join("forge"), workshop::OWNER, token.clone(), http_client(&settings.http)?)?;
        let address = forge.create_repository(workshop::NAME).await?;
        let workshop = Workshop::open(dir.join("clone"), &address, &token, repo).await?;
        step(2, &format!("started a git server with a repository: {address}"));

        let services = Services::open(settings).await?;
        let service = Running::start_all(&services, "127.0.0.1:0").await?;
        let listens = service.address.ok_or_else(|| Error::bug("the service has no address"))?;
        let url = format!("http://{listens}/hooks/github").parse();
        let url = url.map_err(|error| Error::bug("the service's address is none").detail(error))?;
        forge.deliver_to(Hook { url, secret: secret.clone() });
        step(3, &format!("started the service on http://{listens} (refward serve)"));

        let address = format!("{}/{}", workshop::OWNER, workshop::NAME).parse()?;
        let tour = Self { dir: dir.to_path_buf(), forge, services, service, workshop, address };
        tour.connect(token, secret).await?;
        Ok(tour)
    }

    async fn connect(&self, token: SecretString, webhook_secret: SecretString) -> Result<()> {
        let request = Connect {
            forge: "github".to_owned(),
            name: "demo".to_owned(),
            url: self.forge.url().clone(),
            owner: Some(workshop::OWNER.to_owned()),
            given: Given::Token(token),
            webhook_secret: Some(webhook_secret),
            settings: ConnectionSettings { auto_add: true, ..Default::default() },
        };
        let connected = connect(&self.services, request).await?;
        step(
            4,
            &format!(
                "connected it: {}, {} (refward connect)",
                connected.inspection.host, connected.inspection.credential
            ),
        );
        Ok(())
    }

    async fn walk(self) -> Result<()> {
        let first = self.snapshot_after(None).await?;
        step(5, &format!("the service took {}", told(&first)));

        let before = self.workshop.tip(&self.workshop.main).await?;
        let lost_main = self.workshop.commit_and_push().await?;
        let pushed = self.snapshot_after(Some(first.seq)).await?;
        step(6, &format!("pushed a commit; the webhook led to: {}", told(&pushed)));

        let lost_branch = self.workshop.tip(workshop::BRANCH).await?;
        self.workshop.force_push(&before).await?;
        let forced = self.snapshot_after(Some(pushed.seq)).await?;
        step(7, &format!("force-pushed {} back, losing {}: {}", self.workshop.main, short(&lost_main), told(&forced)));

        self.workshop.delete_branch().await?;
        let deleted = self.snapshot_after(Some(forced.seq)).await?;
        step(8, &format!("deleted the branch {}: {}", workshop::BRANCH, told(&deleted)));
        self.journal().await?;

        self.bring_back(pushed.seq, &lost_main, &lost_branch).await?;
        self.prove().await?;
        self.farewell();
        self.service.stop(&self.services).await;
        Ok(())
    }

    /// Waits for the snapshot after `seq`, as anybody watching `refward status` would.
    async fn snapshot_after(&self, seq: Option<Seq>) -> Result<Snapshot> {
        let mut idle_since = Instant::now();
        while idle_since.elapsed() < PATIENCE {
            let repository = self.services.catalog.resolve(&self.address).await?;
            let snapshots = history::snapshots(&self.services.catalog, &repository.id).await?;
            if let Some(newest) = snapshots.into_iter().next_back().filter(|newest| Some(newest.seq) > seq) {
                return Ok(newest);
            }
            let rows = status(&self.services.catalog).await?.repositories;
            if let Some(error) = rows.iter().find_map(|row| row.last_error.clone()) {
                return Err(Error::remote(error).while_doing("the tour's backup failed"));
            }
            if rows.iter().any(|row| row.queue != "idle") {
                idle_since = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Error::bug("the tour waits for a snapshot that does not come"))
    }

    async fn journal(&self) -> Result<()> {
        step(9, "what the journal says of it (refward journal):");
        let repository = self.services.catalog.resolve(&self.address).await?;
        for row in history::journal(&self.services.catalog, &repository.id, None)
            .await?
            .into_iter()
            .filter(|row| row.old.is_some())
        {
            let new = row.new.map_or_else(|| "deleted   ".to_owned(), |id| id.short());
            let old = row.old.map(|id| id.short()).unwrap_or_default();
            println!(
                "       {:>3}  {:<22} {old} → {new}{}",
                row.seq,
                row.name.short(),
                if row.forced { "  FORCED" } else { "" }
            );
        }
        Ok(())
    }

    /// The lost commits, twice: into a folder, and beside what is there on the server.
    async fn bring_back(&self, seq: Seq, lost_main: &str, lost_branch: &str) -> Result<()> {
        let source = self.source().await?;
        let folder = self.dir.join("restored.git");
        let to_folder = Target::Directory { dir: folder.clone(), bare: true };
        self.restore(&source, seq, to_folder).await?;
        workshop::expect_commit(&folder, lost_main).await?;
        workshop::expect_commit(&folder, lost_branch).await?;
        step(10, &format!("restored snapshot {seq} to {}; both lost commits are there", folder.display()));

        let repository = self.services.catalog.resolve(&self.address).await?;
        let remote = self.services.remote(&repository, Urgency::Person, &[]).await?;
        let beside = Server::new(remote, Kin::Same, Takes::UNKNOWN, &self.services.settings);
        let beside = Target::Server(Server { prefix: Some("refs/heads/restored/".to_owned()), ..beside });
        let receipt = self.restore(&source, seq, beside).await?;
        step(11, &format!("pushed {} references back as restored/…, overwriting nothing", receipt.written.len()));
        Ok(())
    }

    async fn source(&self) -> Result<Source> {
        let limits = git_limits(&self.services.settings.git);
        let repository = self.services.catalog.resolve(&self.address).await?;
        source_of(Arc::clone(&self.services.vault), limits, &self.services.catalog, &repository).await
    }

    async fn restore(&self, source: &Source, seq: Seq, target: Target) -> Result<restore::Receipt> {
        let request = Restore { at: Some(Point::Seq(seq)), refs: Vec::new(), target, force: false };
        let plan = restore::plan(source, &request, &self.services.git).await?;
        restore::run(source, &request, &plan, &|_| {}).await
    }

    async fn prove(&self) -> Result<()> {
        let repository = self.services.catalog.resolve(&self.address).await?;
        let verified =
            verify(&self.services, &repository, Depth { level: Level::ReadData(1.0), drill: true }, &|_| {}).await?;
        if !verified.findings.is_empty() {
            return Err(Error::damaged(verified.findings[0].problem.clone()));
        }
        step(
            12,
            &format!(
                "read every byte of {} snapshots, rebuilt the repository, fsck is clean (refward verify --drill)",
                verified.snapshots
            ),
        );
        Ok(())
    }

    fn farewell(&self) {
        let backup = self.dir.join("backup");
        println!("\nLook around:");
        for command in ["snapshots", "journal", "refs"] {
            println!("  refward --config {}/refward.toml {command} {}", backup.display(), self.address);
        }
        println!("  cat {}/recovery-kit.txt", backup.display());
        println!("\nThen your own: refward init --dir backup, and the README's next five minutes.");
    }
}

fn random_secret() -> SecretString {
    SecretString::from(uuid::Uuid::new_v4().simple().to_string())
}

fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}

fn say(what: &str, value: &str) {
    println!("{what} {value}\n");
}

fn step(number: u8, what: &str) {
    println!("{number:>3}. {what}");
}

fn cannot(what: &str, error: &std::io::Error) -> Error {
    Error::misconfigured(format!("cannot {what}: {error}"))
}
