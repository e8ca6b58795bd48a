//! Restores: a plan, the requester's word, where it overwrites something a second person's, and what came of it.

mod standing;
mod told;

use super::answer::Outcome;
use super::buttons::Button;
use super::visitor::{self, Visitor};
use super::waits::Waits;
use crate::catalog::{NewRecord, Repository, Verdict};
use crate::chat::Reply;
use crate::domain::{Error, Kind, Point, Result, Role};
use crate::ops::restores::{self, Destination, Proposal, State, Wish};
use crate::services::Services;

pub(super) use standing::standing;
use told::{Viewer, told};

/// Plans one.
pub(super) async fn propose(
    services: &Services,
    visitor: &Visitor,
    repository: &Repository,
    refs: Vec<String>,
    at: Option<Point>,
    to: Destination,
) -> Result<Reply> {
    let to = match to {
        Destination::Repository(address) => {
            let theirs = visitor.repository(services, &address, Role::Restorer).await;
            let theirs = recorded(services, visitor, theirs, "restore.plan", repository).await?;
            Destination::Repository(theirs.lasting_address())
        }
        to => to,
    };
    let planned = restores::propose(services, &visitor.asker(), repository, Wish { refs, at, to }).await?;
    Ok(told(&planned, Viewer::Requester))
}

/// Does what a button of a restore does. Whoever presses it is checked anew.
pub(super) async fn press(services: &Services, visitor: &Visitor, button: &Button) -> Result<Outcome> {
    match button {
        Button::Confirm { restore, hash } => confirm(services, visitor, *restore, hash).await,
        Button::Approve { restore, hash } => {
            entitled(services, visitor, *restore, "restore.approve", Role::Restorer).await?;
            let before = restores::get(services, *restore).await?;
            if before.decided_by.as_ref() == Some(&visitor.person) {
                // Pressed twice, or asked a second time because we died: what was decided stays decided.
                return Ok(under_way(&before, Viewer::Second));
            }
            let approved = restores::approve(services, &visitor.asker(), *restore, hash).await?;
            Ok(under_way(&approved, Viewer::Second))
        }
        Button::Reject { restore, hash } => {
            entitled(services, visitor, *restore, "restore.reject", Role::Restorer).await?;
            let rejected = restores::reject(services, &visitor.asker(), *restore, hash).await?;
            Ok(told(&rejected, Viewer::Second).into())
        }
        Button::Cancel { restore } => {
            let cancelled = restores::cancel(services, &visitor.asker(), *restore).await?;
            Ok(told(&cancelled, Viewer::Requester).into())
        }
        Button::Show { restore } => show(services, visitor, *restore).await.map(Outcome::from),
        Button::Undo { notice } => undo(services, visitor, *notice).await.map(Outcome::from),
        _ => Err(Error::bug("this button is none of a restore's")),
    }
}

async fn confirm(services: &Services, visitor: &Visitor, id: i64, hash: &str) -> Result<Outcome> {
    let before = known(services, id).await?;
    let theirs = before.requested_by == visitor.person && before.confirmed_at.is_some();
    if theirs && before.wish.to != Destination::Download {
        return Ok(under_way(&before, Viewer::Requester));
    }
    let confirmed = restores::confirm(services, &visitor.asker(), id, hash).await?;
    match (&confirmed.link, confirmed.replaced_by) {
        (Some(link), _) => Ok(Outcome::Secret(told::download(&confirmed, link))),
        (None, Some(next)) => {
            let next = restores::get(services, next).await?;
            Ok(told::anew(&next).into())
        }
        (None, None) => Ok(under_way(&confirmed, Viewer::Requester)),
    }
}

/// How it stands, and how it ends as soon as it does.
fn under_way(proposal: &Proposal, viewer: Viewer) -> Outcome {
    let reply = told(proposal, viewer);
    match proposal.state {
        State::Approved | State::Running => {
            let second = matches!(viewer, Viewer::Second);
            Outcome::Waits(reply, Waits::Restore { id: proposal.id, second })
        }
        _ => Outcome::Said(reply),
    }
}

/// Whether it has ended.
pub(super) async fn poll(services: &Services, id: i64, second: bool) -> Result<Option<Reply>> {
    let proposal = restores::get(services, id).await?;
    let ended = !matches!(proposal.state, State::Approved | State::Running);
    let viewer = if second { Viewer::Second } else { Viewer::Requester };
    Ok(ended.then(|| told(&proposal, viewer)))
}

async fn show(services: &Services, visitor: &Visitor, id: i64) -> Result<Reply> {
    let proposal = known(services, id).await?;
    let repository = services.catalog.repository(&proposal.repo).await?;
    visitor.over(services, &repository, Role::Viewer, &called(id)).await?;
    visitor.reads(services, &repository).await?;
    let decides = visitor.over(services, &repository, Role::Restorer, &called(id)).await.is_ok();
    let viewer = match () {
        () if proposal.requested_by == visitor.person => Viewer::Requester,
        () if decides => Viewer::Second,
        () => Viewer::Other,
    };
    Ok(told(&proposal, viewer))
}

async fn undo(services: &Services, visitor: &Visitor, notice: i64) -> Result<Reply> {
    let gone = || Error::not_found("what this notice tells of cannot be undone with a button any more");
    let stored = services.catalog.notice(notice).await.map_err(|_| gone())?;
    let (undo, repo) = stored.undo.zip(stored.repo).ok_or_else(gone)?;
    let repository = services.catalog.repository(&repo).await.map_err(|_| gone())?;
    let may = visitor.over(services, &repository, Role::Restorer, &format!("notice {notice}")).await;
    recorded(services, visitor, may, "restore.plan", &repository).await?;
    let refs = undo.refs.iter().map(ToString::to_string).collect();
    propose(services, visitor, &repository, refs, Some(Point::Seq(undo.at)), Destination::InPlace).await
}

/// Fails unless they have the role for the repository of this restore.
async fn entitled(services: &Services, visitor: &Visitor, id: i64, action: &'static str, role: Role) -> Result<()> {
    let repository = services.catalog.repository(&known(services, id).await?.repo).await?;
    let may = visitor.over(services, &repository, role, &called(id)).await;
    recorded(services, visitor, may, action, &repository).await
}

/// The record has the name that a refusal does not tell.
async fn recorded<T>(
    services: &Services,
    visitor: &Visitor,
    may: Result<T>,
    action: &'static str,
    repository: &Repository,
) -> Result<T> {
    let error = match may {
        Ok(may) => return Ok(may),
        Err(error) => error,
    };
    let why = serde_json::json!({ "why": error.to_string() });
    let refused = NewRecord::new(&visitor.by, action, Verdict::Refused).about(repository.full_name.clone()).detail(why);
    services.catalog.record(refused).await?;
    Err(error)
}

async fn known(services: &Services, id: i64) -> Result<Proposal> {
    restores::get(services, id).await.map_err(|error| match error.kind() {
        Kind::NotFound => visitor::unknown(&called(id)),
        _ => error,
    })
}

/// Whoever may not see the repository learns no more of it than they know already.
fn called(id: i64) -> String {
    format!("restore {id}")
}
