//! What receivers are given: one notice, or a summary of many.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{Severity, Undo};

/// Notices that a summary spells out; of the others it gives the number.
const SPELLED_OUT: usize = 10;

/// The longest subject line, in characters.
const LONGEST_SUBJECT: usize = 120;

/// A notice as receivers get it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the same words as in the catalog")]
pub struct Told {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub kind: String,
    pub severity: Severity,
    /// Its name.
    pub connection: Option<String>,
    /// `OWNER/NAME`.
    pub repository: Option<String>,
    pub text: String,
    pub subject: Option<String>,
    pub command: Option<String>,
    /// What a button brings back.
    pub undo: Option<Undo>,
}

/// What is handed over at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The same whenever the same message is sent again.
    pub id: String,
    /// The highest of its notices.
    pub severity: Severity,
    /// One line, without control characters.
    pub summary: String,
    /// All of it, for people.
    pub text: String,
    /// What it is about; the oldest first.
    pub notices: Vec<Told>,
}

impl Message {
    /// One notice as it is; several as a summary.
    pub fn new(id: String, notices: Vec<Told>) -> Self {
        let severity = notices.iter().map(|told| told.severity).max().unwrap_or_default();
        let (summary, text) = match &notices[..] {
            [told] => (told.text.clone(), spell_out(told)),
            many => summarize(many),
        };
        Self { id, severity, summary: one_line(&summary), text, notices }
    }
}

fn spell_out(told: &Told) -> String {
    let mut text = format!("{}\n", printable(&told.text));
    if let Some(command) = &told.command {
        text += &format!("\n  {}\n", printable(command));
    }
    let about = [("connection", &told.connection), ("repository", &told.repository)];
    text += &format!("\n{}: {}, {} UTC\n", told.severity, told.kind, told.at.format("%Y-%m-%d %H:%M:%S"));
    for (what, name) in about {
        text += &name.as_ref().map(|name| format!("{what}: {}\n", printable(name))).unwrap_or_default();
    }
    text
}

/// What happened how often, and where; then the most severe ones word by word.
fn summarize(many: &[Told]) -> (String, String) {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for told in many {
        let connection = told.connection.as_deref().unwrap_or("-");
        *counts.entry((std::cmp::Reverse(told.severity), told.kind.as_str(), connection)).or_default() += 1;
    }
    let summary = format!("{} notices", many.len());
    let mut text = format!("{summary} came together:\n\n");
    for ((severity, kind, connection), count) in &counts {
        text += &format!("{count:>6} {}: {kind}, connection {}\n", severity.0, printable(connection));
    }
    let mut first: Vec<&Told> = many.iter().collect();
    // Stable: the oldest first among equals.
    first.sort_by_key(|told| std::cmp::Reverse(told.severity));
    for told in first.iter().take(SPELLED_OUT) {
        text += &format!("\n{}\n", printable(&told.text));
        text += &told.command.as_ref().map(|command| format!("  {}\n", printable(command))).unwrap_or_default();
    }
    if many.len() > SPELLED_OUT {
        text += &format!("\nand {} more: refward notices --limit {}\n", many.len() - SPELLED_OUT, many.len());
    }
    (summary, text)
}

/// Names are strangers' choice: none may begin a line, or a header, of its own.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn one_line(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(LONGEST_SUBJECT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: i64, severity: Severity, kind: &str, text: &str) -> Told {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        let (kind, text, connection) = (kind.to_owned(), text.to_owned(), Some("acme".to_owned()));
        Told { id, at, kind, severity, connection, repository: None, text, subject: None, command: None, undo: None }
    }

    #[test]
    fn one_notice_is_told_with_its_command() {
        let one = Told {
            command: Some("refward backup acme:acme/api".to_owned()),
            ..told(1, Severity::Alarm, "backup.late", "acme/api: a change of 17 minutes ago is in no snapshot yet.")
        };
        insta::assert_snapshot!(Message::new("1".to_owned(), vec![one]).text, @"
        acme/api: a change of 17 minutes ago is in no snapshot yet.

          refward backup acme:acme/api

        alarm: backup.late, 2027-01-15 08:00:00 UTC
        connection: acme
        ");
    }

    #[test]
    fn many_notices_are_counted_and_the_worst_come_first() {
        let mut many: Vec<Told> =
            (1..=30).map(|id| told(id, Severity::Info, "repository.created", "one more")).collect();
        many.push(told(31, Severity::Alarm, "backup.late", "acme/api is late."));
        let message = Message::new("1".to_owned(), many);
        assert_eq!((message.severity, message.summary.as_str()), (Severity::Alarm, "31 notices"));
        let beginning = message.text.split("\n\n").take(3).collect::<Vec<_>>().join("\n\n");
        insta::assert_snapshot!(beginning, @"
        31 notices came together:

             1 alarm: backup.late, connection acme
            30 info: repository.created, connection acme

        acme/api is late.
        ");
        assert!(message.text.ends_with("\nand 21 more: refward notices --limit 31\n"), "{}", message.text);
    }

    #[test]
    fn a_name_cannot_begin_a_line_of_its_own() {
        let evil = "x\r\nBcc: everybody@example.com\r\n\r\n<script>\"'";
        let message = Message::new("1".to_owned(), vec![told(1, Severity::Info, "repository.created", evil)]);
        assert!(!message.summary.contains(['\r', '\n']), "{:?}", message.summary);
        assert!(!message.text.lines().any(|line| line.starts_with("Bcc")), "{}", message.text);
        let long = Message::new("1".to_owned(), vec![told(1, Severity::Info, "x", &"ä".repeat(500))]);
        assert_eq!(long.summary.chars().count(), LONGEST_SUBJECT + 1);
    }
}
