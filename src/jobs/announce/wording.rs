//! What a channel is told of notices, in words.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::catalog::RESOLVED;
use crate::chat::{Line, Look, Reply, Tone};
use crate::domain::{Severity, command};
use crate::notify::Told;

/// Older notices that a message repeats, and notices that a summary spells out; of the others it gives the number.
const SPELLED_OUT: usize = 5;

/// Lines of a summary's table.
const ROWS: usize = 10;

/// The longest text of a notice that is not the message's first, in characters.
const CUT: usize = 200;

/// What happened to one thing, the oldest first in `told`, the newest first in the message.
pub(super) fn thread(told: &[Told]) -> Reply {
    let Some((newest, earlier)) = told.split_last() else { return Reply::default() };
    let over = newest.kind == RESOLVED;
    let mut reply = Reply::new(tone(newest), format!("{}{}", heading(newest), about(newest)))
        .line(newest.text.as_str())
        .line(Line::new().when(newest.at).text(format!(" · {}", newest.kind)));
    if let Some(command) = &newest.command {
        reply = reply.code(command.as_str());
    }
    if !earlier.is_empty() {
        reply = reply.line(Line::new().strong(if over { "What it was" } else { "Before that" }));
        for told in earlier.iter().rev().take(SPELLED_OUT) {
            reply = reply.line(Line::new().when(told.at).text(format!(": {}", cut(&told.text))));
        }
        if earlier.len() > SPELLED_OUT {
            let more = earlier.len() - SPELLED_OUT;
            reply = reply.line(Line::new().text(format!("and {more} more: ")).code("refward notices"));
        }
    }
    let shown: Vec<&Told> = told.iter().rev().take(1 + SPELLED_OUT).filter(|told| told.undo.is_some()).collect();
    let one = shown.len() == 1;
    shown.into_iter().take(SPELLED_OUT).enumerate().fold(reply, |reply, (nth, told)| {
        let back = told.undo.as_ref().filter(|_| !one);
        let label = back.map_or_else(|| "Undo".to_owned(), |undo| format!("Undo: back to snapshot {}", undo.at));
        reply.button(if nth == 0 { Look::Main } else { Look::Plain }, label, undo_id(told))
    })
}

/// Many notices, the oldest first, each with where it belongs: what happened how often, and where; then the worst.
pub(super) fn summary(many: &[(Told, String)]) -> Reply {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for (told, place) in many {
        *counts.entry((Reverse(told.severity), told.kind.as_str(), place.as_str())).or_default() += 1;
    }
    let all_over = many.iter().all(|(told, _)| told.kind == RESOLVED);
    let worst = many.iter().map(|(told, _)| told.severity).max().unwrap_or_default();
    let tone = if all_over { Tone::Good } else { tone_of(worst) };
    let rows = counts.iter().map(|((severity, kind, place), count)| {
        [count.to_string(), severity.0.to_string(), (*kind).to_owned(), (*place).to_owned()]
    });
    let mut reply = Reply::new(tone, format!("{} notices came together", many.len()))
        .table(["how many", "severity", "what", "where"], rows.take(ROWS));
    if counts.len() > ROWS {
        reply = reply.line(format!("and {} more lines like these", counts.len() - ROWS));
    }
    let mut first: Vec<&Told> = many.iter().map(|(told, _)| told).collect();
    // Stable: what can be undone first, then the oldest, among equals.
    first.sort_by_key(|told| (Reverse(told.severity), told.undo.is_none()));
    first.truncate(SPELLED_OUT);
    for told in &first {
        reply = reply.line(Line::new().when(told.at).text(format!(": {}", cut(&told.text))));
    }
    if many.len() > SPELLED_OUT {
        let limit = many.len().to_string();
        reply = reply
            .line(format!("and {} more:", many.len() - SPELLED_OUT))
            .code(command(["notices", "--limit", &limit]).unwrap_or_default());
    }
    first.into_iter().filter(|told| told.undo.is_some()).fold(reply, |reply, told| {
        reply.button(Look::Plain, cut_to(&format!("Undo: {}", about(told)), LONGEST_LABEL), undo_id(told))
    })
}

/// The longest label that a platform takes, in characters:
/// <https://docs.discord.com/developers/components/reference#button>
const LONGEST_LABEL: usize = 80;

/// What is pressed to bring back what a notice says was lost.
fn undo_id(told: &Told) -> String {
    format!("undo:{}", told.id)
}

fn heading(told: &Told) -> &'static str {
    match told.severity {
        _ if told.kind == RESOLVED => "Over: ",
        Severity::Alarm => "Alarm: ",
        Severity::Warning => "Warning: ",
        Severity::Info => "",
    }
}

fn about(told: &Told) -> &str {
    told.repository.as_deref().or(told.connection.as_deref()).unwrap_or("Refward")
}

fn tone(told: &Told) -> Tone {
    if told.kind == RESOLVED { Tone::Good } else { tone_of(told.severity) }
}

fn tone_of(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Plain,
        Severity::Warning => Tone::Careful,
        Severity::Alarm => Tone::Bad,
    }
}

fn cut(text: &str) -> String {
    cut_to(text, CUT)
}

fn cut_to(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest - 1) {
        Some((end, last)) if end + last.len_utf8() < text.len() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::chat::{Block, Piece};
    use crate::domain::{Seq, Undo};

    #[test]
    fn one_notice_says_what_it_is_when_it_was_and_what_helps() {
        insta::assert_snapshot!(shown(&thread(&[rewritten(1, 41)])), @"
        Bad: Alarm: acme/api
        history of acme/api was rewritten (snapshot 42): main was forced.
        00:01 · history.rewritten
            refward restore acme:acme/api --at 41 --ref refs/heads/main --to-origin --force
        [Undo](undo:1)
        ");
        insta::assert_snapshot!(shown(&thread(&[Told { repository: None, connection: None, ..late(1) }])), @"
        Bad: Alarm: Refward
        A change of acme/api is in no snapshot yet.
        00:01 · backup.late
        ");
    }

    #[test]
    fn what_happens_next_comes_first_and_everything_can_be_undone() {
        insta::assert_snapshot!(shown(&thread(&[rewritten(1, 41), rewritten(2, 42)])), @"
        Bad: Alarm: acme/api
        history of acme/api was rewritten (snapshot 43): main was forced.
        00:02 · history.rewritten
            refward restore acme:acme/api --at 42 --ref refs/heads/main --to-origin --force
        *Before that*
        00:01: history of acme/api was rewritten (snapshot 42): main was forced.
        [Undo: back to snapshot 42](undo:2)
        [Undo: back to snapshot 41](undo:1)
        ");
    }

    #[test]
    fn what_is_over_says_so_and_what_it_was() {
        insta::assert_snapshot!(shown(&thread(&[late(1), over(2)])), @"
        Good: Over: acme/api
        Over: A change of acme/api is in no snapshot yet.
        00:02 · resolved
        *What it was*
        00:01: A change of acme/api is in no snapshot yet.
        ");
    }

    #[test]
    fn a_long_story_is_told_from_its_end() {
        let long: Vec<Told> = (1..=30).map(|nth| Told { text: "x".repeat(500), ..rewritten(nth, 40) }).collect();
        let reply = thread(&long);
        assert_eq!(reply.buttons.len(), SPELLED_OUT);
        assert_eq!(reply.buttons[0].id, "undo:30");
        let text = shown(&reply);
        assert_eq!(text.lines().filter(|line| line.ends_with('…')).count(), SPELLED_OUT, "{text}");
        assert!(text.contains("and 24 more: `refward notices`"), "{text}");
    }

    #[test]
    fn five_hundred_notices_are_counted_and_the_worst_come_first() {
        let place = |told: Told, place: &str| (told, place.to_owned());
        let mut many: Vec<_> = (1..=499).map(|nth| place(late(nth), "acme")).collect();
        many[100].1 = "acme: payments".to_owned();
        many.push(place(rewritten(500, 41), "acme: payments"));
        many[0].0.severity = Severity::Warning;
        insta::assert_snapshot!(shown(&summary(&many)), @"
        Bad: 500 notices came together
        how many | severity | what | where
        497 | alarm | backup.late | acme
        1 | alarm | backup.late | acme: payments
        1 | alarm | history.rewritten | acme: payments
        1 | warning | backup.late | acme
        08:20: history of acme/api was rewritten (snapshot 42): main was forced.
        00:02: A change of acme/api is in no snapshot yet.
        00:03: A change of acme/api is in no snapshot yet.
        00:04: A change of acme/api is in no snapshot yet.
        00:05: A change of acme/api is in no snapshot yet.
        and 495 more:
            refward notices --limit 500
        [Undo: acme/api](undo:500)
        ");
    }

    #[test]
    fn when_all_is_over_the_summary_is_a_good_one() {
        let many = [(over(1), "acme".to_owned()), (over(2), "acme".to_owned())];
        assert_eq!(summary(&many).tone, Tone::Good);
    }

    #[test]
    fn a_label_is_no_longer_than_platforms_take() {
        let long = Told { repository: Some("ä".repeat(200)), ..rewritten(1, 41) };
        let many = [(long, String::new()), (late(2), String::new())];
        assert_eq!(summary(&many).buttons[0].label.chars().count(), LONGEST_LABEL);
    }

    fn rewritten(id: i64, at: u64) -> Told {
        let undo = Undo { refs: vec!["refs/heads/main".parse().expect("a name")], at: Seq::new(at).expect("no zero") };
        Told {
            kind: "history.rewritten".to_owned(),
            text: format!("history of acme/api was rewritten (snapshot {}): main was forced.", at + 1),
            command: Some(format!("refward restore acme:acme/api --at {at} --ref refs/heads/main --to-origin --force")),
            undo: Some(undo),
            ..late(id)
        }
    }

    fn late(id: i64) -> Told {
        Told {
            id,
            at: DateTime::UNIX_EPOCH + TimeDelta::minutes(id),
            kind: "backup.late".to_owned(),
            severity: Severity::Alarm,
            connection: Some("acme".to_owned()),
            repository: Some("acme/api".to_owned()),
            text: "A change of acme/api is in no snapshot yet.".to_owned(),
            subject: None,
            command: None,
            undo: None,
        }
    }

    fn over(id: i64) -> Told {
        let text = "Over: A change of acme/api is in no snapshot yet.".to_owned();
        Told { kind: RESOLVED.to_owned(), severity: Severity::Info, text, ..late(id) }
    }

    /// As a platform would show it.
    fn shown(reply: &Reply) -> String {
        let clock = |at: &DateTime<Utc>| at.format("%H:%M").to_string();
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Strong(text) => format!("*{text}*"),
            Piece::Code(text) => format!("`{text}`"),
            Piece::When(at) => clock(at),
            other => format!("{other:?}"),
        };
        let block = |block: &Block| match block {
            Block::Line(line) => line.0.iter().map(piece).collect(),
            Block::Table { header, rows } => {
                let lines = std::iter::once(header).chain(rows).map(|row| row.join(" | "));
                lines.collect::<Vec<_>>().join("\n")
            }
            Block::Code(code) => format!("    {code}"),
        };
        let buttons = reply.buttons.iter().map(|button| format!("[{}]({})", button.label, button.id));
        let head = format!("{:?}: {}", reply.tone, reply.title);
        std::iter::once(head).chain(reply.blocks.iter().map(block)).chain(buttons).collect::<Vec<_>>().join("\n")
    }
}
