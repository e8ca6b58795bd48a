//! Consolidated snapshots as the program's user meets them: restored, verified, and found again by a new catalog.

use std::path::Path;
use std::process::{Command, Output};

use refward::catalog::{Catalog, RETENTION_PAUSED};
use refward::config;
use refward::domain::{ObjectFormat, RefState};
use serde_json::{Value, json};

use super::support::{Chain, Origin, Place, consolidated, git, merged_pack, refs, source};

const NAME: &str = "octo-organisation/the-repository";

/// Nine snapshots, settings to go with the vault, and every reference after each of them.
async fn nine() -> (Place, Chain, Vec<RefState>) {
    let place = Place::new().await;
    let origin = Origin::new(ObjectFormat::Sha1);
    let mut chain = Chain::new("1");
    let mut states = Vec::new();
    for step in 1..=9 {
        origin.commit("a.txt", format!("{step}").as_bytes());
        origin.git(&["branch", &format!("topic-{step}")]);
        if step % 2 == 0 {
            origin.git(&["branch", "-D", &format!("topic-{}", step - 1)]);
        }
        origin.back_up(&place.vault, &mut chain, false, false).await;
        states.push(origin.state());
    }
    let settings = format!(
        "[vault]\nurl = '{}'\n[database]\nurl = '{}'\n[keys]\nidentity = '{}'\nsigning = '{}'\ncredentials = '{}'\n",
        place.settings.url,
        database(&place),
        place.keys.identity.display(),
        place.keys.signing.display(),
        place.keys.credentials.display()
    );
    std::fs::write(place.dir.path().join("refward.toml"), settings).unwrap();
    (place, chain, states)
}

/// Makes one object of 1 to 6, without 2, 3 and 6, and deletes what it stands for.
async fn consolidate(place: &Place, chain: &Chain) {
    let (vault, repo) = (&place.vault, &chain.repo);
    let packed = async |range| merged_pack(vault, repo, ObjectFormat::Sha1, range).await;
    consolidated(vault, repo, (1, 4), &[3], Some(&packed((1, 4)).await)).await;
    consolidated(vault, repo, (1, 6), &[2, 6], Some(&packed((1, 6)).await)).await;
    for stored in vault.cover(repo).await.unwrap().superseded {
        std::fs::remove_file(place.object_of(repo, &stored.extent)).unwrap();
    }
    assert_eq!(vault.cover(repo).await.unwrap().live.len(), 4);
}

fn database(place: &Place) -> String {
    format!("sqlite://{}", place.dir.path().join("refward.db").display())
}

fn refward(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refward"));
    command.args(arguments).arg("--json").current_dir(place.dir.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", place.dir.path()).env("TZ", "UTC");
    command.env("REFWARD_CONFIG", place.dir.path().join("refward.toml")).output().unwrap()
}

fn ok(place: &Place, arguments: &[&str]) -> Value {
    let output = refward(place, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn restored(place: &Place, at: u64, folder: &Path) {
    let (at, dir) = (at.to_string(), folder.to_str().unwrap());
    ok(place, &["restore", NAME, "--bare", "--at", &at, "--to-dir", dir]);
    git(folder, &["fsck", "--full", "--strict"]);
}

#[tokio::test]
async fn a_new_catalog_knows_what_was_kept_and_lets_nothing_go() {
    let (place, chain, states) = nine().await;
    ok(&place, &["catalog", "rebuild"]);
    let before = ok(&place, &["snapshots", NAME]);
    consolidate(&place, &chain).await;
    let report = ok(&place, &["catalog", "rebuild"]);
    assert_eq!(report, json!({ "repositories": 1, "snapshots": 6 }));

    let listed = ok(&place, &["snapshots", NAME]);
    let numbers: Vec<_> = listed.as_array().unwrap().iter().map(|row| row["seq"].clone()).collect();
    assert_eq!(numbers, [1, 4, 5, 7, 8, 9]);
    for row in listed.as_array().unwrap() {
        let then = &before[usize::try_from(row["seq"].as_u64().unwrap()).unwrap() - 1];
        for field in ["time", "objects", "pack_bytes", "stored_bytes", "trigger", "complete"] {
            assert_eq!(row[field], then[field], "{field} of snapshot {}", row["seq"]);
        }
    }
    for at in [1, 4, 5, 7, 8, 9] {
        let state = &states[at - 1];
        let mut expected = json!(state.refs);
        expected["HEAD"] = json!(state.head.as_ref().unwrap().to_string());
        assert_eq!(ok(&place, &["refs", NAME, "--at", &at.to_string()]), expected, "snapshot {at}");
        let target = place.dir.path().join(format!("restored-{at}.git"));
        restored(&place, at as u64, &target);
        assert_eq!(refs(&target), state.refs, "snapshot {at}");
    }
    let verified = ok(&place, &["verify", "--read-data", "--drill"]);
    assert_eq!(verified[0]["findings"], json!([]), "{verified}");

    let settings = config::Settings::defaults().unwrap().database;
    let catalog = Catalog::connect(&config::Database { url: database(&place), ..settings }).await.unwrap();
    let spans = catalog.spans(&chain.repo).await.unwrap();
    assert_eq!(spans.iter().map(|span| (span.extent.to.get(), span.points)).collect::<Vec<_>>(), [(6, 3)]);
    let expected = catalog.expected(&chain.repo).await.unwrap();
    assert_eq!(expected.iter().map(|object| object.extent.from.get()).collect::<Vec<_>>(), [1, 7, 8, 9]);
    let paused: Value = catalog.fact(RETENTION_PAUSED).await.unwrap().unwrap();
    assert!(paused["why"].as_str().unwrap().contains("knows no policies"), "{paused}");
    catalog.remove_fact(RETENTION_PAUSED).await.unwrap();
    assert_eq!(catalog.fact::<Value>(RETENTION_PAUSED).await.unwrap(), None);

    assert_eq!(ok(&place, &["catalog", "rebuild"]), report, "twice is as good");
    assert_eq!(catalog.spans(&chain.repo).await.unwrap(), spans);
}

#[tokio::test]
async fn without_a_catalog_the_vault_alone_restores_what_was_kept() {
    let (place, chain, states) = nine().await;
    consolidate(&place, &chain).await;
    std::fs::remove_file(place.dir.path().join("refward.toml")).unwrap();
    let (vault, kit) = (&place.settings.url[..], place.kit());
    let restore = |more: &[&str]| {
        let reading = ["restore", NAME, "--vault", vault, "--identity", kit.to_str().unwrap(), "--bare"];
        refward(&place, &[&reading, more].concat())
    };
    assert!(restore(&["--at", "5", "--to-dir", "five"]).status.success());
    assert_eq!(refs(&place.dir.path().join("five")), states[4].refs);
    assert!(restore(&["--to-dir", "newest"]).status.success());
    assert_eq!(refs(&place.dir.path().join("newest")), states[8].refs);

    let dropped = restore(&["--at", "6", "--to-dir", "six"]);
    assert_eq!(dropped.status.code(), Some(3), "not found");
    let told = String::from_utf8_lossy(&dropped.stderr).into_owned();
    assert!(told.contains("snapshot 6 was not kept; the nearest are 5 and 7"), "{told}");
    assert!(!place.dir.path().join("six").exists());
}

#[tokio::test]
async fn a_consolidated_snapshot_that_is_gone_or_another_is_named() {
    let (place, chain, _) = nine().await;
    consolidate(&place, &chain).await;
    ok(&place, &["catalog", "rebuild"]);
    let object = place.object_of(&chain.repo, &place.vault.cover(&chain.repo).await.unwrap().live[0].extent);
    let restore = || refward(&place, &["restore", NAME, "--bare", "--to-dir", "out"]);
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    // The same once more, sealed anew: valid in itself, and not the one that the catalog knows.
    let original = std::fs::read(&object).unwrap();
    let scratch = place.dir.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let extent = place.vault.cover(&chain.repo).await.unwrap().live[0].extent;
    let found = place.vault.extract(&chain.repo, &extent, &scratch).await.unwrap();
    std::fs::remove_file(&object).unwrap();
    let pack = std::fs::read(found.pack.unwrap()).unwrap();
    place.vault.append(&found.record, Some(source(&pack, None))).await.unwrap();
    let output = restore();
    assert!(
        told(&output).contains("0000000001-0000000006.1.tar.gz.age is not the object that was written"),
        "{output:?}"
    );

    std::fs::write(&object, original).unwrap();
    assert!(restore().status.success());
    std::fs::remove_file(&object).unwrap();
    std::fs::remove_dir_all(place.dir.path().join("out")).unwrap();
    let output = restore();
    assert!(told(&output).contains("is missing"), "{output:?}");
    assert!(!place.dir.path().join("out").exists());
}
