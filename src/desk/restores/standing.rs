//! A restore as a channel sees it: one message, brought up to date, that names what is private only where that is allowed.

use crate::chat::{Line, Look, Reply, Tone};
use crate::desk::buttons::Button;
use crate::ops::restores::{Destination, Proposal, State};

use super::told::how_far;

/// The message. `None`: nothing stands in the channel, because nobody has confirmed it yet or it is a download.
pub(in crate::desk) fn standing(proposal: &Proposal, named: bool) -> Option<Reply> {
    if proposal.wish.to == Destination::Download {
        return None;
    }
    let id = proposal.id;
    let what = if named { format!("Restore {id} of {}", proposal.repository) } else { format!("Restore {id}") };
    let (tone, title, button) = match proposal.state {
        State::Planned => return None,
        State::Confirmed => (Tone::Careful, format!("{what} waits for a second person"), Some("Show plan")),
        State::Approved => (Tone::Plain, format!("{what} is about to begin"), None),
        State::Running => (Tone::Plain, format!("{what} is under way"), None),
        State::Done => (Tone::Good, format!("{what} is done"), Some("Show receipt")),
        State::Failed => (Tone::Bad, format!("{what} was not carried out as planned"), Some("Show why")),
        State::Stale => (Tone::Careful, format!("{what} stopped: a reference moved since the plan"), Some("Show why")),
        // What was never confirmed never stood here.
        _ if proposal.confirmed_at.is_none() => return None,
        State::Rejected => (Tone::Careful, format!("{what} was rejected"), None),
        State::Cancelled => (Tone::Plain, format!("{what} is cancelled"), None),
        State::Expired => (Tone::Careful, format!("{what} has expired: nobody approved it in time"), None),
    };
    let asked = Line::new().text("Asked for by ").who(&proposal.requested_by);
    let mut reply = Reply::new(tone, title).line(match (&proposal.decided_by, proposal.state) {
        (Some(second), State::Rejected) => asked.text(", rejected by ").who(second).text("."),
        (Some(second), _) => asked.text(", approved by ").who(second).text("."),
        (None, State::Confirmed) => asked.text("; it ends ").when(proposal.expires_at).text("."),
        (None, _) => asked.text("."),
    });
    if let (State::Running, Some(so_far)) = (proposal.state, proposal.progress.filter(|so_far| so_far.total > 0)) {
        reply = reply.line(how_far(so_far));
    }
    Some(match button {
        Some(label) => reply.button(Look::Main, label, Button::Show { restore: id }.to_string()),
        None => reply,
    })
}
