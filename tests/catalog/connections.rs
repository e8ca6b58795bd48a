//! Connections and secrets.

use std::time::Duration;

use chrono::Utc;
use refward::catalog::{ConnectionSettings, NewConnection, NewCredential, Source, Survey};
use refward::domain::Kind;
use serde_json::json;

use crate::world::{World, connect, list, snapshot};

on_both_databases! {
    a_connection_is_unique_by_name_and_by_owner,
    removing_a_connection_forgets_its_secrets_and_nothing_else,
    secrets_are_rotated_by_adding,
    a_connection_keeps_what_was_found_out,
    what_a_connection_holds_is_counted,
    a_new_token_is_held_since_now,
}

fn token(sealed: &str) -> NewCredential {
    NewCredential { label: "token".into(), source: Source::Token(sealed.into()), main: true, enabled: true }
}

async fn a_connection_is_unique_by_name_and_by_owner(world: World) {
    let again = |name: &str, owner: &str| NewConnection {
        forge: "github".into(),
        name: name.into(),
        url: "https://github.com/".into(),
        owner: owner.into(),
        settings: ConnectionSettings { auto_add: false, ..Default::default() },
        credential: token("of another"),
        webhook_secret: None,
    };
    for (name, owner) in [("ACME", "other"), ("other", "Acme")] {
        let error = world.catalog.add_connection(again(name, owner)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BadRequest, "{}", error.for_log());
    }
    let found = world.catalog.connection("AcMe").await.unwrap().unwrap();
    assert_eq!(found, world.acme);
    assert_eq!(world.catalog.connection("other").await.unwrap(), None);
}

async fn removing_a_connection_forgets_its_secrets_and_nothing_else(world: World) {
    let catalog = &world.catalog;
    catalog.remove_connection(world.acme.id).await.unwrap();
    assert_eq!(catalog.credentials(None).await.unwrap(), []);
    assert_eq!(catalog.webhook_secrets(Some(world.acme.id)).await.unwrap(), []);
    assert_eq!(catalog.connections().await.unwrap(), []);
    assert_eq!(catalog.connection_by_id(world.acme.id).await.unwrap(), None);
    let rocket = catalog.repository(&world.rocket).await.unwrap();
    assert_eq!(rocket.connection, "acme");
    assert_eq!(catalog.status().await.unwrap()[0].connection, None);
    assert_eq!(catalog.repositories_due(Utc::now(), Utc::now(), 10).await.unwrap(), []);

    let again = connect(catalog, "acme", "https://github.com/").await;
    assert_ne!(again.id, world.acme.id);
}

async fn secrets_are_rotated_by_adding(world: World) {
    let (catalog, id) = (&world.catalog, world.acme.id);
    catalog.put_webhook_secret(id, b"newer".to_vec()).await.unwrap();
    let secrets = catalog.webhook_secrets(None).await.unwrap();
    assert_eq!(secrets, [(id, b"newer".to_vec()), (id, b"sealed secret".to_vec())]);
    assert_eq!(catalog.retire_webhook_secrets(id).await.unwrap(), 1);
    assert_eq!(catalog.webhook_secrets(Some(id)).await.unwrap(), [(id, b"newer".to_vec())]);
}

async fn a_connection_keeps_what_was_found_out(world: World) {
    let (catalog, id) = (&world.catalog, world.acme.id);
    assert_eq!(catalog.connections_due(Utc::now()).await.unwrap(), [id]);
    catalog.set_inspection(id, &json!({ "login": "mona" })).await.unwrap();
    catalog.record_survey_failure(id, "the token is wrong").await.unwrap();
    let seen = catalog.connection_by_id(id).await.unwrap().unwrap();
    assert_eq!(seen.inspection, Some(json!({ "login": "mona" })));
    assert_eq!((seen.last_error.as_deref(), seen.discovered_at), (Some("the token is wrong"), None));

    let before = Utc::now();
    let survey = Survey {
        next_at: before + chrono::TimeDelta::hours(1),
        interval: Duration::from_hours(1),
        requests: 3,
        took: Duration::from_millis(250),
    };
    catalog.record_survey(id, &survey).await.unwrap();
    let seen = catalog.connection_by_id(id).await.unwrap().unwrap();
    assert_eq!(seen.last_error, None);
    assert!(seen.discovered_at.is_some());
    assert_eq!(seen.survey.map(|survey| survey.requests), Some(3));
    assert_eq!(catalog.connections_due(before - chrono::TimeDelta::hours(1)).await.unwrap(), []);
}

async fn what_a_connection_holds_is_counted(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    assert_eq!(catalog.holdings(acme.id).await.unwrap(), (0, 0));
    let beta = connect(catalog, "beta", "https://github.com/").await;
    let other = list(catalog, &beta, "2", "beta/other").await;
    for commit in [snapshot(rocket, 1, vec![], 0), snapshot(rocket, 2, vec![], 0), snapshot(&other, 1, vec![], 0)] {
        catalog.commit(commit).await.unwrap();
    }
    assert_eq!(catalog.holdings(acme.id).await.unwrap(), (2, 501 + 502));
    assert_eq!(catalog.holdings(beta.id).await.unwrap(), (1, 501));

    let before = acme.created_at;
    catalog.put_webhook_secret(acme.id, b"newer".to_vec()).await.unwrap();
    let since = catalog.webhook_secrets_since(acme.id).await.unwrap();
    assert!(since.len() == 2 && since[0] >= since[1] && since[1] >= before, "{since:?}");
    assert_eq!(catalog.last_delivery(acme.id).await.unwrap(), None);
}

async fn a_new_token_is_held_since_now(world: World) {
    let World { catalog, acme, .. } = &world;
    let before = catalog.credentials(Some(acme.id)).await.unwrap().remove(0);
    tokio::time::sleep(Duration::from_millis(2)).await;
    catalog.replace_token(before.id, b"another".to_vec()).await.unwrap();
    let after = catalog.credentials(Some(acme.id)).await.unwrap().remove(0);
    assert!(after.created_at > before.created_at, "{after:?}");
}
