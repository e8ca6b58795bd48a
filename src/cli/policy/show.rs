//! Policies in words.

use crate::cli::output;
use crate::domain::policy::Policy;
use crate::ops::policy::{Changed, Explained, Kept, Move, Past, PolicyRow, Submitted, Waiting};

/// Repositories that a list of moves names; of more it tells how many.
const MOVES: usize = 10;

pub(super) fn list(rows: &[PolicyRow]) -> String {
    let lines = rows.iter().map(|row| {
        [
            row.name.clone(),
            row.repositories.to_string(),
            row.trigger.clone(),
            row.retention.clone(),
            row.drill.clone(),
            row.waiting.map(|change| format!("change {change} waits")).unwrap_or_default(),
        ]
    });
    output::table(["policy", "repositories", "when", "kept", "drill", ""], lines, "")
}

pub(super) fn policy(policy: &Policy) -> String {
    toml::to_string(policy).unwrap_or_default()
}

pub(super) fn submitted(submitted: &Submitted) -> String {
    let what = match (submitted.kind, submitted.state) {
        (_, "unchanged") => return format!("{}: nothing changes, it was so already.", subject(&submitted.policy)),
        (kind, "waiting") => waits(kind, submitted),
        ("create", _) => "is there and applies from now on.".to_owned(),
        ("delete", _) => "is deleted.".to_owned(),
        _ => "is changed.".to_owned(),
    };
    format!("{}: {what}\n{}", subject(&submitted.policy), details(submitted))
}

fn waits(kind: &str, submitted: &Submitted) -> String {
    let until = submitted.effective_at.map(output::time).unwrap_or_default();
    let change = submitted.change.map(|change| format!(" {change}")).unwrap_or_default();
    let what = if kind == "create" { "it is there" } else { "it acts" };
    let mut text = format!("change{change} waits, because it protects less; {what} from {until} UTC on");
    if submitted.needs_approval {
        text += &format!(", once somebody else has approved it: refward policy approve{change}");
    }
    text + &format!(".\n  refward policy revoke{change} takes it back.")
}

/// `refward policy test`: nothing has happened.
pub(super) fn all_planned(planned: &[Submitted]) -> String {
    let one = |planned: &Submitted| {
        let what = match (planned.kind, planned.state) {
            (_, "unchanged") => return format!("{}: nothing would change.", subject(&planned.policy)),
            ("create", "waiting") => "would be made, but not at once: it protects less.",
            ("create", _) => "would be made.",
            (_, "waiting") => "would be changed, but not at once: that protects less.",
            _ => "would be changed.",
        };
        format!("{}: {what}\n{}", subject(&planned.policy), details(planned))
    };
    planned.iter().map(|planned| format!("{}\n", one(planned).trim_end())).collect()
}

pub(super) fn all_submitted(all: &[Submitted]) -> String {
    all.iter().map(|one| format!("{}\n", submitted(one).trim_end())).collect()
}

fn subject(policy: &str) -> String {
    if policy == "*" { "All policies".to_owned() } else { policy.to_owned() }
}

fn details(submitted: &Submitted) -> String {
    let less = submitted.weakens.iter().map(|sentence| format!("  less: {sentence}\n"));
    differences(&submitted.differences) + &moves(&submitted.moves) + &less.collect::<String>()
}

fn differences(changes: &[Changed]) -> String {
    changes.iter().map(|change| format!("  {change}\n")).collect()
}

fn moves(moves: &[Move]) -> String {
    let lines = moves.iter().take(MOVES).map(|one| format!("  {}: {} → {}\n", one.repository, one.from, one.to));
    let more = moves.len().saturating_sub(MOVES);
    let rest = if more > 0 { format!("  and {more} more repositories\n") } else { String::new() };
    lines.collect::<String>() + &rest
}

pub(super) fn approved(change: &Waiting) -> String {
    let by = change.approved_by.clone().unwrap_or_default();
    let at = output::time(change.effective_at);
    format!("Change {} of {} is approved by {by}; it acts from {at} UTC on.", change.change, subject(&change.policy))
}

pub(super) fn revoked(change: &Waiting) -> String {
    format!("Change {} of {} is taken back; nothing has changed.", change.change, subject(&change.policy))
}

pub(super) fn history(changes: &[Past]) -> String {
    let mut text = String::new();
    for change in changes {
        let state = match (output::word(&change.state), &change.decided_by) {
            (state, Some(by)) if state == "waiting" => format!("waits, approved by {by}"),
            (state, Some(by)) => format!("{state} by {by}"),
            (state, None) if state == "waiting" => format!("waits until {} UTC", output::time(change.effective_at)),
            (state, None) => state,
        };
        text += &format!(
            "{}  {} UTC  {}  {} {}: {state}\n{}",
            change.change,
            output::time(change.at),
            change.actor,
            change.kind,
            change.policy,
            differences(&change.differences)
        );
    }
    if text.is_empty() { "No policy was ever changed.".to_owned() } else { text }
}

pub(super) fn explained(explained: &Explained) -> String {
    let next = explained.next_run.map(|at| format!(", next at {} UTC", output::time(at))).unwrap_or_default();
    let mut text = format!(
        "{} is under the policy {}: {}.\n  backed up: {}{next}\n  kept: {} ({})\n  restore drilled: {}\n",
        explained.repository,
        explained.policy,
        explained.why,
        explained.trigger,
        explained.retention,
        explained.timezone,
        if explained.drill == "never" { explained.drill.clone() } else { format!("every {}", explained.drill) },
    );
    if let Some(why) = &explained.spared {
        text += &format!("  nothing goes: {why}\n");
    }
    text + "\n" + &describe_points(&explained.points, explained.spared.is_some())
}

/// Why each recovery point is kept, the oldest first.
pub(in crate::cli) fn describe_points(points: &[Kept], spared: bool) -> String {
    let rows = points.iter().map(|point| {
        let why = match (point.reasons.is_empty(), spared) {
            (true, false) => "no rule keeps it".to_owned(),
            (true, true) => "no rule would keep it".to_owned(),
            (false, _) => point.reasons.join("; "),
        };
        let until = match (point.goes_at, point.leaving_at, point.until) {
            (Some(goes), Some(_), _) => format!("leaving, goes after {}", output::time(goes)),
            (Some(_), None, _) => "is marked with the next look".to_owned(),
            (None, _, Some(until)) => output::time(until),
            (None, _, None) => "-".to_owned(),
        };
        let complete = if point.complete { "" } else { "PARTIAL" };
        [point.seq.to_string(), output::time(point.time), complete.to_owned(), point.labels.join(", "), until, why]
    });
    output::table(["seq", "time (UTC)", "", "labels", "until (UTC)", "kept because"], rows, "No snapshots yet.")
}
