//! Restore: the product. Needs the vault and its key, nothing else; the catalog only helps to find a name.
//!
//! Always a plan first: which reference of the target would become what. Nothing that exists is touched unless the request
//! says `force`, and then the plan has named it. Whatever is restored was read through the vault's own checks: signature,
//! hash chain, pack checksums; a damaged object stops the restore and is named.

mod directory;
mod locate;
mod plan;
mod remote;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{Error, Kind, Point, RefName, Result, Seq, Skipped};
use crate::git;
use crate::vault::{Moment, Vault, object_name};

pub use crate::vault::Progress;

pub use crate::assembly::Source;
pub use locate::{locate, source_of};
pub use plan::{Action, Plan, PlannedRef};
pub(in crate::ops) use plan::{is_hidden, select};

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
    Remote {
        /// Its address and credential.
        remote: git::Remote,
        /// Put `refs/heads/x` under this instead of `refs/`.
        prefix: Option<String>,
        /// Proxy and certificates.
        net: git::program::Net,
    },
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
    /// What the snapshot does not hold, and what would complete it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Skipped>,
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
}

/// Says what [`run`] would do; changes nothing.
pub async fn plan(source: &Source, request: &Restore, client: &git::Client) -> Result<Plan> {
    let Moment { record, state } = moment(source, request.at).await?;
    let now = match &request.target {
        Target::Directory { dir, .. } => directory::refs_of(dir).await?,
        Target::Remote { remote, .. } => remote::refs_of(client, remote).await?,
    };
    let plan = Plan::make(&record, &state, &now, request)?;
    if let Target::Directory { dir, .. } = &request.target {
        directory::refuse_checked_out(dir, &plan).await?;
    }
    Ok(plan)
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
///
/// `progress` counts the vault's objects that have been read.
pub async fn run(
    source: &Source,
    request: &Restore,
    plan: &Plan,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Receipt> {
    let clock = std::time::Instant::now();
    let mut receipt = match &request.target {
        Target::Directory { dir, bare } => directory::restore(source, plan, dir, *bare, progress).await?,
        Target::Remote { remote, net, .. } => remote::restore(source, plan, remote, net, progress).await?,
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
            Action::Skip { why } => Some(Refused { name: planned.target.clone(), why: why.clone() }),
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
            missing: plan.missing.clone(),
            packs,
            duration_ms: 0,
        }
    }

    /// Everything that was asked for is in place: nothing kept back, nothing refused.
    pub fn complete(&self) -> bool {
        self.kept.is_empty() && self.refused.is_empty()
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
