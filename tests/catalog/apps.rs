//! Apps, their secrets, and where they are installed.

use chrono::{SubsecRound, Utc};
use refward::catalog::{
    AppFacts, AppSecret, InstallationState, NewCredential, Source, StoredInstallation, StoredRequest,
};
use refward::domain::{AppId, Kind};

use crate::world::World;

on_both_databases! {
    an_app_is_kept_once_with_its_secrets,
    forgetting_an_app_forgets_all_of_it,
    an_installation_speaks_for_its_connection_while_it_is_active,
    requests_are_told_once,
}

fn facts(forge_id: &str, number: i32) -> AppFacts {
    AppFacts {
        forge: "github".into(),
        url: "https://github.com/".into(),
        owner: "acme".into(),
        role: "backup".into(),
        number,
        forge_id: forge_id.into(),
        client_id: format!("Iv{forge_id}"),
        slug: format!("refward-{forge_id}"),
        name: format!("Refward {forge_id}"),
        permissions: [("contents".to_owned(), "read".to_owned())].into(),
        events: vec!["push".into()],
    }
}

async fn app(world: &World, forge_id: &str, number: i32) -> AppId {
    let secrets = vec![(AppSecret::Key, b"key".to_vec()), (AppSecret::Webhook, b"one".to_vec())];
    world.catalog.add_app(facts(forge_id, number), secrets).await.unwrap()
}

fn installation(world: &World, app: AppId, state: InstallationState) -> StoredInstallation {
    StoredInstallation {
        app,
        forge_id: "7".into(),
        account: "acme".into(),
        account_id: Some("1".into()),
        connection: Some(world.acme.id),
        state,
        selection: "all".into(),
        permissions: [("contents".to_owned(), "read".to_owned())].into(),
        requested_by: None,
        refused: None,
        seen_at: Utc::now().trunc_subsecs(3),
    }
}

async fn an_app_is_kept_once_with_its_secrets(world: World) {
    let catalog = &world.catalog;
    let second = app(&world, "12", 2).await;
    let first = app(&world, "11", 1).await;
    let again = catalog.add_app(facts("11", 3), vec![]).await.unwrap_err();
    assert_eq!(again.kind(), Kind::BadRequest, "{}", again.for_log());
    let all = catalog.apps().await.unwrap();
    assert_eq!(all.iter().map(|app| app.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(all[0].facts, facts("11", 1));

    catalog.put_app_secret(first, AppSecret::Webhook, b"two".to_vec()).await.unwrap();
    let secrets = async || catalog.app_secrets(AppSecret::Webhook, Some(first)).await.unwrap();
    assert_eq!(secrets().await, [(first, b"two".to_vec()), (first, b"one".to_vec())]);
    assert_eq!(catalog.retire_app_secrets(first, AppSecret::Webhook).await.unwrap(), 1);
    assert_eq!(secrets().await, [(first, b"two".to_vec())]);
    assert_eq!(catalog.app_secrets(AppSecret::Webhook, None).await.unwrap().len(), 2);
}

async fn forgetting_an_app_forgets_all_of_it(world: World) {
    let catalog = &world.catalog;
    let app = app(&world, "11", 1).await;
    catalog.put_installation(&installation(&world, app, InstallationState::Active)).await.unwrap();
    let source = Source::Installation { app, id: "7".into() };
    let credential = NewCredential { label: "app".into(), source, main: false, enabled: true };
    catalog.add_credential(world.acme.id, credential).await.unwrap();
    catalog.remove_app(app).await.unwrap();
    assert_eq!(catalog.app(app).await.unwrap(), None);
    assert_eq!(catalog.installations(None).await.unwrap(), []);
    assert_eq!(catalog.app_secrets(AppSecret::Key, None).await.unwrap(), []);
    let left = catalog.credentials(None).await.unwrap();
    assert_eq!(left.iter().map(|credential| credential.label.as_str()).collect::<Vec<_>>(), ["token"]);
}

async fn an_installation_speaks_for_its_connection_while_it_is_active(world: World) {
    let catalog = &world.catalog;
    let app = app(&world, "11", 1).await;
    let mut kept = installation(&world, app, InstallationState::Active);
    catalog.put_installation(&kept).await.unwrap();
    assert_eq!(catalog.bindings().await.unwrap(), [((app, "7".to_owned()), world.acme.id)].into());
    kept.state = InstallationState::Suspended;
    catalog.put_installation(&kept).await.unwrap();
    assert_eq!(catalog.installations(Some(app)).await.unwrap(), [kept]);
    assert!(catalog.bindings().await.unwrap().is_empty());

    let source = Source::Installation { app, id: "7".into() };
    let credential = NewCredential { label: "app".into(), source, main: false, enabled: true };
    catalog.add_credential(world.acme.id, credential).await.unwrap();
    assert_eq!(catalog.remove_installed(app, "7").await.unwrap(), Some(world.acme.id));
    assert_eq!(catalog.remove_installed(app, "7").await.unwrap(), None);
}

async fn requests_are_told_once(world: World) {
    let app = app(&world, "11", 1).await;
    let request = |account: &str| StoredRequest {
        app,
        account: account.into(),
        requester: "hubot".into(),
        requested_at: Utc::now().trunc_subsecs(3),
    };
    let (one, two) = (request("acme"), request("other"));
    let set = async |now: Vec<StoredRequest>| world.catalog.set_installation_requests(app, now).await.unwrap();
    assert_eq!(set(vec![one.clone()]).await, std::slice::from_ref(&one));
    assert_eq!(set(vec![one.clone(), two.clone()]).await, std::slice::from_ref(&two));
    assert_eq!(set(vec![two.clone()]).await, []);
    assert_eq!(world.catalog.installation_requests().await.unwrap(), [two]);
    assert_eq!(set(vec![]).await, []);
    assert_eq!(world.catalog.installation_requests().await.unwrap(), []);
}
