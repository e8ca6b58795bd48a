//! Who may what, who is who, and the record of it all.

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use refward::catalog::{Catalog, Fault, IdentityLink, NewRecord, PolicyEdit, SetupKind, Verdict};
use refward::domain::policy::{Policy, Selection};
use refward::domain::{By, Holder, Kind, Person, Role};
use serde_json::{Value, json};

use crate::world::World;

on_both_databases! {
    nobody_may_anything_until_it_is_granted_and_what_is_revoked_is_gone_at_once,
    a_role_on_the_platform_counts_by_its_id_and_on_that_platform_only,
    what_is_granted_twice_is_granted_once,
    a_code_makes_one_admin_once,
    a_person_is_one_user_of_a_host_until_that_ends,
    two_people_who_are_one_user_are_one_person_even_after_they_unlink,
    each_row_of_the_record_follows_from_the_one_before,
    writers_who_write_at_once_leave_no_gap,
    a_row_that_was_changed_is_found,
    a_row_that_is_missing_is_found,
    rows_that_changed_places_are_found,
    a_change_of_policies_is_recorded_with_it_or_not_at_all,
    what_is_asked_twice_is_kept_once_and_forgotten_when_it_is_old,
}

fn mona() -> Person {
    "discord:1".parse().unwrap()
}

fn lisa() -> Person {
    "discord:2".parse().unwrap()
}

fn by(person: &Person) -> By {
    By { who: person.to_string(), whence: "discord:7/8".into() }
}

fn admin() -> By {
    By::cli("root")
}

fn user(person: &Person) -> Holder {
    Holder::User(person.clone())
}

fn link(person: &Person, host: &str, forge_user: &str) -> IdentityLink {
    let now = Utc::now();
    IdentityLink {
        person: person.clone(),
        forge: "github".into(),
        host: host.into(),
        forge_user: forge_user.into(),
        login: format!("login-{forge_user}"),
        created_at: now,
        expires_at: now + TimeDelta::days(90),
    }
}

fn record(action: &'static str) -> NewRecord {
    NewRecord::new(&by(&mona()), action, Verdict::Done).about("acme/rocket").detail(json!({ "why": "a test" }))
}

async fn roles(catalog: &Catalog, person: &Person, of: &[&str]) -> Vec<Role> {
    let of: Vec<String> = of.iter().map(|id| (*id).to_owned()).collect();
    let mut roles: Vec<Role> =
        catalog.grants_of(person, &of).await.unwrap().into_iter().map(|grant| grant.role).collect();
    roles.sort();
    roles
}

/// What the record says was done.
async fn actions(catalog: &Catalog) -> Vec<(String, Verdict, Option<String>)> {
    let rows = catalog.recorded(None, 100).await.unwrap().into_iter();
    rows.map(|row| (row.action, row.verdict, row.subject)).collect()
}

async fn fault(catalog: &Catalog) -> Option<Fault> {
    catalog.walk_record(|_| {}).await.unwrap()
}

/// Three rows, then something happens to them behind our back.
async fn three_rows_and(world: &World, sabotage: &[&str]) -> Fault {
    for action in ["restore.plan", "restore.confirm", "restore.run"] {
        world.catalog.record(record(action)).await.unwrap();
    }
    assert_eq!(fault(&world.catalog).await, None, "nothing has happened yet");
    world.sabotage(sabotage).await;
    fault(&world.catalog).await.expect("a fault")
}

async fn nobody_may_anything_until_it_is_granted_and_what_is_revoked_is_gone_at_once(world: World) {
    let catalog = &world.catalog;
    assert_eq!(roles(catalog, &mona(), &["11"]).await, []);

    let scope = Selection { connections: vec!["acme".into()], ..Selection::default() };
    let viewer = catalog.put_grant(&user(&mona()), Role::Viewer, None, &admin()).await.unwrap();
    let restorer = catalog.put_grant(&user(&mona()), Role::Restorer, Some(&scope), &admin()).await.unwrap();
    assert_eq!(catalog.grants().await.unwrap(), [viewer.clone(), restorer.clone()]);
    assert_eq!((restorer.scope, restorer.created_by.as_str()), (Some(scope), "cli:root"));
    assert_eq!(roles(catalog, &mona(), &[]).await, [Role::Viewer, Role::Restorer]);
    assert_eq!(roles(catalog, &lisa(), &[]).await, [], "to nobody else");

    catalog.revoke_grant(restorer.id, &admin()).await.unwrap();
    assert_eq!(roles(&world.another_process().await, &mona(), &[]).await, [Role::Viewer]);
    let twice = catalog.revoke_grant(restorer.id, &admin()).await.unwrap_err();
    assert_eq!(twice.kind(), Kind::NotFound);

    let told: Vec<_> = actions(catalog).await.into_iter().map(|(action, _, subject)| (action, subject)).collect();
    let grant = |id: i64| Some(format!("grant {id}"));
    let expected = [("grant.add", viewer.id), ("grant.add", restorer.id), ("grant.revoke", restorer.id)];
    assert_eq!(told, expected.map(|(action, id)| (action.to_owned(), grant(id))));
}

async fn a_role_on_the_platform_counts_by_its_id_and_on_that_platform_only(world: World) {
    let catalog = &world.catalog;
    let ops = Holder::Role { platform: "discord".into(), id: "11".into() };
    catalog.put_grant(&ops, Role::Operator, None, &admin()).await.unwrap();
    assert_eq!(roles(catalog, &mona(), &["10", "11"]).await, [Role::Operator]);
    assert_eq!(roles(catalog, &mona(), &["10"]).await, [], "without the role");
    assert_eq!(roles(catalog, &"slack:1".parse().unwrap(), &["11"]).await, [], "somebody else's role 11");
    assert_eq!(roles(catalog, &"discord:11".parse().unwrap(), &[]).await, [], "the person 11");
}

async fn what_is_granted_twice_is_granted_once(world: World) {
    let (catalog, holder, by) = (&world.catalog, user(&mona()), admin());
    let grants = join_all((0..8).map(|_| catalog.put_grant(&holder, Role::Admin, None, &by))).await;
    let ids: Vec<i64> = grants.into_iter().map(|grant| grant.unwrap().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    catalog.revoke_grant(ids[0], &admin()).await.unwrap();
    assert_eq!(roles(catalog, &mona(), &[]).await, [], "revoked once, it is gone");
}

async fn a_code_makes_one_admin_once(world: World) {
    let catalog = &world.catalog;
    let (code, hour) = ([7; 32], TimeDelta::hours(1));
    catalog.put_setup(SetupKind::Claim, &code, Value::Null, hour).await.unwrap();
    assert_eq!(catalog.claim_admin(&[8; 32], &mona(), &by(&mona())).await.unwrap(), None, "a wrong one");

    let (mona, lisa) = (mona(), lisa());
    let (by_mona, by_lisa) = (by(&mona), by(&lisa));
    let (first, second) =
        tokio::join!(catalog.claim_admin(&code, &mona, &by_mona), catalog.claim_admin(&code, &lisa, &by_lisa));
    let grants: Vec<_> = [first.unwrap(), second.unwrap()].into_iter().flatten().collect();
    assert_eq!(grants.len(), 1, "{grants:?}");
    assert_eq!((grants[0].role, &grants[0].scope), (Role::Admin, &None));
    assert_eq!(catalog.claim_admin(&code, &mona, &by_mona).await.unwrap(), None, "a used one");

    catalog.put_setup(SetupKind::Claim, &[9; 32], Value::Null, TimeDelta::seconds(-1)).await.unwrap();
    assert_eq!(catalog.claim_admin(&[9; 32], &mona, &by_mona).await.unwrap(), None, "one that is too old");
}

async fn a_person_is_one_user_of_a_host_until_that_ends(world: World) {
    let (catalog, by) = (&world.catalog, by(&mona()));
    assert_eq!(catalog.link_of(&mona(), "github.com").await.unwrap(), None);

    catalog.put_link(&link(&mona(), "github.com", "583231"), &by).await.unwrap();
    catalog.put_link(&link(&mona(), "ghes.acme.io", "3"), &by).await.unwrap();
    catalog.put_link(&link(&mona(), "github.com", "583232"), &by).await.unwrap();
    let is = catalog.link_of(&mona(), "GitHub.com").await.unwrap().expect("a link");
    assert_eq!((is.forge_user.as_str(), is.login.as_str()), ("583232", "login-583232"));
    assert_eq!(catalog.links_of(&mona()).await.unwrap().len(), 2, "one on each host");

    assert_eq!(catalog.end_links(&mona(), Some("github.com"), &by).await.unwrap(), 1);
    assert_eq!(catalog.link_of(&mona(), "github.com").await.unwrap(), None);
    assert_eq!(catalog.end_links(&mona(), None, &by).await.unwrap(), 1);
    assert_eq!(catalog.end_links(&mona(), None, &by).await.unwrap(), 0);

    let old = IdentityLink { expires_at: Utc::now() - TimeDelta::seconds(1), ..link(&mona(), "github.com", "583231") };
    catalog.put_link(&old, &by).await.unwrap();
    assert_eq!(catalog.link_of(&mona(), "github.com").await.unwrap(), None, "too long ago");
    assert_eq!(catalog.links().await.unwrap(), []);
    let told: Vec<String> = actions(catalog).await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(told, ["link", "link", "link", "unlink", "unlink", "link"]);
}

async fn two_people_who_are_one_user_are_one_person_even_after_they_unlink(world: World) {
    let catalog = &world.catalog;
    let same = async |one: &Person, other: &Person| catalog.same_person(one, other).await.unwrap();
    assert!(same(&mona(), &mona()).await);
    assert!(!same(&mona(), &lisa()).await, "strangers");
    assert!(catalog.same_person("cli:Mona", "cli:mona").await.unwrap());

    catalog.put_link(&link(&mona(), "github.com", "1"), &by(&mona())).await.unwrap();
    catalog.put_link(&link(&lisa(), "ghes.acme.io", "1"), &by(&lisa())).await.unwrap();
    assert!(!same(&mona(), &lisa()).await, "the same number on another host is somebody else");
    catalog.put_link(&link(&lisa(), "github.com", "1"), &by(&lisa())).await.unwrap();
    assert!(same(&mona(), &lisa()).await);
    assert!(same(&lisa(), &mona()).await);
    catalog.end_links(&lisa(), None, &by(&lisa())).await.unwrap();
    assert!(same(&mona(), &lisa()).await, "who they are does not change with that");
}

async fn each_row_of_the_record_follows_from_the_one_before(world: World) {
    let catalog = &world.catalog;
    assert_eq!((fault(catalog).await, catalog.last_recorded().await.unwrap()), (None, None));
    catalog.record(record("restore.plan").plan("c0ffee")).await.unwrap();
    catalog.record(record("restore.confirm")).await.unwrap();

    let rows = catalog.recorded(None, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2]);
    let first = &rows[0];
    assert_eq!((first.actor.as_str(), first.origin.as_str()), ("discord:1", "discord:7/8"));
    assert_eq!((first.plan.as_deref(), &first.detail), (Some("c0ffee"), &json!({ "why": "a test" })));
    assert_eq!(first.hash, refward::catalog::chained(&refward::catalog::BEGINNING, &first.entry));
    assert_eq!(rows[1].hash, refward::catalog::chained(&first.hash, &rows[1].entry));
    assert_eq!(catalog.last_recorded().await.unwrap(), Some((2, rows[1].hash)));
    assert_eq!(catalog.recorded_hash(1).await.unwrap(), Some(first.hash));
    assert_eq!(catalog.recorded(None, 1).await.unwrap(), rows[1..], "the newest");
    assert_eq!(catalog.recorded(Some(Utc::now() + TimeDelta::hours(1)), 10).await.unwrap(), []);
}

async fn writers_who_write_at_once_leave_no_gap(world: World) {
    // More than are read at a time.
    const EACH: usize = 130;
    let writers = join_all((0..8).map(|_| world.another_process())).await.into_iter().map(|catalog| {
        tokio::spawn(async move {
            for _ in 0..EACH {
                catalog.record(record("restore.plan")).await.unwrap();
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|writer| writer.unwrap());
    let mut seen = Vec::new();
    assert_eq!(world.catalog.walk_record(|row| seen.push(row.seq)).await.unwrap(), None);
    assert_eq!(seen, (1..=8 * i64::try_from(EACH).unwrap()).collect::<Vec<_>>());
}

async fn a_row_that_was_changed_is_found(world: World) {
    let change = "UPDATE audit SET entry = REPLACE(entry, 'discord:1', 'discord:2') WHERE seq = 2";
    let found = three_rows_and(&world, &[change]).await;
    let words = "is not what was written, or does not follow from the one before it";
    assert_eq!((found.seq, found.what), (2, words));
    world.sabotage(&["UPDATE audit SET entry = 'nothing' WHERE seq = 1"]).await;
    let found = fault(&world.catalog).await.unwrap();
    assert_eq!((found.seq, found.what), (1, "cannot be read"));
}

async fn a_row_that_is_missing_is_found(world: World) {
    let found = three_rows_and(&world, &["DELETE FROM audit WHERE seq = 2"]).await;
    assert_eq!((found.seq, found.what), (2, "is missing"));
    world.sabotage(&["UPDATE audit SET seq = 2 WHERE seq = 3"]).await;
    let found = fault(&world.catalog).await.unwrap();
    assert_eq!((found.seq, found.what), (2, "is one that was written under another number"), "the gap was closed");
}

async fn rows_that_changed_places_are_found(world: World) {
    let swap = [
        "UPDATE audit SET seq = -1 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = -1",
    ];
    let found = three_rows_and(&world, &swap).await;
    assert_eq!((found.seq, found.what), (2, "is one that was written under another number"));
}

async fn a_change_of_policies_is_recorded_with_it_or_not_at_all(world: World) {
    let catalog = &world.catalog;
    let create = PolicyEdit::Create(Box::new(Policy::new("gold")));
    let words = |text: &str| vec![text.to_owned()];
    let id =
        catalog.change_policies(&create, &by(&mona()), None, &words("retention.daily: 7 → 90"), &[]).await.unwrap();
    catalog.change_policies(&create, &by(&mona()), None, &[], &[]).await.unwrap_err();

    let delete = PolicyEdit::Delete(Box::new(Policy::new("gold")));
    let waits = Some(Utc::now());
    let second = catalog.change_policies(&delete, &by(&mona()), waits, &[], &words("it is deleted")).await.unwrap();
    assert!(catalog.decide_change(second, &by(&lisa()), false).await.unwrap());
    let waiting = catalog.waiting_changes().await.unwrap().remove(0);
    assert!(catalog.apply_change(&waiting).await.unwrap());
    assert!(!catalog.decide_change(second, &by(&lisa()), true).await.unwrap(), "too late");

    let gold = Some("policy gold".to_owned());
    let expected = [
        ("policy.create", Verdict::Done),
        ("policy.delete", Verdict::Asked),
        ("policy.approve", Verdict::Approved),
        ("policy.apply", Verdict::Done),
    ];
    assert_eq!(actions(catalog).await, expected.map(|(action, verdict)| (action.to_owned(), verdict, gold.clone())));
    let rows = catalog.recorded(None, 10).await.unwrap();
    assert_eq!(rows[0].detail, json!({ "change": id, "changes": ["retention.daily: 7 → 90"], "weakens": [] }));
    assert_eq!((rows[2].actor.as_str(), &rows[2].detail["asked_by"]), ("discord:2", &json!("discord:1")));
}

async fn what_is_asked_twice_is_kept_once_and_forgotten_when_it_is_old(world: World) {
    let catalog = &world.catalog;
    let ask = async || catalog.put_interaction("discord:1", json!({ "what": "status" }), Some(vec![1])).await.unwrap();
    let (one, other) = tokio::join!(ask(), ask());
    assert!(one != other, "of two replicas that are sent the same, one keeps it");
    assert_eq!(catalog.forget_interactions(Utc::now() - TimeDelta::hours(1)).await.unwrap(), 0);
    assert!(!ask().await, "a replay is taken for new");
    assert_eq!(catalog.forget_interactions(Utc::now() + TimeDelta::seconds(1)).await.unwrap(), 1);
    let gone = catalog.interaction("discord:1").await.unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
}
