//! Pushing more than a server takes at once. The history goes ahead in slices, under tags of ours that say what they are; the
//! references follow in a push that has little left to bring. So nobody sees half a history under a name that means something.
//!
//! The tags are deleted at the end. Whoever dies before that leaves them, and the next run has so much less to send.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::path::Path;

use super::command::{Git, Net};
use super::objects_dir;
use super::push::{Outcome, Pushed, Refspec, failure, push};
use crate::domain::{Error, ObjectId, RefName, Result};
use crate::git::Remote;

/// Tags, because the first branch in an empty repository becomes its default branch, and that one cannot be deleted.
const FOLDER: &str = "refs/tags/refward-unfinished/";

/// What a push may hold, and who hears of it.
pub struct Slicing<'a> {
    /// Bytes that the server takes in one push.
    pub largest: u64,
    /// Told after each push: so many are done, of so many.
    pub told: &'a (dyn Fn(u64, u64) + Sync),
}

/// What came of it.
pub struct Sliced {
    /// The references that were to be pushed.
    pub pushed: Vec<Pushed>,
    /// Tags of ours that the server does not let go, and why.
    pub left: Vec<Pushed>,
}

/// Pushes from the repository in `folder`, in slices where it is too much for one push.
pub async fn push_in_slices(
    folder: &Path,
    remote: &Remote,
    refspecs: &[Refspec],
    net: &Net,
    slicing: &Slicing<'_>,
) -> Result<Sliced> {
    // A pack has a little more in it than its objects.
    let budget = slicing.largest - slicing.largest / 16;
    if packed(folder).await? <= budget {
        return Ok(Sliced { pushed: push(folder, remote, refspecs, net).await?, left: Vec::new() });
    }
    let there = There::look(folder, remote, net).await?;
    let mut ours = there.unfinished;
    let slices = cut(folder, refspecs, &there.known, budget).await?;
    let total = slices.len() as u64 + 1;
    for (tips, done) in slices.iter().zip(0..) {
        (slicing.told)(done, total);
        let tags: Vec<Refspec> = tips.iter().map(|tip| ahead(*tip)).collect::<Result<_>>()?;
        let mut refused = None;
        for (pushed, tip) in push(folder, remote, &tags, net).await?.into_iter().zip(tips) {
            match pushed.outcome {
                Outcome::Rejected(why) => refused = Some(why),
                Outcome::Done | Outcome::UpToDate => _ = ours.insert(*tip),
            }
        }
        if let Some(why) = refused {
            let outcome =
                |refspec: &Refspec| Pushed { name: refspec.name.clone(), outcome: Outcome::Rejected(why.clone()) };
            let pushed = refspecs.iter().map(outcome).collect();
            return Ok(Sliced { pushed, left: tidy(folder, remote, &ours, net).await? });
        }
    }
    (slicing.told)(total - 1, total);
    let pushed = push(folder, remote, refspecs, net).await?;
    (slicing.told)(total, total);
    Ok(Sliced { pushed, left: tidy(folder, remote, &ours, net).await? })
}

/// Whether this is something that a large push needs on the way.
pub fn is_unfinished(name: &RefName) -> bool {
    name.as_str().starts_with(FOLDER)
}

/// Bytes of all packs of a repository.
async fn packed(folder: &Path) -> Result<u64> {
    let packs = objects_dir(folder).await?.join("pack");
    let cannot = |error: std::io::Error| Error::misconfigured(format!("cannot read {}: {error}", packs.display()));
    let mut bytes = 0;
    for entry in std::fs::read_dir(&packs).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if entry.path().extension().is_some_and(|extension| extension == "pack") {
            bytes += entry.metadata().map_err(cannot)?.len();
        }
    }
    Ok(bytes)
}

/// What the server has already, as far as we know it too.
struct There {
    known: BTreeSet<ObjectId>,
    /// Of those, what an earlier run has left under tags of ours.
    unfinished: BTreeSet<ObjectId>,
}

impl There {
    async fn look(folder: &Path, remote: &Remote, net: &Net) -> Result<Self> {
        let git = Git::new(folder).await?.with_network(remote, net).await?;
        let listed = git.args(["ls-remote", "--refs", "--"]).arg(remote.url.as_str()).output(None).await?;
        if !listed.status.success() {
            return Err(failure(remote, &listed));
        }
        let lines = listed.stdout.lines().filter_map(|line| line.split_once('\t'));
        let refs: Vec<(ObjectId, &str)> = lines.filter_map(|(id, name)| Some((id.parse().ok()?, name))).collect();
        let asked: String = refs.iter().map(|(id, _)| format!("{id}\n")).collect();
        let check = Git::new(folder).await?.args(["cat-file", "--batch-check=%(objectname)"]);
        let told = check.output(Some(asked.into_bytes())).await?;
        // What is not here is told as `ID missing`.
        let known: BTreeSet<ObjectId> = told.stdout.lines().filter_map(|line| line.parse().ok()).collect();
        let unfinished = refs.iter().filter(|(id, name)| known.contains(id) && name.starts_with(FOLDER));
        Ok(Self { unfinished: unfinished.map(|(id, _)| *id).collect(), known })
    }
}

/// Where the history can be cut so that no part is larger than `budget`: for each part the commits that together reach it and
/// those before it. The last one has none: it goes with the references.
async fn cut(
    folder: &Path,
    refspecs: &[Refspec],
    known: &BTreeSet<ObjectId>,
    budget: u64,
) -> Result<Vec<Vec<ObjectId>>> {
    let mut wanted = temporary(folder)?;
    for tip in refspecs.iter().filter_map(|refspec| refspec.local) {
        writeln!(wanted, "{tip}").map_err(|error| scratch(&error))?;
    }
    for id in known {
        writeln!(wanted, "^{id}").map_err(|error| scratch(&error))?;
    }
    // Parents before children, and with each commit what no commit before it has.
    let order = ["--objects", "--in-commit-order", "--topo-order", "--reverse", "--parents", "--stdin"];
    let listed = run(folder, &[&["rev-list"][..], &order].concat(), wanted).await?;
    let format = "--batch-check=%(objecttype) %(objectsize) %(objectsize:disk) %(deltabase) %(objectname) %(rest)";
    let measured = run(folder, &["cat-file", "--buffer", format], listed).await?;
    let mut cuts = Cuts { budget, parts: Vec::new(), part: Part::default(), commit: Part::default(), bytes: 0 };
    for line in BufReader::new(measured).lines() {
        cuts.take(&line.map_err(|error| scratch(&error))?)?;
    }
    cuts.end()
}

struct Cuts {
    budget: u64,
    parts: Vec<Vec<ObjectId>>,
    part: Part,
    /// The last commit, and what comes with it.
    commit: Part,
    /// Of everything, as it lies on the disk.
    bytes: u64,
}

/// Some commits, and all that they bring.
#[derive(Default)]
struct Part {
    /// Those that no other reaches.
    tips: BTreeSet<ObjectId>,
    parents: Vec<ObjectId>,
    /// As it lies on the disk.
    bytes: u64,
    /// As it would be sent in the worst case.
    most: u64,
}

impl Cuts {
    fn take(&mut self, line: &str) -> Result<()> {
        let mut words = line.split(' ');
        let told = (words.next(), words.next(), words.next(), words.next(), words.next());
        let (Some(kind), Some(size), Some(disk), Some(base), Some(id)) = told else { return Err(strange(line)) };
        let (Ok(size), Ok(disk), Ok(id)) = (size.parse::<u64>(), disk.parse::<u64>(), id.parse::<ObjectId>()) else {
            return Err(strange(line));
        };
        self.bytes += disk;
        if disk > self.budget {
            return Err(too_large(&format!("the {kind} {id} has {disk} bytes"), self.budget));
        }
        if kind == "commit" {
            self.close()?;
            self.commit.tips.insert(id);
            self.commit.parents = words.filter_map(|word| word.parse().ok()).collect();
        }
        // A delta is sent whole if what it builds on is in another part.
        let whole = base.bytes().all(|digit| digit == b'0');
        self.commit.most += if whole { disk } else { size.max(disk) };
        self.commit.bytes += disk;
        Ok(())
    }

    /// The last commit is complete: it goes into this part if there is room.
    fn close(&mut self) -> Result<()> {
        let commit = std::mem::take(&mut self.commit);
        if commit.bytes > self.budget
            && let Some(id) = commit.tips.first()
        {
            let what = format!("the commit {id} alone brings {} bytes", commit.bytes);
            return Err(too_large(&what, self.budget));
        }
        if self.part.most + commit.most > self.budget {
            let full = std::mem::take(&mut self.part);
            self.parts.push(full.tips.into_iter().collect());
        }
        self.part.most += commit.most;
        for parent in commit.parents {
            self.part.tips.remove(&parent);
        }
        self.part.tips.extend(commit.tips);
        Ok(())
    }

    fn end(mut self) -> Result<Vec<Vec<ObjectId>>> {
        if self.bytes <= self.budget {
            return Ok(Vec::new());
        }
        self.close()?;
        self.parts.retain(|tips| !tips.is_empty());
        Ok(self.parts)
    }
}

/// Deletes the tags of ours, as far as the server lets us. That it does not is no failure: what was asked for is done.
async fn tidy(folder: &Path, remote: &Remote, ours: &BTreeSet<ObjectId>, net: &Net) -> Result<Vec<Pushed>> {
    let gone = ours.iter().map(|tip| Ok(Refspec { local: None, name: tag(*tip)?, expected: Some(Some(*tip)) }));
    let gone: Vec<Refspec> = gone.collect::<Result<_>>()?;
    let mut left = match push(folder, remote, &gone, net).await {
        Ok(pushed) => pushed,
        Err(error) => {
            let outcome = |spec: Refspec| Pushed { name: spec.name, outcome: Outcome::Rejected(error.to_string()) };
            gone.into_iter().map(outcome).collect()
        }
    };
    left.retain(|pushed| matches!(pushed.outcome, Outcome::Rejected(_)));
    Ok(left)
}

fn ahead(tip: ObjectId) -> Result<Refspec> {
    Ok(Refspec { local: Some(tip), name: tag(tip)?, expected: Some(None) })
}

fn tag(tip: ObjectId) -> Result<RefName> {
    format!("{FOLDER}{tip}").parse()
}

/// Runs git from one file to another, which is then read from its beginning.
async fn run(folder: &Path, args: &[&str], mut input: File) -> Result<File> {
    input.rewind().map_err(|error| scratch(&error))?;
    let mut output = temporary(folder)?;
    let into = output.try_clone().map_err(|error| scratch(&error))?;
    let ran = Git::new(folder).await?.args(args).filter(Some(input), into).await?;
    if !ran.status.success() {
        return Err(Error::damaged(format!("cannot measure what is to be pushed: {}", ran.excerpt())));
    }
    output.rewind().map_err(|error| scratch(&error))?;
    Ok(output)
}

fn temporary(folder: &Path) -> Result<File> {
    tempfile::tempfile_in(folder).map_err(|error| scratch(&error))
}

fn scratch(error: &std::io::Error) -> Error {
    Error::misconfigured(format!("cannot use the scratch folder: {error}"))
}

fn strange(line: &str) -> Error {
    Error::bug(format!("git measured an object in words that we do not know: {line}"))
}

fn too_large(what: &str, budget: u64) -> Error {
    Error::bad_request(format!("{what}, and the server takes no more than {budget} in one push"))
        .hint("restore to a folder (--to-dir), or say what the server really takes: the setting `restore.largest_push`")
}
