//! A repository with a long history, made by `git fast-import`: the same objects every time, kept below `target/bench`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{Result, bench_dir, git, text_of};

/// Commits that make about a megabyte of pack.
const COMMITS_PER_MEGABYTE: u64 = 320;

/// The start of the history: 2020-01-01.
const EPOCH: u64 = 1_577_836_800;

/// Which repository to serve.
#[derive(clap::Args)]
pub struct Choice {
    /// Size of the repository's pack.
    #[arg(long, env = "REFWARD_BENCH_MB", default_value_t = 100)]
    mb: u64,
    /// Commits on `main` between two pull requests. Fewer make more references: a forge keeps `refs/pull/*` for ever.
    #[arg(long, default_value_t = 20)]
    between_pulls: u64,
    /// A bare repository to serve instead of a made one; most programs push to its `main`, in a copy.
    #[arg(long, env = "REFWARD_BENCH_REPO")]
    repo: Option<PathBuf>,
}

/// A bare repository to serve. Nothing writes into it; a server gets a copy that shares its packs.
pub struct History {
    /// The bare repository.
    pub path: PathBuf,
    /// The size of its packs.
    pub pack_bytes: u64,
    /// Commits that can be reached from any reference.
    pub commits: u64,
    /// Its references.
    pub refs: usize,
}

impl History {
    /// The repository at the given path, or one that is made unless an earlier run has left it.
    pub fn prepare(choice: &Choice) -> Result<Self> {
        let path = match &choice.repo {
            Some(path) => path.clone(),
            None => generated(choice.mb, choice.between_pulls)?,
        };
        let commits = text_of(git(&path).args(["rev-list", "--all", "--count"]))?.trim().parse()?;
        let refs = text_of(git(&path).args(["for-each-ref", "--format=%(refname)"]))?.lines().count();
        Ok(Self { pack_bytes: pack_bytes(&path)?, path, commits, refs })
    }

    /// For a report's head.
    pub fn describe(&self) -> String {
        let (name, size) = (self.path.display(), super::report::megabytes(self.pack_bytes));
        format!("{name}: {size:.0} MB of packs, {} commits, {} references", self.commits, self.refs)
    }

    /// A repository to serve at `target`, with the same packs on disk.
    pub fn copy_to(&self, target: &Path) -> Result<()> {
        let parent = target.parent().ok_or("the copy needs a folder")?;
        std::fs::create_dir_all(parent)?;
        text_of(git(parent).args(["clone", "--quiet", "--mirror", "--local"]).arg(&self.path).arg(target))?;
        text_of(git(target).args(["remote", "remove", "origin"]))?;
        text_of(git(target).args(["pack-refs", "--all"]))?;
        Ok(())
    }
}

/// The bytes of all packs of a bare repository.
pub fn pack_bytes(repository: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(repository.join("objects/pack"))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|ending| ending == "pack") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn generated(megabytes: u64, between_pulls: u64) -> Result<PathBuf> {
    let path = bench_dir().join(format!("history-{megabytes}-{between_pulls}.git"));
    if path.join("refward-bench-complete").exists() {
        return Ok(path);
    }
    eprintln!("making a repository of about {megabytes} MB, once, in {} …", path.display());
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    std::fs::create_dir_all(&path)?;
    text_of(git(&path).args(["init", "--quiet", "--bare", "--initial-branch=main", "."]))?;
    let mut import = git(&path)
        .args(["-c", "core.compression=1", "fast-import", "--quiet", "--depth=5"])
        .stdin(Stdio::piped())
        .spawn()?;
    let input = import.stdin.take().expect("was asked for");
    let mut author = Author::new(BufWriter::with_capacity(1 << 20, input));
    author.write_history(megabytes * COMMITS_PER_MEGABYTE, between_pulls)?;
    drop(author);
    if !import.wait()?.success() {
        return Err("git fast-import failed".into());
    }
    // The state in which a forge keeps a repository: one pack with a bitmap, a commit-graph, packed references.
    text_of(git(&path).args(["repack", "-a", "-d", "-F", "-q", "--write-bitmap-index"]))?;
    text_of(git(&path).args(["commit-graph", "write", "--reachable", "--changed-paths"]))?;
    text_of(git(&path).args(["pack-refs", "--all"]))?;
    std::fs::write(path.join("refward-bench-complete"), "")?;
    Ok(path)
}

/// Adds one commit to `main` of a served repository: a changed region in each of two files, as a push would leave it
/// (loose objects).
pub fn push_one_commit(repository: &Path, number: u64) -> Result<()> {
    let listed = text_of(git(repository).args(["ls-tree", "-r", "--name-only", "main"]))?;
    let paths: Vec<&str> = listed.lines().collect();
    let mut author = Author::new(Vec::new());
    author.random = Random(number ^ 0x5eed);
    writeln!(author.out, "commit refs/heads/main")?;
    author.write_signature("committer", EPOCH + 100_000_000 + number)?;
    author.write_data(&format!("Change number {number}\n"))?;
    writeln!(author.out, "from refs/heads/main^0")?;
    for _ in 0..2 {
        let path = paths[author.random.below(paths.len() as u64)];
        let content = git(repository).args(["cat-file", "blob", &format!("main:{path}")]).output()?.stdout;
        let mut lines: Vec<String> = String::from_utf8_lossy(&content).lines().map(str::to_owned).collect();
        author.change(&mut lines);
        writeln!(author.out, "M 100644 inline \"{}\"", path.replace('"', "\\\""))?;
        author.write_data(&(lines.join("\n") + "\n"))?;
    }
    let mut import = git(repository).args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn()?;
    import.stdin.take().expect("was asked for").write_all(&author.out)?;
    if import.wait()?.success() { Ok(()) } else { Err("git fast-import failed".into()) }
}

/// What a forge does to a repository now and then: new objects go into packs, bitmap and commit-graph are renewed.
pub fn maintain(repository: &Path) -> Result<()> {
    text_of(git(repository).args(["repack", "-d", "-q", "--geometric=2", "--write-midx", "--write-bitmap-index"]))?;
    text_of(git(repository).args(["commit-graph", "write", "--reachable", "--split"]))?;
    Ok(())
}

/// splitmix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> usize {
        usize::try_from(self.next() % limit).expect("limits are small")
    }
}

struct File {
    base: String,
    /// Counts the renames.
    generation: u32,
    lines: Vec<String>,
}

impl File {
    fn path(&self) -> String {
        format!("{}-{}.txt", self.base, self.generation)
    }
}

/// What a commit does to each path: the mark of its new content, or its end.
type Changes = BTreeMap<String, Option<u64>>;

/// Writes a history in the format of `git fast-import`.
struct Author<W> {
    out: W,
    random: Random,
    words: Vec<String>,
    files: Vec<File>,
    mark: u64,
}

impl<W: Write> Author<W> {
    fn new(out: W) -> Self {
        let mut random = Random(1);
        let syllable = |random: &mut Random| {
            let (b, v) = (b"bcdfghklmnprstvw"[random.below(16)], b"aeiou"[random.below(5)]);
            format!("{}{}", char::from(b), char::from(v))
        };
        let words = (0..4096).map(|_| (0..=random.below(4)).map(|_| syllable(&mut random)).collect()).collect();
        Self { out, random, words, files: Vec::new(), mark: 0 }
    }

    fn write_history(&mut self, commits: u64, between_pulls: u64) -> Result<()> {
        let all = self.start_files()?;
        let mut main = self.commit("refs/heads/main", &[], &all)?;
        let (mut written, mut pulls, mut releases) = (1, 0, 0);
        while written < commits {
            for _ in 0..between_pulls {
                let changes = self.work()?;
                main = self.commit("refs/heads/main", &[main], &changes)?;
            }
            pulls += 1;
            let (tip, changes) = self.topic(&format!("refs/pull/{pulls}/head"), main, 6)?;
            main = self.commit("refs/heads/main", &[main, tip], &changes)?;
            written += between_pulls + 7;
            if written / 1000 > releases {
                releases = written / 1000;
                writeln!(self.out, "tag v0.{releases}\nfrom :{main}")?;
                self.write_signature("tagger", EPOCH + self.mark * 60)?;
                self.write_data("A release\n")?;
            }
        }
        for number in 0..8 {
            self.topic(&format!("refs/heads/topic-{number}"), main, 3)?;
        }
        self.out.flush()?;
        Ok(())
    }

    /// 600 files in folders three deep.
    fn start_files(&mut self) -> Result<Changes> {
        let mut all = Changes::new();
        for index in 0..600 {
            let (area, module) = (&self.words[index / 30 + 100], &self.words[index / 5 + 1000]);
            let base = format!("source/{area}/{module}-{}/{}-{index}", index / 5, self.words[index + 2000]);
            let count = 60 + self.random.below(140);
            let lines = (0..count).map(|_| self.line()).collect();
            self.files.push(File { base, generation: 0, lines });
            all.insert(self.files[index].path(), Some(self.blob(index)?));
        }
        Ok(all)
    }

    /// A branch of some commits; gives its tip and the files that it changed.
    fn topic(&mut self, name: &str, base: u64, commits: usize) -> Result<(u64, Changes)> {
        let (mut tip, mut all) = (base, Changes::new());
        for _ in 0..commits {
            let changes = self.work()?;
            tip = self.commit(name, &[tip], &changes)?;
            all.extend(changes);
        }
        Ok((tip, all))
    }

    /// Changes up to four files that lie near one another. A file that has grown too long is split: its end goes on under
    /// another name.
    fn work(&mut self) -> Result<Changes> {
        let near = self.random.below(self.files.len() as u64 - 12);
        let mut changes = Changes::new();
        for _ in 0..=self.random.below(4) {
            let index = near + self.random.below(12);
            if self.files[index].lines.len() > 300 {
                changes.insert(self.files[index].path(), None);
                self.files[index].lines.drain(..200);
                self.files[index].generation += 1;
            }
            let mut lines = std::mem::take(&mut self.files[index].lines);
            self.change(&mut lines);
            self.files[index].lines = lines;
            changes.insert(self.files[index].path(), Some(self.blob(index)?));
        }
        Ok(changes)
    }

    /// Rewrites a few regions and adds more than it removes.
    fn change(&mut self, lines: &mut Vec<String>) {
        for _ in 0..=self.random.below(3) {
            let start = self.random.below(lines.len() as u64 + 1);
            let end = (start + self.random.below(14)).min(lines.len());
            let new: Vec<String> = (0..3 + self.random.below(16)).map(|_| self.line()).collect();
            lines.splice(start..end, new);
        }
    }

    /// A line of text; every fifth word is one that was never seen before, as names and numbers are.
    fn line(&mut self) -> String {
        let mut line = String::new();
        for index in 0..6 + self.random.below(8) {
            if index % 5 == 4 {
                line += &format!("{:x} ", self.random.next() >> 24);
            } else {
                line += &self.words[self.random.below(4096)];
                line.push(' ');
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn blob(&mut self, index: usize) -> Result<u64> {
        self.mark += 1;
        let content = self.files[index].lines.join("\n") + "\n";
        writeln!(self.out, "blob\nmark :{}", self.mark)?;
        self.write_data(&content)?;
        Ok(self.mark)
    }

    fn commit(&mut self, name: &str, parents: &[u64], changes: &Changes) -> Result<u64> {
        self.mark += 1;
        writeln!(self.out, "commit {name}\nmark :{}", self.mark)?;
        self.write_signature("committer", EPOCH + self.mark * 60)?;
        let message = format!("{}\n\n{}\n", self.line(), self.line());
        self.write_data(&message)?;
        for (index, parent) in parents.iter().enumerate() {
            writeln!(self.out, "{} :{parent}", if index == 0 { "from" } else { "merge" })?;
        }
        for (path, blob) in changes {
            match blob {
                Some(mark) => writeln!(self.out, "M 100644 :{mark} {path}")?,
                None => writeln!(self.out, "D {path}")?,
            }
        }
        Ok(self.mark)
    }

    fn write_signature(&mut self, role: &str, time: u64) -> Result<()> {
        Ok(writeln!(self.out, "{role} Bench <bench@example.com> {time} +0000")?)
    }

    fn write_data(&mut self, data: &str) -> Result<()> {
        Ok(writeln!(self.out, "data {}\n{data}", data.len())?)
    }
}
