//! Two hosts that belong together: what is backed up from one is restored to the other, and both are looked at from here.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::support::adopted::{adopt, app_for};
use crate::support::fake_github::{Covers, FakeGithub, Repo, Token};
use crate::support::world::{World, refs};

/// `acme` on a server of one's own, backed up, and an organization of the same name in the cloud.
struct Ends {
    world: World,
    api: Repo,
    cloud: FakeGithub,
}

impl Ends {
    async fn new() -> Self {
        let world = World::new().await;
        let api = world.github.org("acme").repo("api").await;
        let work = api.work().await;
        work.commit("one").await;
        work.push(&["main", "HEAD:refs/tags/v1"]).await;
        world.connect("acme").await;
        world.ok(&["backup", "acme/api", "--wait"]).await;
        let cloud = FakeGithub::start().await;
        cloud.org("acme-cloud");
        Self { world, api, cloud }
    }

    /// Connects the cloud's organization with a token, and pairs.
    async fn paired(token: Token) -> (Self, SecretString) {
        let ends = Self::new().await;
        let token = ends.cloud.token(token);
        let file = ends.world.secret_file("cloud.token", token.expose_secret());
        let arguments =
            ["connect", "github", "--name", "cloud", "--owner", "acme-cloud", "--url", ends.cloud.url().as_str()];
        ends.world.ok(&[&arguments[..], &["--token-file", &file, "--webhook-secret-file", &file]].concat()).await;
        ends.world.ok(&["connections", "pair", "acme", "cloud"]).await;
        (ends, token)
    }
}

/// How the checks of a kind stand, at any end.
fn states(checked: &Value, what: &str) -> Vec<String> {
    let all = checked["checks"].as_array().unwrap().iter().filter(|check| check["what"] == what);
    all.map(|check| check["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_repository_is_restored_to_the_peer() {
    let (Ends { world, api, cloud }, _) = Ends::paired(Token::classic("mona")).await;
    let target = cloud.org("acme-cloud").repo("api").await;
    let plan = world.ok(&["restore", "acme:acme/api", "--to-peer", "--plan"]).await;
    assert_eq!(plan["refs"].as_array().unwrap().len(), 2);
    assert_eq!(refs(&target.folder()).await, json!({ "HEAD": "ref: refs/heads/main" }), "a plan changes nothing");

    let receipt = world.ok(&["restore", "acme:acme/api", "--to-peer"]).await;
    assert_eq!(receipt["target"], format!("{}acme-cloud/api.git", cloud.url()));
    assert_eq!(refs(&target.folder()).await, world.server_refs(&api).await);
}

#[tokio::test]
async fn a_peer_without_the_repository_is_told_and_not_changed() {
    let (Ends { world, cloud, .. }, _) = Ends::paired(Token::classic("mona")).await;
    let ran = world.refward(&["restore", "acme:acme/api", "--to-peer", "--json"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    let hint = ran.error()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("/new?owner=acme-cloud&name=api"), "{hint}");
    assert!(
        cloud.seen().iter().all(|seen| seen.method == "GET" || seen.path.ends_with("/graphql")),
        "nothing was made"
    );

    let archived = cloud.org("acme-cloud").repo("api").await;
    archived.archive();
    let ran = world.refward(&["restore", "acme:acme/api", "--to-peer", "--json"]).await;
    assert!(ran.code == 6 && ran.error()["message"].as_str().unwrap().contains("archived"), "{ran:?}");

    // Its new name may belong to something else: it is not followed.
    archived.rename("something-else");
    let ran = world.refward(&["restore", "acme:acme/api", "--to-peer", "--json"]).await;
    assert!(ran.code == 3 && ran.error()["message"].as_str().unwrap().contains("acme-cloud/something-else"), "{ran:?}");
}

#[tokio::test]
async fn a_token_that_cannot_write_is_named_with_what_it_lacks() {
    let (Ends { world, cloud, .. }, _) = Ends::paired(Token::classic("mona").scopes("read:org")).await;
    let target = cloud.org("acme-cloud").public_repo("api").await;
    for arguments in [&["--plan"][..], &[]] {
        let ran = world.refward(&[&["restore", "acme:acme/api", "--to-peer", "--json"], arguments].concat()).await;
        assert!(
            ran.code == 6 && ran.error()["message"].as_str().unwrap().contains("lacks the scope `repo`"),
            "{ran:?}"
        );
    }
    assert_eq!(refs(&target.folder()).await, json!({ "HEAD": "ref: refs/heads/main" }));
}

#[tokio::test]
async fn a_backup_app_never_writes_and_a_restore_app_does() {
    let Ends { world, api, cloud } = Ends::new().await;
    let target = cloud.org("acme-cloud").repo("api").await;
    let backup = app_for(&cloud, "acme-cloud", "backup");
    cloud.install(&backup.slug(), "acme-cloud", Covers::All, None);
    adopt(&world, &cloud, &backup, "acme-cloud", "backup").await;
    world.ok(&["connections", "pair", "acme", "acme-cloud"]).await;

    let refused = world.refward(&["restore", "acme:acme/api", "--to-peer", "--json"]).await;
    let message = refused.error()["message"].as_str().unwrap().to_owned();
    assert!(refused.code == 6 && message.contains("nothing that may write"), "{refused:?}");
    let checked = world.refward(&["connections", "check", "acme", "--json"]).await;
    assert_eq!((checked.code, states(&checked.json(), "restores")), (1, vec!["failed".to_owned()]), "{checked:?}");

    let restore = app_for(&cloud, "acme-cloud", "restore");
    cloud.install(&restore.slug(), "acme-cloud", Covers::All, None);
    adopt(&world, &cloud, &restore, "acme-cloud", "restore").await;
    let checked = world.ok(&["connections", "check", "acme"]).await;
    assert_eq!(states(&checked, "restores"), ["ok"], "{checked}");
    world.ok(&["restore", "acme:acme/api"]).await;
    assert_eq!(refs(&target.folder()).await, world.server_refs(&api).await);
    // What pushed may do no more than that, and only there.
    let minted =
        cloud.seen().into_iter().filter(|seen| seen.is_mint() && seen.body["permissions"]["contents"] == "write");
    let minted: Vec<Value> = minted.map(|seen| seen.body).collect();
    assert!(minted.iter().any(|body| body["repository_ids"] == json!([target.id])), "{minted:?}");
    assert!(minted.iter().all(|body| body["permissions"].get("administration").is_none()), "{minted:?}");
}

#[tokio::test]
async fn both_ends_are_checked_from_one_command() {
    let (Ends { world, cloud, .. }, token) = Ends::paired(Token::classic("mona")).await;
    let checked = world.ok(&["connections", "check", "acme"]).await;
    for what in ["web and git", "API", "credential token"] {
        assert_eq!(states(&checked, what), ["ok", "ok"], "{what}: {checked}");
    }
    cloud.revoke(&token);
    let ran = world.refward(&["connections", "check", "acme", "--json"]).await;
    assert_eq!(
        (ran.code, states(&ran.json(), "credential token")),
        (1, vec!["ok".to_owned(), "failed".to_owned()]),
        "{ran:?}"
    );
    for secret in world.secrets() {
        assert!(!ran.stdout.contains(&secret), "{ran:?}");
    }

    // A host that is not there fails every check of its own; the other end is looked at all the same.
    nobody_answers(&world, "cloud").await;
    let ran = world.refward(&["connections", "check", "acme", "--json"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    for what in ["web and git", "API", "credential token"] {
        assert_eq!(states(&ran.json(), what), ["ok", "failed"], "{what}: {ran:?}");
    }

    let mut world = world;
    world.set("http.proxy", "http://me:hunter2@proxy.example.com:3128");
    let ran = world.refward(&["connections", "check", "acme", "--json"]).await;
    assert_eq!(ran.json()["proxy"], "proxy.example.com:3128");
    assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
}

/// A connection's host has moved to where nothing listens.
async fn nobody_answers(world: &World, connection: &str) {
    use sea_orm::{ConnectionTrait, Database};
    let database = Database::connect(format!("sqlite://{}/refward.db", world.folder().display())).await.unwrap();
    let moved = format!("UPDATE connection SET url = 'http://127.0.0.1:1/' WHERE name = '{connection}'");
    database.execute_unprepared(&moved).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_pair_is_undone_with_or_without_its_peer() {
    let (Ends { world, .. }, _) = Ends::paired(Token::classic("mona")).await;
    assert_eq!(world.ok(&["connections", "unpair", "acme"]).await["before"], "cloud");
    let ran = world.refward(&["restore", "acme:acme/api", "--to-peer", "--json"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(world.ok(&["connections", "list"]).await.as_array().unwrap().len(), 2);

    world.ok(&["connections", "pair", "acme", "cloud"]).await;
    let plan = world.refward(&["connections", "unpair", "acme", "--remove-peer", "--json"]).await;
    assert_eq!((plan.code, &plan.json()["name"]), (2, &json!("cloud")), "{plan:?}");
    assert_eq!(world.ok(&["connections", "list"]).await.as_array().unwrap().len(), 2, "a plan changes nothing");
    world.ok(&["connections", "unpair", "acme", "--remove-peer", "--yes"]).await;
    let rows = world.ok(&["connections", "list"]).await;
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["peer"]), (1, &Value::Null));
}
