//! Words that several answers share, and errors in words.

use chrono::{DateTime, Utc};

use crate::chat::{Line, Reply, Tone};
use crate::domain::{Error, Kind, Person};

/// An error as an answer. Its detail never leaves the log; `id` finds it there.
pub(super) fn error(error: &Error, id: &str) -> Reply {
    if is_unexpected(error) {
        return Reply::new(Tone::Bad, "That did not work, and it should have.").line(
            Line::new().text("Whoever runs Refward finds the reason in its log, by the words ").code(id).text("."),
        );
    }
    let (tone, after) = match error.kind() {
        Kind::NotAllowed | Kind::NotFound | Kind::BadRequest => (Tone::Careful, None),
        Kind::Busy { .. } | Kind::Throttled { .. } => (Tone::Careful, Some("It passes: ask again in a moment.")),
        Kind::Remote { .. } => (Tone::Bad, Some("It may pass: ask again in a moment.")),
        Kind::Misconfigured | Kind::Damaged | Kind::Partial | Kind::Bug => (Tone::Bad, None),
    };
    let mut reply = Reply::new(tone, sentence(&error.to_string()));
    if let Some(hint) = error.next_step() {
        reply = reply.line(sentence(hint));
    }
    match after {
        Some(after) => reply.line(after),
        None => reply,
    }
}

/// Nothing that whoever asks could do anything about.
pub(super) fn is_unexpected(error: &Error) -> bool {
    error.kind() == Kind::Bug
}

/// Commands are not answered in this channel.
pub(super) fn not_here() -> Reply {
    Reply::new(Tone::Careful, "Refward does not answer in this channel.")
        .line("Ask in one that it answers in; the setting `commands_in` of whoever runs it says which.")
}

/// Something is there for somebody, and is told to them alone.
pub(super) fn ready(person: &Person) -> Reply {
    Reply::new(Tone::Plain, "What you asked for is ready.")
        .line(Line::new().who(person).text(": it took longer than the chat waits. Only you can see it."))
}

/// As a sentence begins and ends.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut text: String = match letters.next() {
        // Names in code and options stay as they are written.
        Some(first) if first.is_alphabetic() => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    };
    if !text.ends_with(['.', '!', '?', ':', '`']) {
        text.push('.');
    }
    text
}

/// `1 snapshot`, `2 snapshots`, `2 repositories`
pub(super) fn count(count: u64, one: &str) -> String {
    match (count, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {one}s"),
    }
}

/// `2026-11-20 14:05`, in tables; elsewhere moments are told as whoever reads has them.
pub(super) fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

/// `350 ms`, `4 s`, `3 min`
pub(super) fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{} s", millis.div_ceil(1_000)),
        _ => format!("{} min", millis.div_ceil(60_000)),
    }
}

/// The word that JSON has for it.
pub(super) fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{error, sentence};
    use crate::desk::plain;
    use crate::domain::Error;

    #[test]
    fn an_error_says_what_to_do_and_never_its_cause() {
        let refused = Error::not_allowed("this takes the role restorer").hint("an admin can grant it").detail("SECRET");
        assert_snapshot!(plain(&error(&refused, "discord:1")), @"
        This takes the role restorer.
        An admin can grant it.
        ");
        let busy = Error::busy("the database is locked").detail("SECRET");
        assert_snapshot!(plain(&error(&busy, "discord:1")), @"
        The database is locked.
        It passes: ask again in a moment.
        ");
        let bug = Error::bug("index out of bounds").detail("SECRET");
        assert_snapshot!(plain(&error(&bug, "discord:1")), @"
        That did not work, and it should have.
        Whoever runs Refward finds the reason in its log, by the words discord:1.
        ");
    }

    #[test]
    fn sentences_begin_large_and_end_with_a_point() {
        assert_eq!(sentence("there is none"), "There is none.");
        assert_eq!(sentence("`main` moved!"), "`main` moved!");
    }
}
