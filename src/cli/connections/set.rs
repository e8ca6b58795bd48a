//! `refward connections set`: which repositories, in which groups, listed when.

use std::time::Duration;

use chrono::NaiveTime;

use crate::cli::{Context, output, recorded};
use crate::domain::Result;
use crate::ops::adjust::{Adjusted, Wish, adjust};
use crate::ops::{Discovered, Listing};
use crate::services::Services;

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(in crate::cli) struct Args {
    /// The connection.
    name: String,
    /// Only repositories whose NAME or OWNER/NAME matches, instead of the globs so far; may be repeated.
    #[arg(long, value_name = "GLOB", conflicts_with = "include_all")]
    include: Vec<String>,
    /// All repositories again.
    #[arg(long)]
    include_all: bool,
    /// Not these, even if included, instead of the globs so far; may be repeated.
    #[arg(long, value_name = "GLOB", conflicts_with = "exclude_none")]
    exclude: Vec<String>,
    /// Exclude nothing any more.
    #[arg(long)]
    exclude_none: bool,
    /// Back up repositories that appear later as well.
    #[arg(long, conflicts_with = "no_auto_add")]
    auto_add: bool,
    /// Only back up what is there now; choose later ones with `refward repos add`.
    #[arg(long)]
    no_auto_add: bool,
    /// A group of all repositories that match; for more globs, repeat it with the same name.
    #[arg(long, value_name = "NAME=GLOB", value_parser = group)]
    group: Vec<(String, String)>,
    /// No such group any more; may be repeated.
    #[arg(long, value_name = "NAME")]
    no_group: Vec<String>,
    /// List the repositories as often as this, e.g. 30m.
    #[arg(long, value_name = "PAUSE", value_parser = humantime_serde::re::humantime::parse_duration, group = "listing")]
    list_every: Option<Duration>,
    /// List the repositories once a day at this time, UTC, e.g. 03:30.
    #[arg(long, value_name = "HH:MM", value_parser = time, group = "listing")]
    list_daily_at: Option<NaiveTime>,
    /// List the repositories as often as it seems worth it (the default).
    #[arg(long, group = "listing")]
    list_automatically: bool,
}

pub(super) async fn run(context: &Context, services: &Services, args: Args) -> Result<()> {
    let name = args.name.clone();
    let adjusting = adjust(services, &name, Wish::from(args));
    let adjusted = recorded(&services.catalog, "connection.set", &name, adjusting).await?;
    output::print(context.json, &adjusted, describe)
}

impl From<Args> for Wish {
    fn from(args: Args) -> Self {
        let listing = match (args.list_every, args.list_daily_at) {
            (Some(pause), _) => Some(Some(Listing::Every(pause))),
            (_, Some(time)) => Some(Some(Listing::DailyAt(time))),
            _ => args.list_automatically.then_some(None),
        };
        Self {
            auto_add: (args.auto_add || args.no_auto_add).then_some(args.auto_add),
            include: (args.include_all || !args.include.is_empty()).then_some(args.include),
            exclude: (args.exclude_none || !args.exclude.is_empty()).then_some(args.exclude),
            groups: args.group,
            no_groups: args.no_group,
            listing,
        }
    }
}

fn describe(adjusted: &Adjusted) -> String {
    let Some(found) = &adjusted.repositories else { return "Nothing changes: it was so already.".to_owned() };
    let mut text = format!("{}:\n", adjusted.name);
    for change in &adjusted.changes {
        text += &format!("  {}: {} → {}\n", change.setting, change.from, change.to);
    }
    text + &describe_found(found)
}

/// What came of reading the list.
pub(in crate::cli) fn describe_found(found: &Discovered) -> String {
    let mut text = String::new();
    for (what, names) in [
        ("new", &found.created),
        ("renamed", &found.renamed),
        ("gone from the forge, the backups stay", &found.gone),
        ("disabled on the forge, the backups stay", &found.disabled),
        ("in the forge's recycle bin, the backups stay", &found.recycled),
        ("left out, no longer backed up, the backups stay", &found.left_out),
        ("let in again", &found.let_in),
    ] {
        for name in names {
            text += &format!("  {what}: {name}\n");
        }
    }
    text
}

fn group(text: &str) -> Result<(String, String), String> {
    let (name, glob) = text.split_once('=').ok_or_else(|| "write NAME=GLOB".to_owned())?;
    Ok((name.to_owned(), glob.to_owned()))
}

fn time(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "write a time like 03:30".to_owned())
}
