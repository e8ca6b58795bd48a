//! A vault in a temporary folder, and repositories made with git to put into it.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use refward::config;
use refward::domain::{Expected, Extent, Head, Ledger, ObjectFormat, ObjectId, RefState, RepoId, Seq, Trigger};
use refward::vault::{
    Appended, FORMAT, Held, IndexEntry, Keys, PackEntry, PackSource, Parent, Record, Sealed, Store, Vault,
};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

/// A vault with everything around it; gone on drop.
pub struct Place {
    pub dir: TempDir,
    pub vault: Vault,
    pub settings: config::Vault,
    pub keys: config::Keys,
}

impl Place {
    pub async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let settings = vault_settings(&format!("file://{}", dir.path().join("vault").display()));
        Self::at(dir, settings).await
    }

    pub async fn at(dir: TempDir, settings: config::Vault) -> Self {
        let keys = key_settings(dir.path());
        let vault = Vault::found(&settings, &keys, &dir.path().join("recovery-kit.txt")).await.unwrap();
        Self { dir, vault, settings, keys }
    }

    pub fn kit(&self) -> PathBuf {
        self.dir.path().join("recovery-kit.txt")
    }

    pub fn root(&self) -> PathBuf {
        self.settings.url.strip_prefix("file://").unwrap().into()
    }

    pub fn object(&self, repo: &RepoId, seq: u64) -> PathBuf {
        self.object_of(repo, &single(seq))
    }

    pub fn object_of(&self, repo: &RepoId, extent: &Extent) -> PathBuf {
        self.root().join(refward::vault::object_name(repo, extent))
    }

    pub async fn reopened(&self) -> refward::domain::Result<Vault> {
        Vault::open(&self.settings, Keys::load(&self.keys)?).await
    }
}

pub fn vault_settings(url: &str) -> config::Vault {
    config::Vault { url: url.to_owned(), index_from: 1 << 20, options: BTreeMap::new() }
}

pub fn key_settings(dir: &Path) -> config::Keys {
    config::Keys {
        identity: dir.join("keys/vault.agekey"),
        signing: dir.join("keys/signing.pem"),
        credentials: dir.join("keys/credentials.agekey"),
    }
}

pub async fn vault_in(store: Store, dir: &Path) -> Vault {
    Vault::found_in(store, 1 << 20, &key_settings(dir), &dir.join("recovery-kit.txt")).await.unwrap()
}

pub fn text(path: &Path) -> SecretString {
    SecretString::from(std::fs::read_to_string(path).unwrap())
}

pub fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

pub fn single(number: u64) -> Extent {
    Extent::single(seq(number))
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub fn time(minute: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::try_from(minute).unwrap())
}

/// Bytes that do not compress and end like a pack named by its last 20 bytes.
pub fn fake_pack(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub fn pack_entry(pack: &[u8], format: ObjectFormat, index: Option<&[u8]>) -> PackEntry {
    PackEntry {
        checksum: ObjectId::from_raw(&pack[pack.len() - format.raw_len()..]).unwrap(),
        bytes: pack.len() as u64,
        objects: 1,
        sha256: sha256(pack),
        index: index.map(|index| IndexEntry { bytes: index.len() as u64, sha256: sha256(index) }),
    }
}

pub fn source(pack: &[u8], index: Option<&[u8]>) -> PackSource {
    let reader = |bytes: &[u8]| Box::new(std::io::Cursor::new(bytes.to_vec())) as Box<dyn Read + Send>;
    PackSource { pack: reader(pack), index: index.map(reader) }
}

/// A chain that is being written.
pub struct Chain {
    pub repo: RepoId,
    pub format: ObjectFormat,
    pub last: Option<(Seq, Sealed)>,
    pub state: RefState,
    pub written: Vec<Expected>,
}

impl Chain {
    pub fn new(forge_id: &str) -> Self {
        Self::of_format(forge_id, ObjectFormat::Sha1)
    }

    pub fn of_format(forge_id: &str, format: ObjectFormat) -> Self {
        let state = RefState { object_format: format, ..RefState::default() };
        let repo = RepoId::derive("github", "github.com", forge_id);
        Self { repo, format, last: None, state, written: Vec::new() }
    }

    pub fn next(&self) -> Seq {
        self.last.map_or(Seq::FIRST, |(seq, _)| seq.next())
    }

    /// The record that would come next, leading to `state`.
    pub fn record(&self, vault: &Vault, state: &RefState) -> Record {
        self.record_in(vault.id(), state)
    }

    /// [`Self::record`], without a vault at hand.
    pub fn record_in(&self, vault: Uuid, state: &RefState) -> Record {
        Record {
            format: FORMAT,
            vault,
            repo: self.repo.clone(),
            seq: self.next(),
            forge: "github".into(),
            host: "github.com".into(),
            forge_id: "123456789".into(),
            full_name: "octo-organisation/the-repository".into(),
            time: time(self.next().get()),
            trigger: Trigger {
                kind: "webhook".into(),
                deliveries: vec![refward::domain::DeliveryId::parse("72d3162e-cc78-11e3-81ab-4c9367dc0958").unwrap()],
                actors: [("refs/heads/main".parse().unwrap(), refward::domain::Actor("octocat".into()))].into(),
            },
            parent: self.last.map(|(seq, sealed)| Parent { seq, sealed }),
            object_format: self.format,
            head: state.head.clone(),
            changes: state.changes_since(&self.state),
            refs: None,
            pack: None,
            ledger: Ledger::default(),
            duration_ms: 80,
            packed: None,
            span: None,
        }
    }

    /// Appends `record` and takes it for the newest.
    pub async fn append(&mut self, vault: &Vault, record: Record, contents: Option<PackSource>) -> Sealed {
        let appended = vault.append(&record, contents).await.unwrap();
        let Appended::Written(sealed) = appended else { panic!("snapshot {} was there already", record.seq) };
        self.state.apply(&record.changes);
        self.state.head = record.head;
        self.last = Some((record.seq, sealed));
        self.written.push(Expected { extent: Extent::single(record.seq), sha256: sealed.sha256 });
        sealed
    }

    /// Takes `record` for the newest without writing it.
    pub fn pretend(&mut self, record: &Record) -> Held {
        let sealed = Sealed { sha256: sha256(&record.seq.get().to_le_bytes()), bytes: 1000 + record.seq.get() };
        self.state.apply(&record.changes);
        self.state.head.clone_from(&record.head);
        self.last = Some((record.seq, sealed));
        Held { record: record.clone(), sealed }
    }

    /// Appends a snapshot with an incompressible pack of `length` bytes that moves `refs/heads/main`.
    pub async fn append_bytes(&mut self, vault: &Vault, length: usize) -> Sealed {
        let pack = fake_pack(length, self.next().get() + length as u64);
        let mut state = self.state.clone();
        state.head = Some(Head::Symbolic("refs/heads/main".parse().unwrap()));
        state.refs.insert("refs/heads/main".parse().unwrap(), ObjectId::from_raw(&sha256(&pack)[..20]).unwrap());
        let mut record = self.record(vault, &state);
        record.pack = Some(pack_entry(&pack, self.format, None));
        self.append(vault, record, Some(source(&pack, None))).await
    }
}

/// Makes one object of those from `from` to `to`, as compaction does, with `pack` for all of theirs.
pub async fn consolidated(
    vault: &Vault,
    repo: &RepoId,
    (from, to): (u64, u64),
    drop: &[u64],
    pack: Option<&[u8]>,
) -> Expected {
    let cover = vault.cover(repo).await.unwrap();
    let range = seq(from)..=seq(to);
    let mut objects = Vec::new();
    for stored in cover.live.iter().filter(|stored| range.contains(&stored.extent.from)) {
        let record = vault.record(repo, &stored.extent).await.unwrap();
        objects.push(Held { record, sealed: vault.hash(repo, &stored.extent).await.unwrap() });
    }
    let there = cover.live.iter().map(|stored| stored.extent);
    let same = there.filter(|extent| (extent.from, extent.to) == (seq(from), seq(to)));
    let rewriting = 1 + same.map(|extent| extent.rewriting).max().unwrap_or(0);
    let before = vault.state_before(repo, seq(from)).await.unwrap();
    let drop = drop.iter().copied().map(seq).collect();
    let entry = pack.map(|pack| pack_entry(pack, objects[0].record.object_format, None));
    let record = refward::vault::consolidate(&objects, &drop, rewriting, before.as_ref(), entry).unwrap();
    assert_eq!(record.extent(), Extent { from: seq(from), to: seq(to), rewriting });
    let appended = vault.append(&record, pack.map(|pack| source(pack, None))).await.unwrap();
    let Appended::Written(sealed) = appended else { panic!("{} was there already", record.extent()) };
    Expected { extent: record.extent(), sha256: sealed.sha256 }
}

/// All objects of the packs in the live objects from `from` to `to`, in one pack.
pub async fn merged_pack(vault: &Vault, repo: &RepoId, format: ObjectFormat, (from, to): (u64, u64)) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    git(dir.path(), &["init", "--quiet", "--bare", &format!("--object-format={format}")]);
    let packs = dir.path().join("objects/pack");
    for stored in vault.cover(repo).await.unwrap().live {
        if (seq(from)..=seq(to)).contains(&stored.extent.from) {
            let found = vault.extract(repo, &stored.extent, &packs).await.unwrap();
            if let (Some(pack), None) = (found.pack, found.index) {
                git(dir.path(), &["index-pack", pack.to_str().unwrap()]);
            }
        }
    }
    let script = "for idx in objects/pack/*.idx; do git show-index < $idx; done | cut -d ' ' -f 2 | sort -u |
        git pack-objects --quiet merged";
    let name = run(Command::new("sh").args(["-e", "-c", script]).current_dir(dir.path()));
    std::fs::read(dir.path().join(format!("merged-{name}.pack"))).unwrap()
}

/// A repository made with git.
pub struct Origin {
    pub dir: TempDir,
    pub format: ObjectFormat,
}

impl Origin {
    pub fn new(format: ObjectFormat) -> Self {
        let dir = TempDir::new().unwrap();
        let origin = Self { dir, format };
        origin.git(&["init", "--quiet", "-b", "main", &format!("--object-format={format}")]);
        origin
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(self.dir.path(), arguments)
    }

    pub fn commit(&self, file: &str, content: &[u8]) -> ObjectId {
        std::fs::write(self.dir.path().join(file), content).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "-m", file]);
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    pub fn state(&self) -> RefState {
        let head = self.git(&["symbolic-ref", "HEAD"]).parse().unwrap();
        RefState { object_format: self.format, head: Some(Head::Symbolic(head)), refs: refs(self.dir.path()) }
    }

    /// What the forge would send: everything that `from` does not have.
    pub fn pack(&self, from: &RefState) -> Option<Vec<u8>> {
        let wants = self.state().refs.into_values().map(|id| id.to_string());
        let haves = from.refs.values().filter(|id| self.has(id)).map(|id| format!("^{id}"));
        let revisions: Vec<_> = wants.chain(haves).collect();
        let mut child = Command::new("git")
            .args(["pack-objects", "--quiet", "--revs", "--stdout", "--delta-base-offset"])
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all((revisions.join("\n") + "\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let objects = u32::from_be_bytes(output.stdout[8..12].try_into().unwrap());
        (objects > 0).then_some(output.stdout)
    }

    fn has(&self, id: &ObjectId) -> bool {
        let status =
            Command::new("git").args(["cat-file", "-e", &id.to_string()]).current_dir(self.dir.path()).status();
        status.unwrap().success()
    }

    /// Backs the present state up, as the service would.
    pub async fn back_up(&self, vault: &Vault, chain: &mut Chain, with_index: bool, checkpoint: bool) -> Sealed {
        let state = self.state();
        let mut record = chain.record(vault, &state);
        record.refs = checkpoint.then(|| state.refs.clone());
        let Some(pack) = self.pack(&chain.state) else { return chain.append(vault, record, None).await };
        let index = with_index.then(|| index_of(&pack, self.format));
        record.pack = Some(pack_entry(&pack, self.format, index.as_deref()));
        let contents = source(&pack, index.as_deref());
        chain.append(vault, record, Some(contents)).await
    }
}

fn index_of(pack: &[u8], format: ObjectFormat) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("x.pack"), pack).unwrap();
    git(dir.path(), &["index-pack", &format!("--object-format={format}"), "-o", "x.idx", "x.pack"]);
    std::fs::read(dir.path().join("x.idx")).unwrap()
}

pub fn git(dir: &Path, arguments: &[&str]) -> String {
    let person =
        ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"].map(|v| (v, "a@b"));
    run(Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .envs(person)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", dir))
}

pub fn refs(dir: &Path) -> BTreeMap<refward::domain::RefName, ObjectId> {
    let listed = git(dir, &["for-each-ref", "--format=%(refname) %(objectname)"]);
    listed
        .lines()
        .map(|line| {
            let (name, id) = line.split_once(' ').unwrap();
            (name.parse().unwrap(), id.parse().unwrap())
        })
        .collect()
}

/// Runs a program that must succeed; returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            panic!("{} is not installed: run scripts/test-setup.sh", command.get_program().display())
        }
        Err(e) => panic!("{command:?}: {e}"),
    };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{out}\n{err}");
    out.trim().to_owned()
}
