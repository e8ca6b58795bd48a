//! Pools of credentials, and what is left of their limits.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use refward::catalog::{NewCredential, Source, StoredQuota};
use refward::domain::Kind;
use serde_json::json;

use crate::world::World;

on_both_databases! {
    a_credential_is_added_once_and_found_whatever_the_case,
    one_is_the_main_one_and_is_switched_on,
    tokens_of_one_user_are_recognised,
    an_older_observation_never_replaces_a_newer_one,
}

fn token(label: &str) -> NewCredential {
    let source = Source::Token(format!("sealed {label}").into_bytes());
    NewCredential { label: label.into(), source, main: false, enabled: false }
}

async fn a_credential_is_added_once_and_found_whatever_the_case(world: World) {
    let (catalog, acme) = (&world.catalog, world.acme.id);
    let spare = catalog.add_credential(acme, token("spare")).await.unwrap();
    for label in ["spare", "SPARE"] {
        let again = catalog.add_credential(acme, token(label)).await.unwrap_err();
        assert_eq!(again.kind(), Kind::BadRequest, "{}", again.for_log());
    }
    let found = catalog.credential(acme, "Spare").await.unwrap().unwrap();
    assert_eq!((found.id, found.enabled, found.main), (spare, false, false), "adding switches nothing on");
    catalog.remove_credential(spare).await.unwrap();
    assert_eq!(catalog.credential(acme, "spare").await.unwrap(), None);
}

async fn one_is_the_main_one_and_is_switched_on(world: World) {
    let (catalog, acme) = (&world.catalog, world.acme.id);
    let spare = catalog.add_credential(acme, token("spare")).await.unwrap();
    catalog.make_main(acme, spare).await.unwrap();
    let all = catalog.credentials(Some(acme)).await.unwrap();
    let told: Vec<_> = all.iter().map(|one| (one.label.as_str(), one.main, one.enabled)).collect();
    assert_eq!(told, [("spare", true, true), ("token", false, true)]);
    catalog.enable_credential(all[1].id, false).await.unwrap();
    assert!(!catalog.credential(acme, "token").await.unwrap().unwrap().enabled);
}

async fn tokens_of_one_user_are_recognised(world: World) {
    let (catalog, acme) = (&world.catalog, world.acme.id);
    let spare = catalog.add_credential(acme, token("spare")).await.unwrap();
    let who = async || catalog.credential(acme, "spare").await.unwrap().unwrap().who();
    assert_eq!(who().await, format!("token {spare}"), "nobody knows yet");
    catalog.set_credential_inspection(spare, &json!({ "login": "mona" })).await.unwrap();
    assert_eq!(who().await, "user mona");
}

async fn an_older_observation_never_replaces_a_newer_one(world: World) {
    let now = Utc::now().trunc_subsecs(3);
    let seen = |remaining: u64, observed_at: DateTime<Utc>| StoredQuota {
        host: "github.com".into(),
        who: "user mona".into(),
        resource: "rest".into(),
        limit: Some(5000),
        remaining: Some(remaining),
        reset_at: Some(now + TimeDelta::minutes(30)),
        paused_until: None,
        why: None,
        observed_at,
    };
    let (older, newer) = (seen(100, now - TimeDelta::seconds(5)), seen(90, now));
    world.catalog.put_quotas(std::slice::from_ref(&newer)).await.unwrap();
    world.another_process().await.put_quotas(std::slice::from_ref(&older)).await.unwrap();
    assert_eq!(world.catalog.quotas(None).await.unwrap(), std::slice::from_ref(&newer));
    assert_eq!(world.catalog.quotas(Some(now)).await.unwrap(), []);
}
