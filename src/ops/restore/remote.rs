//! Restoring onto a git server by push.

use super::{Kin, Plan, Progress, Receipt, Refused, Server, Source, Step};
use crate::assembly::assemble;
use crate::domain::{RefState, Result};
use crate::git::program::{self, Outcome, Pushed, Refspec, Sliced, Slicing};
use crate::git::{Client, bare};

/// What the server shows now; `None` if the repository is yet to be made.
pub(super) async fn state_of(client: &Client, server: &Server) -> Result<Option<RefState>> {
    if server.kin == Kin::New {
        return Ok(None);
    }
    let session = client.open(&server.remote).await?;
    Ok(Some(session.refs(None).await?.state))
}

pub(super) async fn restore(
    source: &Source,
    plan: &Plan,
    server: &Server,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Receipt> {
    let scratch = source.scratch()?;
    let git_dir = scratch.path().join("restore.git");
    bare::create(&git_dir, &plan.state())?;
    let read = |read| progress(Step::Read(read));
    let packs = assemble(source, plan.seq, &git_dir.join("objects/pack"), &read).await?;
    let writes = plan.refs.iter().filter(|planned| planned.action.writes());
    let specs = writes.map(|planned| Refspec {
        local: Some(planned.new),
        name: planned.target.clone(),
        expected: Some(planned.old),
    });
    let specs: Vec<Refspec> = specs.collect();
    let Server { remote, net, .. } = server;
    let sent = match server.takes.largest_push {
        Some(largest) => {
            let told = |done, total| progress(Step::Pushed(Progress { done, total }));
            program::push_in_slices(&git_dir, remote, &specs, net, &Slicing { largest, told: &told }).await?
        }
        None => Sliced { pushed: program::push(&git_dir, remote, &specs, net).await?, left: Vec::new() },
    };
    let mut receipt = Receipt::of(plan, remote.url.to_string(), packs);
    receipt.refused = sent.pushed.into_iter().filter_map(refused).collect();
    receipt.written.retain(|name| !receipt.refused.iter().any(|refused| refused.name == *name));
    receipt.left_over = sent.left.into_iter().filter_map(refused).collect();
    Ok(receipt)
}

fn refused(pushed: Pushed) -> Option<Refused> {
    match pushed.outcome {
        Outcome::Rejected(why) => Some(Refused::new(pushed.name, why)),
        Outcome::Done | Outcome::UpToDate => None,
    }
}
