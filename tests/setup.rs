//! Registering and installing Apps, in a browser and by hand, from the first link to a snapshot.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

#[path = "setup/browser.rs"]
mod browser;
#[path = "setup/by_hand.rs"]
mod by_hand;
#[path = "setup/conditions.rs"]
mod conditions;
#[path = "setup/guarded.rs"]
mod guarded;
#[path = "setup/in_a_browser.rs"]
mod in_a_browser;
#[path = "setup/manifests.rs"]
mod manifests;
#[path = "setup/rotation.rs"]
mod rotation;
#[path = "setup/signing_in.rs"]
mod signing_in;

use refward::catalog::Catalog;
use refward::config;
use support::world::{Ran, World};

/// What a person sees, with what differs from run to run taken out.
fn seen(world: &World, ran: &Ran) -> String {
    let port = world.github.url().port().unwrap();
    format!("{}{}=> {}", ran.stdout, ran.stderr, ran.code)
        .replace(&world.path(""), "[DIR]/")
        .replace(&format!(":{port}"), ":PORT")
}

async fn catalog(world: &World) -> Catalog {
    let url = format!("sqlite://{}", world.folder().join("refward.db").display());
    Catalog::connect(&config::Database { url, max_connections: 2 }).await.unwrap()
}

/// Every credential: what it is called, whether it is the main one, whether it is switched on.
async fn credentials(world: &World) -> Vec<(String, bool, bool)> {
    let known = catalog(world).await.credentials(None).await.unwrap();
    known.into_iter().map(|known| (known.label, known.main, known.enabled)).collect()
}

/// What people were told, oldest first.
async fn notices(world: &World) -> Vec<String> {
    let told = catalog(world).await.notices(100).await.unwrap();
    told.into_iter().rev().map(|notice| format!("{}: {}", notice.kind, notice.text)).collect()
}

/// From now on this table of the catalog takes no new rows.
fn refused_sql(world: &World, table: &str) {
    let make = format!("CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    let program = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])";
    let file = world.folder().join("refward.db");
    let ran = std::process::Command::new("python3").args(["-c", program]).arg(file).arg(make).status().unwrap();
    assert!(ran.success());
}
