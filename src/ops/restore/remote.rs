//! Restoring onto a git server by push.

use std::collections::BTreeMap;

use super::{Plan, Progress, Receipt, Refused, Source};
use crate::assembly::assemble;
use crate::domain::{ObjectId, RefName, Result};
use crate::git::program::{self, Outcome, Refspec};
use crate::git::{Client, Remote, bare};

/// What the server shows now.
pub(super) async fn refs_of(client: &Client, remote: &Remote) -> Result<BTreeMap<RefName, ObjectId>> {
    let session = client.open(remote).await?;
    Ok(session.refs(None).await?.state.refs)
}

pub(super) async fn restore(
    source: &Source,
    plan: &Plan,
    remote: &Remote,
    net: &program::Net,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Receipt> {
    let scratch = source.scratch()?;
    let git_dir = scratch.path().join("restore.git");
    bare::create(&git_dir, &plan.state())?;
    let packs = assemble(source, plan.seq, &git_dir.join("objects/pack"), progress).await?;
    let specs: Vec<Refspec> = plan
        .refs
        .iter()
        .filter(|planned| planned.action.writes())
        .map(|planned| Refspec { local: Some(planned.new), name: planned.target.clone(), expected: Some(planned.old) })
        .collect();
    let mut receipt = Receipt::of(plan, remote.url.to_string(), packs);
    if specs.is_empty() {
        return Ok(receipt);
    }
    for pushed in program::push(&git_dir, remote, &specs, net).await? {
        if let Outcome::Rejected(why) = pushed.outcome {
            receipt.written.retain(|name| *name != pushed.name);
            receipt.refused.push(Refused { name: pushed.name, why });
        }
    }
    Ok(receipt)
}
