//! `refward snapshots`, `refs` and `journal`: what was there when.

use super::{Context, output};
use crate::domain::{Point, RepoAddress, Result, Snapshot};
use crate::ops::history::{self, Move};
use crate::ops::restore::namesakes;

#[derive(clap::Args)]
pub(super) struct SnapshotsArgs {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
    repo: RepoAddress,
}

#[derive(clap::Args)]
pub(super) struct RefsArgs {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
    repo: RepoAddress,
    /// A snapshot's number or a time such as "10 minutes ago"; by default now.
    #[arg(long, value_name = "SEQ|TIME")]
    at: Option<Point>,
}

#[derive(clap::Args)]
pub(super) struct JournalArgs {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
    repo: RepoAddress,
    /// Only this reference: a branch's name or a full name.
    #[arg(long = "ref", value_name = "REF")]
    name: Option<String>,
}

pub(super) async fn snapshots(context: &Context, args: SnapshotsArgs) -> Result<()> {
    let catalog = context.catalog().await?;
    let repository = catalog.resolve(&args.repo).await?;
    let snapshots = history::snapshots(&catalog, &repository.id).await?;
    let namesakes = namesakes(&catalog, &repository, &args.repo).await?;
    output::print(context.json, &snapshots, |snapshots| {
        let header = ["seq", "time (UTC)", "why", "refs", "changed", "objects", "received", "stored", "complete", ""];
        let mut text = output::table(header, snapshots.iter().map(snapshot_row), "No snapshots yet.");
        for snapshot in snapshots.iter().filter(|snapshot| !snapshot.complete) {
            text += &format!("\nsnapshot {}\n{}", snapshot.seq, output::lacks(&snapshot.missing).trim_end());
        }
        for deleted in &namesakes {
            text += &format!("\n{}", deleted.way());
        }
        text
    })
}

fn snapshot_row(snapshot: &Snapshot) -> [String; 10] {
    let refs = &snapshot.refs;
    let mut changed = format!("+{} ~{} -{}", refs.created, refs.updated, refs.deleted);
    if refs.forced > 0 {
        changed += &format!(" ({} forced)", refs.forced);
    }
    [
        snapshot.seq.to_string(),
        output::time(snapshot.time),
        snapshot.trigger.kind.clone(),
        refs.total.to_string(),
        changed,
        snapshot.objects.to_string(),
        output::bytes(snapshot.pack_bytes),
        output::bytes(snapshot.stored_bytes),
        if snapshot.complete { "yes" } else { "PARTIAL" }.to_owned(),
        remarks(snapshot),
    ]
}

/// What it is called, and that it is leaving.
fn remarks(snapshot: &Snapshot) -> String {
    let leaving = snapshot.leaving_at.map(|since| format!("leaving since {}", output::time(since)));
    snapshot.labels.iter().cloned().chain(leaving).collect::<Vec<_>>().join(", ")
}

pub(super) async fn refs(context: &Context, args: RefsArgs) -> Result<()> {
    let catalog = context.catalog().await?;
    let repository = catalog.resolve(&args.repo).await?;
    let refs = history::refs(&catalog, &repository.id, args.at).await?;
    output::print(context.json, &refs, |refs| refs.iter().map(|(name, value)| format!("{value}\t{name}\n")).collect())
}

pub(super) async fn journal(context: &Context, args: JournalArgs) -> Result<()> {
    let catalog = context.catalog().await?;
    let repository = catalog.resolve(&args.repo).await?;
    let moves = history::journal(&catalog, &repository.id, args.name.as_deref()).await?;
    output::print(context.json, &moves, |moves| {
        let header = ["seq", "time (UTC)", "ref", "old", "new", "", "who"];
        output::table(header, moves.iter().map(move_row), "No moves recorded.")
    })
}

fn move_row(row: &Move) -> [String; 7] {
    [
        row.seq.to_string(),
        output::time(row.time),
        row.name.to_string(),
        output::or_dash(row.old.map(|id| id.short())),
        output::or_dash(row.new.map(|id| id.short())),
        if row.forced { "FORCED" } else { "" }.to_owned(),
        output::or_dash(row.actor.as_ref().map(|actor| &actor.0)),
    ]
}
