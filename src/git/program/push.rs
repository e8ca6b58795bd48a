//! Pushing references to a remote, each with what became of it.

use std::collections::HashMap;
use std::path::Path;

use super::command::{Git, Net, Output};
use super::refs::{RefUpdate, update_refs};
use crate::domain::{Error, ObjectId, RefName, Result};
use crate::git::Remote;

/// References per run of git: a command line has its limits.
const BATCH: usize = 2000;

/// So many new references are not worth another way.
const FEW: usize = 50;

/// One reference to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refspec {
    /// What it becomes; `None`: it is deleted.
    pub local: Option<ObjectId>,
    /// Its name on the remote.
    pub name: RefName,
    /// `Some`: move it whatever the history says, but only if this is its value there (`None`: it does not exist).
    /// Without, it moves only forward.
    pub expected: Option<Option<ObjectId>>,
}

/// What became of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its name on the remote.
    pub name: RefName,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened to a reference that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is where it should be.
    Done,
    /// It was there already.
    UpToDate,
    /// It is where it was; in the words of git or the server (a protected branch, a hook, a moved reference).
    Rejected(String),
}

impl Refspec {
    /// What it becomes, if it must not exist so far.
    fn creates(&self) -> Option<ObjectId> {
        self.local.filter(|_| self.expected == Some(None))
    }
}

/// Pushes from the repository in `folder`, in which it may leave references of its own. A rejected reference is an outcome,
/// not an error: the others go through.
pub async fn push(folder: &Path, remote: &Remote, refspecs: &[Refspec], net: &Net) -> Result<Vec<Pushed>> {
    let (mut new, mut others): (Vec<&Refspec>, Vec<&Refspec>) =
        refspecs.iter().partition(|refspec| refspec.creates().is_some());
    if new.len() <= FEW {
        others.append(&mut new);
    }
    let mut told = HashMap::new();
    for batch in new.chunks(BATCH) {
        told.extend(create(folder, remote, batch, net).await?);
    }
    for batch in others.chunks(BATCH) {
        told.extend(push_batch(folder, remote, batch, net).await?);
    }
    let silent = || Outcome::Rejected("the server did not say what became of it".to_owned());
    let pushed = refspecs.iter().map(|refspec| {
        let outcome = told.remove(refspec.name.as_str()).unwrap_or_else(silent);
        Pushed { name: refspec.name.clone(), outcome }
    });
    Ok(pushed.collect())
}

/// Creates many references at once. Git holds each name that it is given against each reference of the remote, which takes
/// hours where there are 100,000 of both. It is given a pattern instead, and what it expects at the remote are
/// remote-tracking references: there are none of these names.
async fn create(folder: &Path, remote: &Remote, batch: &[&Refspec], net: &Net) -> Result<HashMap<String, Outcome>> {
    const STAGE: &str = "refs/refward-push";
    let mut staged = Vec::with_capacity(batch.len());
    for refspec in batch {
        let name = format!("{STAGE}{}", refspec.name.as_str().trim_start_matches("refs")).parse()?;
        staged.push(RefUpdate { name, old: None, new: refspec.creates() });
    }
    update_refs(folder, &staged).await?;
    let git = pushing(folder, remote, net)
        .await?
        .setting("remote.target.url", remote.url.as_str())
        .setting("remote.target.fetch", "+refs/*:refs/refward-there/*");
    let git = git.args(["--force-with-lease", "--", "target"]).arg(format!("{STAGE}/*:refs/*"));
    let told = read(remote, &git.output(None).await?);
    for update in &mut staged {
        (update.old, update.new) = (update.new, None);
    }
    update_refs(folder, &staged).await?;
    told
}

async fn pushing(folder: &Path, remote: &Remote, net: &Net) -> Result<Git> {
    let git = Git::new(folder).await?.with_network(remote, net).await?;
    Ok(git.args(["push", "--porcelain", "--no-verify", "--no-thin"]))
}

async fn push_batch(folder: &Path, remote: &Remote, batch: &[&Refspec], net: &Net) -> Result<HashMap<String, Outcome>> {
    let mut git = pushing(folder, remote, net).await?;
    for Refspec { name, expected, .. } in batch {
        if let Some(expected) = expected {
            let expected = expected.map(|id| id.to_string()).unwrap_or_default();
            git = git.arg(format!("--force-with-lease={name}:{expected}"));
        }
    }
    git = git.arg("--").arg(remote.url.as_str());
    for Refspec { local, name, .. } in batch {
        let local = local.map(|id| id.to_string()).unwrap_or_default();
        git = git.arg(format!("{local}:{name}"));
    }
    read(remote, &git.output(None).await?)
}

fn read(remote: &Remote, output: &Output) -> Result<HashMap<String, Outcome>> {
    let told = outcomes(output);
    if told.is_empty() && !output.status.success() {
        return Err(failure(remote, output));
    }
    Ok(told)
}

/// `<flag>\t<from>:<to>\t<summary>`, by `<to>`. What a server's hooks print goes to standard error and belongs to every
/// rejection by it.
fn outcomes(output: &Output) -> HashMap<String, Outcome> {
    let words: Vec<&str> =
        output.stderr.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim).collect();
    let words = words.join(" ").trim().to_owned();
    let mut outcomes = HashMap::new();
    for line in output.stdout.lines() {
        let mut columns = line.split('\t');
        let (Some(flag), Some(names), Some(summary)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        let Some((_, to)) = names.rsplit_once(':') else { continue };
        let outcome = match flag {
            "!" if summary.starts_with("[remote rejected]") && !words.is_empty() => {
                Outcome::Rejected(format!("{summary}: {words}"))
            }
            "!" => Outcome::Rejected(summary.to_owned()),
            "=" => Outcome::UpToDate,
            _ => Outcome::Done,
        };
        outcomes.insert(to.to_owned(), outcome);
    }
    outcomes
}

/// A push that did not get as far as its references.
pub(super) fn failure(remote: &Remote, output: &Output) -> Error {
    let words = output.excerpt();
    let place = remote.url.host_str().unwrap_or_default();
    let has = |needle: &str| words.contains(needle);
    if has("Authentication failed") || has("could not read Username") || has("returned error: 401") {
        Error::misconfigured(format!("the credential was refused by {place} when pushing"))
            .hint("It may have expired, or it may only be allowed to read.")
            .detail(words)
    } else if has("returned error: 403") {
        Error::misconfigured(format!("the credential may not push to {}", remote.url))
            .hint("Give it write access to the repository's contents.")
            .detail(words)
    } else if has("not found") || has("returned error: 404") {
        Error::not_found(format!("there is no repository {}, or the credential may not see it", remote.url))
            .detail(words)
    } else {
        Error::remote(format!("pushing to {} failed: {words}", remote.url))
    }
}
