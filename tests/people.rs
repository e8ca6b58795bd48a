//! Who may do what, and the record of who did it, as whoever runs Refward meets them at the command line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use refward::catalog::IdentityLink;
use refward::config::Settings;
use refward::domain::policy::Selection;
use refward::domain::{By, Kind, Person, Role};
use refward::jobs::record_end;
use refward::ops::people;
use refward::ops::policy::{self, Asked};
use refward::services::Services;
use serde_json::{Value, json};
use support::database::Behind;
use support::world::{World, eventually};

/// What differs from run to run.
const FILTERS: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]"),
    (r"\d{4}-\d\d-\d\d\.json", "[DAY].json"),
    ("[0-9a-f]{32}", "[CODE]"),
    (" +\n", "\n"),
];

/// As long as the answer lives.
fn filtered() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.set_filters(FILTERS.to_vec());
    settings.bind_to_scope()
}

/// What a person sees.
async fn told(world: &World, arguments: &[&str]) -> String {
    let ran = world.refward(arguments).await;
    format!("{}{}=> {}", ran.stdout, ran.stderr, ran.code)
}

/// The services of a deployment, in this process.
async fn services(world: &World) -> Arc<Services> {
    Services::open(Settings::load(&world.folder().join("refward.toml")).unwrap()).await.unwrap()
}

fn mona() -> Person {
    "discord:1".parse().unwrap()
}

fn in_chat(person: &Person) -> By {
    By { who: person.to_string(), whence: "discord:7/8".into() }
}

fn link(person: &str, forge_user: &str) -> IdentityLink {
    let now = Utc::now();
    IdentityLink {
        person: person.parse().unwrap(),
        forge: "github".into(),
        host: "github.com".into(),
        forge_user: forge_user.into(),
        login: format!("login-{forge_user}"),
        created_at: now,
        expires_at: now + TimeDelta::days(90),
    }
}

/// The ends of the record that the vault holds.
fn ends(world: &World) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(world.folder().join("vault/audit"));
    let files = folder.into_iter().flatten().map(|entry| entry.unwrap().path());
    // Writes that are under way have other names.
    files.filter(|file| file.extension().is_some_and(|extension| extension == "json")).collect()
}

/// What anybody can do without us.
fn shell(folder: &str, script: &str) -> String {
    let ran = Command::new("sh").args(["-euc", script]).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test]
async fn grants_are_given_shown_and_taken_back() {
    let world = World::new().await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["grants", "list"]).await, @"
    Nobody may anything yet: refward grants code
    => 0
    ");
    let role = ["grants", "add", "discord:role:41771983423143936", "viewer", "--as", "root"];
    insta::assert_snapshot!(told(&world, &role).await, @"
    Grant 1: discord:role:41771983423143936 is viewer of everything.
    => 0
    ");
    let scope = ["--connection", "acme", "--group", "web", "--repo", "a*", "--repo", "site", "--as", "root"];
    let user = [&["grants", "add", "discord:user:80351110224678912", "restorer"][..], &scope].concat();
    insta::assert_snapshot!(told(&world, &user).await, @"
    Grant 2: discord:user:80351110224678912 is restorer of connection acme, and group web, and a* or site.
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["grants", "list"]).await, @"
    NO  WHO                             MAY       WITH                                            SINCE (UTC)          BY
    1   discord:role:41771983423143936  viewer    everything                                      [TIME]  cli:root
    2   discord:user:80351110224678912  restorer  connection acme, and group web, and a* or site  [TIME]  cli:root
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["grants", "revoke", "1", "--as", "root"]).await, @"
    No more: discord:role:41771983423143936 is viewer of everything.
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["grants", "revoke", "1"]).await, @"
    error: no grant 1 stands
      `refward grants list` shows those that do
    => 3
    ");
    insta::assert_snapshot!(told(&world, &["grants", "add", "@mona", "admin"]).await, @"
    error: invalid value '@mona' for '<HOLDER>': `@mona` is neither PLATFORM:user:ID nor PLATFORM:role:ID

    For more information, try '--help'.
    => 2
    ");
    insta::assert_snapshot!(told(&world, &["grants", "add", "discord:user:1", "admin", "--connection", "acne"]).await, @"
    error: there is no connection called acne
      `refward connections list` shows them
    => 3
    ");
    insta::assert_snapshot!(told(&world, &["grants", "add", "discord:user:1", "admin", "--repo", "a[" ]).await, @"
    error: `a[` is not a glob: error parsing glob 'a[': unclosed character class; missing ']'
    => 2
    ");
}

#[tokio::test]
async fn the_first_admin_says_a_code_in_the_chat() {
    let world = World::new().await;
    let services = services(&world).await;
    let (mona, by) = (mona(), in_chat(&mona()));
    let wrong = people::claim(&services, "00112233", &mona, &by).await.unwrap_err();
    assert_eq!(wrong.kind(), Kind::NotAllowed);

    let made = world.ok(&["grants", "code", "--as", "root"]).await;
    let code = made["code"].as_str().unwrap();
    let grant = people::claim(&services, &format!(" {code}\n"), &mona, &by).await.unwrap();
    assert_eq!((grant.role, grant.scope), (Role::Admin, None));
    let allowance = people::allowance(&services, &mona, &[]).await.unwrap();
    assert_eq!(allowance.everywhere(), Some(Role::Admin));
    assert_eq!(people::claim(&services, code, &mona, &by).await.unwrap_err().kind(), Kind::NotAllowed, "used");

    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["grants", "code"]).await, @"
    Say this in the chat, once, until [TIME] UTC:
      /refward claim code:[CODE]
    => 0
    ");
    let told = world.refward(&["audit", "--json"]).await;
    assert!(!told.stdout.contains(code), "the record tells no code");
    let rows = told.json();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| ["action", "verdict", "actor"].map(|key| text(row, key)).join(" "))
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    claim refused discord:1
    claim.code done cli:root
    grant.add done discord:1
    claim done discord:1
    claim refused discord:1
    claim.code done cli:unknown
    ");
}

#[tokio::test]
async fn who_tries_many_codes_has_to_wait() {
    let world = World::new().await;
    let services = services(&world).await;
    let by = in_chat(&mona());
    let mut refused = String::new();
    for nth in 0..12 {
        refused = people::claim(&services, &nth.to_string(), &mona(), &by).await.unwrap_err().to_string();
    }
    assert_eq!(refused, "too many wrong codes");
    assert_eq!(world.ok(&["audit"]).await.as_array().unwrap().len(), 10, "tries are on the record, and then no more");
}

#[tokio::test]
async fn a_scope_is_looked_at_when_it_is_granted() {
    let world = World::new().await;
    let services = services(&world).await;
    let holder = "discord:user:1".parse().unwrap();
    let empty = people::grant(&services, &holder, Role::Admin, Some(Selection::default()), &By::cli("root")).await;
    assert_eq!(empty.unwrap_err().kind(), Kind::BadRequest, "what selects nothing is no grant of everything");
}

#[tokio::test]
async fn who_is_linked_as_whom_is_shown_and_ended() {
    let world = World::new().await;
    let services = services(&world).await;
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["people"]).await, @"
    Nobody is linked: people say /refward link in the chat.
    => 0
    ");
    services.catalog.put_link(&link("discord:1", "583231"), &in_chat(&mona())).await.unwrap();
    insta::assert_snapshot!(told(&world, &["people"]).await, @"
    PERSON     ON          IS            USER    SINCE (UTC)          UNTIL (UTC)
    discord:1  github.com  login-583231  583231  [TIME]  [TIME]
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["people", "unlink", "discord:1"]).await, @"
    discord:1 is nobody on any forge any more.
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["people", "unlink", "discord:1"]).await, @"
    error: discord:1 is not linked
      `refward people` shows who is
    => 3
    ");
}

#[tokio::test]
async fn nobody_approves_their_own_change_under_another_name() {
    let world = World::with(&[("policies.approval", "true")]).await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    world.ok(&["policy", "set", "default", "retention.daily=1", "--as", "mona"]).await;
    let services = services(&world).await;
    for person in ["cli:mona", "cli:mona2"] {
        services.catalog.put_link(&link(person, "583231"), &By::cli("root")).await.unwrap();
    }
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["policy", "approve", "1", "--as", "Mona"]).await, @"
    error: cli:Mona has asked for change 1; somebody else has to approve it
      `refward policy approve --as NAME` says who approves
    => 4
    ");
    insta::assert_snapshot!(told(&world, &["policy", "approve", "1", "--as", "mona2"]).await, @"
    error: cli:mona2 is the same person as cli:mona, who has asked for change 1; somebody else has to approve it
      `refward policy approve --as NAME` says who approves
    => 4
    ");
    insta::assert_snapshot!(told(&world, &["policy", "approve", "1", "--as", "lisa"]).await, @"
    Change 1 of default is approved by cli:lisa; it acts from [TIME] UTC on.
    => 0
    ");
    let rows = world.ok(&["audit"]).await;
    let rows: Vec<_> = rows.as_array().unwrap().iter().filter(|row| row["action"] == "policy.approve").collect();
    let verdicts: Vec<_> =
        rows.iter().map(|row| (row["actor"].as_str().unwrap(), row["verdict"].as_str().unwrap())).collect();
    assert_eq!(verdicts, [("cli:Mona", "refused"), ("cli:mona2", "refused"), ("cli:lisa", "approved")]);
}

#[tokio::test]
async fn what_protects_less_and_was_asked_for_in_a_chat_waits_for_a_second_person() {
    let world = World::with(&[("policies.grace", "0s")]).await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    let mut settings = Settings::load(&world.folder().join("refward.toml")).unwrap();
    (settings.policies.grace, settings.policies.approval) = (Duration::ZERO, false);
    let services = Services::open(settings).await.unwrap();
    let (mona, lisa) = (in_chat(&mona()), in_chat(&"discord:2".parse().unwrap()));
    let less = [("retention.daily".to_owned(), "1".to_owned())];
    let asked = Asked { by: &mona, allow_empty: false, plan: false };
    let submitted = policy::set(&services, "default", &less, asked).await.unwrap();
    assert_eq!((submitted.state, submitted.needs_approval), ("waiting", true));
    policy::settle(&services).await.unwrap();
    let daily = async || world.ok(&["policy", "show", "default"]).await["retention"]["daily"].clone();
    assert_eq!(daily().await, "90d", "its time has come, but nobody has agreed");

    let change = submitted.change.unwrap();
    assert_eq!(policy::approve(&services, change, &mona).await.unwrap_err().kind(), Kind::NotAllowed);
    policy::approve(&services, change, &lisa).await.unwrap();
    assert_eq!(daily().await, 1);

    // Whoever is at the command line could change the setting as well.
    let less = [("retention.within".to_owned(), "7d".to_owned())];
    let at_the_terminal = Asked { by: &By::cli("root"), ..asked };
    assert_eq!(policy::set(&services, "default", &less, at_the_terminal).await.unwrap().state, "applied");
}

#[tokio::test]
async fn what_was_done_at_the_command_line_is_on_the_record() {
    let mut world = World::new().await;
    world.env("USER", "mona");
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    world.ok(&["connections", "set", "acme", "--group", "web=acme/*"]).await;
    world.ok(&["credentials", "main", "acme", "token"]).await;
    world.ok(&["hold", "set", "acme/api", "--reason", "a lawsuit"]).await;
    world.ok(&["hold", "lift", "acme/api", "--as", "lisa"]).await;
    world.ok(&["forget", "acme/api"]).await;
    world.ok(&["repos", "remove", "acme/api"]).await;
    world.ok(&["restore", "acme/api", "--to-origin", "--prefix", "refs/heads/restored/"]).await;
    world.ok(&["restore", "acme/api", "--bare", "--to-dir", &world.path("restored.git")]).await;
    assert_eq!(world.refward(&["connections", "unpair", "acme"]).await.code, 2, "what makes no sense is not recorded");
    let port = format!(":{}", world.github.url().port().unwrap());
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["audit"]).await.replace(&port, ":PORT"), @"
    NO  TIME (UTC)           WHO       FROM  WHAT                         ABOUT
    1   [TIME]  cli:mona  cli   connection.add        done   acme
    2   [TIME]  cli:mona  cli   connection.set        done   acme
    3   [TIME]  cli:mona  cli   credential.main       done   acme: token
    4   [TIME]  cli:mona  cli   hold.place            done   acme/api
    5   [TIME]  cli:lisa  cli   hold.lift             done   acme/api
    6   [TIME]  cli:mona  cli   points.forget         done   acme/api
    7   [TIME]  cli:mona  cli   repository.leave_out  done   acme/api
    8   [TIME]  cli:mona  cli   restore.run           asked  acme/api to http://127.0.0.1:PORT/acme/api.git
    9   [TIME]  cli:mona  cli   restore.run           done   acme/api to http://127.0.0.1:PORT/acme/api.git
    => 0
    ");
    let rows = world.ok(&["audit", "--limit", "2"]).await;
    let refs = &rows[0]["detail"]["refs"];
    assert_eq!((&refs[0]["ref"], &refs[0]["from"]), (&json!("refs/heads/restored/main"), &json!(null)), "{refs}");
    insta::assert_json_snapshot!(rows[1]["detail"], @r#"
    {
      "refused": [],
      "written": [
        "refs/heads/restored/main"
      ]
    }
    "#);
}

#[tokio::test]
async fn the_end_of_the_record_is_signed_once_a_day() {
    let world = World::new().await;
    let services = services(&world).await;
    let _filters = filtered();
    record_end::sign(&services).await.unwrap();
    assert_eq!(ends(&world), Vec::<PathBuf>::new(), "there is nothing to sign");
    insta::assert_snapshot!(told(&world, &["audit", "--verify"]).await, @"
    Nothing is recorded yet.
    Nothing of it is signed in the vault yet: the service does that once a day.
    => 0
    ");

    world.ok(&["grants", "add", "discord:user:1", "viewer"]).await;
    record_end::sign(&services).await.unwrap();
    record_end::sign(&services).await.unwrap();
    assert_eq!(ends(&world).len(), 1);
    world.ok(&["grants", "add", "discord:user:2", "viewer"]).await;
    record_end::sign(&services).await.unwrap();
    assert_eq!(ends(&world).len(), 1, "once a day");
    insta::assert_snapshot!(told(&world, &["audit", "--verify"]).await, @"
    2 rows, each follows from the one before it.
    Signed in the vault up to row 1, at [TIME] UTC: audit/[DAY].json
    => 0
    ");
    let checked = world.ok(&["audit", "--verify"]).await;
    assert_eq!((&checked["rows"], &checked["signed"]["standing"]), (&json!(2), &json!("holds")));
}

#[tokio::test]
async fn the_service_signs_and_anybody_can_check_that_without_us() {
    let world = World::with(&[("workers.upkeep", "1s")]).await;
    for nth in 1..=3 {
        world.ok(&["grants", "add", &format!("discord:user:{nth}"), "viewer"]).await;
    }
    let service = world.serve().await;
    let signed = eventually(async || ends(&world).pop(), || "the end of the record in the vault".to_owned()).await;
    service.stop().await;

    std::fs::write(world.path("key.pem"), services(&world).await.vault.public_key_pem().unwrap()).unwrap();
    std::fs::write(world.path("audit.json"), world.refward(&["audit", "--json"]).await.stdout).unwrap();
    std::fs::copy(signed, world.path("end.json")).unwrap();
    let check = "jq -cSj .record end.json > record.txt
        jq -r .signature end.json | base64 -d > record.sig
        openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in record.txt -sigfile record.sig";
    assert!(shell(&world.path(""), check).contains("Signature Verified Successfully"));

    let page = include_str!("../docs/people.md");
    let (_, script) = page.split_once("> audit.json\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let last = shell(&world.path(""), script);
    let end: Value = serde_json::from_str(&std::fs::read_to_string(world.path("end.json")).unwrap()).unwrap();
    assert_eq!((end["record"]["last_hash"].as_str(), &end["record"]["last_seq"]), (Some(last.trim()), &json!(3)));
}

#[tokio::test]
async fn a_record_that_was_cut_off_or_made_anew_does_not_hold_what_was_signed() {
    let world = World::new().await;
    let services = services(&world).await;
    for nth in 1..=3 {
        world.ok(&["grants", "add", &format!("discord:user:{nth}"), "viewer"]).await;
    }
    record_end::sign(&services).await.unwrap();
    let behind = Behind::of(&world).await;
    behind.change("DELETE FROM audit WHERE seq = 3").await;
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["audit", "--verify"]).await, @"
    2 rows, each follows from the one before it.
    It is not the one that was signed in the vault at [TIME] UTC: rows up to 3 were changed or are gone: audit/[DAY].json
    error: the record of who did what is not whole
      somebody has changed the database; compare it with a copy of its own from before
    => 1
    ");

    // And nothing else is signed over it on another day.
    behind.change("DELETE FROM fact WHERE name = 'record_signed'").await;
    record_end::sign(&services).await.unwrap();
    let alarms = services.catalog.alarms().await.unwrap();
    assert_eq!(alarms.iter().map(|alarm| alarm.kind.as_str()).collect::<Vec<_>>(), ["audit.broken"]);
    insta::assert_snapshot!(alarms[0].text.as_deref().unwrap(), @"The record of who did what cannot be trusted: it is not the one that audit/[DAY].json in the vault was signed for.");

    // The gap is filled, and every hash is right again.
    world.ok(&["grants", "add", "discord:user:4", "viewer"]).await;
    insta::assert_snapshot!(told(&world, &["audit", "--verify"]).await, @"
    3 rows, each follows from the one before it.
    It is not the one that was signed in the vault at [TIME] UTC: rows up to 3 were changed or are gone: audit/[DAY].json
    error: the record of who did what is not whole
      somebody has changed the database; compare it with a copy of its own from before
    => 1
    ");
}

#[tokio::test]
async fn each_kind_of_damage_is_named() {
    let world = World::new().await;
    for nth in 1..=3 {
        world.ok(&["grants", "add", &format!("discord:user:{nth}"), "viewer"]).await;
    }
    let behind = Behind::of(&world).await;
    let _filters = filtered();
    behind.change("UPDATE audit SET entry = REPLACE(entry, 'discord:user:3', 'discord:user:5') WHERE seq = 3").await;
    insta::assert_snapshot!(told(&world, &["audit", "--verify"]).await, @"
    Row 3 is not what was written, or does not follow from the one before it; before it: 2 rows as they were written.
    Nothing of it is signed in the vault yet: the service does that once a day.
    error: the record of who did what is not whole
      somebody has changed the database; compare it with a copy of its own from before
    => 1
    ");
    behind.change("DELETE FROM audit WHERE seq = 2").await;
    insta::assert_snapshot!(told(&world, &["audit", "--verify"]).await, @"
    Row 2 is missing; before it: 1 row as they were written.
    Nothing of it is signed in the vault yet: the service does that once a day.
    error: the record of who did what is not whole
      somebody has changed the database; compare it with a copy of its own from before
    => 1
    ");
}

#[tokio::test]
async fn a_forged_end_proves_nothing() {
    let world = World::new().await;
    world.ok(&["grants", "add", "discord:user:1", "viewer"]).await;
    record_end::sign(&*services(&world).await).await.unwrap();
    let object = ends(&world).remove(0);
    let forged = std::fs::read_to_string(&object).unwrap().replace("\"last_seq\": 1", "\"last_seq\": 0");
    std::fs::write(&object, forged).unwrap();
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["audit", "--verify"]).await, @"
    1 row, each follows from the one before it.
    audit/[DAY].json in the vault was not signed by this vault's key.
    error: the record of who did what is not whole
      somebody has changed the database; compare it with a copy of its own from before
    => 1
    ");
}

#[tokio::test]
async fn a_catalog_that_was_rebuilt_says_that_its_record_begins_anew() {
    let world = World::new().await;
    world.ok(&["grants", "add", "discord:user:1", "viewer"]).await;
    record_end::sign(&*services(&world).await).await.unwrap();
    for file in ["refward.db", "refward.db-wal", "refward.db-shm"] {
        std::fs::remove_file(world.folder().join(file)).ok();
    }
    let _filters = filtered();
    world.ok(&["connections", "list"]).await;
    assert_eq!(world.refward(&["audit", "--verify"]).await.code, 1, "the record is gone, and nobody has said why");
    world.ok(&["catalog", "rebuild"]).await;
    insta::assert_snapshot!(told(&world, &["audit", "--verify"]).await, @"
    1 row, each follows from the one before it.
    It began anew when the database was rebuilt. The one before ended after row 1 or later: audit/[DAY].json, [TIME] UTC
    => 0
    ");
}
