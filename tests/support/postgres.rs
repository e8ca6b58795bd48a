//! A throwaway PostgreSQL: one cluster per test process, one database per test.

use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, Database};

/// The address of a new, empty database.
pub async fn new_database() -> String {
    let cluster = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(Cluster::start)).await.unwrap();
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    let admin = Database::connect(cluster.url("postgres")).await.unwrap();
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    admin.close().await.unwrap();
    cluster.url(&name)
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

struct Cluster {
    port: u16,
    /// Its standard input stays open as long as this process lives; see [`SCRIPT`].
    _shell: Child,
}

/// Stops the server and removes its files when standard input ends, which it does however the test process ends.
const SCRIPT: &str = r#"
set -e
"$BIN/initdb" -D "$DIR/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$DIR/log" 2>&1
"$BIN/postgres" -D "$DIR/data" -p "$PORT" -k "$DIR" -c listen_addresses=127.0.0.1 -c max_connections=300 \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off >>"$DIR/log" 2>&1 &
until "$BIN/pg_isready" -q -h 127.0.0.1 -p "$PORT"; do kill -0 $! || exit 1; sleep 0.05; done
echo ready
read -r _ || true
kill -QUIT $! && wait $! || true
rm -rf "$DIR"
"#;

impl Cluster {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("refward-postgres-").tempdir().unwrap().keep();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut shell = shell(&dir)
            .args(["-c", SCRIPT])
            .env("BIN", programs())
            .env("DIR", &dir)
            .env("PORT", port.to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        if shell.stdout.as_mut().unwrap().read_exact(&mut ready).is_err() {
            let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            panic!("PostgreSQL does not start:\n{log}");
        }
        Self { port, _shell: shell }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// PostgreSQL refuses to run as root; then it runs as the user that its package made.
fn shell(dir: &std::path::Path) -> Command {
    use std::os::unix::fs::MetadataExt;

    if std::fs::metadata(dir).unwrap().uid() != 0 {
        return Command::new("sh");
    }
    let given = Command::new("chown").args(["postgres:postgres"]).arg(dir).status().unwrap();
    assert!(given.success(), "there is no user `postgres`: run scripts/test-setup.sh");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
    command
}

fn programs() -> PathBuf {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let complete =
        |folder: &PathBuf| ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).is_file());
    folders.into_iter().find(complete).expect("PostgreSQL is not installed: run scripts/test-setup.sh")
}
