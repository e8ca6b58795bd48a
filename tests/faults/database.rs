//! The database is locked, or away.

use sea_orm::{ConnectOptions, ConnectionTrait, Database};

use crate::faults::stage::{SECRET, Stage};
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
    let _ = SECRET;
}
