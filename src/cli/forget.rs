//! `refward forget`: what retention lets go.

use serde_json::json;

use super::policy::describe_points;
use super::{Context, output, recorded};
use crate::domain::{RepoAddress, Result};
use crate::ops::retention::{self, Forgetting};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only of this repository: OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
    repo: Option<RepoAddress>,
    /// Say what would be marked, what is leaving and when it goes, and why everything else stays; change nothing.
    #[arg(long)]
    plan: bool,
    /// Let a paused retention go on: after the database was made anew from the vault, once policies, holds and labels are
    /// as they should be.
    #[arg(long, conflicts_with_all = ["plan", "repo"])]
    resume: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let services = context.services().await?;
    if args.resume {
        let resumed =
            recorded(&services.catalog, "retention.resume", "everything", retention::resume(&services)).await?;
        return output::print(context.json, &json!({ "resumed": resumed }), |_| {
            if resumed { "Retention goes on." } else { "Retention was not paused." }.to_owned()
        });
    }
    let one = args.repo.is_some();
    let forgetting = if args.plan {
        retention::plan(&services, args.repo.as_ref()).await?
    } else {
        let about = args.repo.as_ref().map_or_else(|| "everything".to_owned(), ToString::to_string);
        recorded(&services.catalog, "points.forget", &about, retention::forget(&services, args.repo.as_ref())).await?
    };
    output::print(context.json, &forgetting, |all| match (all.as_slice(), one) {
        ([one], true) => describe(one),
        (all, _) => output::table(
            [
                "repository",
                "policy",
                "kept",
                "would leave",
                "leaving",
                "first goes after (UTC)",
                "nothing goes because",
            ],
            all.iter().map(row),
            "No snapshots yet.",
        ),
    })
}

fn row(of: &Forgetting) -> [String; 7] {
    [
        of.repository.clone(),
        of.policy.clone(),
        of.kept.to_string(),
        of.would_leave.len().to_string(),
        of.leaving.len().to_string(),
        output::or_dash(of.first_goes_at.map(output::time)),
        of.spared.clone().unwrap_or_default(),
    ]
}

fn describe(of: &Forgetting) -> String {
    let mut text = format!(
        "{}, under the policy {}: {} kept, {} would leave, {} leaving.\n",
        of.repository,
        of.policy,
        of.kept,
        of.would_leave.len(),
        of.leaving.len()
    );
    if let Some(why) = &of.spared {
        text += &format!("Nothing goes: {why}.\n");
    }
    text + "\n" + &describe_points(&of.points, of.spared.is_some())
}
