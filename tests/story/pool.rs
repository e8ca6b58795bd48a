//! Several credentials for one owner: which is used when, and when none is.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::support::fake_github::{Covers, Repo, Token, Work};
use crate::support::world::{Ran, World, eventually};

/// acme, connected with a token of mona's, and a token of hubot's that is not switched on.
struct Pool {
    world: World,
    api: Repo,
    work: Work,
    main: SecretString,
    spare: SecretString,
}

impl Pool {
    async fn new() -> Self {
        let world = World::new().await;
        let api = world.github.org("acme").repo("api").await;
        let work = api.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        let main = world.github.token(Token::classic("mona"));
        assert_eq!(world.connect_with("acme", "acme", &main, &[]).await.code, 0);
        let spare = world.github.token(Token::classic("hubot"));
        let pool = Self { world, api, work, main, spare };
        assert_eq!(pool.add("spare", &pool.spare, &[]).await.code, 0);
        pool
    }

    async fn add(&self, label: &str, token: &SecretString, more: &[&str]) -> Ran {
        let file = self.world.secret_file(&format!("{label}.token"), token.expose_secret());
        let given = ["credentials", "add", "acme", "--label", label, "--token-file", &file];
        self.world.refward(&[&given[..], more].concat()).await
    }

    async fn set(&self, verb: &str, label: &str) {
        self.world.ok(&["credentials", verb, "acme", label]).await;
    }

    /// Which of the two have made the API calls since then.
    fn callers(&self, since: usize) -> Vec<&'static str> {
        let seen = self.world.github.seen();
        let who = |value: &str| match value.trim_start_matches("Bearer ") {
            token if token == self.main.expose_secret() => "main",
            token if token == self.spare.expose_secret() => "spare",
            _ => "other",
        };
        let calls = seen[since..].iter().filter(|seen| seen.path.starts_with("/api/"));
        calls.flat_map(|seen| seen.header("authorization").into_iter().map(who).collect::<Vec<_>>()).collect()
    }

    fn now(&self) -> usize {
        self.world.github.seen().len()
    }

    async fn sync(&self) -> Ran {
        self.world.refward(&["repos", "sync", "--json"]).await
    }
}

#[tokio::test]
async fn another_credential_helps_out_only_when_it_is_switched_on() {
    let pool = Pool::new().await;
    pool.world.github.limit_graphql(Some(1));
    assert_eq!(pool.sync().await.code, 0, "one is left");
    let before = pool.now();
    let refused = pool.sync().await;
    assert_eq!((refused.code, pool.callers(before)), (5, vec![]), "nobody asks to be refused: {refused:?}");
    assert_eq!(refused.error()["kind"], "throttled", "{refused:?}");

    pool.set("enable", "spare").await;
    let before = pool.now();
    let helped = pool.sync().await;
    assert_eq!((helped.code, pool.callers(before)), (0, vec!["spare"]), "{helped:?}");
    pool.set("disable", "spare").await;
    let before = pool.now();
    let refused = pool.sync().await;
    assert_eq!((refused.code, pool.callers(before)), (5, vec![]), "{refused:?}");
}

#[tokio::test]
async fn a_main_credential_that_was_revoked_is_stood_in_for() {
    let pool = Pool::new().await;
    pool.set("enable", "spare").await;
    pool.world.github.revoke(&pool.main);
    let _service = pool.world.serve().await;
    pool.world.snapshot("acme/api", 1).await;
    pool.work.commit("two").await;
    pool.work.push(&["main"]).await;
    pool.world.snapshot("acme/api", 2).await;
    pool.world.idle().await;
    pool.world.matches(&pool.api).await;
    assert_eq!(pool.sync().await.code, 0);
}

#[tokio::test]
async fn a_suspended_app_is_stood_in_for_by_a_token_that_is_switched_on() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let app = world.app("acme", 1).await;
    let installation = world.github.install(&app.slug(), "acme", Covers::All, None).id();
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.done().await;
    assert_eq!(service.stop().await, 0);
    let token = world.github.token(Token::classic("mona"));
    let file = world.secret_file("spare.token", token.expose_secret());
    world.ok(&["credentials", "add", "acme", "--label", "spare", "--token-file", &file]).await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.github.suspend(installation);

    let refused = world.refward(&["backup", "acme/api", "--wait", "--json"]).await;
    assert_eq!((refused.code, &refused.error()["kind"]), (6, &json!("misconfigured")), "{refused:?}");
    assert!(refused.error()["message"].as_str().unwrap().contains("is suspended"), "{refused:?}");
    world.ok(&["credentials", "enable", "acme", "spare"]).await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    world.matches(&api).await;
}

#[tokio::test]
async fn a_host_that_asks_us_to_slow_down_is_left_alone_by_all() {
    let pool = Pool::new().await;
    pool.set("enable", "spare").await;
    let service = pool.world.serve().await;
    pool.world.snapshot("acme/api", 1).await;
    pool.world.idle().await;
    pool.world.github.secondary(1, Some(600));
    let before = pool.now();
    // A webhook makes the service look at the list of repositories.
    pool.api.archive();
    let paused = async || {
        let pool = pool.world.ok(&["credentials", "list"]).await;
        let main = pool["credentials"][0].clone();
        main["paused_until"].is_string().then_some(main)
    };
    let main = eventually(paused, || "a pause".to_owned()).await;
    assert_eq!(main["why"], "slow_down", "{main}");
    assert_eq!(pool.callers(before), ["main"], "no other credential is tried");
    let told = pool.world.refward(&["credentials", "list"]).await.stdout;
    assert!(told.contains("the host has asked us to slow down"), "{told}");
    // Asked again, it says until when it waits, and asks nobody.
    let asked = pool.sync().await;
    assert_eq!((asked.code, &asked.error()["kind"]), (5, &json!("throttled")), "{asked:?}");
    assert_eq!(pool.callers(before), ["main"], "no other credential is tried");
    drop(service);
}

#[tokio::test]
async fn a_repository_that_waits_for_a_limit_is_throttled_and_says_until_when() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let app = world.app("acme", 1).await;
    let _service = world.serve().await;
    world.github.install(&app.slug(), "acme", Covers::All, None);
    world.snapshot("acme/api", 1).await;
    world.idle().await;
    world.github.secondary(1, Some(600));
    let web = world.github.org("acme").repo("web").await;
    let paused = async || {
        let list = world.ok(&["credentials", "list"]).await;
        list["credentials"][0]["paused_until"].is_string().then_some(())
    };
    eventually(paused, || "a pause".to_owned()).await;
    // Its token has ended, and another cannot be asked for.
    world.github.move_clock(2 * 3600);
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let throttled = async || Some(world.status("acme/api").await).filter(|row| row["state"] == "throttled");
    let row = eventually(throttled, || "the repository to be throttled".to_owned()).await;
    let why = row["throttled"].as_str().unwrap();
    assert!(why.starts_with("throttled: 127.0.0.1:") && why.contains("before ") && why.contains(" UTC"), "{why}");
    assert_eq!(row["last_error"], Value::Null, "to wait is not to fail");
    let list = world.ok(&["credentials", "list"]).await;
    assert_eq!(list["backlog"][0]["throttled"], 1, "{list}");
    assert!(list["backlog"][0]["done_by"].is_string(), "{list}");
    drop(web);
}

#[tokio::test]
async fn what_a_person_asks_for_still_goes_when_sweeps_are_held_back() {
    let world = World::with(&[("sweep.interval", "1s"), ("sweep.shortest", "1s")]).await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    // A fifth of 5,000 is kept from sweeps.
    world.github.limit_graphql(Some(900));
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    let held_back = async || {
        let list = world.ok(&["credentials", "list"]).await;
        Some(list["backlog"][0].clone()).filter(|backlog| backlog["throttled"] == 1)
    };
    let backlog = eventually(held_back, || "a survey that waits".to_owned()).await;
    let why = backlog["why"].as_str().unwrap();
    assert!(why.contains("the rest of them is kept for what is more urgent until"), "{why}");
    world.ok(&["repos", "sync"]).await;
    work.commit("two").await;
    world.github.max_payload(10);
    work.push(&["main"]).await;
    world.ok(&["backup", "acme/api", "--wait"]).await;
    world.matches(&api).await;
    drop(service);
}

#[tokio::test]
async fn two_tokens_of_one_user_share_one_budget_and_adding_one_switches_nothing_on() {
    let pool = Pool::new().await;
    let second = pool.world.github.token(Token::classic("mona").expires("2030-12-01 10:00:00 UTC"));
    let told = async |ran: Ran| format!("{}{}", ran.stdout, ran.stderr);
    let run = async |arguments: &[&str]| told(pool.world.refward(&[&["credentials"], arguments].concat()).await).await;
    insta::assert_snapshot!(told(pool.add("second", &second, &[]).await).await, @"
    Added second to acme: GitHub Enterprise Server 3.19.0: classic token of mona, expires 2030-12-01T10:00:00Z
    Nothing is missing.
    It belongs to the same user as token: they share one budget, so it adds nothing to that.
    It is not used yet. Next: refward credentials enable acme second
    ");
    insta::assert_snapshot!(run(&["list", "acme"]).await, @"
    CONNECTION  LABEL   KIND   WHO         USE   REST  GRAPHQL  EXPIRES
    acme        token   token  user mona   main  -     -        -
    acme        spare   token  user hubot  off   -     -        -
    acme        second  token  user mona   off   -     -        2030-12-01T10:00:00Z
    acme: token shares one budget with second.
    acme: second shares one budget with token.
    acme: 1 job waits.
    ");
    insta::assert_snapshot!(run(&["enable", "acme", "second"]).await, @"acme: second is used when the main credential has nothing left or does not work.");
    insta::assert_snapshot!(run(&["main", "acme", "second"]).await, @"acme: second is the main credential now; the one before stays switched on.");
    insta::assert_snapshot!(run(&["test", "acme", "spare"]).await, @"
    GitHub Enterprise Server 3.19.0: classic token of hubot
    Nothing is missing.
    ");
    insta::assert_snapshot!(run(&["remove", "acme", "token"]).await, @"acme: token is deleted.");
    insta::assert_snapshot!(run(&["remove", "acme", "second"]).await, @"
    error: second is the main credential of acme
      make another one the main one first, or remove the connection: `refward connections remove acme`
    ");
    insta::assert_snapshot!(run(&["disable", "acme", "SECOND"]).await, @"
    error: second is the main credential of acme
      make another one the main one first: `refward credentials main acme LABEL`
    ");
    insta::assert_snapshot!(run(&["enable", "acme", "third"]).await, @"
    error: acme has no credential called `third`
      see `refward credentials list acme`
    ");
    insta::assert_snapshot!(told(pool.add("spare", &second, &[]).await).await, @"
    error: the connection has a credential called spare already
      choose another name; `refward credentials list` shows them
    ");
    insta::assert_snapshot!(told(pool.add("no such name", &second, &[]).await).await, @"error: `no such name` cannot be the name of a credential: use up to 64 letters, digits, `-`, `_` and `.`");
}

#[tokio::test]
async fn what_is_left_is_told_as_the_host_told_it() {
    let pool = Pool::new().await;
    let told = async || pool.world.refward(&["credentials", "list"]).await.stdout;
    pool.sync().await;
    // An Enterprise Server without limits tells of none.
    let unlimited = pool.world.ok(&["credentials", "list"]).await;
    assert_eq!(
        (&unlimited["credentials"][0]["rest"], &unlimited["credentials"][0]["graphql"]),
        (&Value::Null, &Value::Null)
    );
    pool.world.github.limit_graphql(Some(4));
    pool.sync().await;
    let mut filters = insta::Settings::clone_current();
    filters.add_filter(r"\d\d:\d\d:\d\d", "[TIME]");
    filters.add_filter(r"\d{4}-\d\d-\d\d", "[DATE]");
    let _filters = filters.bind_to_scope();
    insta::assert_snapshot!(told().await, @"
    CONNECTION  LABEL  KIND   WHO         USE   REST  GRAPHQL                   EXPIRES
    acme        token  token  user mona   main  -     1 of 5000 until [TIME]  -
    acme        spare  token  user hubot  off   -     -                         -
    acme: 1 job waits.
    ");
    pool.sync().await;
    insta::assert_snapshot!(told().await, @"
    CONNECTION  LABEL  KIND   WHO         USE   REST  GRAPHQL                   EXPIRES
    acme        token  token  user mona   main  -     0 of 5000 until [TIME]  -
    acme        spare  token  user hubot  off   -     -                         -
    acme: 1 job waits.
    ");
}
