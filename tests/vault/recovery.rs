//! The vault is open: age, tar, git, jq and openssl read it without us.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use refward::domain::ObjectFormat;

use super::support::{Chain, Origin, Place, consolidated, git, merged_pack, refs, run};

#[tokio::test]
async fn recover_sh_restores_every_moment_with_ordinary_tools() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let place = Place::new().await;
        let origin = Origin::new(format);
        let mut chain = Chain::of_format("1", format);
        let mut states = Vec::new();

        origin.commit("a.txt", b"one");
        origin.git(&["tag", "-a", "-m", "first", "v1"]);
        for step in 0..6 {
            match step {
                1 => {
                    origin.commit("b.txt", b"two");
                    origin.git(&["branch", "topic/deep"]);
                }
                2 => {
                    origin.git(&["branch", "-D", "topic/deep"]);
                    origin.git(&["branch", "topic"]);
                }
                3 => {
                    origin.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
                    origin.commit("c.txt", &[7; 5000]);
                }
                4 => {
                    origin.git(&["switch", "--quiet", "topic"]);
                    origin.git(&["update-ref", "refs/pull/7/head", "main"]);
                }
                5 => {
                    origin.commit("d.txt", b"four");
                }
                _ => {}
            }
            origin.back_up(&place.vault, &mut chain, step % 2 == 0, step == 3).await;
            states.push(origin.state());
        }

        let repo = place.root().join("repos").join(chain.repo.as_str());
        for (at, key) in [
            (None, place.keys.identity.clone()),
            (Some(1), place.kit()),
            (Some(3), place.kit()),
            (Some(5), place.kit()),
        ] {
            let target = place.dir.path().join(format!("restored-{}.git", at.unwrap_or(0)));
            let mut recover = Command::new("sh");
            recover.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/vault/recover.sh")).arg(key).arg(&repo).arg(&target);
            if let Some(at) = at {
                recover.arg(at.to_string());
            }
            run(Command::new("age").arg("--version"));
            run(&mut recover);
            let state = &states[at.unwrap_or(states.len()) - 1];
            assert_eq!(refs(&target), state.refs, "{format}, snapshot {at:?}");
            let head = std::fs::read_to_string(target.join("HEAD")).unwrap();
            assert_eq!(head.trim(), state.head.as_ref().unwrap().to_string());
            git(&target, &["fsck", "--full", "--strict"]);
            assert_eq!(git(&target, &["rev-parse", "--show-object-format"]), format.name());
        }
    }
}

fn recover_sh(key: PathBuf, repo: &Path, target: &Path, at: u64) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/vault/recover.sh");
    Command::new("sh").arg(script).arg(key).arg(repo).arg(target).arg(at.to_string()).output().unwrap()
}

#[tokio::test]
async fn recover_sh_restores_whatever_was_kept_from_consolidated_snapshots() {
    let place = Place::new().await;
    let origin = Origin::new(ObjectFormat::Sha1);
    let mut chain = Chain::new("1");
    let mut states = Vec::new();
    for step in 1..=9 {
        origin.commit("a.txt", format!("{step}").as_bytes());
        origin.git(&["branch", &format!("topic-{step}")]);
        if step % 3 == 0 {
            origin.git(&["branch", "-D", &format!("topic-{}", step - 1)]);
        }
        origin.back_up(&place.vault, &mut chain, step == 4, step == 5).await;
        states.push(origin.state());
    }
    let (vault, repo) = (&place.vault, &chain.repo);
    let packed = async |range| merged_pack(vault, repo, ObjectFormat::Sha1, range).await;
    consolidated(vault, repo, (3, 4), &[3], Some(&packed((3, 4)).await)).await;
    consolidated(vault, repo, (1, 4), &[1, 4], Some(&packed((1, 4)).await)).await;
    consolidated(vault, repo, (5, 7), &[7], Some(&packed((5, 7)).await)).await;

    let folder = place.root().join("repos").join(repo.as_str());
    let all_kept_and_told = |round: &str| {
        for at in [2, 5, 6, 8, 9] {
            let target = place.dir.path().join(format!("{round}-{at}.git"));
            let output = recover_sh(place.kit(), &folder, &target, at);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let state = &states[usize::try_from(at).unwrap() - 1];
            assert_eq!(refs(&target), state.refs, "{round}, snapshot {at}");
        }
        for (dropped, before) in [(3, 2), (4, 2), (7, 6), (10, 9)] {
            let output = recover_sh(place.kit(), &folder, &place.dir.path().join(format!("{round}-none.git")), dropped);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success());
            assert!(
                told.contains(&format!("snapshot {dropped} was not kept: the one before it is {before}")),
                "{told}"
            );
            std::fs::remove_dir_all(place.dir.path().join(format!("{round}-none.git"))).unwrap();
        }
    };
    all_kept_and_told("beside what they stand for");
    for stored in vault.cover(repo).await.unwrap().superseded {
        std::fs::remove_file(place.object_of(repo, &stored.extent)).unwrap();
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4);
    all_kept_and_told("alone");
}

#[tokio::test]
async fn a_missing_snapshot_stops_recover_sh() {
    let place = Place::new().await;
    let origin = Origin::new(ObjectFormat::Sha1);
    let mut chain = Chain::new("1");
    for content in ["one", "two", "three"] {
        origin.commit("a.txt", content.as_bytes());
        origin.back_up(&place.vault, &mut chain, false, false).await;
    }
    std::fs::remove_file(place.object(&chain.repo, 2)).unwrap();
    let output = Command::new("sh")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/vault/recover.sh"))
        .args([place.kit(), place.root().join("repos").join(chain.repo.as_str()), place.dir.path().join("x.git")])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("snapshot 2 is missing"));
}

#[tokio::test]
async fn one_command_lists_a_snapshot_and_openssl_checks_its_signature() {
    let place = Place::new().await;
    let mut chain = Chain::new("1");
    chain.append_bytes(&place.vault, 2000).await;
    let dir = place.dir.path();
    let shell = |script: &str| run(Command::new("sh").arg("-c").arg(script).current_dir(dir));

    let object = place.object(&chain.repo, 1);
    let listed = shell(&format!("age -d -i keys/vault.agekey {} | tar tzv", object.display()));
    let names: Vec<_> = listed.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(names[..2], ["record.json", "record.sig"]);
    assert!(names[2].starts_with("pack-") && names[2].ends_with(".pack"), "{listed}");

    shell(&format!("age -d -i recovery-kit.txt {} | tar xz", object.display()));
    shell("openssl pkey -in keys/signing.pem -pubout -out public.pem");
    for (file, signature) in [("record.json", "record.sig"), ("vault/vault.json", "vault/vault.json.sig")] {
        shell(&format!("openssl pkeyutl -verify -rawin -pubin -inkey public.pem -sigfile {signature} -in {file}"));
    }
    // As RECOVERY.md makes the public key when there is nothing but the kit or vault.json.
    let told = shell("jq -r .signing_keys[0].key vault/vault.json");
    assert!(shell("cat recovery-kit.txt").contains(&told));
    let made = shell(&format!(
        "(printf '302a300506032b6570032100'; printf {told}) | xxd -r -p | openssl pkey -pubin -inform DER -pubout"
    ));
    assert_eq!(made, shell("cat public.pem"));
}

/// Runs the blocks of RECOVERY.md as they stand there, with the names filled in.
#[tokio::test]
async fn recovery_md_tells_the_truth() {
    let place = Place::new().await;
    let origin = Origin::new(ObjectFormat::Sha1);
    let mut chain = Chain::new("1");
    let mut sealed = Vec::new();
    for content in ["one", "two"] {
        origin.commit("a.txt", content.as_bytes());
        sealed.push(origin.back_up(&place.vault, &mut chain, false, false).await);
    }
    let dir = place.dir.path();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/src/vault/recover.sh"), dir.join("recover.sh")).unwrap();
    run(Command::new("git").args(["init", "--quiet", "--bare", "new"]).current_dir(dir));

    let page = include_str!("../../src/vault/RECOVERY.md");
    let lines: Vec<_> = page.lines().map(|line| line.strip_prefix("    ")).collect();
    let blocks = lines.split(Option::is_none).filter(|block| !block.is_empty());
    let blocks: Vec<_> = blocks.map(|block| block.iter().flatten().copied().collect::<Vec<_>>().join("\n")).collect();
    let said: Vec<_> = blocks
        .iter()
        .map(|block| {
            let script = block
                .replace("OBJECT", &place.object(&chain.repo, 2).display().to_string())
                .replace("VAULT", "vault")
                .replace("REPOSITORY-ID", chain.repo.as_str())
                .replace("TARGET.git 41", "one.git 1")
                .replace("KEY", "recovery-kit.txt")
                .replace("NEW-URL", "../new");
            run(Command::new("sh").args(["-e", "-c", &script]).current_dir(dir))
        })
        .collect();
    assert!(
        said[0].starts_with("octo-organisation/the-repository\t") && said[0].contains(chain.repo.as_str()),
        "{said:?}"
    );
    assert_eq!(refs(&dir.join("TARGET.git")), origin.state().refs);
    assert_ne!(refs(&dir.join("one.git")), origin.state().refs);
    assert_eq!(said[3].lines().count(), 2, "{said:?}");
    assert_eq!(refs(&dir.join("new")), origin.state().refs);
    assert!(said[5].contains("Signature Verified Successfully"), "{said:?}");

    let sum = run(Command::new("sha256sum").arg(place.object(&chain.repo, 1)));
    assert!(sum.starts_with(&hex::encode(sealed[0].sha256)));
    let record = std::fs::read_to_string(dir.join("record.json")).unwrap();
    assert!(record.contains(&hex::encode(sealed[0].sha256)), "{record}");
}
