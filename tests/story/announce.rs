//! What happens is told where people talk: in the right channels, in one message for each thing, never lost, never a storm.

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};

use crate::support::fake_discord::{Channel, Fault, Message};
use crate::support::fake_github::{Covers, Repo, Work};
use crate::support::world::{Service, World, eventually};

/// With a Discord, and without the patience that services have.
async fn with_discord(settings: &[(&str, &str)]) -> World {
    let quick = [("workers.retry_first", "1s"), ("workers.retry_longest", "1s"), ("alarms.every", "1s")];
    World::with_discord(&[&quick, settings].concat()).await
}

/// acme/api with two commits, backed up twice with a token that may write.
async fn backing_up(world: &World) -> (Repo, Work, Service) {
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    world.connect("acme").await;
    let service = world.serve().await;
    world.snapshot("acme/api", 1).await;
    world.idle().await;
    work.commit("two").await;
    work.push(&["main"]).await;
    world.snapshot("acme/api", 2).await;
    world.idle().await;
    (api, work, service)
}

/// Somebody replaces the newest commit of the branch that is checked out.
async fn rewrite(work: &Work, branch: &str) {
    work.git(&["reset", "--quiet", "--hard", "HEAD^"]).await;
    work.commit("not what it was").await;
    work.push(&["--force", branch]).await;
}

/// Something to tell that needs no service: acme/web is left out, or let in again.
async fn something_happens(world: &World) {
    let listed = world.ok(&["repos", "list"]).await;
    let exclude = if listed.to_string().contains("left_out\":true") { "--exclude-none" } else { "--exclude=web" };
    world.ok(&["connections", "set", "acme", exclude]).await;
}

/// Nothing waits for any channel any more. Gives the notices.
async fn all_is_told(world: &World) -> Vec<Value> {
    let look = async || {
        let told = world.ok(&["notices", "--limit", "10000"]).await.as_array().unwrap().clone();
        let receivers = told.iter().flat_map(|notice| notice["receivers"].as_array().unwrap());
        receivers.clone().all(|receiver| receiver["state"] == "sent").then(|| told.clone())
    };
    eventually(look, || "everything to be told".to_owned()).await
}

fn texts(channel: &Channel) -> Vec<String> {
    channel.messages().iter().map(Message::text).collect()
}

fn with_words(channel: &Channel, words: &str) -> usize {
    texts(channel).iter().filter(|text| text.contains(words)).count()
}

#[tokio::test]
async fn a_force_push_is_told_where_it_belongs_in_one_message_with_a_way_back() {
    let world = with_discord(&[]).await;
    let [payments, web, everything] = ["payments", "web", "everything"].map(|name| world.discord().channel(name));
    world.tells(&payments, "severity = \"alarm\"\nrepositories = [\"acme/a*\"]");
    world.tells(&web, "repositories = [\"acme/web\"]");
    world.tells(&everything, "severity = \"info\"");
    let (_api, work, _service) = backing_up(&world).await;

    rewrite(&work, "main").await;
    let message = payments.says("history of acme/api was rewritten (snapshot 3)").await;
    assert_eq!(message.buttons(), ["Undo"]);
    let notices = all_is_told(&world).await;
    let notice = notices.iter().find(|notice| notice["kind"] == "history.rewritten").unwrap();
    assert_eq!(message.button("Undo"), format!("undo:{}", notice["id"]));
    assert_eq!(notice["undo"], json!({ "refs": ["refs/heads/main"], "at": 2 }));

    // It goes on: the same message says so.
    rewrite(&work, "main").await;
    message.says("history of acme/api was rewritten (snapshot 4)").await.says("Before that").await;
    assert_eq!(message.buttons(), ["Undo: back to snapshot 3", "Undo: back to snapshot 2"]);

    // A topic branch is daily bread: only who is curious hears of it.
    work.git(&["checkout", "--quiet", "-b", "topic"]).await;
    work.commit("three").await;
    work.push(&["topic"]).await;
    world.snapshot("acme/api", 5).await;
    world.idle().await;
    rewrite(&work, "topic").await;
    let quiet = everything.says("branches or tags of acme/api were forced or deleted").await;
    assert_eq!(quiet.buttons(), ["Undo"]);
    all_is_told(&world).await;
    assert_eq!(payments.messages().len(), 1, "{:?}", texts(&payments));
    assert_eq!(texts(&web), [""; 0]);
    assert_eq!(with_words(&everything, "history of acme/api was rewritten"), 1, "{:?}", texts(&everything));
    assert!(payments.messages().iter().chain(&everything.messages()).all(|message| message.pings().is_empty()));
}

#[tokio::test]
async fn the_message_about_an_alarm_says_when_it_is_over() {
    let world = with_discord(&[]).await;
    let ops = world.discord().channel("ops");
    world.tells(&ops, "connections = [\"acme\"]");
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let app = world.app("acme", 1).await;
    let _service = world.serve().await;
    let installation = world.github.install(&app.slug(), "acme", Covers::All, None).id();
    world.snapshot("acme/api", 1).await;
    world.idle().await;

    world.github.suspend(installation);
    let message = ops.says("Alarm: acme").await;
    world.github.unsuspend(installation);
    message.says("Over: acme").await.says("What it was").await;
    assert_eq!((message.edits(), ops.messages().len()), (1, 1), "{:?}", texts(&ops));

    // What comes after the end is news.
    world.github.suspend(installation);
    let news = ops.says("Alarm: acme").await;
    assert_ne!(news.id, message.id);
}

#[tokio::test]
async fn while_discord_is_away_nothing_is_lost_and_nothing_comes_twice() {
    let world = with_discord(&[]).await;
    let ops = world.discord().channel("ops");
    world.tells(&ops, "severity = \"info\"");
    world.github.org("acme").repo("web").await;
    let (_api, _work, service) = backing_up(&world).await;
    all_is_told(&world).await;
    assert_eq!(service.stop().await, 0);
    let before = ops.messages().len();

    world.discord().down();
    something_happens(&world).await;
    let service = world.serve().await;
    let seen = world.discord().seen().len();
    let tried = async || (world.discord().seen().len() >= seen + 3).then_some(());
    eventually(tried, || "three attempts".to_owned()).await;
    something_happens(&world).await;
    let list = world.refward(&["notices"]).await.stdout;
    assert!(list.contains(&format!("Not handed over to discord:{} since", ops.id)), "{list}");
    world.discord().up();
    world.discord().fail(1, Fault::Limited { retry_after: 1.0, global: true });
    world.discord().fail(1, Fault::Status(502));
    ops.says("let through").await;
    all_is_told(&world).await;
    let told = texts(&ops).split_off(before);
    assert!(told.len() == 2 && told[0].contains("is left out") && told[1].contains("let through"), "{told:#?}");

    // It took the message, and we never learned of it.
    world.discord().fail(1, Fault::Lost);
    something_happens(&world).await;
    all_is_told(&world).await;
    assert_eq!(texts(&ops).len(), before + 3, "{:#?}", texts(&ops));
    drop(service);
}

#[tokio::test]
async fn five_hundred_failures_at_once_are_a_handful_of_messages() {
    const COUNT: usize = 500;
    let world = with_discord(&[("alarms.lag", "1s")]).await;
    let ops = world.discord().channel("ops");
    world.tells(&ops, "");
    world.github.org("acme").paper_repos(COUNT);
    world.connect("acme").await;
    let zero = "0".repeat(40);
    let push = json!({ "ref": "refs/heads/main", "before": zero, "after": "1".repeat(40), "created": true });
    let _service = world.serve().await;
    for index in 0..COUNT {
        world.github.happen(&format!("acme/repo-{index}"), "mona", "push", push.clone());
    }
    let late = async || {
        let told = world.ok(&["notices", "--limit", "10000"]).await.as_array().unwrap().clone();
        let late = told.iter().filter(|notice| notice["kind"] == "backup.late").count();
        let sent = |notice: &&Value| notice["receivers"].as_array().unwrap().iter().all(|one| one["state"] == "sent");
        (late >= COUNT && told.iter().filter(sent).count() == told.len()).then_some(())
    };
    eventually(late, || format!("all alarms to be told: {:#?}", texts(&ops))).await;
    let told = texts(&ops);
    assert!(told.len() <= 20, "{}: {told:#?}", told.len());
    assert!(told.iter().any(|text| text.contains("notices came together")), "{told:#?}");
}

#[tokio::test]
async fn a_message_that_somebody_has_deleted_is_posted_again_when_there_is_more_to_say() {
    let world = with_discord(&[]).await;
    let ops = world.discord().channel("ops");
    world.tells(&ops, "");
    let (_api, work, _service) = backing_up(&world).await;
    rewrite(&work, "main").await;
    let message = ops.says("(snapshot 3)").await;
    message.delete();
    rewrite(&work, "main").await;
    let again = ops.says("(snapshot 4)").await;
    assert!(again.text().contains("Before that"), "{}", again.text());
    rewrite(&work, "main").await;
    again.says("(snapshot 5)").await;
    all_is_told(&world).await;
    assert_eq!(ops.messages().len(), 1, "{:#?}", texts(&ops));
}

#[tokio::test]
async fn a_channel_that_may_not_be_told_holds_up_no_other_and_gets_everything_later() {
    let world = with_discord(&[]).await;
    let [ops, secret] = ["ops", "secret"].map(|name| world.discord().channel(name));
    world.tells(&ops, "severity = \"info\"");
    world.tells(&secret, "");
    let (_api, work, service) = backing_up(&world).await;
    secret.silence();
    rewrite(&work, "main").await;
    ops.says("history of acme/api was rewritten").await;
    let refused = ops.says("cannot be told anything: the bot may not write in the channel").await;
    assert_eq!(texts(&secret), [""; 0]);
    let ran = world.refward(&["notices", "test"]).await;
    assert!(ran.code != 0 && ran.stdout.contains(&format!("discord:{} took the message", ops.id)), "{}", ran.stdout);

    secret.allow();
    secret.says("history of acme/api was rewritten").await;
    refused.says("is told again").await;
    all_is_told(&world).await;
    assert_eq!(with_words(&secret, "cannot be told anything"), 0, "{:#?}", texts(&secret));

    // Whoever deletes the channel takes it out of the settings in the end.
    secret.delete();
    rewrite(&work, "main").await;
    let gone = ops.says("Warning: Refward").await;
    assert_ne!(gone.id, refused.id);
    assert_eq!(service.stop().await, 0);
    let file = world.folder().join("refward.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, settings.rsplit_once("[[discord.channels]]").unwrap().0).unwrap();
    let _service = world.serve().await;
    gone.says("do not name the channel").await;
}

#[tokio::test]
async fn what_goes_well_is_told_once_a_day() {
    let world = with_discord(&[("discord.digest", "00:00")]).await;
    let [ops, web] = ["ops", "web"].map(|name| world.discord().channel(name));
    world.tells(&ops, "");
    world.tells(&web, "repositories = [\"acme/web\"]");
    let (_api, _work, service) = backing_up(&world).await;
    // Whoever begins today is told from the next day on.
    assert_eq!(texts(&ops), [""; 0]);

    // A week of downtime.
    assert_eq!(service.stop().await, 0);
    digest_was_told(&world, "2026-01-01").await;
    let service = world.serve().await;
    let message = ops.says("The last 24 hours").await;
    assert!(message.text().contains("Repositories: 1") && message.text().contains("acme/api"), "{}", message.text());
    world.done().await;
    assert_eq!(service.stop().await, 0);

    // Killed before it could note down that it was told.
    digest_was_told(&world, "2026-01-01").await;
    let service = world.serve().await;
    digest_is_noted(&world).await;
    assert_eq!((ops.messages().len(), web.messages().len()), (1, 0), "{:#?}", texts(&ops));
    drop(service);
}

/// As far as the catalog knows, the last digest was that day's.
async fn digest_was_told(world: &World, day: &str) {
    let url = format!("sqlite://{}/refward.db", world.folder().display());
    let database = Database::connect(url).await.unwrap();
    let sql = format!("UPDATE fact SET value = '\"{day}\"' WHERE name = 'digest:discord'");
    assert_eq!(database.execute_unprepared(&sql).await.unwrap().rows_affected(), 1);
    database.close().await.unwrap();
}

async fn digest_is_noted(world: &World) {
    let url = format!("sqlite://{}/refward.db", world.folder().display());
    let database = Database::connect(url).await.unwrap();
    let sql = "SELECT 1 FROM fact WHERE name = 'digest:discord' AND value > '\"2026-01-01\"'";
    let statement = sea_orm::Statement::from_string(database.get_database_backend(), sql);
    let noted = async || database.query_one_raw(statement.clone()).await.unwrap().map(drop);
    eventually(noted, || "the digest to be noted".to_owned()).await;
    database.close().await.unwrap();
}
