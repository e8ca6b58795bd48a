//! A repository's life on the forge: whatever happens to it there is followed by its id and told, and its backups stay.

use serde_json::{Value, json};

use crate::support::fake_github::{Fault, Repo, Token, Work};
use crate::support::world::{Service, World, eventually};

/// How a change becomes known.
enum Known {
    /// The service runs and the forge tells it at once.
    ByWebhook(#[expect(dead_code, reason = "it runs until the story ends")] Box<Service>),
    /// Every webhook is lost; somebody has the list read.
    BySurvey,
}

impl Known {
    /// As soon as a notice of this kind is about `text`, the texts of all of them, oldest first.
    async fn told(&self, world: &World, kind: &str, text: &str) {
        let look = async || {
            if let Self::BySurvey = self {
                world.ok(&["repos", "sync"]).await;
            }
            notices(world, kind).await.into_iter().find(|told| told.contains(text))
        };
        eventually(look, || format!("{kind}: {text}")).await;
    }
}

/// What was told of this kind, oldest first.
async fn notices(world: &World, kind: &str) -> Vec<String> {
    let told = world.ok(&["notices"]).await;
    let of_kind = told.as_array().unwrap().iter().rev().filter(|notice| notice["kind"] == kind);
    of_kind.map(|notice| notice["text"].as_str().unwrap().to_owned()).collect()
}

/// One repository as `repos list` has it.
async fn row(world: &World, repository: &str) -> Value {
    let rows = world.ok(&["repos", "list"]).await;
    let mut rows = rows.as_array().unwrap().iter();
    rows.find(|row| row["repository"] == repository).unwrap_or_else(|| panic!("{repository} is not listed")).clone()
}

/// With a commit in it, connected, and in a first snapshot.
async fn acme(by_webhook: bool) -> (World, Repo, Work, Known) {
    let world = World::new().await;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let known = if by_webhook { Known::ByWebhook(Box::new(world.serve().await)) } else { Known::BySurvey };
    backed_up(&world, &known, "acme/api").await;
    (world, api, work, known)
}

/// The repository is as the forge has it.
async fn backed_up(world: &World, known: &Known, repository: &str) {
    match known {
        Known::BySurvey => drop(world.ok(&["backup", repository, "--wait"]).await),
        Known::ByWebhook(_) => {
            world.snapshot(repository, 1).await;
            world.idle().await;
        }
    }
}

async fn it_is_created_renamed_archived_published_and_deleted(by_webhook: bool) {
    let (world, api, work, known) = acme(by_webhook).await;
    let id = row(&world, "acme/api").await["id"].clone();

    let later = world.github.org("acme").repo("later").await;
    known.told(&world, "repository.created", "acme/later is new on the forge; it is backed up from now on.").await;
    backed_up(&world, &known, "acme/later").await;
    world.matches(&later).await;

    api.rename("service");
    known.told(&world, "repository.renamed", "acme/api is called acme/service now.").await;
    assert_eq!(row(&world, "acme/service").await["id"], id, "it is the same repository");

    api.archive();
    known.told(&world, "repository.archived", "acme/service is archived: read-only on the forge.").await;
    assert_eq!(row(&world, "acme/service").await["archived"], true);

    api.publish();
    known.told(&world, "repository.publicized", "acme/service is public now: everybody can read it.").await;
    assert_eq!(row(&world, "acme/service").await["private"], false);

    let then = world.server_refs(&api).await;
    api.delete();
    known.told(&world, "repository.gone", "acme/service is no longer on the forge").await;
    assert_eq!(row(&world, "acme/service").await["gone"], true);
    assert_eq!(world.restored("acme/service", None).await, then, "its backups stay");
    drop(work);
}

#[tokio::test]
async fn a_life_told_by_webhooks() {
    it_is_created_renamed_archived_published_and_deleted(true).await;
}

#[tokio::test]
async fn a_life_found_by_surveys() {
    it_is_created_renamed_archived_published_and_deleted(false).await;
}

async fn it_is_transferred_to_the_owner_of_another_connection(by_webhook: bool) {
    let (world, api, _, known) = acme(by_webhook).await;
    world.github.org("beta").repo("web").await;
    world.connect("beta").await;
    let before = row(&world, "acme/api").await;

    api.transfer("beta");
    let text =
        "acme/api was transferred and is called beta/api now; it is backed up as before, through the connection beta.";
    known.told(&world, "repository.transferred", text).await;
    let after = row(&world, "beta/api").await;
    assert_eq!((&after["id"], &after["connection"]), (&before["id"], &json!("beta")));
    let work = api.work().await;
    work.git(&["pull", "--quiet", "origin", "main"]).await;
    work.commit("two").await;
    work.push(&["main"]).await;
    match known {
        Known::BySurvey => drop(world.ok(&["backup", "beta/api", "--wait"]).await),
        Known::ByWebhook(_) => drop(world.snapshot("beta/api", 2).await),
    }
    assert_eq!(world.snapshots("beta/api").await.len(), 2, "the chain goes on");
    world.matches(&api).await;
}

#[tokio::test]
async fn a_transfer_told_by_webhooks() {
    it_is_transferred_to_the_owner_of_another_connection(true).await;
}

#[tokio::test]
async fn a_transfer_found_by_surveys() {
    it_is_transferred_to_the_owner_of_another_connection(false).await;
}

#[tokio::test]
async fn to_be_left_out_by_globs_is_not_to_be_gone() {
    let (world, api, work, known) = acme(true).await;
    let web = world.github.org("acme").repo("web").await;
    known.told(&world, "repository.created", "acme/web is new").await;
    backed_up(&world, &known, "acme/web").await;
    world.ok(&["repos", "remove", "acme/web"]).await;

    let set = world.ok(&["connections", "set", "acme", "--exclude", "api", "--exclude", "w*"]).await;
    assert_eq!(set["repositories"]["left_out"], json!(["acme/api", "acme/web"]));
    assert_eq!(set["repositories"]["gone"], json!([]));
    let left_out = row(&world, "acme/api").await;
    assert_eq!(
        (&left_out["left_out"], &left_out["selected"], &left_out["gone"]),
        (&json!(true), &json!(false), &json!(false))
    );
    assert_eq!(world.status("acme/api").await["state"], "off");
    let refused = world.refward(&["repos", "add", "acme/api", "--json"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");

    // It is still followed, and what is pushed meanwhile is not backed up.
    work.commit("two").await;
    work.push(&["main"]).await;
    api.archive();
    let archived = async || row(&world, "acme/api").await["archived"].as_bool().filter(|archived| *archived);
    eventually(archived, || "the archived repository to be followed".to_owned()).await;
    assert_eq!(world.snapshots("acme/api").await.len(), 1);
    assert_eq!(world.ok(&["backup", "--all"]).await, json!({ "queued": 0 }));

    // Let in again, each is as it was: what a person had taken out stays out.
    let set = world.ok(&["connections", "set", "acme", "--exclude-none"]).await;
    assert_eq!(set["repositories"]["let_in"], json!(["acme/api", "acme/web"]));
    world.snapshot("acme/api", 2).await;
    world.matches(&api).await;
    assert_eq!(row(&world, "acme/web").await["selected"], false);
    assert_eq!(notices(&world, "repository.gone").await, [] as [&str; 0]);
    drop(web);
}

#[tokio::test]
async fn settings_are_kept_where_the_forge_does_not_answer() {
    let world = World::new().await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    world.github.fail(2, &Fault::json(500, "Server Error"));
    let ran = world.refward(&["connections", "set", "acme", "--exclude", "api", "--json"]).await;
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.error()["hint"].as_str().unwrap().contains("the new settings are kept"), "{ran:?}");
    assert_eq!(world.ok(&["connections", "show", "acme"]).await["settings"]["exclude"], json!(["api"]));
    let _service = world.serve().await;
    let left_out = async || row(&world, "acme/api").await["left_out"].as_bool().filter(|left_out| *left_out);
    eventually(left_out, || "the service to list the repositories".to_owned()).await;
}

#[tokio::test]
async fn groups_are_made_by_rule() {
    let world = World::new().await;
    let acme = world.github.org("acme");
    for name in ["api", "api-docs", "web"] {
        acme.repo(name).await;
    }
    world.connect("acme").await;
    world.ok(&["connections", "set", "acme", "--group", "backend=api*", "--group", "docs=*-docs"]).await;
    assert_eq!(row(&world, "acme/api-docs").await["groups"], json!(["backend", "docs"]));
    assert_eq!(row(&world, "acme/web").await["groups"], json!([]));
    // A rule takes in what comes later.
    acme.repo("api-gateway").await;
    world.ok(&["repos", "sync"]).await;
    assert_eq!(world.ok(&["repos", "list", "--group", "backend"]).await.as_array().unwrap().len(), 3);
    assert_eq!(world.ok(&["backup", "--group", "docs", "--wait"]).await.as_array().unwrap().len(), 1);
    assert_eq!(world.snapshots("acme/api-docs").await.len(), 1);
    let unknown = world.refward(&["backup", "--group", "frontend", "--json"]).await;
    assert_eq!(unknown.code, 3, "{unknown:?}");
}

#[tokio::test]
async fn repositories_are_listed_when_it_was_asked_for() {
    let world = World::new().await;
    let token = world.github.token(Token::classic("mona"));
    world.github.org("acme").repo("api").await;
    assert_eq!(world.connect_with("acme", "acme", &token, &[]).await.code, 0);
    let next = async || {
        let shown = world.ok(&["connections", "show", "acme"]).await;
        let time = |at: &Value| at.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        (time(&shown["listing"]["next_at"]), time(&shown["listing"]["last_at"]))
    };
    world.ok(&["connections", "set", "acme", "--list-every", "90m"]).await;
    let (due, last) = next().await;
    assert!((85..=90).contains(&(due - last).num_minutes()), "{last} to {due}");
    world.ok(&["connections", "set", "acme", "--list-daily-at", "03:30"]).await;
    assert_eq!(next().await.0.format("%H:%M").to_string(), "03:30");
    let again = world.ok(&["connections", "set", "acme", "--list-daily-at", "03:30"]).await;
    assert_eq!((&again["changes"], &again["repositories"]), (&json!([]), &Value::Null), "nothing to do");
}

#[tokio::test]
async fn old_notices_are_forgotten() {
    let world = World::with(&[("notices.keep", "1ms")]).await;
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    world.github.org("acme").repo("later").await;
    world.ok(&["repos", "sync"]).await;
    assert_eq!(notices(&world, "repository.created").await.len(), 1);
    let _service = world.serve().await;
    let forgotten = async || world.ok(&["notices"]).await.as_array().unwrap().is_empty().then_some(());
    eventually(forgotten, || "the notice to be forgotten".to_owned()).await;
}
