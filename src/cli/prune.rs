//! `refward prune`: delete what no recovery point needs any more.

use super::{Context, output, recorded};
use crate::domain::Result;
use crate::ops::prune::{Planned, Receipt, plan, prune};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only say what would go, and when.
    #[arg(long)]
    plan: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let services = context.services().await?;
    if args.plan {
        let planned = plan(&services).await?;
        return output::print(context.json, &planned, |planned| {
            let header = ["repository", "object", "bytes", "why", "goes (UTC)"];
            output::table(header, planned.iter().map(row), "Nothing is condemned.")
        });
    }
    let (receipt, outcome) = recorded(&services.catalog, "points.prune", "everything", prune(&services)).await?;
    output::print(context.json, &receipt, describe)?;
    outcome
}

fn row(planned: &Planned) -> [String; 5] {
    let file = planned.object.rsplit('/').next().unwrap_or_default().to_owned();
    let goes = match (planned.stays, planned.goes_at) {
        (Some(stays), _) => format!("stays: {stays}"),
        (None, Some(at)) => output::time(at),
        (None, None) => "not listed yet".to_owned(),
    };
    [planned.repository.clone(), file, output::bytes(planned.bytes), planned.why.clone(), goes]
}

fn describe(receipt: &Receipt) -> String {
    let mut lines = Vec::new();
    if receipt.deleted > 0 {
        let (objects, bytes) = (output::count(receipt.deleted, "object"), output::bytes(receipt.bytes));
        lines.push(format!("Deleted {objects}, {bytes}."));
    }
    if receipt.listed > 0 {
        let objects = output::count(receipt.listed, "object");
        lines.push(format!("Listed {objects} for deletion: see `refward prune --plan`."));
    }
    if lines.is_empty() {
        lines.push(match receipt.waiting {
            0 => "Nothing is condemned.".to_owned(),
            waiting => format!(
                "Nothing to delete yet; {} in their grace: see `refward prune --plan`.",
                output::count(waiting, "object")
            ),
        });
    }
    lines.join("\n")
}
