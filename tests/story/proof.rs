//! Proof that backups can come back: drills, verifications, reports, and what the store protects from.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use refward::config::Settings;
use refward::services::Services;
use serde_json::{Value, json};

use crate::support::fake_github::{Repo, Work};
use crate::support::faults::SmallDisk;
use crate::support::s3::S3;
use crate::support::shell::git;
use crate::support::world::{World, eventually, files};

const REPO: &str = "acme/api";

/// One repository with one commit, backed up.
async fn backed_up(world: &World) -> (Repo, Work) {
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    world.ok(&["backup", "--all", "--wait"]).await;
    (api, work)
}

async fn health(world: &World) -> Value {
    world.status(REPO).await["health"].clone()
}

/// What a command says that did what it could.
async fn partly(world: &World, arguments: &[&str]) -> Value {
    let ran = world.refward(&[arguments, &["--json"]].concat()).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (1, &json!("partial")), "{arguments:?}: {ran:?}");
    ran.json()
}

/// Turns one bit of a stored object around; twice, and it is whole again.
fn flip(object: &Path) {
    std::fs::set_permissions(object, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = std::fs::read(object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(object, bytes).unwrap();
}

/// The deployment's own services, for jobs that no command runs.
async fn services(world: &World, change: impl FnOnce(&mut Settings)) -> Arc<Services> {
    let mut settings = Settings::load(&world.folder().join("refward.toml")).unwrap();
    change(&mut settings);
    Services::open(settings).await.unwrap()
}

fn shell(folder: &str, script: &str) -> String {
    let ran = Command::new("sh").args(["-euc", script]).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test]
async fn a_restore_is_proved_and_anybody_can_check_that() {
    let world = World::new().await;
    backed_up(&world).await;
    let status = world.status(REPO).await;
    assert_eq!((&status["state"], &status["health"]), (&json!("ok"), &json!("amber")), "{status:#}");
    assert_eq!(status["proof"]["last"], "never");
    assert!(status["health_reason"].as_str().unwrap().contains("no restore was proved yet"), "{status:#}");

    let report = &world.ok(&["drill", REPO]).await[0];
    assert_eq!((&report["passed"], &report["findings"]), (&json!(true), &json!([])), "{report:#}");
    assert_eq!(report["snapshot"]["seq"], 1);
    assert_eq!(report["restore"]["references"], 1);
    assert_eq!(report["restore"]["forge"], json!({ "outcome": "compared", "same": 1, "moved": 0 }));
    let object = world.objects()[0].metadata().unwrap().len();
    assert_eq!(report["read"], json!({ "objects": 1, "bytes": object }));
    let status = world.status(REPO).await;
    assert_eq!((&status["health"], &status["proof"]["last"]), (&json!("green"), &json!("passed")), "{status:#}");
    assert_eq!(status["proof"]["passed_at"], report["started_at"]);
    assert_eq!(status["proof"]["window_ms"], 30 * 86_400_000_u64, "as the built-in policy says");
    assert_eq!(files(Path::new(&world.path("tmp"))).len(), 0, "nothing is left in scratch");

    // Somebody who does not trust us, with jq and openssl.
    let told = world.path("report.json");
    assert_eq!(world.refward(&["report", "--format", "json", "--output", &told]).await.code, 0);
    let check = "jq -cSj .proofs[0].report report.json > report.txt
        jq -r .proofs[0].signature report.json | base64 -d > report.sig
        jq -r .public_key report.json > key.pem
        openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in report.txt -sigfile report.sig";
    assert!(shell(&world.path(""), check).contains("Signature Verified Successfully"));
    assert_eq!(world.ok(&["report", "--check", &told]).await["reports"], 1);

    // The same from what is written for people.
    let told_to_people = world.refward(&["report"]).await.stdout;
    let (_, signed) = told_to_people.rsplit_once("```\n{").unwrap();
    let mut lines = signed.lines();
    let (line, signature) = (format!("{{{}", lines.next().unwrap()), lines.next().unwrap());
    let (_, script) = told_to_people.split_once("```sh\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let check = script.replace("LINE", &line).replace("SIGNATURE", signature);
    assert!(shell(&world.path(""), &check).contains("Signature Verified Successfully"), "{check}");

    // The vault keeps it, too, and it opens without us.
    let kept = &files(&world.folder().join("vault/proofs"))[0];
    let opened = shell(&world.path("backup"), &format!("age -d -i keys/vault.agekey {}", kept.display()));
    let opened: Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened["report"], *report);
    let from_vault = world.path("kept.json");
    std::fs::write(&from_vault, opened.to_string()).unwrap();
    assert_eq!(world.ok(&["report", "--check", &from_vault]).await["reports"], 1);
    world.ok(&["verify", "--read-data"]).await;

    // A report that says more than was signed.
    let boast = std::fs::read_to_string(&told).unwrap().replace("\"references\": 1", "\"references\": 2");
    std::fs::write(&told, boast).unwrap();
    let refused = world.refward(&["report", "--check", &told, "--json"]).await;
    assert_eq!(refused.error()["message"], "report 1 (of acme/api) was not signed by this vault's key");
}

#[tokio::test]
async fn damage_is_red_until_what_was_written_is_there_again() {
    let world = World::new().await;
    backed_up(&world).await;
    world.ok(&["drill", "--all"]).await;
    let object = &world.objects()[0];
    flip(object);

    let failed = world.refward(&["drill", REPO, "--json"]).await;
    let report = &failed.json()[0];
    assert_eq!((failed.code, &report["passed"], &report["restore"]), (1, &json!(false), &Value::Null), "{report:#}");
    let found = report["findings"][0]["problem"].as_str().unwrap();
    assert!(found.contains("0000000001.tar.gz.age"), "it names the object: {found}");
    assert_eq!(failed.error()["message"], "1 drill failed");
    let status = world.status(REPO).await;
    assert_eq!((&status["health"], &status["proof"]["last"]), (&json!("red"), &json!("failed")), "{status:#}");
    assert_ne!(status["proof"]["passed_at"], Value::Null, "when it last went well is still told");

    // The object is put back: a new drill says so.
    flip(object);
    world.ok(&["drill", REPO]).await;
    assert_eq!(health(&world).await, "green");
}

#[tokio::test]
async fn the_vault_is_read_in_shares_and_damage_is_found_without_being_asked() {
    let world = World::new().await;
    let (_, work) = backed_up(&world).await;
    for text in ["two", "three"] {
        work.commit(text).await;
        work.push(&["main"]).await;
        world.ok(&["backup", REPO, "--wait"]).await;
    }
    world.ok(&["drill", "--all"]).await;
    flip(&world.objects()[1]);

    // Everything within an hour: one run reads all of it.
    let services =
        services(&world, |settings| settings.proof.read_all_within = std::time::Duration::from_hours(1)).await;
    refward::jobs::read_share(&services).await.unwrap();
    let status = world.status(REPO).await;
    assert_eq!(status["health"], "red", "{status:#}");
    let vault = &world.ok(&["status"]).await["vault"];
    assert_eq!(vault["objects_read"], 2, "the damaged one does not count: {vault}");
    let proofs = world.ok(&["report"]).await["proofs"].take();
    let found = &proofs.as_array().unwrap().last().unwrap()["report"];
    assert_eq!((&found["kind"], &found["passed"]), (&json!("verify"), &json!(false)), "{found:#}");
    assert!(found["findings"][0]["object"].as_str().unwrap().ends_with("0000000002.tar.gz.age"), "{found:#}");

    // A passed drill does not take it back, only another look at the object does. No need to wait for an hour.
    flip(&world.objects()[1]);
    world.ok(&["drill", REPO]).await;
    assert_eq!(health(&world).await, "red");
    services.catalog.remove_fact("read_share").await.unwrap();
    refward::jobs::read_share(&services).await.unwrap();
    assert_eq!(health(&world).await, "green");
    assert_eq!(world.ok(&["status"]).await["vault"]["objects_read"], 3);
}

#[tokio::test]
async fn what_was_consolidated_is_drilled_and_read_like_everything_else() {
    let world = World::new().await;
    let (_, work) = backed_up(&world).await;
    for text in ["two", "three", "four", "five", "six"] {
        work.commit(text).await;
        work.push(&["main"]).await;
        world.ok(&["backup", REPO, "--wait"]).await;
    }
    let services = services(&world, |settings| {
        settings.compact.after = 4;
        settings.proof.read_all_within = std::time::Duration::from_hours(1);
    })
    .await;
    let repo = services.catalog.resolve(&REPO.parse().unwrap()).await.unwrap().id;
    refward::jobs::compact(&services, &repo).await.unwrap();
    let superseded = world.objects()[1].clone();
    assert_eq!(world.objects().len(), 7, "one stands for all: {:?}", world.objects());

    let report = &world.ok(&["drill", REPO]).await[0];
    assert_eq!((&report["passed"], &report["read"]["objects"]), (&json!(true), &json!(1)), "{report:#}");
    // What nobody reads any more may be damaged or gone.
    flip(&superseded);
    refward::jobs::read_share(&services).await.unwrap();
    assert_eq!(world.ok(&["status"]).await["vault"]["objects_read"], 1);
    assert_eq!(health(&world).await, "green");
}

#[tokio::test]
async fn what_a_person_finds_counts_as_well() {
    let world = World::new().await;
    backed_up(&world).await;
    world.ok(&["drill", "--all"]).await;
    flip(&world.objects()[0]);
    assert_eq!(world.refward(&["verify", "--read-data"]).await.code, 1);
    assert_eq!(health(&world).await, "red");
    flip(&world.objects()[0]);
    world.ok(&["verify"]).await;
    assert_eq!(health(&world).await, "red", "not everything was read");
    world.ok(&["verify", "--read-data"]).await;
    assert_eq!(health(&world).await, "green");
}

#[tokio::test]
async fn what_moved_on_the_forge_since_is_told_and_no_failure() {
    let world = World::new().await;
    let (api, work) = backed_up(&world).await;
    work.commit("two").await;
    work.push(&["main", "HEAD:refs/heads/topic"]).await;
    let report = &world.ok(&["drill", REPO]).await[0];
    assert_eq!(report["passed"], true);
    assert_eq!(report["restore"]["forge"], json!({ "outcome": "compared", "same": 0, "moved": 2 }));
    let told = world.refward(&["drill", REPO]).await.stdout;
    assert!(told.contains("on the forge 2 references moved since; checked against the snapshot"), "{told}");

    // A forge that is not there any more is when it counts.
    api.delete();
    world.ok(&["repos", "sync"]).await;
    let report = &world.ok(&["drill", REPO]).await[0];
    assert_eq!((&report["passed"], &report["restore"]["forge"]["outcome"]), (&json!(true), &json!("not_compared")));
}

#[tokio::test]
async fn what_is_missing_is_told_wherever_a_snapshot_is_shown() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    // A name that is not UTF-8, as old servers have them.
    let mut packed =
        format!("{} refs/heads/gr", git(&api.folder(), &["rev-parse", "refs/heads/main"]).await).into_bytes();
    packed.extend_from_slice(b"\xfcn\n");
    std::fs::write(api.folder().join("packed-refs"), packed).unwrap();
    let id = git(&api.folder(), &["rev-parse", "refs/heads/main"]).await;
    partly(&world, &["backup", "--all", "--wait"]).await;

    let why =
        &format!("its name is not UTF-8, which Refward cannot keep yet; rename it on the forge; it points at {id}");
    let missing = json!([{ "what": r"refs/heads/gr\xfcn", "why": why }]);
    let status = world.status(REPO).await;
    assert_eq!((&status["state"], &status["health"]), (&json!("partial"), &json!("amber")), "{status:#}");
    assert_eq!(status["last_snapshot"]["missing"], missing);
    assert_eq!(world.snapshots(REPO).await[0]["missing"], missing);
    assert_eq!(partly(&world, &["verify"]).await[0]["missing"], missing);
    assert_eq!(world.ok(&["drill", REPO]).await[0]["snapshot"]["missing"], missing);
    assert_eq!(world.ok(&["report"]).await["repositories"][0]["missing"], missing);
    let out = world.path("out");
    assert_eq!(world.ok(&["restore", REPO, "--to-dir", &out, "--plan"]).await["missing"], missing);
    assert_eq!(partly(&world, &["restore", REPO, "--to-dir", &out]).await["missing"], missing);
    assert_eq!(health(&world).await, "amber", "a passed drill does not make it complete");
    for command in [
        &["status"][..],
        &["backup", "--all", "--wait"],
        &["backup", REPO, "--wait"],
        &["snapshots", REPO],
        &["verify"],
        &["drill", REPO],
        &["report"],
        &["restore", REPO, "--to-dir", &out, "--plan"],
    ] {
        let told = world.refward(command).await;
        assert!(told.stdout.contains(why), "{command:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_disk_that_is_too_small_is_no_failed_proof() {
    let Some(disk) = SmallDisk::mount("64k") else { return };
    let mut world = World::new().await;
    backed_up(&world).await;
    world.set("git.scratch_dir", disk.path().to_str().unwrap());
    disk.fill();
    let refused = world.refward(&["drill", REPO, "--json"]).await;
    assert_eq!(refused.error()["kind"], "busy", "{refused:?}");
    assert!(refused.error()["message"].as_str().unwrap().contains("no room for a drill"), "{refused:?}");
    assert_eq!(world.status(REPO).await["proof"]["last"], "never", "it says nothing of the backup");
}

#[tokio::test]
async fn what_a_killed_drill_left_is_cleared_but_not_under_one_that_runs() {
    let world = World::new().await;
    backed_up(&world).await;
    let left = world.path("tmp/refward-drill-killed/drill.git");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(Path::new(&left).join("HEAD"), "ref: refs/heads/main").unwrap();
    let lock = std::fs::File::open(world.path("tmp")).unwrap();
    lock.lock_shared().unwrap();
    world.ok(&["drill", REPO]).await;
    assert!(Path::new(&left).exists(), "it may belong to whoever holds the lock");
    drop(lock);
    world.ok(&["drill", REPO]).await;
    assert_eq!(std::fs::read_dir(world.path("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn drills_fall_due_one_after_the_other() {
    let world = World::new().await;
    backed_up(&world).await;
    world.github.org("acme").repo("web").await;
    world.ok(&["repos", "sync"]).await;
    world.ok(&["backup", "--all", "--wait"]).await;
    let open = services(&world, |_| {}).await;
    let due = refward::jobs::drills_due(&open).await.unwrap();
    assert_eq!(due.len(), 2);
    refward::jobs::drill(&open, &due[0]).await.unwrap();
    assert_eq!(refward::jobs::drills_due(&open).await.unwrap(), due[1..]);
    let spent = services(&world, |settings| settings.proof.drill_bytes = 1).await;
    assert_eq!(refward::jobs::drills_due(&spent).await.unwrap(), [], "today's budget is used up");
}

#[tokio::test]
async fn what_the_store_protects_from_is_tried_and_told() {
    let told = async |world: &World| {
        let service = world.serve().await;
        service.stop().await;
        (world.ok(&["status"]).await["vault"]["protection"].clone(), world.refward(&["status"]).await.stdout)
    };
    let world = World::new().await;
    let (protection, text) = told(&world).await;
    assert_eq!(protection["deleting"]["outcome"], "gone");
    assert_eq!((&protection["refuses_overwrites"], &protection["sealed"]), (&json!(true), &json!(false)));
    assert_eq!(protection["database_on_same_disk"], true);
    assert!(text.contains("can delete the vault") && text.contains("on the same disk"), "{text}");
    assert_eq!(files(&world.folder().join("vault/probe")).len(), 0);

    let world = World::on_s3().await;
    let (protection, _) = told(&world).await;
    assert_eq!(protection["deleting"]["outcome"], "gone");
    assert_eq!(protection["database_on_same_disk"], Value::Null);

    // A credential that cannot delete; each start tries the same object again.
    let world = World::in_bucket_of(S3::start_keeping().await).await;
    let (protection, text) = told(&world).await;
    assert_eq!(protection["deleting"]["outcome"], "refused", "{protection}");
    assert!(text.contains("This service cannot delete what is in the vault"), "{text}");
    let probes = || files(&world.s3.as_ref().unwrap().dir.path().join("bucket/backups/probe"));
    assert_eq!(probes().len(), 1, "{:?}", probes());
    assert_eq!(told(&world).await.0["deleting"]["outcome"], "refused");
    assert_eq!(probes().len(), 1, "{:?}", probes());
}

#[tokio::test]
async fn a_policy_says_how_old_a_proof_may_be() {
    let world = World::with(&[("policies.grace", "0s")]).await;
    backed_up(&world).await;
    world.ok(&["drill", REPO]).await;
    assert_eq!(health(&world).await, "green");
    world.ok(&["policy", "set", "default", "drill=1m"]).await;
    let proof = &world.status(REPO).await["proof"];
    assert_eq!(proof["window_ms"], 60_000, "{proof:#}");
    world.ok(&["policy", "set", "default", "drill=never"]).await;
    let status = world.status(REPO).await;
    assert_eq!((&status["proof"]["window_ms"], &status["health"]), (&Value::Null, &json!("amber")), "{status:#}");
    assert_eq!(status["health_reason"], "its policy asks for no drills", "however fresh the last one");
}

#[tokio::test]
async fn a_service_proves_by_itself_and_finds_damage_by_itself() {
    let world = World::with(&[("workers.upkeep", "1s"), ("proof.read_all_within", "1h")]).await;
    backed_up(&world).await;
    let becomes = async |wanted: &str| {
        let look = async || (health(&world).await == wanted).then_some(());
        eventually(look, || format!("{REPO} to be {wanted}")).await;
    };
    let service = world.serve().await;
    becomes("green").await;
    eventually(
        async || (world.ok(&["status"]).await["vault"]["objects_read"] == 1).then_some(()),
        || "the object to be read".to_owned(),
    )
    .await;
    service.stop().await;

    flip(&world.objects()[0]);
    // An hour later.
    services(&world, |_| {}).await.catalog.remove_fact("read_share").await.unwrap();
    let _service = world.serve().await;
    becomes("red").await;
}

#[tokio::test]
async fn a_sealed_deployment_compares_hashes_and_says_that_it_cannot_drill() {
    let world = World::new().await;
    backed_up(&world).await;
    std::fs::remove_file(world.folder().join("keys/vault.agekey")).unwrap();
    flip(&world.objects()[0]);
    let sealed = services(&world, |_| {}).await;
    refward::jobs::read_share(&sealed).await.unwrap();
    assert_eq!(health(&world).await, "red");
    assert_eq!(refward::jobs::drills_due(&sealed).await.unwrap(), []);
    let refused = world.refward(&["drill", REPO, "--json"]).await;
    assert_eq!((refused.code, &refused.error()["kind"]), (6, &json!("misconfigured")), "{refused:?}");
    assert_eq!(world.status(REPO).await["proof"]["last"], "never");
}

#[tokio::test]
async fn a_report_is_for_people() {
    let world = World::new().await;
    backed_up(&world).await;
    world.ok(&["drill", "--all"]).await;
    flip(&world.objects()[0]);
    world.refward(&["verify", "--read-data"]).await;
    let mut filters = insta::Settings::clone_current();
    filters.set_filters(vec![
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]"),
        (r"[0-9a-f]{8}-[0-9a-f-]{27}", "[VAULT]"),
        (r"repos/[0-9a-f]{32}", "repos/[REPO]"),
        (r"\d+(\.\d+)? k?B\b", "[SIZE]"),
        (r"\d+\.\d s\b", "[S]"),
        (r"(?m)^M[A-Za-z0-9+/=]{59}$", "[KEY]"),
        (r"(?m)^\{.*\}$", "[REPORT]"),
        (r"(?m)^[A-Za-z0-9+/]{86}==$", "[SIGNATURE]"),
    ]);
    let _filters = filters.bind_to_scope();
    insta::assert_snapshot!(world.refward(&["report"]).await.stdout, @r"
    # Proof of backups

    Vault `[VAULT]`, as of [TIME] UTC.

    ## Repositories

    | repository | health | proved (UTC) | why not green |
    |---|---|---|---|
    | acme/api | red | [TIME] | the vault was found damaged: `refward report` says where |

    ## Restore drills

    Each: restored into an empty folder from the vault alone, git fsck, every reference compared.

    | began (UTC) | repository | snapshot | outcome | read | ready after | git fsck | references | on the forge |
    |---|---|---|---|---|---|---|---|---|
    | [TIME] | acme/api | 1 | passed | 1 object, [SIZE] | [S] | [S] | 1 | as on the forge |

    ## Verifications

    | began (UTC) | repository | outcome | method |
    |---|---|---|---|
    | [TIME] | acme/api | **FAILED**: repos/[REPO]/0000000001.tar.gz.age: cannot be read to the end: it was tampered with or truncated | every object read to the last byte and opened |

    ## How to check this

    Every proof was signed (Ed25519) when it was made, by the key of the vault. This is its public half; the recovery kit and `vault.json` have it in hex:

    ```
    -----BEGIN PUBLIC KEY-----
    [KEY]
    -----END PUBLIC KEY-----
    ```

    Write that to `key.pem`. At the end there is a line for each proof and its signature on the next; in their places:

    ```sh
    tr -d '\n' > report.txt <<'END'
    LINE
    END
    printf %s SIGNATURE | base64 -d > report.sig
    openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in report.txt -sigfile report.sig
    ```

    The same as a file for programs: `refward report --format json --output FILE`, and `refward report --check FILE`.

    ```
    [REPORT]
    [SIGNATURE]
    ```

    ```
    [REPORT]
    [SIGNATURE]
    ```
    ");
    let none = world.refward(&["report", "--since", "now"]).await.stdout;
    assert!(none.contains("## Restore drills\n\nNone."), "{none}");
}
