//! A table of what was wanted and what was measured.

use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use super::text_of;

/// The outcome of one run. Nothing is asserted: a machine under load must not look like a bug.
pub struct Report {
    table: Table,
}

impl Report {
    /// Prints what the figures were measured on.
    pub fn new(title: &str) -> Self {
        println!("\n{title}");
        println!("{}\n", machine());
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["", "Refward", "peer", "measured", "goal", ""]);
        for column in 1..=3 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { table }
    }

    /// Ours as a share of the peer's time.
    pub fn ratio(&mut self, what: &str, ours: Duration, theirs: Duration, at_most: f64) {
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        self.row([
            what.to_owned(),
            seconds(ours),
            seconds(theirs),
            format!("{ratio:.3} ×"),
            format!("≤ {at_most} ×"),
            verdict(ratio <= at_most),
        ]);
    }

    /// Ours as a multiple of the peer's rate.
    pub fn rate(&mut self, what: &str, ours: f64, theirs: f64, at_least: f64) {
        let ratio = ours / theirs;
        self.row([
            what.to_owned(),
            format!("{ours:.0}/s"),
            format!("{theirs:.0}/s"),
            format!("{ratio:.2} ×"),
            format!("≥ {at_least} ×"),
            verdict(ratio >= at_least),
        ]);
    }

    /// A figure with an upper limit of its own; `peer` for comparison.
    pub fn limit(&mut self, what: &str, ours: f64, peer: Option<f64>, at_most: f64, unit: &str) {
        let number = |value: f64| format!("{value:.2} {unit}");
        let peer = peer.map(number).unwrap_or_default();
        let goal = format!("≤ {at_most} {unit}");
        self.row([what.to_owned(), number(ours), peer, number(ours), goal, verdict(ours <= at_most)]);
    }

    /// A figure that nobody has set a goal for.
    pub fn note(&mut self, what: &str, ours: impl Into<String>, peer: impl Into<String>) {
        self.row([what.to_owned(), ours.into(), peer.into(), String::new(), String::new(), String::new()]);
    }

    /// What the rows below are about.
    pub fn heading(&mut self, what: &str) {
        self.row([format!("— {what}"), String::new(), String::new(), String::new(), String::new(), String::new()]);
    }

    /// Prints the table.
    pub fn print(self) {
        println!("{}", self.table);
    }

    fn row(&mut self, cells: [String; 6]) {
        self.table.add_row(cells);
    }
}

/// A time for people.
pub fn seconds(time: Duration) -> String {
    if time < Duration::from_millis(10) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

/// Bytes as megabytes.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn verdict(good: bool) -> String {
    if good { "OK" } else { "MISS" }.to_owned()
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let git = text_of(std::process::Command::new("git").arg("--version")).unwrap_or_default();
    let load = read("/proc/loadavg");
    format!(
        "{cpus} cores, {}; {}; load at the start {}",
        model.trim_start_matches([' ', '\t', ':']),
        git.trim(),
        load.split(' ').next().unwrap_or_default()
    )
}
