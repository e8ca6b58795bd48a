//! A restore as whoever may read the repository sees it: privately, with every reference.

use secrecy::ExposeSecret as _;

use crate::chat::{Line, Look, Reply, Tone};
use crate::desk::buttons::Button;
use crate::desk::words::{count, sentence, span};
use crate::domain::ObjectId;
use crate::ops::restore::Action;
use crate::ops::restores::{Destination, Link, PlannedMove, Proposal, Receipt, State};

/// References that are told one by one.
const NAMED: usize = 12;

/// Who looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::desk) enum Viewer {
    /// Whoever asked for it.
    Requester,
    /// Somebody who could approve it.
    Second,
    /// Somebody who may only look.
    Other,
}

/// How it stands.
pub(in crate::desk) fn told(proposal: &Proposal, viewer: Viewer) -> Reply {
    let id = proposal.id;
    match proposal.state {
        State::Planned => planned(proposal, viewer),
        State::Confirmed => confirmed(proposal, viewer),
        State::Approved => plan(proposal, Tone::Plain, format!("Restore {id} is about to begin")),
        State::Running => running(proposal),
        State::Done => done(proposal),
        State::Failed => failed(proposal),
        State::Stale => stale(proposal),
        State::Rejected => {
            let reply = Reply::new(Tone::Careful, format!("Restore {id} was rejected. Nothing has changed."));
            decided(reply, proposal, "By ")
        }
        State::Cancelled => Reply::new(Tone::Plain, format!("Restore {id} is cancelled. Nothing has changed.")),
        State::Expired => Reply::new(Tone::Careful, format!("Restore {id} has expired. Nothing has changed."))
            .line("Ask for it again; what it would do is then looked at anew."),
    }
}

/// In the place of a plan that no longer fitted.
pub(in crate::desk) fn anew(proposal: &Proposal) -> Reply {
    let mut reply = told(proposal, Viewer::Requester);
    reply.tone = Tone::Careful;
    let moved = "A reference has moved since the plan was made, so nothing was done. This is the plan as it is now.";
    reply.blocks.insert(0, crate::chat::Block::Line(moved.into()));
    reply
}

/// Where the download is.
pub(in crate::desk) fn download(proposal: &Proposal, link: &Link) -> Reply {
    let title = format!("Your download of {} is ready", proposal.repository);
    let reply = Reply::new(Tone::Good, title);
    let about = Line::new().text("Whoever has this address gets the file. It ends ").when(link.expires_at).text(".");
    reply.line(about).code(link.url.expose_secret()).line("It is a git bundle: `git clone FILE` opens it.")
}

fn planned(proposal: &Proposal, viewer: Viewer) -> Reply {
    let (id, hash) = (proposal.id, proposal.hash.clone());
    let tone = if proposal.needs_approval { Tone::Careful } else { Tone::Plain };
    let mut reply = plan(proposal, tone, format!("Restore {id} of {}: nothing has happened yet", proposal.repository));
    if proposal.needs_approval {
        reply =
            reply.line("It overwrites what is there: once you have confirmed it, a second person has to approve it.");
    }
    reply = reply.line(Line::new().text("This plan ends ").when(proposal.expires_at).text("."));
    if viewer != Viewer::Requester {
        return reply;
    }
    let look = if proposal.needs_approval { Look::Danger } else { Look::Main };
    reply.button(look, "Confirm", Button::Confirm { restore: id, hash }.to_string()).button(
        Look::Plain,
        "Cancel",
        Button::Cancel { restore: id }.to_string(),
    )
}

fn confirmed(proposal: &Proposal, viewer: Viewer) -> Reply {
    let (id, hash) = (proposal.id, proposal.hash.clone());
    let title = format!("Restore {id} of {} waits for a second person", proposal.repository);
    let reply = plan(proposal, Tone::Careful, title).line(
        Line::new()
            .text("Asked for by ")
            .who(&proposal.requested_by)
            .text("; it ends ")
            .when(proposal.expires_at)
            .text("."),
    );
    match viewer {
        Viewer::Requester => reply
            .line("Somebody else with the right to restore approves it, with the button in the channel.")
            .button(Look::Plain, "Cancel", Button::Cancel { restore: id }.to_string()),
        Viewer::Second => reply
            .button(Look::Danger, "Approve", Button::Approve { restore: id, hash: hash.clone() }.to_string())
            .button(Look::Plain, "Reject", Button::Reject { restore: id, hash }.to_string()),
        Viewer::Other => reply,
    }
}

fn running(proposal: &Proposal) -> Reply {
    let reply = Reply::new(Tone::Plain, format!("Restore {} of {} is under way", proposal.id, proposal.repository));
    match proposal.progress {
        Some(so_far) => reply.line(format!("{} of {} read.", so_far.done, count(so_far.total, "object"))),
        None => reply,
    }
}

/// Every reference: what it is, what it would be, what that costs.
fn plan(proposal: &Proposal, tone: Tone, title: String) -> Reply {
    let plan = &proposal.plan;
    let from = Line::new().text("From snapshot ").strong(plan.seq.to_string()).text(" of ").when(plan.time);
    let from = match proposal.wish.to {
        Destination::Download => from.text(", as a download for you."),
        _ => from.text(", to ").code(&plan.target).text("."),
    };
    let mut reply = Reply::new(tone, title).line(from);
    for planned in plan.refs.iter().take(NAMED) {
        reply = reply.line(moves(planned));
    }
    if let more @ 1.. = plan.refs.len().saturating_sub(NAMED) {
        reply = reply.line(format!("and {} more", count(more as u64, "reference")));
    }
    for missing in plan.missing.iter().take(NAMED) {
        reply = reply.line(format!("The snapshot lacks {}: {}", missing.what, sentence(&missing.why)));
    }
    match plan.estimate_ms {
        Some(estimate) => reply.line(format!("It takes about {}.", span(estimate))),
        None => reply,
    }
}

fn moves(planned: &PlannedMove) -> Line {
    let (id, then) = (|id: ObjectId| id.short(), planned.then.short());
    let line = Line::new().code(planned.target.short()).text(": ");
    let line = match (&planned.action, planned.now) {
        (Action::Skip { why }, _) => return line.text(format!("cannot be restored: {}", sentence(why))),
        (Action::Keep, now) => {
            let now = now.map(id).unwrap_or_default();
            return line.text("stays at ").code(now).text(", because it is there already.");
        }
        (_, Some(now)) => line.code(id(now)).text(" → ").code(then),
        (_, None) => line.text("is made at ").code(then),
    };
    let counted = [(planned.lost, "loses"), (planned.regained, "brings back")];
    let counted: Vec<String> = counted
        .iter()
        .filter_map(|(number, what)| {
            number.filter(|number| *number > 0).map(|n| format!("{what} {}", count(n, "commit")))
        })
        .collect();
    let line = if counted.is_empty() { line } else { line.text(format!("; {}", counted.join(", "))) };
    match (&planned.moved_by, planned.moved_at) {
        (Some(who), Some(at)) => line.text(format!("; moved by {who} ")).when(at),
        (None, Some(at)) => line.text("; moved ").when(at),
        _ => line,
    }
    .text(".")
}

fn done(proposal: &Proposal) -> Reply {
    let title = format!("Restore {} of {} is done", proposal.id, proposal.repository);
    let reply = Reply::new(Tone::Good, title);
    let reply = decided(reply, proposal, "Approved by ");
    proposal.receipt.as_ref().map_or(reply.clone(), |receipt| receipt_lines(reply, receipt))
}

fn failed(proposal: &Proposal) -> Reply {
    let what = proposal.receipt.as_ref().map_or(0, |receipt| receipt.written.len());
    let how = if what > 0 { "was carried out in part" } else { "was not carried out" };
    let mut reply = Reply::new(Tone::Bad, format!("Restore {} of {} {how}", proposal.id, proposal.repository));
    if let Some(why) = &proposal.error {
        reply = reply.line(sentence(why));
    }
    proposal.receipt.as_ref().map_or(reply.clone(), |receipt| receipt_lines(reply, receipt))
}

fn stale(proposal: &Proposal) -> Reply {
    let reply =
        Reply::new(Tone::Careful, format!("Restore {} stopped: a reference has moved since the plan", proposal.id))
            .line("Nothing was overwritten that the plan did not know of.");
    match proposal.replaced_by {
        Some(next) => reply
            .line(format!("Restore {next} is the plan as it is now; whoever asked can confirm it."))
            .button(Look::Main, "Show the new plan", Button::Show { restore: next }.to_string()),
        None => reply.line("Ask for it again."),
    }
}

fn receipt_lines(mut reply: Reply, receipt: &Receipt) -> Reply {
    for written in receipt.written.iter().take(NAMED) {
        let line = Line::new().code(written.name.short()).text(": ");
        reply = reply.line(match written.old {
            Some(old) => line.code(old.short()).text(" → ").code(written.new.short()),
            None => line.text("made at ").code(written.new.short()),
        });
    }
    if let more @ 1.. = receipt.written.len().saturating_sub(NAMED) {
        reply = reply.line(format!("and {} more", count(more as u64, "reference")));
    }
    for refused in receipt.refused.iter().take(NAMED) {
        let line = Line::new().code(refused.name.short()).text(" was refused by the forge: ");
        reply = reply.line(match &refused.rule {
            Some(rule) => line.strong(sentence(rule)),
            None => line.text(sentence(&refused.why)),
        });
        if let Some(way_out) = &refused.way_out {
            reply = reply.line(sentence(way_out));
        }
    }
    reply = reply.line(format!("It took {}.", span(receipt.duration_ms)));
    if let Some(page) = receipt.page.as_deref().and_then(|page| page.parse().ok()) {
        reply = reply.line(Line::new().text("See it ").link("on the forge", page).text("."));
    }
    match &receipt.undo {
        None => reply,
        Some(undo) => {
            let reply = reply.line(format!("Snapshot {} holds what was there before; this brings it back:", undo.seq));
            undo.command.as_ref().map_or(reply.clone(), |command| reply.code(command))
        }
    }
}

fn decided(reply: Reply, proposal: &Proposal, how: &str) -> Reply {
    match &proposal.decided_by {
        Some(who) => reply.line(Line::new().text(how).who(who).text(".")),
        None => reply,
    }
}
