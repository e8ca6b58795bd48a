//! Connecting an owner: what is asked for is checked at once, what is secret stays secret.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::support::adopted::{adopt, app_for};
use crate::support::fake_github::{AppHandle, Covers, FakeGithub, Fault, Token};
use crate::support::world::{World, eventually, files};

fn names(rows: &Value) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row["repository"].as_str().unwrap().to_owned()).collect()
}

/// No file of the deployment and nothing of `more` holds a secret that it was given.
pub fn keeps_secrets(world: &World, more: &[&str]) {
    let holds = |bytes: &[u8], secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    for secret in world.secrets() {
        for file in files(&world.folder()) {
            assert!(!holds(&std::fs::read(&file).unwrap(), &secret), "{} holds a secret", file.display());
        }
        for text in more {
            assert!(!text.contains(&secret), "a secret is told: {text}");
        }
    }
}

#[tokio::test]
async fn what_may_be_done_is_told_and_secrets_stay_secret() {
    let world = World::new().await;
    world.github.org("acme").repo("api").await;
    let token = world.github.token(Token::classic("mona").expires("2030-12-01 10:00:00 UTC"));
    let connected = world.connect_with("work", "acme", &token, &["--json"]).await;
    assert_eq!(
        connected.json(),
        json!({
            "name": "work",
            "inspection": {
                "host": "GitHub Enterprise Server 3.19.0",
                "login": "mona",
                "credential": "classic token",
                "expires": "2030-12-01T10:00:00Z",
                "missing": []
            },
            "repositories": { "listed": 1, "created": ["acme/api"], "renamed": [], "gone": [], "disabled": [], "recycled": [], "left_out": [], "let_in": [], "changed": 0, "requests": 1 },
            "webhook_path": "/hooks/github",
            "webhooks": "by_hand"
        })
    );
    let list = world.refward(&["connections", "list"]).await.stdout;
    let test = world.refward(&["connections", "test", "work"]).await.stdout;
    assert!(list.contains("2030-12-01") && test.contains("Nothing is missing"), "{list}{test}");
    let shown = world.refward(&["connections", "show", "work"]).await.stdout;
    let in_json = world.ok(&["connections", "show", "work"]).await.to_string();
    assert!(shown.contains("2030-12-01") && in_json.contains("2030-12-01"), "{shown}{in_json}");
    keeps_secrets(&world, &[&shown, &in_json]);

    let service = world.serve_with(&["-vv"]).await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;
    keeps_secrets(&world, &[&service.log(), &list, &test, &connected.stdout]);
    let metrics = reqwest::get(service.url("metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("refward_"), "{metrics}");
    keeps_secrets(&world, &[&metrics]);
    // Nor do they show where anybody on the machine could look.
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", service.pid())).unwrap();
    keeps_secrets(&world, &[&arguments]);
}

#[tokio::test]
async fn a_token_that_opens_nothing_connects_nothing() {
    let world = World::new().await;
    world.github.org("acme").repo("api").await;
    let expired = world.github.token(Token::classic("mona").expired());
    let sso = world.github.token(Token::classic("mona").sso_required());
    for (token, hint) in [
        (SecretString::from("ghp_wrong"), "/settings/tokens"),
        (expired, "/settings/tokens"),
        (sso, "https://github.com/orgs/acme/sso?authorization_request=A1"),
    ] {
        let ran = world.connect_with("work", "acme", &token, &["--json"]).await;
        assert_eq!((ran.code, &ran.error()["kind"]), (6, &json!("misconfigured")), "{ran:?}");
        assert!(ran.error()["hint"].as_str().unwrap().contains(hint), "{ran:?}");
    }
    let unknown = world.connect_with("work", "nobody", &world.github.token(Token::classic("mona")), &["--json"]).await;
    assert_eq!(unknown.code, 3, "{unknown:?}");
    assert_eq!(world.ok(&["connections", "list"]).await, json!([]));
    assert_eq!(world.ok(&["repos", "list"]).await, json!([]));
    keeps_secrets(&world, &[]);
}

#[tokio::test]
async fn what_a_token_lacks_is_listed() {
    let world = World::new().await;
    world.github.org("acme").public_repo("web").await;
    world.github.org("acme").repo("api").await;
    let token = world.github.token(Token::classic("mona").scopes("public_repo"));
    let ran = world.connect_with("work", "acme", &token, &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("missing: the scope `repo`"), "{}", ran.stdout);
    assert_eq!(names(&world.ok(&["repos", "list"]).await), ["acme/web"]);
    // Asked whether all is well, scripts hear that it is not.
    let test = world.refward(&["connections", "test", "work", "--json"]).await;
    assert_eq!((test.code, &test.error()["kind"]), (1, &json!("partial")), "{test:?}");
    assert!(test.json()["missing"][0].as_str().unwrap().starts_with("the scope `repo`"), "{test:?}");
}

#[tokio::test]
async fn a_token_that_ends_is_replaced_and_work_goes_on_at_once() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let token = world.github.token(Token::classic("mona"));
    assert_eq!(world.connect_with("acme", "acme", &token, &[]).await.code, 0);
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;

    world.github.revoke(&token);
    work.commit("two").await;
    work.push(&["main"]).await;
    let failing = eventually(
        async || Some(world.status("acme/api").await).filter(|row| row["state"] == "failing"),
        || "the backup to fail".to_owned(),
    );
    let error = failing.await["last_error"].as_str().unwrap().to_owned();
    assert!(error.contains("credential was refused"), "{error}");
    let test = world.refward(&["connections", "test", "acme", "--json"]).await;
    assert_eq!(test.code, 6, "{test:?}");

    let wrong = world.secret_file("new.token", "ghp_wrong");
    let refused = world.refward(&["connections", "set-token", "acme", "--token-file", &wrong, "--json"]).await;
    assert_eq!(refused.code, 6, "{refused:?}");
    let new = world.github.token(Token::classic("mona"));
    let new = world.secret_file("new.token", new.expose_secret());
    world.ok(&["connections", "set-token", "acme", "--token-file", &new]).await;
    world.snapshot("acme/api", 2).await;
    world.idle().await;
    world.matches(&api).await;
    let status = world.status("acme/api").await;
    assert_eq!((&status["state"], &status["last_error"]), (&json!("ok"), &Value::Null));
    keeps_secrets(&world, &[&service.log()]);
}

#[tokio::test]
async fn a_webhook_secret_is_changed_without_losing_a_delivery() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    let new = world.secret_file("new.secret", "a-newer-secret");
    world.ok(&["connections", "add-secret", "acme", "--webhook-secret-file", &new]).await;
    world.github.hook("acme", service.url("hooks/github"), "a-newer-secret");
    work.commit("one").await;
    work.push(&["main"]).await;
    world.idle().await;
    // The branch's creation is two events; each went to the hook with the old secret and to the one with the new.
    assert_eq!(world.answers(), [Some(202); 4]);

    world.ok(&["connections", "retire-secrets", "acme"]).await;
    let [old, new, ..] = &world.github.deliveries()[..] else { unreachable!() };
    refused(&world, &old.guid).await;
    assert_eq!(world.github.redeliver(&new.guid).await, 200);
}

/// Waits until the service no longer knows the secret that this delivery is signed with.
async fn refused(world: &World, guid: &str) {
    let look = async || (world.github.redeliver(guid).await == 401).then_some(());
    eventually(look, || format!("{guid} to be refused")).await;
}

#[tokio::test]
async fn plain_http_is_for_loopback_alone() {
    let world = World::new().await;
    let token = world.secret_file("token", "ghp_x");
    for url in ["http://github.example.com", "ftp://127.0.0.1", "https://token@github.example.com"] {
        let files = ["--token-file", &token, "--webhook-secret-file", &token, "--json"];
        let arguments = ["connect", "github", "--name", "work", "--owner", "acme", "--url", url];
        let ran = world.refward(&[&arguments[..], &files].concat()).await;
        assert!(matches!(ran.code, 2 | 6), "{url}: {ran:?}");
        assert!(!ran.stderr.contains("token@"), "{ran:?}");
    }
}

#[tokio::test]
async fn later_repositories_are_added_unless_told_otherwise() {
    let world = World::new().await;
    let acme = world.github.org("acme");
    acme.repo("api").await;
    world.connect("acme").await;
    let strict = world.github.org("strict");
    strict.repo("api").await;
    let token = world.github.token(Token::classic("mona"));
    assert_eq!(world.connect_with("strict", "strict", &token, &["--no-auto-add"]).await.code, 0);
    let _service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.snapshot("strict/api", 1).await;

    acme.repo("later").await;
    strict.repo("later").await;
    world.snapshot("acme/later", 1).await;
    world.ok(&["repos", "sync"]).await;
    assert_eq!(world.status("strict/later").await["state"], "off");
    world.ok(&["repos", "add", "strict/later"]).await;
    world.snapshot("strict/later", 1).await;
    world.ok(&["repos", "remove", "strict/later"]).await;
    world.idle().await;
    assert_eq!(world.status("strict/later").await["state"], "off");
    assert_eq!(world.snapshots("strict/later").await.len(), 1, "its backups stay");
}

#[tokio::test]
async fn globs_choose() {
    let world = World::new().await;
    let acme = world.github.org("acme");
    for name in ["api", "api-docs", "web", "sandbox"] {
        acme.repo(name).await;
    }
    let token = world.github.token(Token::classic("mona"));
    let globs = ["--include", "api*", "--include", "acme/w?b", "--exclude", "*-docs", "--json"];
    let ran = world.connect_with("acme", "acme", &token, &globs).await;
    assert_eq!(ran.json()["repositories"]["listed"], 2);
    assert_eq!(names(&world.ok(&["repos", "list"]).await), ["acme/api", "acme/web"]);
    let wrong = world.connect_with("again", "acme", &token, &["--include", "[", "--json"]).await;
    assert_eq!((wrong.code, &wrong.error()["kind"]), (2, &json!("bad_request")));
}

#[tokio::test]
async fn a_renamed_repository_is_the_same_repository() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let _service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;

    api.rename("service");
    work.git(&["remote", "set-url", "origin", api.work().await.git(&["remote", "get-url", "origin"]).await.as_str()])
        .await;
    work.commit("two").await;
    work.push(&["main"]).await;
    let second = world.snapshot("acme/service", 2).await;
    assert_eq!(second["objects"], 3, "the chain goes on under the new name");
    world.idle().await;
    world.matches(&api).await;
    assert_eq!(names(&world.ok(&["repos", "list"]).await), ["acme/service"]);
    let old = world.refward(&["snapshots", "acme/api", "--json"]).await;
    assert_eq!(old.code, 3, "{old:?}");

    // Another one may take the old name; it is not confused with the first.
    let new = world.github.org("acme").repo("api").await;
    world.snapshot("acme/api", 1).await;
    assert_eq!(world.ok(&["refs", "acme/api"]).await, world.server_refs(&new).await);
    world.matches(&api).await;
}

#[tokio::test]
async fn a_deleted_repository_keeps_its_backups() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let _service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;
    let then = world.server_refs(&api).await;

    api.delete();
    let gone = eventually(
        async || Some(world.status("acme/api").await).filter(|row| row["state"] == "gone"),
        || "the repository to be marked as gone".to_owned(),
    );
    assert_eq!(gone.await["last_snapshot"]["seq"], 1);
    assert_eq!(world.restored("acme/api", None).await, then);
    assert_eq!(world.ok(&["verify", "--drill"]).await[0]["drilled"], true);
    assert_eq!(world.ok(&["backup", "--all", "--wait"]).await, json!([]), "nobody asks for it any more");
}

#[tokio::test]
async fn removing_a_connection_deletes_its_credentials_and_keeps_its_backups() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    work.commit("two").await;
    work.push(&["main"]).await;
    world.snapshot("acme/api", 2).await;
    world.idle().await;

    let plan = world.refward(&["connections", "remove", "acme", "--json"]).await;
    assert_eq!((plan.code, &plan.json()["snapshots"]), (2, &json!(2)), "{plan:?}");
    assert_eq!(world.ok(&["connections", "list"]).await.as_array().unwrap().len(), 1, "a plan changes nothing");
    let removed = world.ok(&["connections", "remove", "acme", "--yes"]).await;
    let pages: Vec<&str> =
        removed["by_hand"].as_array().unwrap().iter().map(|chore| chore["page"].as_str().unwrap()).collect();
    let at = |path: &str| world.github.url().join(path).unwrap().to_string();
    assert_eq!(pages, [at("organizations/acme/settings/hooks"), at("settings/tokens")], "what is left to do there");
    assert_eq!(world.ok(&["connections", "list"]).await, json!([]));
    let listed = world.refward(&["repos", "list"]).await.stdout;
    assert!(listed.contains("its connection was removed"), "{listed}");
    world.matches(&api).await;
    assert_eq!(world.snapshots("acme/api").await.len(), 2);
    let ran = world.refward(&["backup", "acme/api", "--wait", "--json"]).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (6, &json!("misconfigured")), "{ran:?}");
    // Soon the secret opens nothing any more, even in the process that had it in memory.
    let guid = world.github.deliveries()[0].guid.clone();
    refused(&world, &guid).await;
    assert_eq!(service.stop().await, 0);
    for table in ["secret", "credential"] {
        assert_eq!(rows(&world, table).await, 0, "not even encrypted ones are left");
    }
    keeps_secrets(&world, &[]);

    // The owner can come back, and the history goes on.
    work.commit("three").await;
    work.push(&["main"]).await;
    let connected = world.connect("acme").await;
    assert_eq!(connected["repositories"]["created"], json!([]));
    let _service = world.serve().await;
    world.snapshot("acme/api", 3).await;
    world.matches(&api).await;
}

/// A backup App on `acme` and on `beta`, each with a repository, and the service that has connected them.
async fn through_an_app(world: &World, accounts: &[&str]) -> (AppHandle, crate::support::world::Service) {
    for account in accounts {
        world.github.org(account).repo("api").await;
    }
    let app = app_for(&world.github, "acme", "backup");
    for account in accounts {
        world.github.install(&app.slug(), account, Covers::All, None);
    }
    adopt(world, &world.github, &app, "acme", "backup").await;
    let service = world.serve().await;
    for account in accounts {
        world.snapshot(&format!("{account}/api"), 1).await;
    }
    (app, service)
}

/// How often an App was to be uninstalled.
fn uninstalled(world: &World) -> usize {
    let seen = world.github.seen();
    seen.iter().filter(|seen| seen.method == "DELETE" && seen.path.contains("/app/installations/")).count()
}

#[tokio::test]
async fn removing_a_connection_uninstalls_its_app_and_forgets_its_keys() {
    let world = World::new().await;
    let (app, service) = through_an_app(&world, &["acme"]).await;
    let shown = world.ok(&["connections", "show", "acme"]).await;
    assert_eq!((&shown["apps"][0]["state"], &shown["apps"][0]["private_keys"]), (&json!("active"), &json!(1)));
    assert_eq!((&shown["snapshots"], &shown["repositories"]["selected"]), (&json!(1), &json!(1)));
    assert!(!shown.to_string().contains("PRIVATE KEY"), "{shown}");

    let plan = world.refward(&["connections", "remove", "acme", "--json"]).await.json();
    assert_eq!((&plan["uninstall"], &plan["forget"]), (&json!(["Refward 1"]), &json!(["Refward 1"])));
    assert_eq!(uninstalled(&world), 0);
    let removed = world.ok(&["connections", "remove", "acme", "--yes"]).await;
    assert_eq!(removed["uninstalled"], json!(["Refward 1"]));
    let page = removed["by_hand"][0]["page"].as_str().unwrap().to_owned();
    assert!(page.ends_with(&format!("/organizations/acme/settings/apps/{}", app.slug())), "{page}");
    assert_eq!(uninstalled(&world), 1);
    assert_eq!(service.stop().await, 0);
    assert_eq!(rows(&world, "app_secret").await + rows(&world, "credential").await, 0);
    assert_eq!(world.snapshots("acme/api").await.len(), 1, "its backups stay");
}

#[tokio::test]
async fn an_app_that_others_use_stays() {
    let world = World::new().await;
    let (_, service) = through_an_app(&world, &["acme", "beta"]).await;
    let removed = world.ok(&["connections", "remove", "acme", "--yes"]).await;
    assert_eq!((&removed["uninstalled"], &removed["by_hand"]), (&json!(["Refward 1"]), &json!([])));
    world.ok(&["backup", "beta/api", "--wait"]).await;
    assert_eq!(service.stop().await, 0);
    let _service = world.serve().await;
    the_app_was_looked_at(&world).await;
    assert_eq!(world.ok(&["connections", "list"]).await[0]["name"], "beta");
    assert_eq!(world.ok(&["connections", "list"]).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_app_that_cannot_be_uninstalled_opens_nothing_any_more_and_is_told() {
    let world = World::new().await;
    let (_, service) = through_an_app(&world, &["acme", "beta"]).await;
    assert_eq!(service.stop().await, 0);
    world.github.fail(1, &Fault::json(500, "Server Error"));
    let ran = world.refward(&["connections", "remove", "acme", "--yes", "--json"]).await;
    assert_eq!((ran.code, &ran.error()["kind"]), (1, &json!("partial")), "{ran:?}");
    assert_eq!(ran.json()["by_hand"][0]["what"], "uninstall Refward 1 from acme");
    assert_eq!(rows(&world, "credential").await, 1, "beta's");
    // It is still installed, which is no reason to connect it again.
    let _service = world.serve().await;
    the_app_was_looked_at(&world).await;
    let names = world.ok(&["connections", "list"]).await;
    assert_eq!((names.as_array().unwrap().len(), &names[0]["name"]), (1, &json!("beta")));
}

/// Waits until the service has looked where the App is installed.
async fn the_app_was_looked_at(world: &World) {
    let since = format!("app WHERE checked_at > {}", chrono::Utc::now().timestamp_millis());
    let look = async || (rows(world, &since).await == 1).then_some(());
    eventually(look, || "the App to be looked at".to_owned()).await;
}

/// Rows in a table.
async fn rows(world: &World, table: &str) -> i64 {
    use sea_orm::{ConnectionTrait, Database, Statement};
    let database = Database::connect(format!("sqlite://{}/refward.db", world.folder().display())).await.unwrap();
    let count = format!("SELECT count(*) AS n FROM {table}");
    let count = Statement::from_string(database.get_database_backend(), count);
    let row = database.query_one_raw(count).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

#[tokio::test]
async fn the_same_name_twice() {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("here").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let token = world.github.token(Token::classic("mona"));
    for (name, owner) in [("acme", "other"), ("second", "ACME")] {
        let ran = world.connect_with(name, owner, &token, &["--json"]).await;
        assert_eq!((ran.code, &ran.error()["kind"]), (2, &json!("bad_request")), "{ran:?}");
    }

    // On another host there may be another acme/api.
    let elsewhere = FakeGithub::start().await;
    let there = elsewhere.org("acme").repo("api").await;
    let work = there.work().await;
    work.commit("there").await;
    work.push(&["main"]).await;
    let token = world.secret_file("there.token", elsewhere.token(Token::classic("mona")).expose_secret());
    let arguments = ["connect", "github", "--name", "there", "--owner", "acme", "--url", elsewhere.url().as_str()];
    world.ok(&[&arguments[..], &["--token-file", &token, "--webhook-secret-file", &token]].concat()).await;
    let _service = world.serve().await;
    let ambiguous = world.refward(&["snapshots", "acme/api", "--json"]).await;
    assert_eq!((ambiguous.code, &ambiguous.error()["kind"]), (2, &json!("bad_request")));
    assert!(ambiguous.error()["message"].as_str().unwrap().contains("there:acme/api"), "{ambiguous:?}");
    world.snapshot("acme:acme/api", 1).await;
    world.snapshot("there:acme/api", 1).await;
    assert_eq!(world.restored("acme:acme/api", None).await, world.server_refs(&api).await);
    assert_eq!(world.restored("there:acme/api", None).await, world.server_refs(&there).await);
}
