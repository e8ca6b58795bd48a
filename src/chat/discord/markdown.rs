//! Foreign text as Discord shows it, and as nothing else: no mention, no link, no formatting comes out of a name.
//!
//! Whom a message pings is decided by `allowed_mentions`, which never allows anybody; what is escaped here keeps people from
//! being misled. Discord shows the character behind a backslash as it is, if it is neither letter, digit nor space:
//! <https://support.discord.com/hc/en-us/articles/210298617-Markdown-Text-101-Chat-Formatting-Bold-Italic-Underline>

use chrono::{DateTime, Utc};
use url::Url;

use super::SLUG;
use crate::chat::{Line, Piece};
use crate::domain::Person;

/// Longer text is cut: what people rely on is at the beginning, and one long name must not push everything else out.
const LONGEST: usize = 500;

/// Stands in for what could be taken for the end of a piece of code. It looks the same and means nothing.
const TICK: &str = "ˋ";

/// A whole line.
pub(super) fn line(Line(pieces): &Line) -> String {
    let mut line = String::new();
    // Text that touches text is one text: a link could be split between them.
    for run in pieces.chunk_by(|one, next| matches!((one, next), (Piece::Text(_), Piece::Text(_)))) {
        let piece = match &run[0] {
            Piece::Text(_) => escape(&run.iter().filter_map(text_of).collect::<String>(), line.is_empty()),
            Piece::Strong(text) => strong(text),
            Piece::Code(text) => code(text),
            Piece::Who(person) => who(person),
            Piece::When(at) => when(*at),
            Piece::Link { label, url } => link(label, url),
        };
        // Two marks that touch would become one.
        if line.ends_with('`') && piece.starts_with('`') || line.ends_with('*') && piece.starts_with('*') {
            line.push(' ');
        }
        line += &piece;
    }
    line
}

fn text_of(piece: &Piece) -> Option<&str> {
    if let Piece::Text(text) = piece { Some(text) } else { None }
}

/// What stands out. Nothing is nothing: `****` would be shown.
pub(super) fn strong(text: &str) -> String {
    let text = escape(text, false);
    if text.trim().is_empty() { text } else { format!("**{text}**") }
}

/// What stands between fences; one line of it.
pub(super) fn fenced(text: &str) -> String {
    visible(text).replace("```", &TICK.repeat(3))
}

/// A cell of a table, short enough for one.
pub(super) fn cell(text: &str) -> String {
    cut(one_line(text).trim(), 100).replace('`', TICK)
}

/// Where nothing has a meaning: on buttons, among choices.
pub(super) fn label(text: &str, longest: usize) -> String {
    cut(&one_line(text), longest)
}

fn code(text: &str) -> String {
    let text = cut(one_line(text).trim(), LONGEST).replace('`', TICK);
    if text.is_empty() { text } else { format!("`{text}`") }
}

fn who(person: &Person) -> String {
    let known = person.platform() == SLUG && person.id().parse::<u64>().is_ok();
    if known { format!("<@{}>", person.id()) } else { code(&person.to_string()) }
}

fn when(at: DateTime<Utc>) -> String {
    format!("<t:{}:f>", at.timestamp())
}

/// The brackets keep Discord from showing what is behind it.
fn link(label: &str, url: &Url) -> String {
    let label = escape(label, false);
    if matches!(url.scheme(), "http" | "https") { format!("[{label}](<{url}>)") } else { label }
}

/// Plain text. `first`: a line begins with it, where more has a meaning.
fn escape(text: &str, first: bool) -> String {
    let text = cut(&one_line(text), LONGEST);
    let text = if first { text.trim_start() } else { &text };
    let mut escaped = String::with_capacity(text.len() + 8);
    if first && begins_a_block(text) {
        escaped.push('\\');
    }
    let mut characters = text.chars().peekable();
    let mut numbers_only = first;
    while let Some(c) = characters.next() {
        let next = characters.peek().copied();
        let special = match c {
            '\\' | '`' | '*' | '_' | '~' | '|' | '<' | '@' | '[' | ']' => true,
            // `https://…` and `:smile:`, but not `restored: 3`.
            ':' => next.is_some_and(|next| !next.is_whitespace()),
            // `evil.example`, but not the end of a sentence; `1.` makes a list.
            '.' => next.is_some_and(char::is_alphanumeric) || numbers_only && !escaped.is_empty(),
            _ => false,
        };
        numbers_only &= c.is_ascii_digit();
        if special {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Headings, small print, lists and quotations; what is escaped anywhere is not among them.
fn begins_a_block(text: &str) -> bool {
    text.starts_with(['#', '-', '+', '>'])
}

fn one_line(text: &str) -> String {
    visible(text).chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect()
}

/// Characters that hide, or turn around what follows, are shown to be there: a name that reads backwards could pass for
/// another one where people approve something. <https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>
fn visible(text: &str) -> String {
    let hides = |c: char| {
        let blank = c.is_control() && !c.is_whitespace();
        blank
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if hides(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// At most so many characters, and a sign that there were more.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    kept.trim_end().to_owned() + "…"
}
