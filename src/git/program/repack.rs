//! Many packs as one, with deltas across them: what consolidated snapshots are made of.
//!
//! git chooses the deltas; nothing that it writes is believed. Each result is read back by our own ingest, which hashes
//! every object, and is held against what it must contain. Lists of objects pass through files, packs never through memory.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::command::Git;
use crate::domain::{Error, ObjectFormat, ObjectId, Result};
use crate::git::index::BEFORE_IDS;
use crate::git::{Limits, Pack, read_pack};

/// Memory that each of git's threads may use to compare objects.
const WINDOW_MEMORY: &str = "128m";

/// Larger files are copied as they are: comparing them would take memory and rarely gains anything.
const LARGE_FILE: &str = "64m";

/// Up to so many bytes all deltas are chosen anew. With reuse git never compares two objects again that it found whole in one
/// pack, so what is joined again and again would stay a fifth larger than it need be.
const ALL_ANEW: u64 = 256 << 20;

/// Arguments that say how long git may look for deltas, and how long chains of them may become.
type Effort = &'static [&'static str];

/// As `git repack -f` does by itself.
const ANEW: Effort = &["--no-reuse-delta", "--window=10", "--depth=50"];

/// As `git repack` does by itself.
const WHERE_THERE_ARE_NONE: Effort = &["--window=10", "--depth=50"];

/// Entries are copied as they are, whatever the length of their chains.
const AS_THEY_ARE: Effort = &["--window=0", "--depth=4095"];

fn effort(bytes: u64) -> Effort {
    if bytes <= ALL_ANEW { ANEW } else { WHERE_THERE_ARE_NONE }
}

/// One pack with every object of the packs of `folder`: a bare repository that may hold a part of a history only. `None`:
/// there are no objects.
pub async fn join(folder: &Path, format: ObjectFormat, limits: &Limits) -> Result<Option<Pack>> {
    let lists = Lists::in_folder(folder);
    let every = ["cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"];
    list(Git::new(folder).await?.args(every), None, &lists.objects).await?;
    lists.pick_commits().await?;
    // Trees and files with their names, which tell git what to compare. Every commit is named, so none of the parents, which
    // may be missing, has to be read. Tags are left out: what they point at may be missing, too.
    let named = ["rev-list", "--objects", "--no-walk", "--missing=allow-any", "--stdin"];
    list(Git::new(folder).await?.args(named), Some(&lists.commits), &lists.names).await?;
    lists.append_the_rest().await?;

    let inputs = pack_bytes(folder)?;
    let mut joined = pack_objects(folder, &[], &lists.names, effort(inputs), format, limits).await?;
    if joined.bytes() > inputs {
        // Their chains are longer than those that we make.
        let copied = pack_objects(folder, &[], &lists.names, AS_THEY_ARE, format, limits).await?;
        joined = if copied.bytes() < joined.bytes() { copied } else { joined };
    }
    let joined = lists.hold_against(joined).await?;
    lists.remove()?;
    Ok(Some(joined).filter(|pack| pack.objects() > 0))
}

/// One pack with everything that `tips` reach, and nothing else, from a bare repository that holds all of it. `None`:
/// there are no tips.
pub async fn keep(folder: &Path, tips: &[ObjectId], format: ObjectFormat, limits: &Limits) -> Result<Option<Pack>> {
    if tips.is_empty() {
        return Ok(None);
    }
    let lists = Lists::in_folder(folder);
    let named: String = tips.iter().map(|tip| format!("{tip}\n")).collect();
    std::fs::write(&lists.names, named).map_err(|error| lists.failed(&error))?;
    let kept = pack_objects(folder, &["--revs"], &lists.names, effort(pack_bytes(folder)?), format, limits).await?;
    lists.remove()?;
    for tip in tips {
        if !kept.contains(tip)? {
            return Err(Error::bug(format!("git left {tip} out of a pack that was to keep it")));
        }
    }
    match kept.external() {
        [] => Ok(Some(kept)),
        [first, ..] => Err(Error::damaged(format!(
            "the packs do not hold everything that is to be kept: {} objects are missing, {first} for one",
            kept.external().len()
        ))),
    }
}

async fn pack_objects(
    folder: &Path,
    more: &[&str],
    names: &Path,
    effort: Effort,
    format: ObjectFormat,
    limits: &Limits,
) -> Result<Pack> {
    let threads = match limits.threads {
        // Somebody may be waiting for another's work.
        0 => std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2)),
        threads => threads,
    };
    let git = Git::new(folder).await?;
    let git = git.setting("pack.windowMemory", WINDOW_MEMORY).setting("core.bigFileThreshold", LARGE_FILE);
    let git = git.setting("pack.threads", &threads.to_string()).setting("pack.writeReverseIndex", "false");
    let git = git.args(["pack-objects", "--quiet", "--delta-base-offset"]).args(effort).args(more).arg("joined");
    let told = folder.join("joined.told");
    list(git, Some(names), &told).await?;
    let checksum = std::fs::read_to_string(&told).map_err(|error| unusable(folder, &error))?;
    let file = |extension: &str| folder.join(format!("joined-{}.{extension}", checksum.trim()));
    let pack = read_pack(&file("pack"), format, limits).await?;
    for used in [file("pack"), file("idx"), told] {
        std::fs::remove_file(&used).map_err(|error| unusable(folder, &error))?;
    }
    Ok(pack)
}

/// Runs git from a list to a list.
async fn list(git: Git, from: Option<&Path>, to: &Path) -> Result<()> {
    let failed = |error| unusable(to, &error);
    let from = from.map(File::open).transpose().map_err(failed)?;
    let output = git.filter(from, File::create(to).map_err(failed)?).await?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::damaged(format!("git cannot join the packs: {}", output.excerpt())))
}

/// Files with an object on each line.
#[derive(Clone)]
struct Lists {
    /// Kind and id of every object, by id.
    objects: PathBuf,
    commits: PathBuf,
    /// Id and path of what is to be packed.
    names: PathBuf,
}

impl Lists {
    fn in_folder(folder: &Path) -> Self {
        let list = |name: &str| folder.join(format!("{name}.list"));
        Self { objects: list("objects"), commits: list("commits"), names: list("names") }
    }

    async fn pick_commits(&self) -> Result<()> {
        self.work(|lists| {
            let mut commits = BufWriter::new(File::create(&lists.commits)?);
            lists.each(|kind, id| if kind == "commit" { writeln!(commits, "{id}") } else { Ok(()) })?;
            commits.flush()
        })
        .await
    }

    /// What no commit of these packs reaches; git ignores what it has been told before.
    async fn append_the_rest(&self) -> Result<()> {
        self.work(|lists| {
            let mut names = BufWriter::new(File::options().append(true).open(&lists.names)?);
            lists.each(|_, id| writeln!(names, "{id}"))?;
            names.flush()
        })
        .await
    }

    /// Refuses a pack that does not hold exactly these objects. Both lists are sorted.
    async fn hold_against(&self, pack: Pack) -> Result<Pack> {
        let (pack, same) = self
            .work(|lists| {
                let mut index = BufReader::new(pack.index());
                io::copy(&mut index.by_ref().take(BEFORE_IDS), &mut io::sink())?;
                let (mut count, mut same) = (0, true);
                let mut held = vec![0; pack.checksum().as_bytes().len()];
                lists.each(|_, id| {
                    count += 1;
                    if same && count <= pack.objects() {
                        index.read_exact(&mut held)?;
                        same = hex::encode(&held) == id;
                    }
                    Ok(())
                })?;
                let same = same && count == pack.objects();
                Ok((pack, same))
            })
            .await?;
        if same { Ok(pack) } else { Err(Error::bug("git joined packs to one that holds other objects than they do")) }
    }

    /// Kind and id of every object.
    fn each(&self, mut take: impl FnMut(&str, &str) -> io::Result<()>) -> io::Result<()> {
        let mut objects = BufReader::new(File::open(&self.objects)?);
        let mut line = String::new();
        while objects.read_line(&mut line)? > 0 {
            let (kind, id) = line.trim_end().split_once(' ').unwrap_or_default();
            take(kind, id)?;
            line.clear();
        }
        Ok(())
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static) -> Result<T> {
        let lists = self.clone();
        let worked = tokio::task::spawn_blocking(move || work(&lists)).await;
        let worked = worked.map_err(|error| Error::bug("joining packs stopped unexpectedly").detail(error))?;
        worked.map_err(|error| self.failed(&error))
    }

    fn remove(&self) -> Result<()> {
        for list in [&self.objects, &self.commits, &self.names] {
            match std::fs::remove_file(list) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.failed(&error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Error {
        unusable(&self.names, error)
    }
}

/// Of all packs together.
fn pack_bytes(folder: &Path) -> Result<u64> {
    let count = || {
        let mut bytes = 0;
        for entry in std::fs::read_dir(folder.join("objects/pack"))? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "pack") {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(bytes)
    };
    count().map_err(|error| unusable(folder, &error))
}

fn unusable(place: &Path, error: &io::Error) -> Error {
    Error::misconfigured(format!("cannot join packs in {}: {error}", place.display())).hint("see `git.scratch_dir`")
}
