//! Chat: how soon an interaction has its first answer while backups run, against a handler that only verifies the signature;
//! and how soon a force-push is undone by people who do not hesitate.

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use clap::Parser as _;
use common::history::{Choice, History};
use common::load::Load;
use common::report::{Report, seconds};
use common::service::{Server, free_address};
use common::{Result, median};
use refward::catalog::{Catalog, IdentityLink};
use refward::config::Settings;
use refward::domain::{By, Person};
use serenity::interactions_endpoint::Verifier;
use support::fake_discord::{Channel, FakeDiscord, Member, Message};
use support::fake_github::Repo;
use support::world::{Service, World};

/// The goal for the first answer.
const FIRST_ANSWER: f64 = 200.0;

#[derive(clap::Parser)]
struct Options {
    /// Of each side.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Repositories that are backed up for the first time while people ask.
    #[arg(long, default_value_t = 100)]
    backups: usize,
    /// How large each of them is.
    #[arg(long, default_value_t = 3)]
    mb: u64,
    /// People who ask, each again as soon as they were answered and have thought.
    #[arg(long, default_value_t = 50)]
    users: usize,
    /// How long each of them thinks, in milliseconds.
    #[arg(long, default_value_t = 250)]
    pause: u64,
    /// Force-pushes that are undone.
    #[arg(long, default_value_t = 5)]
    undone: usize,
    /// The repository in which, in megabytes.
    #[arg(long, default_value_t = 20)]
    undone_mb: u64,
    /// Be the peer: an empty handler, which verifies with this key.
    #[arg(long, hide = true)]
    empty: Option<String>,
    /// Where.
    #[arg(long, hide = true)]
    listen: Option<SocketAddr>,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let (Some(key), Some(address)) = (&options.empty, options.listen) {
        return actix_web::rt::System::new().block_on(empty(key.clone(), address));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut report = Report::new(&format!(
            "{} people ask `/refward status` {} ms after every answer while {} repositories of {} MB are backed up for the \
             first time;\nthe forge, Discord and the people are on the same cores. The peer is an actix handler that \
             verifies the signature and answers; the same backups run beside it.\nThen a force-push is undone, asked and \
             approved by two people at once who do not hesitate. The peer is `git push --force` by hand.",
            options.users, options.pause, options.backups, options.mb
        ));
        first_answers(&options, &mut report).await?;
        undone(&options, &mut report).await?;
        report.print();
        Ok(())
    })
}

async fn first_answers(options: &Options, report: &mut Report) -> Result<()> {
    let history = history(options.mb)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                ours.push(Busy::start(options, &history).await?.asked(options, false).await?);
            } else {
                theirs.push(Busy::start(options, &history).await?.asked(options, true).await?);
            }
        }
    }
    // Of each side the round in the middle, by its p99.
    let middle = |loads: &mut Vec<Load>| {
        loads.sort_by_key(|load| load.percentile(99));
        loads.swap_remove(loads.len() / 2)
    };
    let (ours, theirs) = (middle(&mut ours), middle(&mut theirs));
    let count = |load: &Load| format!("{} in {}", load.latencies.len(), seconds(load.elapsed));
    report.note("first answers", count(&ours), count(&theirs));
    report.note("p50", seconds(ours.percentile(50)), seconds(theirs.percentile(50)));
    let milliseconds = |load: &Load| load.percentile(99).as_secs_f64() * 1e3;
    report.limit("p99", milliseconds(&ours), Some(milliseconds(&theirs)), FIRST_ANSWER, "ms");
    let ratio = milliseconds(&ours) / milliseconds(&theirs);
    report.note("p99 as a multiple of the peer's", format!("{ratio:.1} ×"), "");
    Ok(())
}

/// A service that is about to back many repositories up.
struct Busy {
    world: World,
    service: Service,
    repositories: usize,
}

impl Busy {
    async fn start(options: &Options, history: &History) -> Result<Self> {
        let world = World::with_discord(&[]).await;
        let acme = world.github.org("acme");
        for number in 0..options.backups {
            let folder = acme.repo(&format!("repo-{number}")).await.folder();
            std::fs::remove_dir_all(&folder)?;
            history.copy_to(&folder)?;
        }
        let service = world.serve().await;
        world.ok(&["discord", "register"]).await;
        let crew = format!("discord:role:{}", world.discord().role("crew"));
        world.ok(&["grants", "add", &crew, "viewer"]).await;
        Ok(Self { world, service, repositories: options.backups })
    }

    /// Has everything backed up while people ask, us or the peer.
    async fn asked(self, options: &Options, peer: bool) -> Result<Load> {
        let discord = self.world.discord();
        let peer = peer.then(|| Peer::start(discord)).transpose()?;
        self.world.connect("acme").await;
        self.world.ok(&["backup", "--all"]).await;
        self.snapshots_reach(1).await?;
        let (ended, started) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let channel = discord.channel("ops");
        let people = (0..options.users).map(|number| {
            let member = discord.member(&format!("user-{number}")).roles(&["crew"]);
            tokio::spawn(ask(member, channel.clone(), Duration::from_millis(options.pause), ended.clone()))
        });
        let people: Vec<_> = people.collect();
        self.snapshots_reach(self.repositories).await?;
        ended.store(true, Ordering::Relaxed);
        let elapsed = started.elapsed();
        let mut latencies = Vec::new();
        for person in people {
            latencies.extend(person.await??);
        }
        drop(peer);
        Ok(Load { latencies, elapsed })
    }

    /// Waits until so many snapshots were made.
    async fn snapshots_reach(&self, count: usize) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        loop {
            let metrics = http.get(self.service.url("/metrics")).send().await?.error_for_status()?.text().await?;
            let made = metrics.lines().find_map(|line| line.strip_prefix("refward_snapshots_total ")?.parse().ok());
            if made.unwrap_or(0) >= count {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Asks until it is over; tells how long each first answer took.
async fn ask(
    member: Member,
    channel: Channel,
    pause: Duration,
    ended: Arc<AtomicBool>,
) -> Result<Vec<Duration>, String> {
    let mut latencies = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let told = member.says(&channel, "/refward status").await;
        if told.status != 200 || told.first["type"] != 5 {
            return Err(format!("answered with {} {}", told.status, told.first));
        }
        latencies.push(told.took);
        tokio::time::sleep(pause).await;
    }
    Ok(latencies)
}

/// The empty handler, in a process of its own.
struct Peer(#[expect(dead_code, reason = "it is killed when this is dropped")] Server);

impl Peer {
    fn start(discord: &FakeDiscord) -> Result<Self> {
        let address = free_address()?;
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args(["--empty", &discord.public_key(), "--listen", &address.to_string()]);
        let server = Server::start(&mut command, address)?;
        discord.hook_to(&format!("http://{address}/hooks/discord").parse()?);
        Ok(Self(server))
    }
}

async fn empty(key: String, address: SocketAddr) -> Result<()> {
    let answer = |request: HttpRequest, body: Bytes, verifier: web::Data<Verifier>| async move {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (signature, time) = (header("x-signature-ed25519"), header("x-signature-timestamp"));
        match verifier.verify(signature, time, &body) {
            Ok(()) => HttpResponse::Ok().content_type("application/json").body(r#"{"type":5,"data":{"flags":64}}"#),
            Err(()) => HttpResponse::Unauthorized().finish(),
        }
    };
    let app = move || {
        App::new().app_data(web::Data::new(Verifier::new(&key))).route("/hooks/discord", web::post().to(answer))
    };
    HttpServer::new(app).tcp_nodelay(true).bind(address)?.run().await?;
    Ok(())
}

async fn undone(options: &Options, report: &mut Report) -> Result<()> {
    let history = history(options.undone_mb)?;
    let scene = Scene::set(&history).await?;
    let (mut noticed, mut back, mut by_hand) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..options.undone {
        let (notice, undo) = scene.lose_and_undo(number).await?;
        noticed.push(notice);
        back.push(undo);
    }
    // Afterwards: what is lost here is told, too, maybe later, and nobody undoes it.
    for number in 0..options.undone {
        by_hand.push(scene.by_hand(number).await?);
    }
    report.note("force-push → its notice stands in the channel", seconds(median(&noticed)), "");
    report.note("notice → the branch is back", seconds(median(&back)), seconds(median(&by_hand)));
    let slowest = back.iter().max().copied().unwrap_or_default();
    report.note("  slowest", seconds(slowest), seconds(by_hand.iter().max().copied().unwrap_or_default()));
    Ok(())
}

/// A repository that is backed up, two people who may restore, and a channel that hears of everything.
struct Scene {
    world: World,
    _service: Service,
    api: Repo,
    work: support::fake_github::Work,
    ops: Channel,
    mona: Member,
    lisa: Member,
}

impl Scene {
    async fn set(history: &History) -> Result<Self> {
        let world = World::with_discord(&[]).await;
        let api = world.github.org("acme").public_repo("api").await;
        std::fs::remove_dir_all(api.folder())?;
        history.copy_to(&api.folder())?;
        let (mona, lisa) = (world.discord().member("mona"), world.discord().member("lisa"));
        let ops = world.discord().channel("ops");
        world.tells(&ops, "severity = \"info\"");
        world.connect("acme").await;
        let service = world.serve().await;
        world.ok(&["discord", "register"]).await;
        for member in [&mona, &lisa] {
            world.ok(&["grants", "add", &format!("discord:user:{}", member.id), "restorer"]).await;
            link(&world, member).await?;
            api.collaborator(&member.name, "write");
        }
        world.snapshot("acme/api", 1).await;
        let work = api.work().await;
        work.git(&["fetch", "--quiet", "origin", "main"]).await;
        work.git(&["checkout", "--quiet", "-B", "main", "FETCH_HEAD"]).await;
        Ok(Self { world, _service: service, api, work, ops, mona, lisa })
    }

    /// Loses the newest commit and has it undone: from the push to the notice, and from there to the end.
    async fn lose_and_undo(&self, number: usize) -> Result<(Duration, Duration)> {
        let (tip, seen) = (self.advance(number).await, self.undo_buttons());
        self.work.git(&["reset", "--quiet", "--hard", "HEAD~1"]).await;
        self.work.push(&["--force", "main"]).await;
        let pushed = Instant::now();
        let (notice, undo) = self.notice(&seen).await;
        let noticed = pushed.elapsed();
        let plan = self.mona.presses_id(&notice, &undo).await.answer().await;
        self.mona.presses(&plan, "Confirm").await.answer().await;
        let waits = self.ops.says("waits for a second person").await;
        let shown = self.lisa.presses(&waits, "Show plan").await.answer().await;
        self.lisa.presses(&shown, "Approve").await.answer().await;
        while self.api.tip("refs/heads/main").await != tip {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let back = pushed.elapsed().saturating_sub(noticed);
        self.work.git(&["reset", "--quiet", "--hard", &tip]).await;
        self.world.idle().await;
        Ok((noticed, back))
    }

    /// The message that tells of what was lost just now, and its button.
    async fn notice(&self, seen: &[(Message, String)]) -> (Message, String) {
        let known = |id: &String| seen.iter().any(|(_, known)| known == id);
        loop {
            if let Some(found) = self.undo_buttons().into_iter().find(|(_, id)| !known(id)) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// All that can be undone, by what the buttons tell the application.
    fn undo_buttons(&self) -> Vec<(Message, String)> {
        let of = |message: Message| {
            let labels = message.buttons().into_iter().filter(|label| label.starts_with("Undo"));
            labels.map(|label| (message.clone(), message.button(&label))).collect::<Vec<_>>()
        };
        self.ops.messages().into_iter().flat_map(of).collect()
    }

    /// What somebody does who still has the commit.
    async fn by_hand(&self, number: usize) -> Result<Duration> {
        let tip = self.advance(number).await;
        self.work.push(&["--force", &format!("{tip}~1:refs/heads/main")]).await;
        let started = Instant::now();
        self.work.push(&["--force", "main"]).await;
        let took = started.elapsed();
        self.world.idle().await;
        Ok(took)
    }

    /// One more commit, backed up.
    async fn advance(&self, number: usize) -> String {
        let tip = self.work.commit(&format!("change {number}")).await;
        self.work.push(&["main"]).await;
        self.world.idle().await;
        tip
    }
}

/// Somebody is who they are on the forge, where they may do what they like.
async fn link(world: &World, member: &Member) -> Result<()> {
    let settings = Settings::load(&world.folder().join("refward.toml"))?;
    let catalog = Catalog::connect(&settings.database).await?;
    let (host, person, now) = (world.github.url(), Person::new("discord", &member.id)?, Utc::now());
    let link = IdentityLink {
        person: person.clone(),
        forge: "github".to_owned(),
        host: format!("{}:{}", host.host_str().ok_or("no host")?, host.port().ok_or("no port")?),
        forge_user: world.github.user_id(&member.name),
        login: member.name.clone(),
        created_at: now,
        expires_at: now + TimeDelta::days(1),
    };
    catalog.put_link(&link, &By { who: person.to_string(), whence: "benchmark".to_owned() }).await?;
    Ok(())
}

/// A made history of about this size.
fn history(mb: u64) -> Result<History> {
    #[derive(clap::Parser)]
    struct Size {
        #[command(flatten)]
        choice: Choice,
    }
    History::prepare(&Size::parse_from(["", "--mb", &mb.to_string()]).choice)
}
