//! Packs joined to one by git, and what was made sure of afterwards.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use refward::domain::{Kind, ObjectFormat, ObjectId, RefState};
use refward::git::{Limits, Pack, bare, program};

use crate::repository::{Repository, git};

const LIMITS: Limits = Limits { memory_scratch: 1 << 20, scratch_dir: None, max_object: 1 << 30, threads: 1 };

/// A server's repository and packs as backups bring them: one for each push, complete in itself as to deltas.
struct Pushes {
    root: tempfile::TempDir,
    repository: Repository,
    packs: Vec<Vec<String>>,
}

impl Pushes {
    fn new(format: ObjectFormat) -> Self {
        let root = tempfile::tempdir().unwrap();
        let repository = Repository::create(root.path(), "server.git", format);
        Self { root, repository, packs: Vec::new() }
    }

    /// Commits on a branch and keeps what is new; gives the tip.
    fn push(&mut self, branch: &str, commits: usize) -> ObjectId {
        let had: Vec<String> = self.packs.concat();
        let tip = self.repository.commit(branch, commits);
        let all = self.repository.git(&["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
        let new = all.lines().filter(|id| !had.iter().any(|held| held == id)).map(str::to_owned).collect();
        self.packs.push(new);
        tip
    }

    /// A bare repository with the packs of some pushes and no references.
    fn scratch(&self, name: &str, pushes: impl IntoIterator<Item = usize>) -> PathBuf {
        let folder = self.root.path().join(name);
        let format = if self.packs[0][0].len() == 40 { ObjectFormat::Sha1 } else { ObjectFormat::Sha256 };
        bare::create(&folder, &RefState { object_format: format, ..RefState::default() }).unwrap();
        for push in pushes {
            pack(&self.repository.path, &self.packs[push], &folder.join("objects/pack/pack"));
        }
        folder
    }
}

fn pack(from: &Path, ids: &[String], to: &Path) {
    let mut git = Command::new("git");
    let git = git.current_dir(from).args(["pack-objects", "--quiet", "--delta-base-offset"]).arg(to);
    let mut child = git.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ids.join("\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn objects(folder: &Path) -> String {
    git(folder, &["cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype) %(objectsize)"])
}

/// Bytes of all packs in a repository.
fn bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    let packs = files.filter(|path| path.extension().is_some_and(|extension| extension == "pack"));
    packs.map(|path| path.metadata().unwrap().len()).sum()
}

/// Another repository with this pack alone.
fn alone(pack: &Pack, format: ObjectFormat, folder: &Path) {
    bare::create(folder, &RefState { object_format: format, ..RefState::default() }).unwrap();
    for (extension, mut reader) in [("pack", pack.reader()), ("idx", pack.index())] {
        let mut file = std::fs::File::create(bare::pack_path(folder, &pack.checksum(), extension)).unwrap();
        std::io::copy(&mut reader, &mut file).unwrap();
    }
}

async fn all_pushes_become_one(format: ObjectFormat) {
    let mut pushes = Pushes::new(format);
    for _ in 0..12 {
        pushes.push("main", 1);
    }
    let scratch = pushes.scratch("scratch.git", 0..12);
    let joined = program::join(&scratch, format, &LIMITS).await.unwrap().unwrap();
    let folder = pushes.root.path().join("joined.git");
    alone(&joined, format, &folder);
    assert_eq!(objects(&folder), objects(&scratch));
    assert!(bytes(&folder) < bytes(&scratch) * 3 / 4, "{} of {}", bytes(&folder), bytes(&scratch));
    assert!(joined.external().is_empty());
    assert!(!std::fs::read_dir(&scratch).unwrap().any(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.starts_with("joined") || name.ends_with(".list")
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_pushes_become_one_pack_with_deltas_between_them() {
    all_pushes_become_one(ObjectFormat::Sha1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_pushes_of_sha256_become_one() {
    all_pushes_become_one(ObjectFormat::Sha256).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_from_the_middle_join_without_what_came_before() {
    let mut pushes = Pushes::new(ObjectFormat::Sha1);
    for _ in 0..9 {
        pushes.push("main", 2);
    }
    let scratch = pushes.scratch("scratch.git", 4..8);
    let joined = program::join(&scratch, ObjectFormat::Sha1, &LIMITS).await.unwrap().unwrap();
    let folder = pushes.root.path().join("joined.git");
    alone(&joined, ObjectFormat::Sha1, &folder);
    assert_eq!(objects(&folder), objects(&scratch));
    assert!(!joined.external().is_empty(), "they lean on the pushes before");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_no_commit_leads_to_are_kept_too() {
    let mut pushes = Pushes::new(ObjectFormat::Sha1);
    pushes.push("main", 1);
    let loose = pushes.repository.path.join("loose");
    std::fs::write(&loose, "on its own").unwrap();
    let blob = pushes.repository.git(&["hash-object", "-w", loose.to_str().unwrap()]);
    // A tag of a commit that is in another pack, and a tag of a file.
    pushes.repository.git(&["tag", "-a", "-m", "of a commit", "v1", "main"]);
    pushes.repository.git(&["tag", "-a", "-m", "of a file", "notes", &blob]);
    pushes.push("other", 1);
    let scratch = pushes.scratch("scratch.git", [1]);
    let joined = program::join(&scratch, ObjectFormat::Sha1, &LIMITS).await.unwrap().unwrap();
    for name in [blob.as_str(), "v1", "notes"] {
        assert!(joined.contains(&pushes.repository.id(name)).unwrap(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_several_packs_is_in_the_joint_one_once() {
    let mut pushes = Pushes::new(ObjectFormat::Sha1);
    pushes.push("main", 3);
    pushes.push("main", 3);
    let again = pushes.packs.concat();
    pushes.packs.push(again);
    let scratch = pushes.scratch("scratch.git", 0..3);
    let joined = program::join(&scratch, ObjectFormat::Sha1, &LIMITS).await.unwrap().unwrap();
    assert_eq!(joined.objects(), pushes.packs[2].len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joint_pack_is_never_larger_than_what_it_was_made_of() {
    let mut pushes = Pushes::new(ObjectFormat::Sha1);
    pushes.push("main", 150);
    // Deltas of deltas of deltas: a hundred and more, as some servers send them.
    pushes.repository.git(&["repack", "-adfq", "--depth=1000", "--window=1000"]);
    let scratch = pushes.scratch("scratch.git", []);
    for file in std::fs::read_dir(pushes.repository.path.join("objects/pack")).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, scratch.join("objects/pack").join(file.file_name().unwrap())).unwrap();
    }
    let joined = program::join(&scratch, ObjectFormat::Sha1, &LIMITS).await.unwrap().unwrap();
    assert!(joined.bytes() <= bytes(&scratch), "{} of {}", joined.bytes(), bytes(&scratch));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_joined_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch.git");
    bare::create(&scratch, &RefState::default()).unwrap();
    assert!(program::join(&scratch, ObjectFormat::Sha1, &LIMITS).await.unwrap().is_none());
    assert!(program::keep(&scratch, &[], ObjectFormat::Sha1, &LIMITS).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_kept_tip_reaches_is_left_behind() {
    let mut pushes = Pushes::new(ObjectFormat::Sha1);
    let base = pushes.push("main", 2);
    pushes.repository.git(&["branch", "wrong", "main"]);
    let wrong = pushes.push("wrong", 2);
    let main = pushes.push("main", 2);
    let scratch = pushes.scratch("scratch.git", 0..3);
    let kept = program::keep(&scratch, &[main], ObjectFormat::Sha1, &LIMITS).await.unwrap().unwrap();
    let folder = pushes.root.path().join("kept.git");
    alone(&kept, ObjectFormat::Sha1, &folder);
    let reached = pushes.repository.git(&["rev-list", "--objects", "--no-object-names", "main"]);
    assert_eq!(kept.objects(), reached.lines().count() as u64);
    assert!(kept.contains(&base).unwrap() && !kept.contains(&wrong).unwrap());
    git(&folder, &["fsck", "--full", "--strict", &main.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_by_halves() {
    let mut pushes = Pushes::new(ObjectFormat::Sha1);
    pushes.push("main", 2);
    let main = pushes.push("main", 2);
    let scratch = pushes.scratch("scratch.git", [1]);
    let error = program::keep(&scratch, &[main], ObjectFormat::Sha1, &LIMITS).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged, "{error}");
}
