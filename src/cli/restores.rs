//! `refward restores`: what people have asked for, and how far it has come.

use super::policy::Asks;
use super::{Context, output};
use crate::domain::{Person, RepoAddress, Result};
use crate::ops::restore::Action;
use crate::ops::restores::{self, Asker, PlannedMove, Proposal, State};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// The newest ones.
    List {
        /// Only of this repository: OWNER/NAME, CONNECTION:OWNER/NAME or the repository's id
        repo: Option<RepoAddress>,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u64,
    },
    /// One of them: what would be done or was done, and by whose leave.
    Show {
        /// Its number.
        id: i64,
    },
    /// End one that is not being carried out yet.
    Cancel {
        /// Its number.
        id: i64,
        #[command(flatten)]
        asks: Asks,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::List { repo, limit } => {
            let catalog = context.catalog().await?;
            let repository = match &repo {
                Some(address) => Some(catalog.resolve(address).await?.id),
                None => None,
            };
            let listed = restores::list(&catalog, repository.as_ref(), limit).await?;
            output::print(context.json, &listed, |listed| {
                let header = ["no", "repository", "to", "refs", "state", "by", "asked (UTC)"];
                output::table(header, listed.iter().map(row), "Nobody has asked for a restore yet.")
            })
        }
        Command::Show { id } => {
            let services = context.services().await?;
            output::print(context.json, &restores::get(&services, id).await?, describe)
        }
        Command::Cancel { id, asks } => {
            let services = context.services().await?;
            let by = asks.by();
            let person: Person = by.who.parse()?;
            let asker = Asker { person: &person, roles: &[], by: &by, channel: None };
            output::print(context.json, &restores::cancel(&services, &asker, id).await?, describe)
        }
    }
}

fn row(proposal: &Proposal) -> [String; 7] {
    [
        proposal.id.to_string(),
        proposal.repository.clone(),
        proposal.wish.to.to_string(),
        proposal.plan.refs.len().to_string(),
        proposal.state.word().to_owned(),
        proposal.requested_by.to_string(),
        output::time(proposal.created_at),
    ]
}

fn describe(proposal: &Proposal) -> String {
    let Proposal { id, repository, requested_by, plan, .. } = proposal;
    let mut text = format!("Restore {id} of {repository}: {}\n", standing(proposal));
    text += &format!("  asked for by {requested_by} at {} UTC\n", output::time(proposal.created_at));
    if let (Some(person), Some(at)) = (&proposal.decided_by, proposal.decided_at) {
        let said = if proposal.state == State::Rejected { "rejected" } else { "approved" };
        text += &format!("  {said} by {person} at {} UTC\n", output::time(at));
    }
    text += &format!("  snapshot {} ({} UTC) to {}\n", plan.seq, output::time(plan.time), plan.target);
    text += &plan.refs.iter().map(planned).collect::<String>();
    text += &output::lacks(&plan.missing);
    text += &output::left_behind(&plan.left_behind);
    if let Some(error) = &proposal.error {
        text += &format!("  {error}\n");
    }
    if let Some(receipt) = &proposal.receipt {
        for refused in &receipt.refused {
            text += &format!("  refused: {}: {}\n", refused.name, refused.why);
        }
        if let Some(undo) = &receipt.undo {
            text += &format!("  snapshot {} holds what was there before\n", undo.seq);
            text += &undo.command.iter().map(|command| format!("  undo: {command}\n")).collect::<String>();
        }
    }
    text
}

fn standing(proposal: &Proposal) -> String {
    let until = output::time(proposal.expires_at);
    match (proposal.state, proposal.replaced_by) {
        (State::Planned, _) => format!("planned; waits until {until} UTC for who asked to confirm it"),
        (State::Confirmed, _) => format!("confirmed; waits until {until} UTC for a second person"),
        (State::Approved, _) => "approved; waits for a worker".to_owned(),
        (State::Stale, Some(new)) => format!("stale; restore {new} is the new plan"),
        (state, _) => state.word().to_owned(),
    }
}

fn planned(planned: &PlannedMove) -> String {
    let then = planned.then.short();
    let now = planned.now.map(|id| id.short()).unwrap_or_default();
    let mut text = match &planned.action {
        Action::Create => format!("  create     {} at {then}", planned.target),
        Action::Overwrite => format!("  OVERWRITE  {} from {now} to {then}", planned.target),
        Action::Keep => format!("  keep       {} at {now}", planned.target),
        Action::Unchanged => format!("  unchanged  {} at {then}", planned.target),
        Action::Skip { why } => format!("  skip       {}: {why}", planned.target),
    };
    let commits = |count: u64, what: &str| {
        (count > 0).then(|| format!("{} {what}", output::count(usize::try_from(count).unwrap_or(usize::MAX), "commit")))
    };
    let told = [
        planned.lost.and_then(|count| commits(count, "lost")),
        planned.regained.and_then(|count| commits(count, "regained")),
        planned.moved_by.as_ref().map(|who| format!("moved by {who}")),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    if !told.is_empty() {
        text += &format!(": {}", told.join(", "));
    }
    text + "\n"
}
