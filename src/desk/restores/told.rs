//! A restore as whoever may read the repository sees it: privately, with every reference.

use secrecy::ExposeSecret as _;

use crate::chat::{Line, Look, Reply, Tone};
use crate::desk::buttons::Button;
use crate::desk::words::{count, sentence, span};
use crate::domain::ObjectId;
use crate::ops::restore::Action;
use crate::ops::restores::{Destination, Done, Link, PlannedMove, Proposal, Receipt, State};

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
    match proposal.progress.filter(|so_far| so_far.total > 0) {
        Some(so_far) => reply.line(how_far(so_far)),
        None => reply,
    }
}

/// `3 of 8 objects read.`
pub(super) fn how_far(so_far: Done) -> String {
    if so_far.pushes {
        return format!("It is too much for one push: {} of {} done.", so_far.done, so_far.total);
    }
    format!("{} of {} read.", so_far.done, count(so_far.total, "object"))
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
    let overwrites = |planned: &&PlannedMove| planned.action == Action::Overwrite;
    let mut refs: Vec<&PlannedMove> = plan.refs.iter().collect();
    // What costs something comes first: nobody is to approve it because it stands below what has room.
    refs.sort_by_key(|planned| !overwrites(planned));
    for planned in refs.iter().take(NAMED) {
        reply = reply.line(moves(planned));
    }
    if let more @ 1.. = refs.len().saturating_sub(NAMED) {
        let more = count(more as u64, "reference");
        reply = reply.line(match refs.iter().skip(NAMED).copied().filter(overwrites).count() {
            0 => format!("and {more} more"),
            lost => format!("and {more} more, {lost} of which are overwritten"),
        });
    }
    for missing in plan.missing.iter().take(NAMED) {
        reply = reply.line(format!("The snapshot lacks {}: {}.", missing.what, missing.why));
    }
    for left in plan.left_behind.iter().take(NAMED) {
        reply = reply.line(format!("Stays behind: {}: {}.", left.what, left.why));
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
        (Action::Skip { why }, _) => return line.text(format!("cannot be restored: {why}.")),
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
    let Some(at) = planned.moved_at else { return line.text(".") };
    // Beside it, the reference itself stays as it is.
    let what = if planned.name == planned.target { String::new() } else { format!("{} was ", planned.name.short()) };
    let by = planned.moved_by.as_ref().map(|who| format!("by {who} ")).unwrap_or_default();
    line.text(format!("; {what}moved {by}")).when(at).text(".")
}

fn done(proposal: &Proposal) -> Reply {
    let title = format!("Restore {} of {} is done", proposal.id, proposal.repository);
    let reply = Reply::new(Tone::Good, title);
    let reply = decided(reply, proposal, "Approved by ");
    proposal.receipt.as_ref().map_or(reply.clone(), |receipt| receipt_lines(reply, receipt))
}

fn failed(proposal: &Proposal) -> Reply {
    let written = proposal.receipt.as_ref().map(|receipt| receipt.written.len());
    let how = match (written, proposal.started_at) {
        (Some(1..), _) => "was carried out in part",
        // Nobody has heard what the forge did with it.
        (None, Some(_)) => "was begun, and nobody knows how far it came",
        _ => "was not carried out",
    };
    let mut reply = Reply::new(Tone::Bad, format!("Restore {} of {} {how}", proposal.id, proposal.repository));
    if let Some(why) = &proposal.error {
        reply = reply.line(sentence(why));
    }
    if written.is_none() && proposal.started_at.is_some() {
        reply = reply.line("What is as planned by now is left out when you ask for it again.");
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
            Some(rule) => line.strong(rule).text("."),
            None => line.text(format!("{}.", refused.why)),
        });
        if let Some(way_out) = &refused.way_out {
            reply = reply.line(sentence(way_out));
        }
    }
    for left in &receipt.left_over {
        reply =
            reply.line(Line::new().code(left.as_str()).text(" is left over from pushing in parts: delete it there."));
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

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use insta::assert_snapshot;

    use super::super::standing;
    use super::*;
    use crate::desk::plain;
    use crate::domain::{Person, RepoId, Seq, Skipped};
    use crate::ops::restores::{DetailedPlan, Origin, Refused, Undo, Wish, Written};

    fn moment(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    fn id(digit: char) -> ObjectId {
        digit.to_string().repeat(40).parse().expect("an id")
    }

    fn person(id: &str) -> Person {
        Person::new("discord", id).expect("a person")
    }

    fn overwritten() -> PlannedMove {
        PlannedMove {
            name: "refs/heads/main".parse().expect("a name"),
            target: "refs/heads/main".parse().expect("a name"),
            now: Some(id('b')),
            then: id('a'),
            action: Action::Overwrite,
            lost: Some(1),
            regained: Some(3),
            current: Some(id('b')),
            moved_by: Some("mallory".to_owned()),
            moved_at: Some(moment(-5)),
        }
    }

    fn proposal(state: State) -> Proposal {
        let hidden = PlannedMove {
            name: "refs/pull/1/head".parse().expect("a name"),
            target: "refs/pull/1/head".parse().expect("a name"),
            action: Action::Skip { why: "servers keep these references for themselves".to_owned() },
            ..overwritten()
        };
        Proposal {
            id: 12,
            repository: "acme/api".to_owned(),
            repo: "0".repeat(32).parse::<RepoId>().expect("an id"),
            public: false,
            requested_by: person("1"),
            origin: Origin {
                platform: "discord".to_owned(),
                channel: Some("9".to_owned()),
                roles: Vec::new(),
                approver_roles: Vec::new(),
            },
            wish: Wish { refs: vec!["main".to_owned()], at: None, to: Destination::InPlace },
            plan: DetailedPlan {
                repository: "acme/api".to_owned(),
                target: "acme:acme/api".to_owned(),
                seq: Seq::new(7).expect("a number"),
                time: moment(-60),
                refs: vec![overwritten(), hidden],
                missing: vec![Skipped { what: "issues".to_owned(), why: "they are not asked for".to_owned() }],
                left_behind: Vec::new(),
                estimate_ms: Some(4_200),
            },
            hash: "c0ffee".to_owned(),
            needs_approval: true,
            state,
            created_at: moment(0),
            expires_at: moment(15),
            confirmed_at: (state != State::Planned).then(|| moment(1)),
            decided_by: matches!(state, State::Done | State::Rejected).then(|| person("2")),
            decided_at: None,
            started_at: None,
            finished_at: None,
            progress: (state == State::Running).then_some(Done { done: 3, total: 8, pushes: false, before: None }),
            receipt: None,
            error: None,
            replaced_by: (state == State::Stale).then_some(13),
            link: None,
        }
    }

    fn carried_out(state: State) -> Proposal {
        let name = || "refs/heads/main".parse().expect("a name");
        let refused = Refused {
            name: "refs/heads/next".parse().expect("a name"),
            why: "GH006: Protected branch update failed".to_owned(),
            rule: Some("the branch is protected".to_owned()),
            way_out: Some("allow force pushes for a moment, then ask again".to_owned()),
        };
        let receipt = Receipt {
            written: vec![Written { name: name(), old: Some(id('b')), new: id('a') }],
            refused: if state == State::Failed { vec![refused] } else { Vec::new() },
            left_over: Vec::new(),
            undo: Some(Undo {
                seq: Seq::new(9).expect("a number"),
                command: Some("refward restore acme/api".to_owned()),
            }),
            page: Some("https://github.example/acme/api/tree/main".to_owned()),
            duration_ms: 350,
        };
        Proposal { receipt: Some(receipt), ..proposal(state) }
    }

    fn shown(proposal: &Proposal, viewer: Viewer) -> String {
        plain(&told(proposal, viewer))
    }

    #[test]
    fn a_plan_says_what_is_lost_and_regained_and_who_did_it() {
        assert_snapshot!(shown(&proposal(State::Planned), Viewer::Requester), @"
        Restore 12 of acme/api: nothing has happened yet
        From snapshot 7 of 2024-10-03 23:00:00 UTC, to acme:acme/api.
        main: bbbbbbbbbb → aaaaaaaaaa; loses 1 commit, brings back 3 commits; moved by mallory 2024-10-03 23:55:00 UTC.
        refs/pull/1/head: cannot be restored: servers keep these references for themselves.
        The snapshot lacks issues: they are not asked for.
        It takes about 5 s.
        It overwrites what is there: once you have confirmed it, a second person has to approve it.
        This plan ends 2024-10-04 00:15:00 UTC.
        [Confirm] refward ask --press restore:confirm:12:c0ffee
        [Cancel] refward ask --press restore:cancel:12
        ");
    }

    #[test]
    fn a_new_branch_is_made_and_needs_nobody_else() {
        let beside = PlannedMove {
            target: "refs/heads/restored-7/main".parse().expect("a name"),
            now: None,
            action: Action::Create,
            lost: None,
            ..overwritten()
        };
        let mut proposal = Proposal { needs_approval: false, ..proposal(State::Planned) };
        proposal.plan.refs = vec![beside];
        proposal.plan.missing.clear();
        assert_snapshot!(shown(&proposal, Viewer::Requester), @"
        Restore 12 of acme/api: nothing has happened yet
        From snapshot 7 of 2024-10-03 23:00:00 UTC, to acme:acme/api.
        restored-7/main: is made at aaaaaaaaaa; brings back 3 commits; main was moved by mallory 2024-10-03 23:55:00 UTC.
        It takes about 5 s.
        This plan ends 2024-10-04 00:15:00 UTC.
        [Confirm] refward ask --press restore:confirm:12:c0ffee
        [Cancel] refward ask --press restore:cancel:12
        ");
    }

    #[test]
    fn who_waits_and_who_decides_see_the_same_plan_with_other_buttons() {
        assert_snapshot!(shown(&proposal(State::Confirmed), Viewer::Requester), @"
        Restore 12 of acme/api waits for a second person
        From snapshot 7 of 2024-10-03 23:00:00 UTC, to acme:acme/api.
        main: bbbbbbbbbb → aaaaaaaaaa; loses 1 commit, brings back 3 commits; moved by mallory 2024-10-03 23:55:00 UTC.
        refs/pull/1/head: cannot be restored: servers keep these references for themselves.
        The snapshot lacks issues: they are not asked for.
        It takes about 5 s.
        Asked for by discord:1; it ends 2024-10-04 00:15:00 UTC.
        Somebody else with the right to restore approves it, with the button in the channel.
        [Cancel] refward ask --press restore:cancel:12
        ");
        assert_snapshot!(shown(&proposal(State::Confirmed), Viewer::Second), @"
        Restore 12 of acme/api waits for a second person
        From snapshot 7 of 2024-10-03 23:00:00 UTC, to acme:acme/api.
        main: bbbbbbbbbb → aaaaaaaaaa; loses 1 commit, brings back 3 commits; moved by mallory 2024-10-03 23:55:00 UTC.
        refs/pull/1/head: cannot be restored: servers keep these references for themselves.
        The snapshot lacks issues: they are not asked for.
        It takes about 5 s.
        Asked for by discord:1; it ends 2024-10-04 00:15:00 UTC.
        [Approve] refward ask --press restore:approve:12:c0ffee
        [Reject] refward ask --press restore:reject:12:c0ffee
        ");
        assert!(told(&proposal(State::Confirmed), Viewer::Other).buttons.is_empty());
    }

    #[test]
    fn a_receipt_says_how_to_undo_it_and_a_refusal_which_rule_and_the_way_out() {
        assert_snapshot!(shown(&carried_out(State::Done), Viewer::Requester), @"
        Restore 12 of acme/api is done
        Approved by discord:2.
        main: bbbbbbbbbb → aaaaaaaaaa
        It took 350 ms.
        See it on the forge (https://github.example/acme/api/tree/main).
        Snapshot 9 holds what was there before; this brings it back:
            refward restore acme/api
        ");
        assert_snapshot!(shown(&carried_out(State::Failed), Viewer::Requester), @"
        Restore 12 of acme/api was carried out in part
        main: bbbbbbbbbb → aaaaaaaaaa
        next was refused by the forge: the branch is protected.
        Allow force pushes for a moment, then ask again.
        It took 350 ms.
        See it on the forge (https://github.example/acme/api/tree/main).
        Snapshot 9 holds what was there before; this brings it back:
            refward restore acme/api
        ");
    }

    #[test]
    fn what_was_begun_and_not_heard_of_is_not_said_to_be_undone() {
        let error = || Some("the forge cannot be reached".to_owned());
        let begun = Proposal { started_at: Some(moment(2)), error: error(), ..proposal(State::Failed) };
        assert_snapshot!(shown(&begun, Viewer::Requester), @"
        Restore 12 of acme/api was begun, and nobody knows how far it came
        The forge cannot be reached.
        What is as planned by now is left out when you ask for it again.
        ");
        let never_begun = Proposal { error: error(), ..proposal(State::Failed) };
        assert_snapshot!(shown(&never_begun, Viewer::Requester), @"
        Restore 12 of acme/api was not carried out
        The forge cannot be reached.
        ");
    }

    #[test]
    fn every_other_end_has_its_words() {
        let ends = [State::Running, State::Stale, State::Rejected, State::Cancelled, State::Expired];
        let told: Vec<String> = ends.iter().map(|state| shown(&proposal(*state), Viewer::Requester)).collect();
        assert_snapshot!(told.join("\n"), @"
        Restore 12 of acme/api is under way
        3 of 8 objects read.

        Restore 12 stopped: a reference has moved since the plan
        Nothing was overwritten that the plan did not know of.
        Restore 13 is the plan as it is now; whoever asked can confirm it.
        [Show the new plan] refward ask --press restore:show:13

        Restore 12 was rejected. Nothing has changed.
        By discord:2.

        Restore 12 is cancelled. Nothing has changed.

        Restore 12 has expired. Nothing has changed.
        Ask for it again; what it would do is then looked at anew.
        ");
    }

    #[test]
    fn a_channel_learns_no_names_unless_it_may() {
        let states = [
            State::Confirmed,
            State::Approved,
            State::Running,
            State::Done,
            State::Failed,
            State::Stale,
            State::Rejected,
            State::Cancelled,
            State::Expired,
        ];
        let messages: Vec<String> =
            states.iter().filter_map(|state| standing(&proposal(*state), false)).map(|reply| plain(&reply)).collect();
        assert_snapshot!(messages.join("\n"), @"
        Restore 12 waits for a second person
        Asked for by discord:1; it ends 2024-10-04 00:15:00 UTC.
        [Show plan] refward ask --press restore:show:12

        Restore 12 is about to begin
        Asked for by discord:1.

        Restore 12 is under way
        Asked for by discord:1.
        3 of 8 objects read.

        Restore 12 is done
        Asked for by discord:1, approved by discord:2.
        [Show receipt] refward ask --press restore:show:12

        Restore 12 was not carried out as planned
        Asked for by discord:1.
        [Show why] refward ask --press restore:show:12

        Restore 12 stopped: a reference moved since the plan
        Asked for by discord:1.
        [Show why] refward ask --press restore:show:12

        Restore 12 was rejected
        Asked for by discord:1, rejected by discord:2.

        Restore 12 is cancelled
        Asked for by discord:1.

        Restore 12 has expired: nobody approved it in time
        Asked for by discord:1.
        ");
        assert!(messages.iter().all(|text| !text.contains("acme") && !text.contains("main")));
        assert!(standing(&proposal(State::Done), true).is_some_and(|reply| reply.title.contains("acme/api")));
        assert_eq!(standing(&proposal(State::Planned), true), None, "nobody has confirmed it");
        let mut download = proposal(State::Done);
        download.wish.to = Destination::Download;
        assert_eq!(standing(&download, true), None, "it is for who asked alone");
    }

    #[test]
    fn what_would_be_overwritten_stands_above_all_that_would_be_made() {
        let named = |letter: char, n: usize| format!("refs/heads/{letter}{n:02}").parse().expect("a name");
        let made = |n| PlannedMove { target: named('a', n), now: None, action: Action::Create, ..overwritten() };
        let lost = |n| PlannedMove { target: named('z', n), ..overwritten() };
        let mut proposal = proposal(State::Confirmed);
        proposal.plan.refs = (0..14).map(made).chain((0..13).map(lost)).collect();
        let text = plain(&told(&proposal, Viewer::Second));
        assert!(text.contains("z00") && text.contains("z11") && !text.contains("a00"), "{text}");
        assert!(text.contains("and 15 references more, 1 of which are overwritten"), "{text}");
    }
}
