//! `refward tag`: what a snapshot is called.

use serde_json::json;

use super::{Context, output, recorded};
use crate::domain::{Error, RepoAddress, Result, Seq};
use crate::ops::retention;

#[derive(clap::Args)]
pub(super) struct Args {
    /// OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
    repo: RepoAddress,
    /// The snapshot's number.
    #[arg(value_parser = seq)]
    seq: Seq,
    /// What to call it; a policy keeps it if `retention.labels` has one of these, or `*`.
    #[arg(required = true, value_name = "LABEL")]
    labels: Vec<String>,
    /// Call it that no more.
    #[arg(long)]
    remove: bool,
}

fn seq(text: &str) -> Result<Seq> {
    let seq = text.parse().ok().and_then(Seq::new);
    seq.ok_or_else(|| Error::bad_request("write a snapshot's number; they are counted from 1"))
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let services = context.services().await?;
    let about = format!("{} snapshot {}", args.repo, args.seq);
    let tagging = retention::tag(&services, &args.repo, args.seq, &args.labels, args.remove);
    let labels = recorded(&services.catalog, "points.tag", &about, tagging).await?;
    let answer = json!({ "repository": args.repo.to_string(), "seq": args.seq, "labels": labels });
    output::print(context.json, &answer, |_| match labels.as_slice() {
        [] => format!("Snapshot {} of {} has no label.", args.seq, args.repo),
        labels => format!("Snapshot {} of {}: {}", args.seq, args.repo, labels.join(", ")),
    })
}
