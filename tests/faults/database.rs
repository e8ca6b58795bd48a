//! The database is locked, or away.

use std::path::PathBuf;
use std::process::Command;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, Statement};

use crate::faults::stage::{REPO, Stage};
use crate::support::postgres;
use crate::support::world::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn locked_by_another_process() {
    let stage = Stage::new().await;
    let _service = stage.running().await;
    let mut one = ConnectOptions::new(format!("sqlite://{}", stage.file("refward.db").display()));
    one.max_connections(1);
    let other = Database::connect(one).await.unwrap();
    other.execute_unprepared("BEGIN EXCLUSIVE").await.unwrap();

    let before = stage.github.deliveries().len();
    stage.push("two").await;
    let refused = async || stage.github.deliveries()[before..].iter().find(|sent| sent.status.is_some()).cloned();
    let refused = eventually(refused, || "the delivery is answered".to_owned()).await;
    assert_eq!(refused.status, Some(503));
    other.execute_unprepared("ROLLBACK").await.unwrap();
    other.close().await.unwrap();

    let taken = async || (stage.github.redeliver(&refused.guid).await == 202).then_some(());
    eventually(taken, || "the delivery is taken".to_owned()).await;
    stage.whole(Some(2)).await;
}

/// SQLite's log is read by whoever opens the database: a long one is not left for all who come.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_folded_by_whoever_is_last() {
    let stage = Stage::new().await;
    assert_eq!(stage.running().await.stop().await, 0);
    let [database, log] = ["refward.db", "refward.db-wal"].map(|name| stage.file(name));
    let mut one = ConnectOptions::new(format!("sqlite://{}", database.display()));
    one.max_connections(1);
    let other = Database::connect(one).await.unwrap();
    let fill = "CREATE TABLE filling AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                SELECT randomblob(1000) AS stuff FROM n";
    for statement in ["PRAGMA wal_autocheckpoint = 0", fill] {
        other.execute_unprepared(statement).await.unwrap();
    }
    // As a power cut would leave it.
    let left = [&database, &log].map(|file| (file, std::fs::read(file).unwrap()));
    other.close().await.unwrap();
    for (file, content) in left {
        std::fs::write(file, content).unwrap();
    }
    let length = || std::fs::metadata(&log).map_or(0, |log| log.len());
    assert!(length() > 2 << 20, "{}", length());

    stage.world.ok(&["status"]).await;
    assert_eq!(length(), 0);
    stage.push("two").await;
    stage.world.ok(&["backup", REPO, "--wait"]).await;
    assert!(length() < 1 << 20, "a short one may be left: {}", length());
    stage.whole(Some(2)).await;
}

/// The PostgreSQL of this test process, to be stopped and started.
struct Server {
    programs: PathBuf,
    data: PathBuf,
    port: String,
}

impl Server {
    async fn behind(url: &str) -> Self {
        let db = Database::connect(url).await.unwrap();
        let ask = async |question: &str| -> String {
            let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, question)).await.unwrap().unwrap();
            row.try_get_by_index(0).unwrap()
        };
        let programs = ask("SELECT setting FROM pg_config WHERE name = 'BINDIR'").await;
        let data = ask("SELECT current_setting('data_directory')").await;
        let port = ask("SELECT current_setting('port')").await;
        db.close().await.unwrap();
        Self { programs: programs.into(), data: data.into(), port }
    }

    fn control(&self, arguments: &[&str]) {
        use std::os::unix::fs::MetadataExt;

        // It refuses to run as root, and runs as whoever owns the data.
        let owner = std::fs::metadata(&self.data).unwrap();
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={}", owner.uid())).arg(format!("--regid={}", owner.gid())).arg("--clear-groups");
        command.arg(self.programs.join("pg_ctl")).arg("--pgdata").arg(&self.data).args(arguments).current_dir("/");
        let log = self.data.with_file_name("log");
        let status = command.arg("--log").arg(log).stdout(std::process::Stdio::null()).status().unwrap();
        assert!(status.success(), "{command:?}");
    }

    fn stop(&self) {
        self.control(&["stop", "--mode=immediate"]);
    }

    fn start(&self) {
        let socket = self.data.parent().unwrap().display();
        let options = format!("-p {} -k {socket} -c listen_addresses=127.0.0.1 -c max_connections=300", self.port);
        self.control(&["start", "--wait", "--options", &options]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_stopped_and_started_again() {
    let url = postgres::new_database().await;
    let server = Server::behind(&url).await;
    let stage = Stage::with(&[("database.url", &url)]).await;
    let service = stage.running().await;
    server.stop();
    let before = stage.github.deliveries().len();
    stage.push("two").await;
    let refused = async || stage.github.deliveries()[before..].iter().find(|sent| sent.status.is_some()).cloned();
    let refused = eventually(refused, || "the delivery is answered".to_owned()).await;
    assert_eq!(refused.status, Some(503));
    let alive = reqwest::get(service.url("healthz")).await.unwrap();
    assert_eq!(alive.status(), 200);
    let ready = reqwest::get(service.url("readyz")).await.unwrap();
    assert_eq!(ready.status(), 503);
    let status = stage.world.refward(&["status", "--json"]).await;
    assert_ne!(status.code, 0, "{status:?}");
    assert!(status.error()["message"].as_str().unwrap().contains("the database cannot be reached"), "{status:?}");

    server.start();
    let taken = async || (stage.github.redeliver(&refused.guid).await == 202).then_some(());
    eventually(taken, || "the delivery is taken".to_owned()).await;
    stage.whole(Some(2)).await;
}
