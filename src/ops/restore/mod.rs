//! Restore: the product. Needs the vault and its key, nothing else; the catalog only helps to find a name.
//!
//! Always a plan first: which reference of the target would become what. Nothing that exists is touched unless the request
//! says `force`, and then the plan has named it. Whatever is restored was read through the vault's own checks: signature,
//! hash chain, pack checksums; a damaged object stops the restore and is named.

mod directory;
mod locate;
mod place;
mod plan;
mod remote;
mod travel;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::config::Settings;
use crate::domain::{Error, Kind, Point, RefName, Result, Seq, Skipped};
use crate::forge::{Forge, Takes};
use crate::git;
use crate::services::git_net;
use crate::vault::{Moment, Vault, object_name};

pub use crate::vault::Progress;

pub use crate::assembly::Source;
pub use locate::{Namesake, locate, namesakes, source_of};
pub use place::Place;
pub(in crate::ops) use place::nothing_writes;
pub(in crate::ops) use plan::select;
pub use plan::{Action, Plan, PlannedRef};
pub(in crate::ops) use travel::{Journey, left_behind, refuse_format, refuse_names};

/// What to bring back.
pub struct Restore {
    /// When; by default the newest snapshot.
    pub at: Option<Point>,
    /// Only these references (`main`, `refs/tags/v1`); none named: all.
    pub refs: Vec<String>,
    /// Where to.
    pub target: Target,
    /// Overwrite what the target holds, as planned.
    pub force: bool,
}

/// Where to restore to.
pub enum Target {
    /// A folder: new, empty, or an existing repository.
    Directory {
        /// The folder.
        dir: PathBuf,
        /// Without a working tree.
        bare: bool,
    },
    /// A repository on a server.
    Server(Server),
}

/// A repository on a server, to be pushed to.
#[derive(Clone)]
pub struct Server {
    /// Its address and credential.
    pub remote: git::Remote,
    /// What it is to the repository that was backed up.
    pub kin: Kin,
    /// Put `refs/heads/x` under this instead of `refs/`.
    pub prefix: Option<String>,
    /// What the server takes.
    pub takes: Takes,
    /// Proxy and certificates.
    pub net: git::program::Net,
}

/// What a target is to the repository that was backed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// Itself.
    Same,
    /// Another, or we do not know.
    Other,
    /// One that is made for this.
    New,
}

impl Server {
    /// `takes`: what is known of the server, unless the settings say otherwise.
    pub fn new(remote: git::Remote, kin: Kin, mut takes: Takes, settings: &Settings) -> Self {
        if settings.restore.largest_push > 0 {
            takes.largest_push = Some(settings.restore.largest_push);
        }
        Self { remote, kin, prefix: None, takes, net: git_net(&settings.http) }
    }

    fn called(&self) -> &str {
        self.remote.url.host_str().unwrap_or_default()
    }
}

/// How far a restore is.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Objects of the vault have been read.
    Read(Progress),
    /// So many pushes are done, where one does not hold everything.
    Pushed(Progress),
}

/// What was done.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Receipt {
    pub repository: String,
    pub seq: Seq,
    pub time: DateTime<Utc>,
    pub target: String,
    pub written: Vec<RefName>,
    pub kept: Vec<RefName>,
    /// References that no target of this kind takes, and why; as the plan said.
    pub skipped: Vec<Refused>,
    /// References that the target refused, and why.
    pub refused: Vec<Refused>,
    /// What a large push needed on the way and the target did not let go again, and why: somebody has to delete it there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_over: Vec<Refused>,
    /// What the snapshot does not hold, and what would complete it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Skipped>,
    /// Deleted repositories of the same name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namesakes: Vec<Namesake>,
    pub packs: usize,
    pub duration_ms: u64,
}

/// A reference that the target did not take.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Refused {
    #[serde(rename = "ref")]
    pub name: RefName,
    pub why: String,
    /// The rule that it breaks, where we know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What somebody can do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_out: Option<String>,
}

/// Says what [`run`] would do; changes nothing.
pub async fn plan(source: &Source, request: &Restore, client: &git::Client) -> Result<Plan> {
    let Moment { record, state } = moment(source, request.at).await?;
    let now = match &request.target {
        Target::Directory { dir, .. } => directory::state_of(dir).await?,
        Target::Server(server) => remote::state_of(client, server).await?,
    };
    Plan::make(&record, &state, now.as_ref(), request)
}

/// The recovery point at a moment, `None`: the newest, and every reference at it.
pub(in crate::ops) async fn moment(source: &Source, at: Option<Point>) -> Result<Moment> {
    not_shortened(source, at).await?;
    source.vault.moment(&source.repo, at).await
}

/// A chain proves everything but its end: without this an older state would pass for the newest.
async fn not_shortened(source: &Source, at: Option<Point>) -> Result<()> {
    let Some(newest) = source.known.keys().max_by_key(|extent| extent.to) else { return Ok(()) };
    let wanted = match at {
        Some(Point::Seq(seq)) => source.known.keys().find(|extent| extent.contains(seq)),
        Some(Point::Time(_)) | None => Some(newest),
    };
    let Some(wanted) = wanted else { return Ok(()) };
    let cover = source.vault.cover(&source.repo).await?;
    if cover.live.iter().any(|stored| stored.extent.contains(wanted.to)) {
        return Ok(());
    }
    Err(Error::damaged(format!("{} is missing from the vault", object_name(&source.repo, wanted)))
        .hint("restore an earlier snapshot by its number: --at SEQ"))
}

/// Carries a plan out. Stops if the target has moved since the plan was made.
pub async fn run(source: &Source, request: &Restore, plan: &Plan, progress: &(dyn Fn(Step) + Sync)) -> Result<Receipt> {
    let clock = std::time::Instant::now();
    let mut receipt = match &request.target {
        Target::Directory { dir, bare } => {
            directory::restore(source, plan, dir, *bare, &|read| progress(Step::Read(read))).await?
        }
        Target::Server(server) => remote::restore(source, plan, server, progress).await?,
    };
    receipt.duration_ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(receipt)
}

impl Receipt {
    fn of(plan: &Plan, target: String, packs: usize) -> Self {
        let named = |action: fn(&Action) -> bool| {
            plan.refs.iter().filter(|planned| action(&planned.action)).map(|planned| planned.target.clone()).collect()
        };
        let skipped = plan.refs.iter().filter_map(|planned| match &planned.action {
            Action::Skip { why } => Some(Refused::new(planned.target.clone(), why.clone())),
            _ => None,
        });
        Self {
            repository: plan.repository.clone(),
            seq: plan.seq,
            time: plan.time,
            target,
            written: named(Action::writes),
            kept: named(|action| matches!(action, Action::Keep)),
            skipped: skipped.collect(),
            refused: Vec::new(),
            left_over: Vec::new(),
            missing: plan.missing.clone(),
            namesakes: plan.namesakes.clone(),
            packs,
            duration_ms: 0,
        }
    }

    /// Says which rule each refusal is about, and the way out. `forges`: in whose words they may be.
    pub fn explain(&mut self, forges: &[&dyn Forge]) {
        for refused in self.refused.iter_mut().chain(&mut self.left_over) {
            let known = forges.iter().find_map(|forge| forge.refused(&refused.why));
            (refused.rule, refused.way_out) = known.map(|known| (known.rule, known.way_out)).unzip();
        }
    }

    /// Everything that was asked for is in place: nothing kept back, nothing refused.
    pub fn complete(&self) -> bool {
        self.kept.is_empty() && self.refused.is_empty()
    }
}

impl Refused {
    fn new(name: RefName, why: String) -> Self {
        Self { name, why, rule: None, way_out: None }
    }
}

/// The error that stands for an incomplete receipt.
pub fn incomplete(receipt: &Receipt) -> Error {
    let count = receipt.kept.len() + receipt.refused.len();
    let hint = match receipt.kept[..] {
        [] => "the server said why; allow it there and restore again",
        _ => "look at the plan: existing references are overwritten only with --force",
    };
    Error::new(Kind::Partial, format!("references that were not restored: {count}")).hint(hint)
}

fn refuse_sealed(vault: &Vault) -> Result<()> {
    if !vault.is_sealed() {
        return Ok(());
    }
    Err(Error::misconfigured("this deployment is sealed: it has no key to read the vault with")
        .hint("restore where the key is, or name one: --identity FILE (the recovery kit is one)"))
}
