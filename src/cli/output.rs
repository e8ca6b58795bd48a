//! Tables for people, JSON for scripts.

use chrono::{DateTime, Utc};
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use crate::domain::{Error, Kind, Result, Skipped};
use crate::ops::restore::{Progress, Step};

/// Prints `value` as JSON, or what `human` makes of it.
pub(super) fn print<T: Serialize>(json: bool, value: &T, human: impl FnOnce(&T) -> String) -> Result<()> {
    let text = if json {
        serde_json::to_string_pretty(value).map_err(|error| Error::bug("cannot print the answer").detail(error))?
    } else {
        human(value)
    };
    write_line(&text)
}

/// A closed pipe (`refward snapshots | head`) is the reader's wish, not an error.
pub(super) fn write_line(text: &str) -> Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::misconfigured(format!("cannot write the answer: {error}")))
        }
        _ => Ok(()),
    }
}

/// A table with these columns; `empty` stands in for one without rows.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    empty: &str,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    if table.is_empty() {
        return empty.to_owned();
    }
    let lines = table.to_string();
    lines.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

/// An error on standard error: what happened, then what to do.
pub(super) fn error(error: &Error, json: bool) {
    if json {
        let kind = match error.kind() {
            Kind::NotAllowed => "not_allowed",
            Kind::NotFound => "not_found",
            Kind::BadRequest => "bad_request",
            Kind::Busy { .. } => "busy",
            Kind::Throttled { .. } => "throttled",
            Kind::Remote { .. } => "remote",
            Kind::Misconfigured => "misconfigured",
            Kind::Damaged => "damaged",
            Kind::Partial => "partial",
            Kind::Bug => "bug",
        };
        eprintln!("{}", json!({ "error": { "kind": kind, "message": error.to_string(), "hint": error.next_step() } }));
    } else {
        eprintln!("error: {error}");
        if let Some(hint) = error.next_step() {
            eprintln!("  {hint}");
        }
    }
    tracing::debug!("{}", error.for_log());
}

/// A bar on standard error, if that is a terminal.
pub(super) fn progress(what: &str) -> ProgressBar {
    ProgressBar::new(0).with_style(style(what))
}

fn style(what: &str) -> ProgressStyle {
    let template = format!("{{bar:30}} {{pos}}/{{len}} {what}, {{elapsed}}, {{eta}} to go");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Moves a bar as far as a restore is.
pub(super) fn restoring(bar: &ProgressBar, step: Step) {
    match step {
        Step::Read(progress) => advance(bar, progress),
        Step::Pushed(progress) => {
            bar.set_style(style("pushes, each as large as the server takes"));
            advance(bar, progress);
        }
    }
}

/// Moves a bar as far as a vault's work is.
pub(super) fn advance(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

/// `2026-11-20 14:05:00`, UTC.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `17.4 kB`
pub(super) fn bytes(count: u64) -> String {
    indicatif::DecimalBytes(count).to_string()
}

/// `1 snapshot`, `2 snapshots`
pub(super) fn count(count: usize, one: &str) -> String {
    match (count, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {one}s"),
    }
}

/// What a snapshot lacks and what would complete it, a line each; many are counted.
pub(super) fn lacks(missing: &[Skipped]) -> String {
    const NAMED: usize = 10;
    let line = |Skipped { what, why }: &Skipped| format!("  PARTIAL: {what}: {why}\n");
    let mut text: String = missing.iter().take(NAMED).map(line).collect();
    if let more @ 1.. = missing.len().saturating_sub(NAMED) {
        text += &format!("  PARTIAL: and {more} more; --json lists them\n");
    }
    text
}

/// All was done that could be; what is missing has been printed, and a script must hear of it, too.
pub(super) fn partial(what: String) -> Error {
    Error::new(Kind::Partial, what)
        .hint("the lines that begin with PARTIAL say what is missing and what would complete it")
}

/// What does not come along to where something is restored, a line each.
pub(super) fn left_behind(left: &[Skipped]) -> String {
    left.iter().map(|Skipped { what, why }| format!("  STAYS BEHIND: {what}: {why}\n")).collect()
}

/// The word that a value is in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

/// Nothing shows as a dash.
pub(super) fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}
