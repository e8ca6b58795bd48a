//! What the one who asked and a second person say to a plan.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::catalog::{NewRecord, RestoreStep, Verdict};
use crate::domain::{By, Error, Kind, Result};
use crate::services::Services;

use super::entitled::{Places, is_administrator, requester_only, somebody_else};
use super::look::get;
use super::plan::refs_of;
use super::proposal::{Asker, Destination, Origin, Proposal, Receipt, State};
use super::propose::{kept, plan};
use super::{download, recorded};

/// Of a plan's hash, hex, at least so many digits are told: buttons have little room.
const HASH_DIGITS: usize = 16;

/// The one who asked wants it as it was planned: it is carried out, or waits for a second person. A download gets its
/// [`Link`](super::Link); whoever confirms it again gets another. `Stale`: a reference has moved since, and `replaced_by` is
/// the new plan.
pub async fn confirm(services: &Services, asker: &Asker<'_>, id: i64, hash: &str) -> Result<Proposal> {
    let proposal = get(services, id).await?;
    let confirmed = async {
        requester_only(asker, &proposal, "confirm")?;
        names_the_plan(&proposal, hash)?;
        let download = proposal.wish.to == Destination::Download;
        if !(download && proposal.state == State::Done) {
            waits_for(&proposal, State::Planned)?;
        }
        let places = Places::again(services, &proposal).await?;
        places.entitled(services, asker.person, asker.roles).await?;
        if download {
            return download::hand_out(services, asker, &proposal).await;
        }
        let moved = moved_since(services, &places, &proposal).await?;
        if let Some(moved) = moved {
            outdate(services, asker.by, "restore.confirm", &places, &proposal, moved, None).await?;
            return get(services, id).await;
        }
        let told = proposal.record(asker.by, "restore.confirm", Verdict::Approved);
        let until = deadline(services);
        let step = if proposal.needs_approval { RestoreStep::Confirm { until } } else { RestoreStep::Begin { until } };
        take(services, &proposal, step, told).await
    };
    recorded(services, asker, "restore.confirm", &about(id), confirmed.await).await
}

/// A second person agrees: it is carried out.
pub async fn approve(services: &Services, asker: &Asker<'_>, id: i64, hash: &str) -> Result<Proposal> {
    let proposal = get(services, id).await?;
    let approved = async {
        may_decide(services, asker, &proposal, hash).await?;
        let origin = Origin { approver_roles: asker.roles.to_vec(), ..proposal.origin.clone() };
        let (by, until) = (asker.person.clone(), deadline(services));
        let step = RestoreStep::Approve { by, origin: kept(&origin)?, until };
        let told = proposal.record(asker.by, "restore.approve", Verdict::Approved);
        take(services, &proposal, step, told).await
    };
    recorded(services, asker, "restore.approve", &about(id), approved.await).await
}

/// A second person does not agree: it ends.
pub async fn reject(services: &Services, asker: &Asker<'_>, id: i64, hash: &str) -> Result<Proposal> {
    let proposal = get(services, id).await?;
    let rejected = async {
        may_decide(services, asker, &proposal, hash).await?;
        let told = proposal.record(asker.by, "restore.reject", Verdict::Done);
        take(services, &proposal, RestoreStep::Reject { by: asker.person.clone() }, told).await
    };
    recorded(services, asker, "restore.reject", &about(id), rejected.await).await
}

/// The one who asked, or whoever is at the command line, wants it no more. What is being carried out goes on.
pub async fn cancel(services: &Services, asker: &Asker<'_>, id: i64) -> Result<Proposal> {
    let proposal = get(services, id).await?;
    let cancelled = async {
        if !is_administrator(asker.person) {
            requester_only(asker, &proposal, "cancel")?;
        }
        let told = proposal.record(asker.by, "restore.cancel", Verdict::Done);
        take(services, &proposal, RestoreStep::Cancel, told).await
    };
    recorded(services, asker, "restore.cancel", &about(id), cancelled.await).await
}

/// Ends a restore because its target is not what the plan saw, and puts a new plan in its place if anything is left to do.
/// `receipt`: what was done before that was seen.
pub(super) async fn outdate(
    services: &Services,
    by: &By,
    action: &'static str,
    places: &Places,
    proposal: &Proposal,
    moved: String,
    receipt: Option<&Receipt>,
) -> Result<()> {
    let origin = Origin { approver_roles: Vec::new(), ..proposal.origin.clone() };
    let replacement = match plan(services, places, &proposal.requested_by, &origin, &proposal.wish).await {
        Ok(new) => Some(Box::new(new)),
        Err(error) if error.kind() == Kind::BadRequest => None,
        Err(error) => return Err(error),
    };
    let new = replacement.as_ref().map(|new| &new.plan_hash);
    let told = proposal.record(by, action, Verdict::Refused).detail(json!({ "stale": moved, "new_plan": new }));
    let step = RestoreStep::Outdate { error: moved, receipt: receipt.map(kept).transpose()?, replacement };
    services.catalog.step_restore(proposal.id, &proposal.repo, step, Some(told)).await.map(drop)
}

/// Which references of the target are not what the plan saw, in words.
async fn moved_since(services: &Services, places: &Places, proposal: &Proposal) -> Result<Option<String>> {
    let Some(server) = places.server(services).await? else { return Ok(None) };
    let now = refs_of(services, &server.remote).await?;
    let moved = proposal.plan.written().filter(|planned| now.get(&planned.target).copied() != planned.now);
    Ok(told_of(moved.map(|planned| planned.target.short())))
}

/// `main and 2 more moved since the plan was made`
pub(super) fn told_of<'a>(moved: impl Iterator<Item = &'a str>) -> Option<String> {
    let moved: Vec<&str> = moved.collect();
    let more = match moved.len() {
        0 => return None,
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Some(format!("{}{more} moved since the plan was made", moved[0]))
}

async fn may_decide(services: &Services, asker: &Asker<'_>, proposal: &Proposal, hash: &str) -> Result<()> {
    somebody_else(services, asker, proposal).await?;
    names_the_plan(proposal, hash)?;
    waits_for(proposal, State::Confirmed)?;
    Places::again(services, proposal).await?.entitled(services, asker.person, asker.roles).await
}

/// One approval, one plan.
fn names_the_plan(proposal: &Proposal, hash: &str) -> Result<()> {
    if hash.len() >= HASH_DIGITS && proposal.hash.starts_with(hash) {
        return Ok(());
    }
    Err(Error::bad_request(format!("this is not the plan of restore {}", proposal.id)).hint("look at the plan again"))
}

/// Takes the step, unless somebody else was quicker.
async fn take(services: &Services, proposal: &Proposal, step: RestoreStep, told: NewRecord) -> Result<Proposal> {
    let taken = services.catalog.step_restore(proposal.id, &proposal.repo, step, Some(told)).await?;
    let after = get(services, proposal.id).await?;
    if taken { Ok(after) } else { Err(told_how_it_stands(&after)) }
}

fn waits_for(proposal: &Proposal, state: State) -> Result<()> {
    if proposal.state == state { Ok(()) } else { Err(told_how_it_stands(proposal)) }
}

/// Why nothing came of what somebody said.
fn told_how_it_stands(proposal: &Proposal) -> Error {
    let Proposal { id, decided_by, .. } = proposal;
    let by = decided_by.as_ref().map(|person| format!(" by {person}")).unwrap_or_default();
    let text = match proposal.state {
        State::Planned => "waits for who asked for it to confirm".to_owned(),
        State::Confirmed => "was confirmed, and waits for a second person".to_owned(),
        State::Approved if decided_by.is_some() => format!("was approved{by}, and is about to be carried out"),
        State::Approved => "was confirmed, and is about to be carried out".to_owned(),
        State::Running => "is being carried out".to_owned(),
        State::Done => "was carried out".to_owned(),
        State::Failed => "failed".to_owned(),
        State::Stale => "has ended: a reference moved since it was planned".to_owned(),
        State::Rejected => format!("was rejected{by}"),
        State::Cancelled => "was cancelled".to_owned(),
        State::Expired => "has expired".to_owned(),
    };
    let error = Error::bad_request(format!("restore {id} {text}"));
    match (proposal.state, proposal.replaced_by) {
        (_, Some(new)) => error.hint(format!("restore {new} is the new plan")),
        (State::Expired | State::Stale, None) => error.hint("ask for it again"),
        _ => error,
    }
}

fn deadline(services: &Services) -> DateTime<Utc> {
    Utc::now() + services.settings.people.approval_lasts
}

fn about(id: i64) -> String {
    format!("restore {id}")
}
