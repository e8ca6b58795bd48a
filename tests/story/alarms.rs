//! Harm is told: what it was, to whomever should know, with the command that undoes it.

use std::path::Path;

use sea_orm::{Database, FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::support::fake_github::{Covers, Repo, Work};
use crate::support::receiver::{Receiver, SECRET};
use crate::support::shell::git;
use crate::support::smtp::{CA, Mail, Mood, Smtp};
use crate::support::world::{Service, World, eventually};

/// A deployment that tells a mail server and somebody's own program of everything.
struct Told {
    world: World,
    smtp: Smtp,
    receiver: Receiver,
}

impl Told {
    async fn new() -> Self {
        Self::over(Smtp::start().await).await
    }

    async fn over(smtp: Smtp) -> Self {
        let mut world = World::with(&[("workers.retry_first", "1s"), ("workers.retry_longest", "1s")]).await;
        let receiver = Receiver::start().await;
        let secret = world.secret_file("receiver.secret", SECRET);
        for (key, value) in [
            ("alarms.every", "1s"),
            ("mail.server", &smtp.address()),
            ("mail.from", "Refward <refward@backup.example.com>"),
            ("mail.to", "ops@example.com"),
            ("mail.severity", "info"),
            ("webhook.url", &receiver.address()),
            ("webhook.secret_file", &secret),
        ] {
            world.set(key, value);
        }
        Self { world, smtp, receiver }
    }

    /// acme/api with a commit, backed up with a token that may write.
    async fn backing_up(&self) -> (Repo, Work, Service) {
        let api = self.world.github.org("acme").repo("api").await;
        let work = api.work().await;
        work.commit("one").await;
        work.push(&["main"]).await;
        self.world.connect("acme").await;
        let service = self.world.serve().await;
        self.world.snapshot("acme/api", 1).await;
        self.world.idle().await;
        (api, work, service)
    }

    /// The newest notice of this kind.
    async fn notice(&self, kind: &str) -> Value {
        let look = async || {
            let told = self.world.ok(&["notices"]).await;
            told.as_array().unwrap().iter().find(|notice| notice["kind"] == kind).cloned()
        };
        eventually(look, || format!("a notice `{kind}`")).await
    }

    /// Something to tell that needs no service: a repository is left out, or let in again.
    async fn something_happens(&self) {
        let listed = self.world.ok(&["repos", "list"]).await;
        let exclude = if listed.to_string().contains("left_out\":true") { "--exclude-none" } else { "--exclude=web" };
        self.world.ok(&["connections", "set", "acme", exclude]).await;
    }

    /// Rows of the database.
    async fn rows(&self, sql: &str) -> Vec<Value> {
        let url = format!("sqlite://{}/refward.db", self.world.folder().display());
        let database = Database::connect(url).await.unwrap();
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let rows = JsonValue::find_by_statement(statement).all(&database).await.unwrap();
        database.close().await.unwrap();
        rows
    }

    /// Why each repository is held now.
    async fn holds(&self) -> Vec<Value> {
        self.rows("SELECT reason FROM hold WHERE lifted_at IS NULL ORDER BY id").await
    }
}

#[tokio::test]
async fn a_force_push_on_the_default_branch_is_told_and_undone_with_one_command() {
    let told = Told::new().await;
    let (api, work, _service) = told.backing_up().await;
    let one = work.git(&["rev-parse", "HEAD"]).await;
    let two = work.commit("two").await;
    work.push(&["main"]).await;
    told.world.snapshot("acme/api", 2).await;
    told.world.idle().await;
    work.git(&["reset", "--quiet", "--hard", &one]).await;
    let other = work.commit("not what it was").await;
    work.push(&["--force", "main"]).await;

    // Everybody is told the same.
    let notice = told.notice("history.rewritten").await;
    let text = format!(
        "history of acme/api was rewritten (snapshot 3): main was forced from {two} to {other} by mona. Snapshot 2 holds what was there before."
    );
    let command = "refward restore acme:acme/api --at 2 --ref refs/heads/main --to-origin --force";
    assert_eq!((&notice["text"], &notice["command"]), (&json!(text), &json!(command)));
    assert_eq!((&notice["severity"], &notice["repository"]), (&json!("alarm"), &json!("acme/api")));
    let sent = told.receiver.notice("history.rewritten").await;
    assert_eq!((&sent["text"], &sent["command"]), (&notice["text"], &notice["command"]));
    assert_eq!(sent["undo"], json!({ "refs": ["refs/heads/main"], "at": 2 }));
    let mail = told.smtp.mail("alarm: history of acme/api was rewritten").await;
    assert!(mail.text.contains(&text) && mail.text.contains(&format!("\n  {command}\n")), "{mail:#?}");
    assert_eq!((mail.from.as_str(), &mail.to[..]), ("refward@backup.example.com", &["ops@example.com".to_owned()][..]));
    let list = told.world.refward(&["notices"]).await.stdout;
    assert!(list.contains("ALARM: history of acme/api") && list.contains(command), "{list}");

    // Nothing of the repository goes until somebody has looked.
    let held = told.holds().await;
    assert_eq!(held.len(), 1, "{held:?}");

    // And the branch is back.
    told.world.paste(&notice["command"]).await;
    assert_eq!(git(&api.folder(), &["rev-parse", "main"]).await, two);
    told.world.snapshot("acme/api", 4).await;
    told.world.idle().await;
    assert_eq!(told.holds().await, held, "one hold, however often it happens");
}

#[tokio::test]
async fn where_we_may_only_read_the_command_brings_the_commits_into_a_folder() {
    let told = Told::new().await;
    let world = &told.world;
    let api = world.github.org("acme").repo("api").await;
    let work = api.work().await;
    let one = work.commit("one").await;
    // A name that a shell would run, if it were let.
    let evil = "refs/heads/$(touch${IFS}pwned)'";
    let branches = ["b1", "b2", "b3", "b4"].map(|name| format!("HEAD:refs/heads/{name}"));
    let mut pushed: Vec<&str> = branches.iter().map(String::as_str).collect();
    let evil_spec = format!("HEAD:{evil}");
    pushed.extend(["main", &evil_spec]);
    work.push(&pushed).await;
    let app = world.app("acme", 1).await;
    let _service = world.serve().await;
    world.github.install(&app.slug(), "acme", Covers::All, None);
    world.snapshot("acme/api", 1).await;
    world.idle().await;
    work.push(&["--delete", "b1", "b2", "b3", "b4", evil]).await;

    let notice = told.notice("history.deleted").await;
    let text = notice["text"].as_str().unwrap();
    assert!(text.starts_with("5 branches and tags of acme/api were deleted (snapshot 2): "), "{text}");
    assert!(text.contains(&format!("b1, which was at {one}, was deleted")), "{text}");
    let done = told.world.paste(&notice["command"]).await;
    assert!(done.contains("5 references"), "{done}");
    let folder = world.path("api-at-1");
    assert_eq!(git(Path::new(&folder), &["rev-parse", "b3", evil]).await, format!("{one}\n{one}"));
    assert!(!Path::new(&world.path("pwned")).exists(), "{notice}");
    let all = world.ok(&["notices"]).await;
    assert!(!all.to_string().contains("history.rewritten"), "none of these is the default branch: {all:#}");
}

#[tokio::test]
async fn a_suspended_app_is_an_alarm_until_it_works_again() {
    let told = Told::new().await;
    let world = &told.world;
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
    let alarm = told.receiver.notice("app.suspended").await;
    assert_eq!((&alarm["severity"], &alarm["connection"]), (&json!("alarm"), &json!("acme")));
    assert_eq!(told.holds().await.len(), 1);
    world.github.unsuspend(installation);
    let over = told.receiver.notice("resolved").await;
    assert_eq!((&over["subject"], &over["severity"]), (&alarm["subject"], &json!("info")));
    told.smtp.mail("info: The App").await;
    assert_eq!(told.holds().await, [] as [Value; 0], "nothing was lost, after all");
    assert_eq!(told.receiver.notices("app.suspended").len(), 1);

    // To be uninstalled is worse, and ends when it is installed again.
    world.github.uninstall(installation);
    told.receiver.notice("app.uninstalled").await;
    let again = world.github.install(&app.slug(), "acme", Covers::All, None).id();
    assert_ne!(again, installation);
    let twice = async || {
        (told.receiver.notices("resolved").iter().filter(|over| over["subject"] == alarm["subject"]).count() == 2)
            .then_some(())
    };
    eventually(twice, || "the App to be well again".to_owned()).await;
}

#[tokio::test]
async fn repositories_that_vanish_are_told_one_by_one_or_all_at_once() {
    let told = Told::new().await;
    let (api, _work, _service) = told.backing_up().await;
    let world = &told.world;
    let mut more = Vec::new();
    for name in ["web", "docs", "infra"] {
        more.push(world.github.org("acme").repo(name).await);
        world.snapshot(&format!("acme/{name}"), 1).await;
    }
    world.idle().await;
    api.delete();
    let alarm = told.receiver.notice("repository.gone").await;
    assert_eq!((&alarm["severity"], &alarm["repository"]), (&json!("alarm"), &json!("acme/api")));
    told.world.paste(&alarm["command"]).await;
    assert_eq!(git(Path::new(&world.path("api")), &["log", "--format=%s"]).await, "one");

    // Whoever deletes all of them is told of once.
    world.github.hold();
    more.iter().for_each(Repo::delete);
    world.github.release(|_| ()).await;
    let emptied = told.receiver.notice("connection.emptied").await;
    assert_eq!(emptied["severity"], "alarm");
    assert!(
        emptied["text"].as_str().unwrap().starts_with("3 repositories of acme are gone from the forge at once"),
        "{emptied}"
    );
    let quiet = told.receiver.notices("repository.gone");
    assert!(quiet.iter().skip(1).all(|single| single["severity"] == "info"), "{quiet:#?}");
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_everything_later_once_and_in_order() {
    let told = Told::new().await;
    told.world.github.org("acme").repo("web").await;
    let (_api, _work, service) = told.backing_up().await;
    assert_eq!(service.stop().await, 0);
    told.smtp.is(Mood::Away);
    told.receiver.answers(503);
    told.something_happens().await;
    let service = told.world.serve().await;
    let tried = async || (told.smtp.visits() >= 3 && told.receiver.got().len() >= 3).then_some(());
    eventually(tried, || format!("three attempts; {} mails, {:?}", told.smtp.visits(), told.receiver.got())).await;
    let ids: Vec<String> = told.receiver.got().into_iter().map(|delivery| delivery.id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "it is the same message: {ids:?}");
    told.something_happens().await;
    let list = told.world.refward(&["notices"]).await.stdout;
    assert!(list.contains("Not handed over to mail since ") && list.contains(": 2 notices: "), "{list}");

    told.smtp.is(Mood::Well);
    told.receiver.answers(200);
    told.smtp.mail("let through").await;
    let subjects: Vec<String> = told.smtp.mails().iter().map(|mail| mail.header("Subject").to_owned()).collect();
    assert!(subjects.len() == 2 && subjects[0].contains("acme/web is left out"), "{subjects:#?}");
    told.receiver.notice("repository.let_in").await;
    assert_eq!(told.receiver.notices("repository.left_out").len(), 1);
    let delivered = async || {
        let told = told.world.ok(&["notices"]).await;
        let sent =
            |one: &Value| one["receivers"].as_array().unwrap().iter().all(|receiver| receiver["state"] == "sent");
        told.as_array().unwrap().iter().all(sent).then_some(())
    };
    eventually(delivered, || "the notices to be marked as sent".to_owned()).await;
    drop(service);
}

#[tokio::test]
async fn whoever_is_killed_while_telling_tells_the_same_again() {
    let mut told = Told::new().await;
    told.world.set("workers.lease", "5s");
    told.world.github.org("acme").repo("web").await;
    let (_api, _work, service) = told.backing_up().await;
    told.smtp.is(Mood::FallsSilent);
    let before = told.smtp.visits();
    told.something_happens().await;
    let there = async || (told.smtp.visits() > before).then_some(());
    eventually(there, || "somebody to send a mail".to_owned()).await;
    service.kill().await;
    told.smtp.is(Mood::HangsUpLate);
    let _service = told.world.serve().await;
    let twice = async || {
        if !told.smtp.mails().is_empty() {
            told.smtp.is(Mood::Well);
        }
        (told.smtp.mails().len() >= 2).then(|| told.smtp.mails())
    };
    let mails: Vec<Mail> = eventually(twice, || "the mail to come again".to_owned()).await;
    // The first may have been lost on the way, as far as we can know; the receiver can tell that it is the same.
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    assert_eq!(mails[0].text, mails[1].text);
}

#[tokio::test]
async fn five_hundred_failures_at_once_are_no_storm() {
    const COUNT: usize = 500;
    let mut told = Told::new().await;
    told.world.set("alarms.lag", "1s");
    let world = &told.world;
    world.github.org("acme").paper_repos(COUNT);
    world.connect("acme").await;
    let zero = "0".repeat(40);
    let push = json!({ "ref": "refs/heads/main", "before": zero, "after": "1".repeat(40), "created": true });
    let service = world.serve().await;
    for index in 0..COUNT {
        world.github.happen(&format!("acme/repo-{index}"), "mona", "push", push.clone());
    }
    let late = async || {
        let taken = told.receiver.notices("backup.late").len();
        (taken >= COUNT).then_some(taken)
    };
    let taken = eventually(late, || format!("all alarms; {} came", told.receiver.notices("backup.late").len())).await;
    assert_eq!(taken, COUNT);
    let messages = told.receiver.got().len();
    assert!(messages <= 21, "{messages} messages");
    let summary = told.smtp.mail("notices").await;
    assert!(summary.text.contains(" alarm: backup.late, connection acme\n"), "{}", summary.text);
    drop(service);
}

#[tokio::test]
async fn a_name_that_would_be_a_header_stays_a_name() {
    let told = Told::new().await;
    let (api, _work, _service) = told.backing_up().await;
    api.rename("x\r\nBcc: everybody@example.com\r\n\r\n<script>'\"ü");
    told.world.ok(&["repos", "sync"]).await;
    let mail = told.smtp.mail("acme/api is called").await;
    let ours =
        ["From", "Subject", "Message-ID", "Content-Type", "Auto-Submitted", "To", "Content-Transfer-Encoding", "Date"];
    assert!(mail.headers.iter().all(|(name, _)| ours.contains(&name.as_str())), "{mail:#?}");
    assert_eq!(mail.to, ["ops@example.com"]);
    assert!(!mail.text.lines().any(|line| line.starts_with("Bcc")), "{}", mail.text);
    assert!(mail.header("Subject").contains("<script>'\"ü"), "{mail:#?}");
    told.receiver.notice("repository.renamed").await;
}

#[tokio::test]
async fn what_waits_too_long_is_told_and_that_it_waits_no_more() {
    let mut told = Told::new().await;
    told.world.set("alarms.lag", "1s");
    let (api, work, _service) = told.backing_up().await;
    told.world.github.hold_fetches();
    work.commit("two").await;
    work.push(&["main"]).await;
    let late = told.receiver.notice("backup.late").await;
    assert_eq!((&late["repository"], &late["severity"]), (&json!("acme/api"), &json!("alarm")));
    told.world.github.let_fetches_go();
    told.world.paste(&late["command"]).await;
    let over = told.receiver.notice("resolved").await;
    assert_eq!(over["text"], format!("Over: {}", late["text"].as_str().unwrap()));
    assert_eq!((&over["repository"], &over["subject"]), (&json!("acme/api"), &late["subject"]));
    told.world.matches(&api).await;
    assert_eq!(told.receiver.notices("backup.late").len(), 1);
}

#[tokio::test]
async fn webhooks_that_do_not_come_are_missed() {
    let mut told = Told::new().await;
    for (key, value) in [("alarms.silence", "20s"), ("sweep.interval", "1s"), ("sweep.shortest", "1s")] {
        told.world.set(key, value);
    }
    told.world.github.move_clock(-120);
    let (_api, work, _service) = told.backing_up().await;
    told.world.github.hold();
    let mut seq = 1;
    let silent = async || {
        // As long as nobody tells of it, it has to go on.
        seq += 1;
        work.commit(&seq.to_string()).await;
        work.push(&["main"]).await;
        told.world.snapshot("acme/api", seq).await;
        told.receiver.notices("webhook.silent").into_iter().next()
    };
    let silent = eventually(silent, || "the silence to be noticed".to_owned()).await;
    assert_eq!((&silent["connection"], &silent["command"]), (&json!("acme"), &json!("refward connections check acme")));
    told.world.github.release(|_| ()).await;
    told.receiver.notice("resolved").await;
}

#[tokio::test]
async fn a_disk_that_fills_up_and_a_proof_that_fails_are_told() {
    let mut told = Told::new().await;
    told.world.set("alarms.free_bytes", "9000000000000000000");
    let (api, work, service) = told.backing_up().await;
    let full = told.receiver.notice("storage.full").await;
    assert!(full["text"].as_str().unwrap().starts_with("The disk of the vault "), "{full}");
    told.world.ok(&["drill", "acme/api"]).await;
    let copied = "repo_id, kind, duration_ms, bytes, report, signature";
    let now = "CAST(strftime('%s', 'now') AS INTEGER) * 1000 + 1000";
    told.rows(&format!(
        "INSERT INTO proof ({copied}, started_at, passed) SELECT {copied}, {now}, 0 FROM proof LIMIT 1"
    ))
    .await;
    let failed = told.receiver.notice("drill.failed").await;
    assert_eq!(failed["command"], "refward drill acme:acme/api");
    let passes = async || {
        told.world.paste(&failed["command"]).await;
        told.receiver.notices("resolved").iter().any(|over| over["subject"] == failed["subject"]).then_some(())
    };
    eventually(passes, || "the drill to be passed".to_owned()).await;
    assert_eq!(service.stop().await, 0);

    told.world.set("alarms.free_bytes", "0");
    let service = told.world.serve().await;
    let over = async |subject: &str| {
        let look =
            async || told.receiver.notices("resolved").iter().any(|over| over["subject"] == subject).then_some(());
        eventually(look, || format!("{subject} to be over")).await;
    };
    over("vault:space").await;

    // A vault that cannot be written: a file is in the way.
    let repos = told.world.folder().join("vault/repos");
    let away = told.world.folder().join("vault/repos.away");
    std::fs::rename(&repos, &away).unwrap();
    std::fs::write(&repos, "no folder").unwrap();
    work.commit("two").await;
    work.push(&["main"]).await;
    let refuses = told.receiver.notice("storage.refuses").await;
    assert_eq!((&refuses["subject"], &refuses["severity"]), (&json!("vault:refuses"), &json!("alarm")));
    std::fs::remove_file(&repos).unwrap();
    std::fs::rename(&away, &repos).unwrap();
    told.world.snapshot("acme/api", 2).await;
    told.world.matches(&api).await;
    over("vault:refuses").await;
    drop(service);
}

#[tokio::test]
async fn trying_the_receivers_says_what_is_wrong_with_each() {
    let mut told = Told::over(Smtp::with_tls().await).await;
    let none = World::new().await.refward(&["notices", "test", "--json"]).await;
    assert_eq!((none.code, &none.error()["kind"]), (6, &json!("misconfigured")));

    // Nobody has said that this certificate is to be trusted.
    told.receiver.answers(404);
    let ran = told.world.refward(&["notices", "test"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    insta::assert_snapshot!(&ran.stdout, @"
    mail     no safe connection to the mail server 127.0.0.1 comes about
             check the port in `mail.server` (smtps:// is TLS from the start, smtp:// is STARTTLS), the server's certificate, and `http.ca_file`
    webhook  the webhook at 127.0.0.1 answers 404 Not Found
             check `webhook.url` and `webhook.secret_file`, and the other side's log
    ");

    told.world.set("http.ca_file", CA);
    told.smtp.only("refward", "right");
    told.world.set("mail.username", "refward");
    let password = told.world.secret_file("mail.password", "wr0ng-passw0rd");
    told.world.set("mail.password_file", &password);
    told.receiver.redirects("https://elsewhere.example.com/");
    let ran = told.world.refward(&["notices", "test", "-vv"]).await;
    insta::assert_snapshot!(&ran.stdout, @"
    mail     the mail server 127.0.0.1 does not accept our user name and password
             check `mail.username` and the file of `mail.password_file`
    webhook  the webhook at 127.0.0.1 answers 307 Temporary Redirect; redirects are not followed
             set `webhook.url` to where it really is
    ");
    assert!(!ran.stderr.contains("wr0ng-passw0rd") && !ran.stderr.contains("T0P-S3CRET"), "{}", ran.stderr);

    std::fs::write(&password, "right\n").unwrap();
    let elsewhere = Receiver::start().await;
    told.world.set("webhook.url", &elsewhere.address());
    let tried = told.world.ok(&["notices", "test"]).await;
    assert!(tried.as_array().unwrap().iter().all(|tried| tried["error"].is_null()), "{tried}");
    assert_eq!(told.smtp.mails().len(), 1);
    assert_eq!(elsewhere.notices("test").len(), 1);
    let shown = told.world.refward(&["config", "check"]).await.stdout;
    assert!(!shown.contains("T0P-S3CRET"), "an address like that is a secret: {shown}");
}

#[tokio::test]
async fn what_receivers_refuse_to_be_is_said_by_name() {
    let told = Told::new().await;
    let mut world = told.world;
    for (key, value, message) in [
        ("webhook.url", "http://example.com/hook", "the setting `webhook.url` must be https"),
        ("webhook.url", "ftp://example.com/hook", "the setting `webhook.url` must be an https address"),
        ("webhook.secret_file", "", "the setting `webhook.secret_file` is not set"),
    ] {
        let before =
            if key == "webhook.url" { told.receiver.address() } else { world.secret_file("again.secret", SECRET) };
        world.set(key, value);
        let tried = world.refward(&["notices", "test", "--json"]).await.json();
        let webhook = tried.as_array().unwrap().iter().find(|tried| tried["receiver"] == "webhook").unwrap().clone();
        assert!(webhook["error"].as_str().unwrap().starts_with(message), "{webhook}");
        world.set(key, &before);
    }
    for (key, value, message) in [
        ("mail.server", "http://mail.example.com", "the setting `mail.server` is not a mail server's address"),
        ("mail.from", "nobody", "the setting `mail.from` holds `nobody`, which is no mail address"),
        ("mail.to", "a@example.com\r\nBcc: b@example.com", "the setting `mail.to` holds `a@example.com\\r\\nBcc"),
    ] {
        let mut bare = World::bare().await;
        bare.set("mail.server", &told.smtp.address());
        bare.set("mail.from", "refward@example.com");
        bare.set("mail.to", "ops@example.com");
        bare.set(key, value);
        bare.ok(&["init", "--dir", &bare.path("backup")]).await;
        let tried = bare.refward(&["notices", "test", "--json"]).await.json();
        assert!(tried[0]["error"].as_str().unwrap().starts_with(message), "{tried}");
    }
    world.set("mail.severity", "loud");
    let ran = world.refward(&["notices", "--json"]).await;
    assert_eq!(ran.code, 6, "{ran:?}");
}
