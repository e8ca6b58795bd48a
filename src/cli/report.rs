//! `refward report`: what was proved, for people and for programs.

use std::path::PathBuf;

use super::{Context, output};
use crate::domain::{Error, ForgeComparison, Point, ProofKind, RepoAddress, Report, Result, Skipped};
use crate::ops::report::{Document, SignedReport, Summary, check, report};

#[derive(clap::Args)]
pub(super) struct Args {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id; by default all.
    repo: Option<RepoAddress>,
    /// Only what was proved since then, e.g. "30 days ago" or 2026-11-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Point>,
    /// How it is written.
    #[arg(long, value_enum, default_value = "markdown")]
    format: Format,
    /// Write it to this file.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Check the signatures in a report that was written as JSON.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["repo", "since", "format", "output"])]
    check: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Markdown,
    Json,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let services = context.services().await?;
    if let Some(file) = &args.check {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::bad_request(format!("cannot read {}: {error}", file.display())))?;
        let count = check(&services.vault, &text)?;
        let answer = serde_json::json!({ "reports": count, "signed_by": services.vault.public_key_pem()? });
        return output::print(context.json, &answer, |_| {
            format!("{}, signed by the key of this vault and unchanged since.", output::count(count, "report"))
        });
    }
    let since = match args.since {
        None => None,
        Some(Point::Time(since)) => Some(since),
        Some(Point::Seq(_)) => return Err(Error::bad_request("--since takes a time, such as \"30 days ago\"")),
    };
    let document = report(&services, args.repo.as_ref(), since).await?;
    let text = if context.json || args.format == Format::Json {
        serde_json::to_string_pretty(&document).map_err(|error| Error::bug("cannot write a report").detail(error))?
    } else {
        markdown(&document)
    };
    let Some(file) = args.output else { return output::write_line(&text) };
    std::fs::write(&file, text + "\n")
        .map_err(|error| Error::misconfigured(format!("cannot write {}: {error}", file.display())))
}

fn markdown(document: &Document) -> String {
    let mut text =
        format!("# Proof of backups\n\nVault `{}`, as of {} UTC", document.vault, output::time(document.made_at));
    if let Some(since) = document.since {
        text += &format!(", proofs since {} UTC", output::time(since));
    }
    text += ".\n\n## Repositories\n\n| repository | health | proved (UTC) | why not green |\n|---|---|---|---|\n";
    for row in &document.repositories {
        text += &summary(row);
    }
    text += &not_covered(&document.repositories);
    text += &drills(&document.proofs);
    text += &verifications(&document.proofs);
    text + &how_to_check(document)
}

fn summary(row: &Summary) -> String {
    let health = serde_json::to_value(row.health).ok().and_then(|word| word.as_str().map(str::to_owned));
    let proved = output::or_dash(row.proved_at.map(output::time));
    format!(
        "| {} | {} | {proved} | {} |\n",
        cell(&row.repository),
        output::or_dash(health),
        row.reason.unwrap_or_default()
    )
}

fn not_covered(repositories: &[Summary]) -> String {
    let mut text = String::new();
    for row in repositories {
        for Skipped { what, why } in &row.missing {
            text += &format!("- {}: {}: {}\n", cell(&row.repository), cell(what), cell(why));
        }
    }
    if text.is_empty() { text } else { format!("\n## Not covered by the newest snapshots\n\n{text}") }
}

fn drills(proofs: &[SignedReport]) -> String {
    let mut drills = proofs.iter().map(|proof| &proof.told).filter(|report| report.kind == ProofKind::Drill).peekable();
    let Some(first) = drills.peek() else { return "\n## Restore drills\n\nNone.\n".to_owned() };
    let method = &first.method;
    let mut text = format!(
        "\n## Restore drills\n\nEach: {method}.\n\n\
        | began (UTC) | repository | snapshot | outcome | read | ready after | git fsck | references | on the forge |\n\
        |---|---|---|---|---|---|---|---|---|\n"
    );
    for report in drills {
        let seq = output::or_dash(report.snapshot.as_ref().map(|snapshot| snapshot.seq));
        let read = format!("{}, {}", objects(report), output::bytes(report.read.bytes));
        let measured = match &report.restore {
            None => "- | - | - | -".to_owned(),
            Some(restored) => format!(
                "{} | {} | {} | {}",
                seconds(restored.ready_ms),
                seconds(restored.fsck_ms),
                restored.references,
                cell(&forge(&restored.forge))
            ),
        };
        let (began, repository) = (output::time(report.started_at), cell(&report.repository));
        text += &format!("| {began} | {repository} | {seq} | {} | {read} | {measured} |\n", outcome(report));
    }
    text
}

fn verifications(proofs: &[SignedReport]) -> String {
    let mut text = String::new();
    for report in proofs.iter().map(|proof| &proof.told).filter(|report| report.kind == ProofKind::Verify) {
        let (began, repository) = (output::time(report.started_at), cell(&report.repository));
        text += &format!("| {began} | {repository} | {} | {} |\n", outcome(report), report.method);
    }
    if text.is_empty() {
        return text;
    }
    format!("\n## Verifications\n\n| began (UTC) | repository | outcome | method |\n|---|---|---|---|\n{text}")
}

fn how_to_check(document: &Document) -> String {
    if document.proofs.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## How to check this\n\n\
        Every proof was signed (Ed25519) when it was made, by the key of the vault. This is its public half; the recovery kit \
        and `vault.json` have it in hex:\n\n```\n{}```\n\n\
        Write that to `key.pem`. At the end there is a line for each proof and its signature on the next; in their places:\n\n\
        ```sh\ntr -d '\\n' > report.txt <<'END'\nLINE\nEND\nprintf %s SIGNATURE | base64 -d > report.sig\n\
        openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in report.txt -sigfile report.sig\n```\n\n\
        The same as a file for programs: `refward report --format json --output FILE`, and `refward report --check FILE`.\n",
        document.public_key
    );
    for proof in &document.proofs {
        text += &format!("\n```\n{}\n{}\n```\n", proof.text, proof.signature);
    }
    text
}

/// For people: what a drill proved, on one line, and what is wrong on further ones.
pub(super) fn describe(report: &Report) -> String {
    let seq = report.snapshot.as_ref().map(|snapshot| format!("snapshot {}", snapshot.seq)).unwrap_or_default();
    let mut text = format!("{}: {seq} {}", report.repository, outcome_in_words(report));
    for finding in &report.findings {
        text += &format!("\n  {}: {}", finding.object, finding.problem);
    }
    let missing = report.snapshot.as_ref().map(|snapshot| output::lacks(&snapshot.missing)).unwrap_or_default();
    text + "\n" + &missing
}

fn outcome_in_words(report: &Report) -> String {
    let Some(restored) = report.restore.as_ref().filter(|_| report.passed) else {
        return "could NOT be restored".to_owned();
    };
    format!(
        "restored from {} ({}) in {}, git fsck clean in {}, {}; {}",
        objects(report),
        output::bytes(report.read.bytes),
        seconds(restored.ready_ms),
        seconds(restored.fsck_ms),
        output::count(usize::try_from(restored.references).unwrap_or(usize::MAX), "reference"),
        forge(&restored.forge)
    )
}

fn forge(forge: &ForgeComparison) -> String {
    match forge {
        ForgeComparison::Compared { moved: 0, .. } => "as on the forge".to_owned(),
        ForgeComparison::Compared { moved, .. } => {
            let moved = output::count(usize::try_from(*moved).unwrap_or(usize::MAX), "reference");
            format!("on the forge {moved} moved since; checked against the snapshot")
        }
        ForgeComparison::NotCompared { why } => format!("not compared with the forge: {why}"),
    }
}

fn objects(report: &Report) -> String {
    output::count(usize::try_from(report.read.objects).unwrap_or(usize::MAX), "object")
}

fn outcome(report: &Report) -> String {
    if report.passed {
        return "passed".to_owned();
    }
    let found = report.findings.iter().map(|finding| format!("{}: {}", finding.object, finding.problem));
    format!("**FAILED**: {}", cell(&found.collect::<Vec<_>>().join("; ")))
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

/// Names come from repositories: they must not become markup.
fn cell(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, letter| {
        if matches!(letter, '|' | '<' | '`' | '*' | '[' | '\\') {
            safe.push('\\');
        }
        safe.push(letter);
        safe
    })
}
