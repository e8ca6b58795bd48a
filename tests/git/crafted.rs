//! Packs made by hand, as no git of today makes them: Azure Repos puts bases behind their deltas, and an attacker does
//! what he likes.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use refward::domain::{ObjectFormat, ObjectId, Result};
use refward::git::Pack;

use crate::fetch::quiet;
use crate::repository::Repository;
use crate::server::{Manner, Server};

const COMMIT: u8 = 1;
const TREE: u8 = 2;
const BLOB: u8 = 3;
const OFFSET_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

const KINDS: [&str; 4] = ["", "commit", "tree", "blob"];

#[derive(Clone)]
struct Entry {
    kind: u8,
    /// What stands between header and content.
    base: Vec<u8>,
    content: Vec<u8>,
    claimed: usize,
}

fn entry(kind: u8, base: &[u8], content: &[u8]) -> Entry {
    Entry { kind, base: base.to_vec(), content: content.to_vec(), claimed: content.len() }
}

fn pack(entries: &[Entry], claimed: usize) -> Vec<u8> {
    let mut out = b"PACK\0\0\0\x02".to_vec();
    out.extend_from_slice(&u32::try_from(claimed).unwrap().to_be_bytes());
    for Entry { kind, base, content, claimed } in entries {
        let (mut byte, mut size) = (kind << 4 | u8::try_from(claimed & 15).unwrap(), claimed >> 4);
        while size > 0 {
            out.push(byte | 0x80);
            byte = u8::try_from(size & 0x7f).unwrap();
            size >>= 7;
        }
        out.push(byte);
        out.extend_from_slice(base);
        let mut encoder = ZlibEncoder::new(&mut out, Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap();
    }
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    hasher.update(&out);
    out.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    out
}

fn id(kind: u8, content: &[u8]) -> ObjectId {
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    hasher.update(format!("{} {}\0", KINDS[usize::from(kind)], content.len()).as_bytes());
    hasher.update(content);
    ObjectId::from_raw(hasher.try_finalize().unwrap().as_slice()).unwrap()
}

/// A delta that appends to its base.
fn appending(base: &str, more: &str) -> Vec<u8> {
    let (base, more) = (u8::try_from(base.len()).unwrap(), more.as_bytes());
    let length = u8::try_from(more.len()).unwrap();
    [&[base, base + length, 0x90, base, length], more].concat()
}

/// A commit of files; the entries are its commit and tree.
fn commit(files: &[ObjectId]) -> (ObjectId, [Entry; 2]) {
    let mut tree = Vec::new();
    for (number, file) in files.iter().enumerate() {
        tree.extend_from_slice(format!("100644 file{number}\0").as_bytes());
        tree.extend_from_slice(file.as_bytes());
    }
    // A submodule: its commit is never here.
    tree.extend_from_slice(b"160000 module\0");
    tree.extend_from_slice(&[7; 20]);
    let text = format!("tree {}\nauthor T <t@t> 1 +0000\ncommitter T <t@t> 1 +0000\n\nx\n", id(TREE, &tree));
    (id(COMMIT, text.as_bytes()), [entry(COMMIT, b"", text.as_bytes()), entry(TREE, b"", &tree)])
}

async fn received(want: ObjectId, pack: Vec<u8>) -> Result<Pack> {
    let root = tempfile::tempdir().unwrap();
    Repository::create(root.path(), "r.git", ObjectFormat::Sha1);
    let server = Server::start(root.path());
    server.behave(Manner::Sends(pack));
    server.open("r.git").await.unwrap().fetch(&[want], &[], &quiet).await
}

async fn refused(want: ObjectId, entries: &[Entry], words: &str) {
    let Err(error) = received(want, pack(entries, entries.len())).await else { panic!("accepted: {words}") };
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bases_that_come_after_their_deltas() {
    let [first, second, third] = ["one\n", "one\ntwo\n", "one\ntwo\nthree\n"];
    let ids = [first, second, third].map(|text| id(BLOB, text.as_bytes()));
    let (want, [commit, tree]) = commit(&ids);
    let entries = [
        entry(REF_DELTA, ids[1].as_bytes(), &appending(second, "three\n")),
        commit,
        entry(REF_DELTA, ids[0].as_bytes(), &appending(first, "two\n")),
        tree,
        entry(BLOB, b"", first.as_bytes()),
    ];
    let pack = received(want, pack(&entries, 5)).await.unwrap();
    assert_eq!(pack.objects(), 5);
    for id in ids {
        assert!(pack.contains(&id).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_without_a_base() {
    let base = id(BLOB, b"one\n");
    let (want, [commit, tree]) = commit(&[id(BLOB, b"one\ntwo\n")]);
    let delta = entry(REF_DELTA, base.as_bytes(), &appending("one\n", "two\n"));
    refused(want, &[commit.clone(), tree.clone(), delta.clone()], &format!("thin: it has a delta for {base}")).await;

    // Deltas that wait for each other.
    let other = entry(REF_DELTA, id(BLOB, b"one\ntwo\n").as_bytes(), &appending("one\ntwo\n", ""));
    refused(want, &[commit, tree, delta, other], "thin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_come_twice() {
    let file = entry(BLOB, b"", b"one\n");
    let (want, [commit, tree]) = commit(&[id(BLOB, b"one\n")]);
    let delta = entry(REF_DELTA, id(BLOB, b"one\n").as_bytes(), &appending("one\n", "two\n"));
    refused(want, &[commit.clone(), tree.clone(), file.clone(), file.clone()], "twice").await;
    refused(want, &[commit, tree, file.clone(), delta, file], "twice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_and_not_there() {
    let missing = id(BLOB, b"one\n");
    let (want, [commit, tree]) = commit(&[missing]);
    refused(want, &[commit.clone(), tree], &missing.to_string()).await;
    refused(want, &[commit], "incomplete").await;
    refused(want, &[entry(BLOB, b"", b"not what was asked for")], &want.to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_sizes_and_numbers() {
    let (want, [commit, tree]) = commit(&[]);
    let sound = [commit.clone(), tree.clone()];
    received(want, pack(&sound, 2)).await.unwrap();
    for claimed in [0, 1, 3, u32::MAX as usize] {
        assert!(received(want, pack(&sound, claimed)).await.is_err(), "{claimed}");
    }
    for claimed in [0, 10, 100, 1000] {
        let liar = Entry { claimed, ..entry(BLOB, b"", b"eleven char") };
        refused(want, &[commit.clone(), tree.clone(), liar], "than it says").await;
    }
    let bomb = Entry { claimed: 1 << 40, ..entry(BLOB, b"", b"boom") };
    refused(want, &[commit.clone(), tree.clone(), bomb], "larger than allowed").await;
    for kind in [0, 5] {
        refused(want, &[commit.clone(), tree.clone(), entry(kind, b"", b"")], "unknown kind").await;
    }
    let nowhere = entry(OFFSET_DELTA, &[3], &appending("", "x"));
    refused(want, &[commit.clone(), tree.clone(), nowhere], "where no object begins").await;
    let bomb = [&[0_u8][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], &[1, b'x']].concat();
    let empty = id(BLOB, b"");
    let bomb = entry(REF_DELTA, empty.as_bytes(), &bomb);
    refused(want, &[commit, tree, entry(BLOB, b"", b""), bomb], "larger than allowed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_and_commits_that_cannot_be_read() {
    for (kind, content) in
        [(TREE, &b"100644 file\0short"[..]), (TREE, b"100644 file"), (COMMIT, b"tree 12\n"), (4, b"object x\n")]
    {
        refused(id(BLOB, b""), &[entry(kind, b"", content)], "cannot be read").await;
    }
}
