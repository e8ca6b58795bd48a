//! Policies as people use them: which applies and why, what waits, and what retention lets go.

use std::sync::Arc;

use refward::config::Settings;
use refward::jobs::policies;
use refward::services::Services;
use serde_json::{Value, json};

use crate::support::fake_github::{Repo, Work};
use crate::support::world::{World, eventually, refs};

/// What differs from run to run.
const FILTERS: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]"),
    (r"20\d\d-\d\d-\d\d", "[DAY]"),
    (r"20\d\d-W\d\d", "[WEEK]"),
    (r"20\d\d-\d\d\b", "[MONTH]"),
    (r" +\n", "\n"),
];

/// As long as the answer lives.
fn filtered() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.set_filters(FILTERS.to_vec());
    settings.bind_to_scope()
}

/// Rules that keep one recovery point.
const LAST_ONE: [&str; 5] =
    ["retention.last=1", "retention.within=", "retention.daily=", "retention.weekly=", "retention.monthly="];

/// `acme/api`, with so many snapshots, and `acme/web`.
async fn acme(settings: &[(&str, &str)], snapshots: usize) -> (World, Repo, Work) {
    let world = World::with(settings).await;
    let api = world.github.org("acme").repo("api").await;
    world.github.org("acme").repo("web").await;
    let work = api.work().await;
    world.connect("acme").await;
    for nth in 1..=snapshots {
        work.commit(&nth.to_string()).await;
        work.push(&["main"]).await;
        world.ok(&["backup", "acme/api", "--wait"]).await;
    }
    (world, api, work)
}

/// What a person sees.
async fn told(world: &World, arguments: &[&str]) -> String {
    let ran = world.refward(arguments).await;
    format!("{}{}=> {}", ran.stdout, ran.stderr, ran.code)
}

async fn explained(world: &World, repo: &str) -> Value {
    world.ok(&["policy", "explain", repo]).await
}

/// The numbers of the snapshots that are leaving.
async fn leaving(world: &World, repo: &str) -> Vec<u64> {
    let snapshots = world.snapshots(repo).await;
    let leaving = snapshots.iter().filter(|snapshot| snapshot["leaving_at"].is_string());
    leaving.map(|snapshot| snapshot["seq"].as_u64().unwrap()).collect()
}

/// The services of a deployment, in this process.
async fn services(world: &World) -> Arc<Services> {
    Services::open(Settings::load(&world.folder().join("refward.toml")).unwrap()).await.unwrap()
}

/// The changes whose time has come act, as the service's scheduler lets them.
async fn settle(world: &World, approval: bool) {
    let mut settings = Settings::load(&world.folder().join("refward.toml")).unwrap();
    settings.policies.approval = approval;
    policies::settle(&Services::open(settings).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn which_policy_applies_and_why_is_told() {
    let (world, ..) = acme(&[], 1).await;
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["policy", "list"]).await, @"
    POLICY   REPOSITORIES  WHEN     KEPT                                          DRILL
    default  2             on push  within 30d, daily 90d, weekly 1y, monthly 7y  30d
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "explain", "acme/api"]).await, @"
    acme/api is under the policy default: no other policy selects this repository.
      backed up: on push
      kept: within 30d, daily 90d, weekly 1y, monthly 7y (UTC)
      restore drilled: every 30d

    SEQ  TIME (UTC)              LABELS  UNTIL (UTC)  KEPT BECAUSE
    1    [TIME]             -            the newest; within 30d; daily for 90d: newest of [DAY]; weekly for 1y: newest of [WEEK]; monthly for 7y: newest of [MONTH]
    => 0
    ");
    let nightly = [
        "policy",
        "create",
        "nightly",
        "select.include=acme/a*",
        "trigger.schedule=0 3 * * *",
        "timezone=Europe/Berlin",
        "--as",
        "mona",
    ];
    insta::assert_snapshot!(told(&world, &nightly).await, @"
    nightly: is there and applies from now on.
      select.include: - → acme/a*
      timezone: UTC → Europe/Berlin
      trigger.schedule: - → 0 3 * * *
      acme/api: default → nightly
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "create", "vip", "select.connections=acme", "retention.last=5", "trigger.schedule=0 3 * * *"]).await, @"
    vip: is there and applies from now on.
      retention.last: - → 5
      select.connections: - → acme
      trigger.schedule: - → 0 3 * * *
      acme/web: default → vip
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "explain", "acme/api"]).await, @"
    acme/api is under the policy nightly: it selects this repository: `acme/a*`; it comes before vip, which would apply as well.
      backed up: on push; 0 3 * * *, next at [TIME] UTC
      kept: within 30d, daily 90d, weekly 1y, monthly 7y (Europe/Berlin)
      restore drilled: every 30d

    SEQ  TIME (UTC)              LABELS  UNTIL (UTC)  KEPT BECAUSE
    1    [TIME]             -            the newest; within 30d; daily for 90d: newest of [DAY]; weekly for 1y: newest of [WEEK]; monthly for 7y: newest of [MONTH]
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "show", "Nightly"]).await, @r#"
    name = "nightly"
    timezone = "Europe/Berlin"
    pool = "default"
    data = ["git"]
    drill = "30d"

    [select]
    include = ["acme/a*"]

    [trigger]
    on_push = true
    schedule = "0 3 * * *"

    [retention]
    within = "30d"
    daily = "90d"
    weekly = "1y"
    monthly = "7y"
    => 0
    "#);
    insta::assert_snapshot!(told(&world, &["policy", "list"]).await, @"
    POLICY   REPOSITORIES  WHEN                KEPT                                                  DRILL
    nightly  1             on push; 0 3 * * *  within 30d, daily 90d, weekly 1y, monthly 7y          30d
    vip      1             on push; 0 3 * * *  last 5, within 30d, daily 90d, weekly 1y, monthly 7y  30d
    default  0             on push             within 30d, daily 90d, weekly 1y, monthly 7y          30d
    => 0
    ");
    let nightly = explained(&world, "acme/api").await;
    assert_eq!((&nightly["policy"], &nightly["also"]), (&json!("nightly"), &json!(["vip"])));
    assert!(nightly["next_run"].as_str().unwrap().contains("T0"), "3:00 in Berlin is 1:00 or 2:00 UTC: {nightly}");
    assert_eq!(explained(&world, "acme/web").await["policy"], "vip");

    // Whoever is named comes before whoever fits; the order decides among the others.
    world.ok(&["policy", "assign", "vip", "acme/api"]).await;
    assert_eq!(
        explained(&world, "acme/api").await["why"],
        "it names this repository; it comes before nightly, which would apply as well"
    );
}

#[tokio::test]
async fn a_rename_takes_no_policy_away() {
    let (world, api, _) = acme(&[], 1).await;
    world.ok(&["policy", "create", "vip", "select.repositories=acme/api", "retention.last=5"]).await;
    assert_eq!(explained(&world, "acme/api").await["policy"], "vip");
    api.rename("service");
    world.ok(&["repos", "sync"]).await;
    assert_eq!(explained(&world, "acme/service").await["policy"], "vip");
    assert_eq!(world.ok(&["policy", "show", "vip"]).await["select"]["repositories"], json!(["acme/service"]));
}

#[tokio::test]
async fn what_protects_less_waits_and_can_be_taken_back() {
    let (world, ..) = acme(&[], 2).await;
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["policy", "set", "default", "retention.within=7d", "drill=90d", "--as", "mona"]).await, @"
    default: change 1 waits, because it protects less; it acts from [TIME] UTC on.
      refward policy revoke 1 takes it back.
      drill: 30d → 90d
      retention.within: 30d → 7d
      less: all recovery points are kept for 7d instead of for 30d
      less: a restore is drilled every 90d instead of every 30d
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "set", "default", "retention.last=3"]).await, @"
    error: a change of the policy default waits already: number 1, by cli:mona
      take it back first: `refward policy revoke 1`
    => 2
    ");
    insta::assert_snapshot!(told(&world, &["policy", "list"]).await, @"
    POLICY   REPOSITORIES  WHEN     KEPT                                          DRILL
    default  2             on push  within 30d, daily 90d, weekly 1y, monthly 7y  30d    change 1 waits
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "revoke", "1", "--as", "lisa"]).await, @"
    Change 1 of default is taken back; nothing has changed.
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "history"]).await, @"
    1  [TIME] UTC  cli:mona  set default: revoked by cli:lisa
      drill: 30d → 90d
      retention.within: 30d → 7d
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "approve", "1"]).await, @"
    error: no change 1 waits
      `refward policy history` tells what became of it
    => 3
    ");
    assert!(explained(&world, "acme/api").await["retention"].as_str().unwrap().starts_with("within 30d"));

    // What protects more acts at once.
    let more = world.ok(&["policy", "set", "default", "retention.last=3"]).await;
    assert_eq!((&more["state"], &more["weakens"]), (&json!("applied"), &json!([])));
    assert!(explained(&world, "acme/api").await["retention"].as_str().unwrap().starts_with("last 3, within 30d"));

    // So does leaving something as it is; a deletion always waits, and so does what moves repositories to a weaker policy.
    assert_eq!(world.ok(&["policy", "set", "default", "retention.last=3"]).await["state"], "unchanged");
    let weaker = world
        .ok(&["policy", "create", "weak", "select.include=api", "trigger.on_push=false", "trigger.schedule=every 1d"])
        .await;
    assert_eq!(weaker["state"], "waiting");
    assert_eq!(weaker["moves"][0]["repository"], "acme/api");
    world.ok(&["policy", "create", "strong", "select.include=*", "retention.last=9"]).await;
    assert_eq!(world.ok(&["policy", "delete", "strong"]).await["state"], "waiting");
    assert_eq!(explained(&world, "acme/api").await["policy"], "strong");
}

#[tokio::test]
async fn a_change_acts_when_its_time_has_come() {
    let (world, ..) = acme(&[], 1).await;
    let changed = world.ok(&["policy", "set", "default", "retention.within=7d"]).await;
    settle(&world, false).await;
    assert!(explained(&world, "acme/api").await["retention"].as_str().unwrap().starts_with("within 30d"), "too early");

    let (world, ..) = acme(&[("policies.grace", "1ms")], 1).await;
    assert_eq!(world.ok(&["policy", "set", "default", "retention.within=7d"]).await["state"], changed["state"]);
    let _service = world.serve().await;
    let acts = async || {
        let now = explained(&world, "acme/api").await;
        now["retention"].as_str().unwrap().starts_with("within 7d").then_some(())
    };
    eventually(acts, || "the change to act".to_owned()).await;
    assert_eq!(world.ok(&["policy", "history"]).await[0]["state"], "applied");
}

#[tokio::test]
async fn a_second_person_approves() {
    let (world, ..) = acme(&[("policies.approval", "true"), ("policies.grace", "0s")], 1).await;
    let asked = world.ok(&["policy", "set", "default", "retention.within=7d", "--as", "mona"]).await;
    assert_eq!((&asked["state"], &asked["needs_approval"]), (&json!("waiting"), &json!(true)));
    let own = world.refward(&["policy", "approve", "1", "--as", "Mona", "--json"]).await;
    assert_eq!((own.code, &own.error()["kind"]), (4, &json!("not_allowed")), "{own:?}");
    settle(&world, true).await;
    assert!(explained(&world, "acme/api").await["retention"].as_str().unwrap().starts_with("within 30d"));

    world.ok(&["policy", "approve", "1", "--as", "lisa"]).await;
    assert!(
        explained(&world, "acme/api").await["retention"].as_str().unwrap().starts_with("within 7d"),
        "at once: no grace"
    );
    let history = world.ok(&["policy", "history", "default"]).await;
    assert_eq!((&history[0]["actor"], &history[0]["decided_by"]), (&json!("cli:mona"), &json!("cli:lisa")));
    assert_eq!(history[0]["before"]["retention"]["within"], "30d");
    assert_eq!(history[0]["after"]["retention"]["within"], "7d");
    assert_eq!(world.refward(&["policy", "revoke", "1"]).await.code, 3, "it has acted");
}

#[tokio::test]
async fn policies_live_in_a_file_as_well() {
    let (world, ..) = acme(&[], 1).await;
    world.ok(&["policy", "create", "a", "select.include=api,web", "select.exclude=*-old", "retention.daily=400"]).await;
    world
        .ok(&[
            "policy",
            "create",
            "b",
            "select.repositories=acme/web",
            "notify.protected=release/*",
            "retention.daily=400",
        ])
        .await;
    world.ok(&["policy", "order", "b", "a"]).await;
    world.ok(&["policy", "set", "default", "retention.last=2"]).await;
    let exported = world.refward(&["policy", "export"]).await.stdout;
    let file = world.path("policies.toml");
    std::fs::write(&file, &exported).unwrap();
    assert_eq!(
        told(&world, &["policy", "test", &file]).await,
        "b: nothing would change.\na: nothing would change.\ndefault: nothing would change.\n=> 0"
    );

    let (elsewhere, ..) = acme(&[], 1).await;
    let file = elsewhere.path("policies.toml");
    std::fs::write(&file, &exported).unwrap();
    insta::assert_snapshot!(told(&elsewhere, &["policy", "test", &file]).await, @"
    b: would be made.
      notify.protected: - → release/*
      retention.daily: 90d → 400
      select.repositories: - → acme/web
      acme/web: default → b
    a: would be made.
      retention.daily: 90d → 400
      select.exclude: - → *-old
      select.include: - → api, web
      acme/api: default → a
      acme/web: default → a
    default: would be changed.
      retention.last: - → 2
    => 0
    ");
    assert_eq!(elsewhere.ok(&["policy", "list"]).await.as_array().unwrap().len(), 1, "nothing has happened");
    elsewhere.ok(&["policy", "import", &file, "--as", "ci"]).await;
    assert_eq!(elsewhere.refward(&["policy", "export"]).await.stdout, exported);
    let again = elsewhere.ok(&["policy", "import", &file]).await;
    assert!(again.as_array().unwrap().iter().all(|one| one["state"] == "unchanged"), "{again}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let (world, ..) = acme(&[], 1).await;
    let create = ["policy", "create", "one", "select.include=*"];
    for (wrong, says) in [
        ("trigger.schedule=0 25 * * *", "not a schedule"),
        ("trigger.schedule=0 0 30 2 *", "never comes"),
        ("timezone=Mars/Phobos", "not a time zone"),
        ("trigger.on_push=false", "never back anything up"),
        ("retention.dailly=7", "unknown field `dailly`"),
        ("retention.within=a while", "not a length of time"),
        ("retention.within=5", "not a length of time"),
        ("retention.daily=-1", "a number such as 14"),
        ("trigger.schedule=61 * * * *", "cron's five fields"),
        ("data=git,issues", "`issues` cannot be backed up"),
        ("select.include=nothing-like-this", "selects no repository"),
        ("select.include=[", "not a glob"),
        ("drill=1s", "at least a minute"),
        ("name=two words", "cannot be the name"),
    ] {
        let ran = world.refward(&[&create[..], &[wrong, "--json"]].concat()).await;
        assert_eq!((ran.code, &ran.error()["kind"]), (2, &json!("bad_request")), "{wrong}: {ran:?}");
        assert!(ran.error()["message"].as_str().unwrap().contains(says), "{wrong}: {ran:?}");
    }
    let nothing = LAST_ONE.map(|rule| if rule.ends_with('1') { "retention.last=0" } else { rule });
    let ran = world.refward(&[&create[..], &nothing, &["--json"]].concat()).await;
    assert_eq!(ran.error()["message"], "the retention would keep nothing");
    for (wrong, code) in [
        (&["policy", "delete", "default"][..], 2),
        (&["policy", "set", "default", "select.include=*"], 2),
        (&["policy", "assign", "default", "acme/api"], 2),
        (&["policy", "show", "two"], 3),
        (&["policy", "set", "two", "drill=7d"], 3),
        (&["policy", "order", "two"], 3),
        (&["policy", "assign", "default", "acme/apy"], 3),
        (&["policy", "import", "/nowhere"], 2),
        (&["policy", "history", "two"], 3),
    ] {
        let ran = world.refward(wrong).await;
        assert_eq!(ran.code, code, "{ran:?}");
    }
    assert_eq!(world.ok(&["policy", "history"]).await, json!([]));
    // Unless somebody means it: it may come later.
    let later = world.ok(&["policy", "create", "one", "select.include=mobile-*", "--allow-empty"]).await;
    assert_eq!(later["state"], "applied");
}

#[tokio::test]
async fn what_no_rule_keeps_leaves_and_can_be_called_back() {
    let (world, _, work) = acme(&[("policies.grace", "0s")], 3).await;
    assert_eq!(world.ok(&["forget", "--plan", "acme/api"]).await[0]["would_leave"], json!([]));
    world.ok(&[&["policy", "set", "default"][..], &LAST_ONE].concat()).await;
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["forget", "--plan"]).await, @"
        REPOSITORY  POLICY   KEPT  WOULD LEAVE  LEAVING  FIRST GOES AFTER (UTC)  NOTHING GOES BECAUSE
        acme/api    default  1     2            0        -
        => 0
        ");
    insta::assert_snapshot!(told(&world, &["forget", "--plan", "acme/api"]).await, @"
    acme/api, under the policy default: 1 kept, 2 would leave, 0 leaving.

    SEQ  TIME (UTC)              LABELS  UNTIL (UTC)                   KEPT BECAUSE
    1    [TIME]             is marked with the next look  no rule keeps it
    2    [TIME]             is marked with the next look  no rule keeps it
    3    [TIME]             -                             the newest; last 1 of 1
    => 0
    ");
    assert_eq!(leaving(&world, "acme/api").await, [] as [u64; 0], "a plan changes nothing");
    insta::assert_snapshot!(told(&world, &["forget", "acme/api"]).await, @"
    acme/api, under the policy default: 1 kept, 0 would leave, 2 leaving.

    SEQ  TIME (UTC)              LABELS  UNTIL (UTC)                              KEPT BECAUSE
    1    [TIME]             leaving, goes after [TIME]  no rule keeps it
    2    [TIME]             leaving, goes after [TIME]  no rule keeps it
    3    [TIME]             -                                        the newest; last 1 of 1
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["tag", "acme/api", "1", "before the move", "1.0"]).await, @"
    Snapshot 1 of acme/api: before the move, 1.0
    => 0
    ");
    insta::assert_snapshot!(told(&world, &["policy", "explain", "acme/api"]).await, @"
    acme/api is under the policy default: no other policy selects this repository.
      backed up: on push
      kept: last 1 (UTC)
      restore drilled: every 30d

    SEQ  TIME (UTC)              LABELS                UNTIL (UTC)                              KEPT BECAUSE
    1    [TIME]     before the move, 1.0  leaving, goes after [TIME]  no rule keeps it
    2    [TIME]                           leaving, goes after [TIME]  no rule keeps it
    3    [TIME]                           -                                        the newest; last 1 of 1
    => 0
    ");
    assert_eq!(leaving(&world, "acme/api").await, [1, 2]);
    world.restored("acme/api", Some("1")).await;

    // A rule that is added keeps what it names.
    world.ok(&["policy", "set", "default", "retention.labels=1.0"]).await;
    world.ok(&["forget"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [2]);
    assert_eq!(world.snapshots("acme/api").await[0]["labels"], json!(["before the move", "1.0"]));
    world.ok(&["tag", "acme/api", "1", "1.0", "--remove"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [1, 2]);

    // While a hold stands everything stays.
    world.ok(&["hold", "set", "acme/api", "--reason", "a lawsuit", "--as", "lisa"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [] as [u64; 0]);
    assert_eq!(explained(&world, "acme/api").await["spared"], "a hold by cli:lisa: a lawsuit");
    let _filters = filtered();
    insta::assert_snapshot!(told(&world, &["hold", "list"]).await, @"
    REPOSITORY  SINCE (UTC)          BY        BECAUSE
    acme/api    [TIME]  cli:lisa  a lawsuit
    => 0
    ");
    world.ok(&["forget"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [] as [u64; 0]);
    world.ok(&["hold", "lift", "acme/api"]).await;
    assert_eq!(world.refward(&["hold", "lift", "acme/api"]).await.code, 3);
    world.ok(&["forget"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [1, 2]);

    // The newest is never among them, whatever comes.
    work.commit("four").await;
    work.push(&["main"]).await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    world.ok(&["forget"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [1, 2, 3]);
}

#[tokio::test]
async fn what_the_forge_deleted_keeps_what_it_has() {
    let (world, api, _) = acme(&[("policies.grace", "0s"), ("alarms.hold", "false")], 3).await;
    api.delete();
    world.ok(&["repos", "sync"]).await;
    world.ok(&[&["policy", "set", "default"][..], &LAST_ONE].concat()).await;
    world.ok(&["forget"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [] as [u64; 0]);
    assert_eq!(explained(&world, "acme/api").await["spared"], "it is no longer on the forge");
}

#[tokio::test]
async fn a_paused_retention_lets_nothing_go_before_somebody_resumes_it() {
    let (world, ..) = acme(&[("policies.grace", "0s")], 2).await;
    world.ok(&[&["policy", "set", "default"][..], &LAST_ONE].concat()).await;
    services(&world)
        .await
        .catalog
        .put_fact(refward::catalog::RETENTION_PAUSED, &json!({ "why": "a rebuild" }))
        .await
        .unwrap();
    world.ok(&["forget"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [] as [u64; 0]);
    assert_eq!(world.ok(&["forget", "--resume"]).await, json!({ "resumed": true }));
    assert_eq!(world.ok(&["forget", "--resume"]).await, json!({ "resumed": false }));
    world.ok(&["forget"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [1]);
}

#[tokio::test]
async fn what_a_policy_says_reaches_its_repositories() {
    let (world, ..) = acme(&[], 1).await;
    let services = services(&world).await;
    policies::assign(&services).await.unwrap();
    world
        .ok(&[
            "policy",
            "create",
            "dmz",
            "select.include=web",
            "pool=dmz",
            "trigger.coalesce=0s",
            "credentials=ci,spare",
            "trigger.schedule=every 6h",
            "drill=7d",
        ])
        .await;
    let all = services.catalog.repositories().await.unwrap();
    let applied = services.catalog.applied_policies().await.unwrap();
    let (api, web) = (&all[0], &all[1]);
    assert_eq!((applied[&api.id].policy.as_deref(), applied[&api.id].pool.as_deref()), (Some("default"), None));
    assert_eq!((applied[&web.id].policy.as_deref(), applied[&web.id].pool.as_deref()), (Some("dmz"), Some("dmz")));
    assert!(applied[&web.id].next_run_at.is_some() && applied[&api.id].next_run_at.is_none());
    assert_eq!(policies::credentials_for(&services, web).await.unwrap(), ["ci", "spare"]);
    assert_eq!(world.ok(&["notices"]).await, json!([]), "nothing is protected less");
    assert_eq!(policies::credentials_for(&services, api).await.unwrap(), [] as [&str; 0]);

    // A run that is due is started once, and the schedule moves on.
    let mut due = applied[&web.id].clone();
    due.next_run_at = due.next_run_at.map(|at| at - chrono::TimeDelta::days(2));
    services.catalog.put_applied_policies(&[(web.id.clone(), due)]).await.unwrap();
    policies::assign(&services).await.unwrap();
    policies::enqueue_scheduled(&services).await.unwrap();
    policies::enqueue_scheduled(&services).await.unwrap();
    let jobs = services.catalog.jobs().await.unwrap();
    let syncs = jobs.iter().filter(|job| job.kind == "sync_repo" && job.subject == web.id.to_string());
    assert_eq!(syncs.count(), 1);
    let again = services.catalog.applied_policies().await.unwrap();
    assert_eq!(again[&web.id].next_run_at, applied[&web.id].next_run_at, "always at its own moment");
}

#[tokio::test]
async fn a_repository_that_drifts_to_a_weaker_policy_is_told() {
    let (world, ..) = acme(&[], 1).await;
    world.ok(&["connections", "set", "acme", "--group", "vital=api"]).await;
    world.ok(&["policy", "create", "vital", "select.groups=vital", "retention.within=90d"]).await;
    world.ok(&["connections", "set", "acme", "--group", "vital=web"]).await;
    let services = services(&world).await;
    policies::assign(&services).await.unwrap();
    let notices = world.ok(&["notices"]).await;
    assert_eq!(
        (&notices[0]["kind"], &notices[0]["severity"]),
        (&json!("policy.moved"), &json!("warning")),
        "{notices}"
    );
    insta::assert_snapshot!(notices[0]["text"].as_str().unwrap(), @"acme/api: now under the policy default instead of vital, which protects less: all recovery points are kept for 30d instead of for 90d. What vital kept stays for 7days.");
}

#[tokio::test]
async fn what_a_repository_kept_before_it_drifted_stays_for_the_grace() {
    let (world, ..) = acme(&[], 3).await;
    let services = services(&world).await;
    policies::assign(&services).await.unwrap();
    let weak = [&["policy", "create", "weak", "--allow-empty", "select.groups=weak"][..], &LAST_ONE].concat();
    assert_eq!(world.ok(&weak).await["state"], "applied", "it selects nothing yet");
    world.ok(&["connections", "set", "acme", "--group", "weak=api"]).await;

    // Nobody has looked up which policy applies since.
    world.ok(&["forget", "acme/api"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [] as [u64; 0]);
    let told = explained(&world, "acme/api").await;
    assert_eq!((&told["policy"], &told["points"][0]["leaving_at"]), (&json!("weak"), &Value::Null));
    assert_eq!(told["points"][0]["reasons"], json!(["the policy default kept it until lately"]));
    let until: chrono::DateTime<chrono::Utc> = told["points"][0]["until"].as_str().unwrap().parse().unwrap();
    let days = (until - chrono::Utc::now()).num_hours();
    assert!((24 * 7 - 1..=24 * 7).contains(&days), "{until}");

    let all = services.catalog.repositories().await.unwrap();
    let mut rules = all[0].former_rules.clone();
    rules[0].until = chrono::Utc::now();
    services.catalog.put_former_rules(&[(all[0].id.clone(), rules)]).await.unwrap();
    world.ok(&["forget", "acme/api"]).await;
    assert_eq!(leaving(&world, "acme/api").await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_within_the_window_are_one_recovery_point() {
    let (world, api, work) = acme(&[("policies.grace", "0s")], 1).await;
    world.ok(&["policy", "set", "default", "trigger.coalesce=15s"]).await;
    let started = chrono::Utc::now();
    let _service = world.serve().await;
    let catalog = &services(&world).await.catalog;
    let looked = async || {
        let known = catalog.resolve(&"acme/api".parse().unwrap()).await.unwrap();
        let quiet = catalog.jobs().await.unwrap().is_empty();
        (quiet && known.last_checked_at > Some(started)).then_some(())
    };
    eventually(looked, || "the look at everything that a start brings".to_owned()).await;
    for nth in 2..=4 {
        work.commit(&nth.to_string()).await;
        work.push(&["main"]).await;
    }
    world.snapshot("acme/api", 2).await;
    assert_eq!(world.ok(&["refs", "acme/api"]).await, refs(&api.folder()).await);
    assert_eq!(world.snapshots("acme/api").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_no_reason_where_the_policy_says_so_and_a_person_is() {
    let (world, _, work) = acme(&[("policies.grace", "0s")], 1).await;
    world.ok(&["policy", "set", "default", "trigger.on_push=false", "trigger.schedule=0 3 1 1 *"]).await;
    let _service = world.serve().await;
    work.commit("two").await;
    work.push(&["main"]).await;
    let services = services(&world).await;
    let api = services.catalog.resolve(&"acme/api".parse().unwrap()).await.unwrap().id;
    let stored = async || (!services.catalog.pending_events(&api).await.unwrap().is_empty()).then_some(());
    eventually(stored, || "the webhook to be stored".to_owned()).await;
    let jobs = services.catalog.jobs().await.unwrap();
    assert!(!jobs.iter().any(|job| job.kind == "sync_repo" && job.subject == api.to_string()), "{jobs:?}");
    assert_eq!(world.snapshots("acme/api").await.len(), 1);
    world.ok(&["backup", "acme/api", "--wait"]).await;
    assert_eq!(world.snapshots("acme/api").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pools_repositories_are_left_to_its_workers() {
    let (mut world, _, work) = acme(&[], 1).await;
    world.ok(&["policy", "create", "inside", "select.include=api", "pool=inside"]).await;
    let elsewhere = world.serve().await;
    work.commit("two").await;
    work.push(&["main"]).await;
    world.snapshot("acme/web", 1).await;
    let waits = async || {
        let status = world.ok(&["status"]).await;
        let api = status["repositories"].as_array().unwrap().iter().find(|one| one["repository"] == "acme/api");
        (api.unwrap()["queue"] == "queued").then_some(())
    };
    eventually(waits, || "the push to wait for a worker of its pool".to_owned()).await;
    assert_eq!(world.snapshots("acme/api").await.len(), 1);
    elsewhere.kill().await;
    world.set("workers.pools", "inside");
    let _inside = world.serve().await;
    world.snapshot("acme/api", 2).await;
}

#[tokio::test]
async fn what_takes_effect_with_something_that_waits_waits_as_well() {
    let (world, ..) = acme(&[], 1).await;
    world.ok(&["policy", "create", "strong", "select.include=*", "retention.within=90d"]).await;
    let weak = [&["policy", "create", "weak", "select.include=web"][..], &LAST_ONE].concat();
    assert_eq!(world.ok(&weak).await["state"], "applied", "strong comes first");
    let order = world.ok(&["policy", "order", "weak"]).await;
    assert_eq!(order["state"], "waiting", "{order}");

    // It would apply to more than was told once that order acts.
    let more = world.ok(&["policy", "set", "weak", "select.include=*"]).await;
    assert_eq!(more["state"], "waiting", "{more}");
    let told = more["weakens"][0].as_str().unwrap();
    assert!(told.starts_with("once what waits acts: acme/api: "), "{told}");
    let harmless = world.ok(&["policy", "set", "default", "drill=7d"]).await;
    assert_eq!(harmless["state"], "applied", "{harmless}");
}
