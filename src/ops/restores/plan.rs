//! Which reference of the target would become what, what that costs, and who moved it there.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{TimeDelta, Utc};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::assembly::assemble;
use crate::catalog::JournalEntry;
use crate::domain::{Error, Head, Kind, ObjectId, ProofKind, RefName, RefState, Result, Seq};
use crate::git::{Remote, bare, program};
use crate::ops::restore::{
    Action, Journey, Kin, Place, Server, Source, left_behind, moment, refuse_format, refuse_names, select, source_of,
};
use crate::services::{Services, git_limits};

use super::entitled::Places;
use super::proposal::{Destination, DetailedPlan, PlannedMove, Wish};

/// Commits are counted in a repository that takes no more than this in the vault: all of it is read for that.
const COUNTED_BYTES: u64 = 128 << 20;

/// So many references are looked into: their commits, and who moved them.
const LOOKED_INTO: usize = 50;

/// How far back a drill tells how long a restore takes.
const DRILLS_OF: TimeDelta = TimeDelta::days(90);

/// What restores read and check in a second on a small machine, where no drill has measured it.
const BYTES_PER_SECOND: u64 = 20_000_000;

/// What a restore takes however small it is, in milliseconds.
const AT_LEAST_MS: u64 = 1_000;

/// `restored-7`, `restored-7-2`, …: tried before we give up.
const FOLDERS: u32 = 100;

/// How the target's references stand now.
pub(super) type Standing = BTreeMap<RefName, ObjectId>;

impl Places {
    /// The vault's side.
    pub async fn backup(&self, services: &Services) -> Result<Source> {
        let limits = git_limits(&services.settings.git);
        source_of(services.vault.clone(), limits, &services.catalog, &self.source).await
    }

    /// The forge's side, ready to be pushed to. `None`: nothing is written.
    pub async fn server(&self, services: &Services) -> Result<Option<Server>> {
        let Some(target) = &self.target else { return Ok(None) };
        let kin = if target.id == self.source.id { Kin::Same } else { Kin::Other };
        Place::known(services, target, kin).await?.ready(services).await.map(Some)
    }

    /// What a wish comes to now. `BadRequest` where there is nothing to do.
    pub async fn plan(&self, services: &Services, wish: &Wish) -> Result<DetailedPlan> {
        let backup = self.backup(services).await?;
        let at = moment(&backup, wish.at).await?;
        let wanted = select(&at.state, &wish.refs)?;
        let server = self.server(services).await?;
        let now = match &server {
            Some(server) => state_of(services, &server.remote).await?,
            None => RefState { object_format: at.state.object_format, ..RefState::default() },
        };
        let mut plan = DetailedPlan {
            repository: self.source.full_name.clone(),
            target: self.target.as_ref().map_or_else(|| "download".to_owned(), |target| target.address().to_string()),
            seq: at.record.seq,
            time: at.record.time,
            refs: Self::moves(wish, at.record.seq, &wanted, &now.refs, server.as_ref())?,
            missing: at.record.ledger.missing_from(&wish.refs),
            left_behind: Vec::new(),
            estimate_ms: None,
        };
        if let Some(server) = &server {
            refuse_names(at.state.object_format, &server.takes, &plan.repository, &plan.target)?;
            refuse_format(at.state.object_format, now.object_format, &plan.repository, &plan.target)?;
            leave_out(&mut plan, wish, server, at.state.head.as_ref())?;
        }
        if !plan.refs.iter().any(|planned| planned.action.writes()) {
            return Err(nothing_to_do(&plan));
        }
        if self.target.as_ref().is_some_and(|target| target.id == self.source.id) {
            self.look_into(services, &backup, &now.refs, &mut plan).await?;
        }
        plan.estimate_ms = Some(self.estimate(services, &backup, plan.seq).await?);
        Ok(plan)
    }

    fn moves(
        wish: &Wish,
        seq: Seq,
        wanted: &Standing,
        now: &Standing,
        server: Option<&Server>,
    ) -> Result<Vec<PlannedMove>> {
        // What is as it was is left out: nobody wants a copy of it either.
        let here = matches!(wish.to, Destination::NewBranch | Destination::InPlace);
        let differs = |(name, then): &(&RefName, &ObjectId)| !here || now.get(*name) != Some(*then);
        let wanted: Vec<(&RefName, &ObjectId)> = wanted.iter().filter(differs).collect();
        let folder = match wish.to {
            Destination::NewBranch => Some(vacant(seq, &wanted, now)?),
            _ => None,
        };
        let moves = wanted.into_iter().map(|(name, then)| {
            let target = folder.as_deref().map_or_else(|| Ok(name.clone()), |folder| within(folder, name))?;
            let held = now.get(&target).copied();
            let action = match held {
                _ if server.is_some_and(|server| server.takes.keeps(name)) => {
                    Action::Skip { why: "the forge keeps these references for itself".to_owned() }
                }
                None => Action::Create,
                Some(held) if held == *then => Action::Unchanged,
                Some(_) if wish.to == Destination::InPlace => Action::Overwrite,
                Some(_) => Action::Keep,
            };
            Ok(PlannedMove {
                name: name.clone(),
                target,
                now: held,
                then: *then,
                action,
                lost: None,
                regained: None,
                current: now.get(name).copied().filter(|_| here),
                moved_by: None,
                moved_at: None,
            })
        });
        let moves = moves.filter(|planned| !matches!(planned, Ok(PlannedMove { action: Action::Unchanged, .. })));
        moves.collect()
    }

    /// Counts commits and says who moved what, as far as that can be told in a moment.
    async fn look_into(
        &self,
        services: &Services,
        backup: &Source,
        now: &Standing,
        plan: &mut DetailedPlan,
    ) -> Result<()> {
        for planned in plan.refs.iter_mut().take(LOOKED_INTO) {
            let journal = services.catalog.journal(&self.source.id, Some(&planned.name)).await?;
            if let Some(entry) = journal.into_iter().rfind(|entry| entry.change.new == planned.current) {
                let JournalEntry { actor, time, .. } = entry;
                (planned.moved_by, planned.moved_at) = (actor.map(|actor| actor.0), Some(time));
            }
        }
        let cover = backup.vault.cover(&backup.repo).await?;
        let bytes: u64 = cover.live.iter().map(|stored| stored.bytes).sum();
        let Some(newest) = cover.end().filter(|_| bytes <= COUNTED_BYTES) else { return Ok(()) };
        let ids: Vec<ObjectId> = now.values().copied().collect();
        let known = services.catalog.known_tips(&self.source.id, &ids).await?;
        let counted: Result<()> = async {
            let scratch = backup.scratch()?;
            let git_dir = scratch.path().join("count.git");
            let format = plan.refs.first().map(|planned| planned.then.format()).unwrap_or_default();
            bare::create(&git_dir, &RefState { object_format: format, ..RefState::default() })?;
            assemble(backup, newest, &git_dir.join("objects/pack"), &|_| {}).await?;
            let tips: Vec<ObjectId> = ids.iter().copied().filter(|id| known.contains(id)).collect();
            for planned in plan.refs.iter_mut().take(LOOKED_INTO) {
                count(&git_dir, planned, &tips).await?;
            }
            Ok(())
        }
        .await;
        if let Err(error) = counted {
            // A plan without it is a plan all the same; what is wrong shows when it is carried out.
            tracing::warn!(repository = plan.repository, "cannot count commits: {}", error.for_log());
        }
        Ok(())
    }

    async fn estimate(&self, services: &Services, backup: &Source, seq: Seq) -> Result<u64> {
        let proofs = services.catalog.proofs(Some(&self.source.id), Utc::now() - DRILLS_OF).await?;
        let mut drills = proofs.into_iter().rev().filter(|proof| proof.report.kind == ProofKind::Drill);
        if let Some(restored) = drills.find_map(|proof| proof.report.restore) {
            return Ok(restored.ready_ms.max(AT_LEAST_MS));
        }
        let cover = backup.vault.cover(&backup.repo).await?;
        let bytes: u64 = cover.through(seq)?.iter().map(|stored| stored.bytes).sum();
        Ok(AT_LEAST_MS + bytes.saturating_mul(1000) / BYTES_PER_SECOND)
    }
}

impl DetailedPlan {
    /// SHA-256 over what would be done, hex. The texts for people are not in it: they change by themselves.
    pub(super) fn hash(&self, places: &Places) -> Result<String> {
        #[derive(Serialize)]
        struct Canonical<'a> {
            repo: &'a str,
            target: &'a str,
            /// Names are given away and used again.
            target_repo: Option<&'a str>,
            seq: Seq,
            refs: Vec<(&'a RefName, Option<ObjectId>, ObjectId, &'static str)>,
        }
        let refs = self.refs.iter().map(|planned| (&planned.target, planned.now, planned.then, planned.action.word()));
        let canonical = Canonical {
            repo: places.source.id.as_str(),
            target: &self.target,
            target_repo: places.target.as_ref().map(|target| target.id.as_str()),
            seq: self.seq,
            refs: refs.collect(),
        };
        let text =
            serde_json::to_string(&canonical).map_err(|error| Error::bug("cannot write a plan").detail(error))?;
        Ok(hex::encode(Sha256::digest(text)))
    }

    /// A reference that exists would be set to something else.
    pub(super) fn overwrites(&self) -> bool {
        self.refs.iter().any(|planned| planned.action == Action::Overwrite)
    }

    /// The references that would be written, by their names in the target.
    pub(super) fn written(&self) -> impl Iterator<Item = &PlannedMove> {
        self.refs.iter().filter(|planned| planned.action.writes())
    }
}

/// What a server shows now.
pub(super) async fn refs_of(services: &Services, remote: &Remote) -> Result<Standing> {
    Ok(state_of(services, remote).await?.refs)
}

async fn state_of(services: &Services, remote: &Remote) -> Result<RefState> {
    let (_, listing) = services.git.list(remote, None).await?;
    Ok(listing.state)
}

async fn count(git_dir: &Path, planned: &mut PlannedMove, tips: &[ObjectId]) -> Result<()> {
    let (current, then) = (planned.current, planned.then);
    let (lost, regained) = match current {
        Some(current) if tips.contains(&current) => {
            let counts = program::commits_between(git_dir, &current, &then).await?;
            (counts.map(|(lost, _)| lost), counts.map(|(_, regained)| regained))
        }
        Some(_) => (None, None),
        None => (Some(0), program::commits_beyond(git_dir, &then, tips).await?),
    };
    // Beside what is there nothing is lost.
    planned.lost = if planned.now.is_none() { Some(0) } else { lost };
    planned.regained = regained;
    Ok(())
}

/// `refs/heads/main` in the folder `restored-7` is `refs/heads/restored-7/main`.
fn within(folder: &str, name: &RefName) -> Result<RefName> {
    let rest = name.as_str().trim_start_matches("refs/");
    let (kind, rest) = rest.split_once('/').unwrap_or(("heads", rest));
    format!("refs/{kind}/{folder}/{rest}").parse()
}

/// A folder in which nothing is in the way of these references: neither another value under the same name, nor a branch
/// that is called like the folder.
fn vacant(seq: Seq, wanted: &[(&RefName, &ObjectId)], now: &Standing) -> Result<String> {
    let names = |nth: u32| if nth == 1 { format!("restored-{seq}") } else { format!("restored-{seq}-{nth}") };
    for folder in (1..=FOLDERS).map(names) {
        let mut in_the_way = ["heads", "tags"].into_iter().any(|kind| {
            let name: Result<RefName> = format!("refs/{kind}/{folder}").parse();
            name.is_ok_and(|name| now.contains_key(&name))
        });
        for (name, then) in wanted {
            in_the_way |= now.get(&within(&folder, name)?).is_some_and(|held| held != *then);
        }
        if !in_the_way {
            return Ok(folder);
        }
    }
    Err(Error::bad_request(format!("there are {FOLDERS} branches that begin with restored-{seq} already"))
        .hint("delete some of them on the forge"))
}

/// Says what stays behind. References that the server keeps for itself are told in one line, unless they alone were named.
fn leave_out(plan: &mut DetailedPlan, wish: &Wish, server: &Server, head: Option<&Head>) -> Result<()> {
    let (kept, goes): (Vec<_>, Vec<_>) =
        plan.refs.drain(..).partition(|planned| matches!(planned.action, Action::Skip { .. }));
    plan.refs = goes;
    if !wish.refs.is_empty() && plan.refs.is_empty() && !kept.is_empty() {
        return Err(Error::bad_request("the forge keeps these references for itself and takes them from nobody")
            .hint("a download has them"));
    }
    let default = match head {
        Some(Head::Symbolic(branch)) => Some(branch),
        _ => None,
    };
    plan.left_behind = left_behind(&Journey {
        kin: server.kin,
        kept: kept.iter().map(|planned| &planned.name).collect(),
        instead: "a download has what is asked for",
        default: default.filter(|branch| plan.refs.iter().any(|planned| planned.target == **branch)),
    });
    Ok(())
}

fn nothing_to_do(plan: &DetailedPlan) -> Error {
    let (target, seq) = (&plan.target, plan.seq);
    let kept: Vec<String> = plan.refs.iter().map(|planned| planned.target.short().to_owned()).take(3).collect();
    if kept.is_empty() {
        return Error::new(
            Kind::BadRequest,
            format!("{target} is as snapshot {seq} has it: there is nothing to restore"),
        )
        .hint("name an earlier moment; the journal tells when a reference moved");
    }
    Error::bad_request(format!("{} exist in {target} already, and what exists there is left alone", kept.join(", ")))
        .hint("restore to a new branch, or to another repository")
}
