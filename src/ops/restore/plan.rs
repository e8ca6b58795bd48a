//! Which reference of the target would become what.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::travel::{Journey, left_behind, refuse_format, refuse_names};
use super::{Kin, Namesake, Restore, Server, Target, directory};
use crate::domain::{Error, Head, ObjectFormat, ObjectId, RefName, RefState, Result, Seq, Skipped};
use crate::ops::history::full_name;
use crate::vault::Record;

/// A restore, thought through.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Plan {
    pub repository: String,
    pub seq: Seq,
    pub time: DateTime<Utc>,
    /// The repository that has to be made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub makes: Option<String>,
    #[serde(skip)]
    pub object_format: ObjectFormat,
    #[serde(skip)]
    pub head: Option<Head>,
    pub refs: Vec<PlannedRef>,
    /// The branch that is checked out in the folder and differs: it is not moved as long as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_out: Option<RefName>,
    /// What the snapshot does not hold, and what would complete it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Skipped>,
    /// What does not come along to where it is restored, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<Skipped>,
    /// Deleted repositories of the same name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namesakes: Vec<Namesake>,
}

/// One reference.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedRef {
    /// Its name in the backup.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// Its name in the target.
    pub target: RefName,
    /// What the target holds now.
    pub old: Option<ObjectId>,
    /// What the backup holds.
    pub new: ObjectId,
    /// What would be done.
    #[serde(flatten)]
    pub action: Action,
}

/// What would be done with a reference of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// It does not exist there.
    Create,
    /// It is as it should be.
    Unchanged,
    /// It exists with another value, and `force` was given.
    Overwrite,
    /// It exists with another value and is left alone.
    Keep,
    /// It cannot be written there.
    Skip {
        /// Why not.
        why: String,
    },
}

impl Action {
    /// As JSON has it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Unchanged => "unchanged",
            Self::Overwrite => "overwrite",
            Self::Keep => "keep",
            Self::Skip { .. } => "skip",
        }
    }

    /// The target changes.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Create | Self::Overwrite)
    }
}

impl Plan {
    /// `state` is what the backup holds, `now` what the target holds; `None`: there is no target yet.
    pub(super) fn make(record: &Record, state: &RefState, now: Option<&RefState>, request: &Restore) -> Result<Self> {
        let wanted = select(state, &request.refs)?;
        if let Target::Server(server) = &request.target {
            refuse_names(state.object_format, &server.takes, &record.full_name, server.called())?;
        }
        if let Some(now) = now {
            let target = match &request.target {
                Target::Directory { dir, .. } => dir.display().to_string(),
                Target::Server(server) => server.remote.url.to_string(),
            };
            refuse_format(state.object_format, now.object_format, &record.full_name, &target)?;
        }
        let refs = wanted.into_iter().map(|(name, new)| {
            let target = target_name(&name, &request.target)?;
            let old = now.and_then(|now| now.refs.get(&target)).copied();
            let action = match old {
                _ if refuses(&target, &request.target) => Action::Skip {
                    why: "servers keep these references for themselves; use --prefix to restore them elsewhere".into(),
                },
                None => Action::Create,
                Some(old) if old == new => Action::Unchanged,
                Some(_) if request.force => Action::Overwrite,
                Some(_) => Action::Keep,
            };
            Ok(PlannedRef { name, target, old, new, action })
        });
        let refs: Vec<PlannedRef> = refs.collect::<Result<_>>()?;
        let head = head_of(state, &refs);
        let checked_out = match (&request.target, now) {
            (Target::Directory { dir, .. }, Some(now)) => directory::checked_out(dir, now),
            _ => None,
        };
        let differs = |branch: &RefName| {
            refs.iter().any(|planned| planned.target == *branch && planned.action != Action::Unchanged)
        };
        let checked_out = checked_out.filter(differs);
        let left_behind = match &request.target {
            Target::Directory { .. } => Vec::new(),
            Target::Server(server) => {
                let kept = refs.iter().filter(|planned| matches!(planned.action, Action::Skip { .. }));
                left_behind(&Journey {
                    kin: server.kin,
                    kept: kept.map(|planned| &planned.name).collect(),
                    instead: "--prefix restores it under another name, --to-dir as it is",
                    default: default_branch(head.as_ref(), &refs),
                })
            }
        };
        Ok(Self {
            repository: record.full_name.clone(),
            seq: record.seq,
            time: record.time,
            makes: match &request.target {
                Target::Server(server) if server.kin == Kin::New => Some(server.remote.url.to_string()),
                _ => None,
            },
            object_format: state.object_format,
            head,
            refs,
            checked_out,
            missing: record.ledger.missing_from(&request.refs),
            left_behind,
            namesakes: Vec::new(),
        })
    }

    /// What people should see first in a repository that is made for this.
    pub fn default_branch(&self) -> Option<&RefName> {
        default_branch(self.head.as_ref(), &self.refs)
    }

    /// The target as it will be, as far as the plan writes it.
    pub(super) fn state(&self) -> RefState {
        let refs = self.refs.iter().map(|planned| (planned.target.clone(), planned.new)).collect();
        RefState { object_format: self.object_format, head: self.head.clone(), refs }
    }
}

/// Those that are meant, `main` or `refs/tags/v1`; none named: all.
pub(in crate::ops) fn select(state: &RefState, names: &[String]) -> Result<BTreeMap<RefName, ObjectId>> {
    if names.is_empty() {
        return Ok(state.refs.clone());
    }
    let find = |text: &String| {
        let branch = full_name(text)?;
        let tag = (!text.starts_with("refs/")).then(|| format!("refs/tags/{text}").parse()).transpose()?;
        let found = [Some(branch), tag].into_iter().flatten().find_map(|name| state.refs.get_key_value(&name));
        found.map(|(name, id)| (name.clone(), *id)).ok_or_else(|| {
            Error::not_found(format!("the snapshot has no reference `{text}`"))
                .hint("see `refward refs REPO`, and `refward journal REPO --ref REF` for when it was there")
        })
    };
    names.iter().map(find).collect()
}

fn target_name(name: &RefName, target: &Target) -> Result<RefName> {
    let Target::Server(Server { prefix: Some(prefix), .. }) = target else { return Ok(name.clone()) };
    let below = name.as_str().trim_start_matches("refs/");
    // `refs/heads/restored/` takes branches as they are called, without a second `heads/`.
    let below = if prefix.starts_with("refs/heads/") { name.short().trim_start_matches("refs/") } else { below };
    format!("{}/{below}", prefix.trim_end_matches('/'))
        .parse()
        .map_err(|error: Error| error.hint("--prefix must be like refs/heads/restored/"))
}

fn refuses(target: &RefName, place: &Target) -> bool {
    matches!(place, Target::Server(server) if server.takes.keeps(target))
}

/// Of what is restored, what people should see first.
fn default_branch<'a>(head: Option<&'a Head>, refs: &[PlannedRef]) -> Option<&'a RefName> {
    match head {
        Some(Head::Symbolic(branch)) if refs.iter().any(|planned| planned.target == *branch) => Some(branch),
        _ => None,
    }
}

/// The backup's `HEAD`, unless only other branches were asked for: then the first of those.
fn head_of(state: &RefState, refs: &[PlannedRef]) -> Option<Head> {
    let restored = |name: &RefName| refs.iter().any(|planned| planned.name == *name);
    match &state.head {
        Some(Head::Symbolic(name)) if state.refs.contains_key(name) && !restored(name) => {
            refs.iter().find(|planned| planned.name.is_branch()).map(|planned| Head::Symbolic(planned.name.clone()))
        }
        head => head.clone(),
    }
}
