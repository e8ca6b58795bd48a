//! Policies and every change of one, holds, labels, and what is leaving.

use chrono::{TimeDelta, Utc};
use refward::catalog::{AppliedPolicy, ChangeState, HoldKind, PolicyEdit};
use refward::domain::policy::{Policy, Retention};
use refward::domain::{By, Kind};

use crate::world::{World, change, list, minute, seq, snapshot};

on_both_databases! {
    policies_stand_in_their_order_and_every_change_is_remembered,
    a_change_that_waits_acts_once_or_never,
    one_change_of_a_policy_waits_at_a_time,
    a_change_is_made_of_what_the_policy_says,
    what_a_policy_says_is_kept_with_its_repositories,
    a_schedule_moves_on_once,
    while_a_hold_stands_nothing_is_marked,
    what_is_leaving_and_labels_are_told,
    facts_are_replaced_and_removed,
}

fn policy(name: &str, last: u32) -> Policy {
    Policy { retention: Retention { last, ..Retention::default() }, ..Policy::new(name) }
}

fn create(name: &str) -> PolicyEdit {
    PolicyEdit::Create(Box::new(policy(name, 1)))
}

fn set(name: &str, before: u32, after: u32) -> PolicyEdit {
    PolicyEdit::Set { before: Box::new(policy(name, before)), after: Box::new(policy(name, after)) }
}

async fn names(world: &World) -> Vec<String> {
    world.catalog.policies().await.unwrap().into_iter().map(|policy| policy.name).collect()
}

async fn policies_stand_in_their_order_and_every_change_is_remembered(world: World) {
    let catalog = &world.catalog;
    assert_eq!(catalog.policies().await.unwrap(), []);
    for name in ["b", "a", "c"] {
        catalog.change_policies(&create(name), &By::cli("mona"), None, &[], &[]).await.unwrap();
    }
    assert_eq!(names(&world).await, ["b", "a", "c"]);
    let twice = catalog.change_policies(&create("A"), &By::cli("mona"), None, &[], &[]).await.unwrap_err();
    assert_eq!(twice.kind(), Kind::BadRequest);

    let before = names(&world).await;
    let order = PolicyEdit::Order { before: before.clone(), after: vec!["c".into(), "B".into()] };
    catalog.change_policies(&order, &By::cli("mona"), None, &[], &[]).await.unwrap();
    assert_eq!(names(&world).await, ["c", "b", "a"]);
    catalog.change_policies(&set("a", 1, 5), &By::cli("lisa"), None, &[], &[]).await.unwrap();
    catalog
        .change_policies(&PolicyEdit::Delete(Box::new(policy("b", 1))), &By::cli("mona"), None, &[], &[])
        .await
        .unwrap();
    assert_eq!(catalog.policies().await.unwrap(), [policy("c", 1), policy("a", 5)]);

    let all = catalog.policy_changes(None).await.unwrap();
    let told: Vec<_> = all.iter().rev().map(|change| (change.edit.kind(), change.edit.policy())).collect();
    assert_eq!(
        told,
        [("create", "b"), ("create", "a"), ("create", "c"), ("order", "*"), ("set", "a"), ("delete", "b")],
        "what was refused is not there"
    );
    let of_a = catalog.policy_changes(Some("A")).await.unwrap();
    assert_eq!((of_a.len(), of_a[0].actor.as_str(), of_a[0].state), (2, "cli:lisa", ChangeState::Applied));
    assert_eq!(of_a[0].edit, set("a", 1, 5));
}

async fn a_change_that_waits_acts_once_or_never(world: World) {
    let catalog = &world.catalog;
    catalog.change_policies(&create("a"), &By::cli("mona"), None, &[], &[]).await.unwrap();
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let less = ["the last 1 are kept instead of the last 5".to_owned()];
    let id = catalog.change_policies(&set("a", 1, 5), &By::cli("mona"), Some(tomorrow), &[], &less).await.unwrap();
    assert_eq!(catalog.policies().await.unwrap(), [policy("a", 1)]);
    let waiting = catalog.waiting_changes().await.unwrap();
    assert_eq!((waiting.len(), waiting[0].id, waiting[0].weakens.as_slice()), (1, id, less.as_slice()));

    assert!(catalog.decide_change(id, &By::cli("lisa"), false).await.unwrap());
    let approved = catalog.waiting_changes().await.unwrap().remove(0);
    assert_eq!(approved.decided_by.as_deref(), Some("cli:lisa"));
    assert!(catalog.apply_change(&approved).await.unwrap());
    assert!(!catalog.apply_change(&approved).await.unwrap(), "another process has let it act");
    assert!(!catalog.decide_change(id, &By::cli("lisa"), true).await.unwrap(), "it is too late to take it back");
    assert_eq!(catalog.policies().await.unwrap(), [policy("a", 5)]);

    let id = catalog.change_policies(&set("a", 5, 1), &By::cli("mona"), Some(tomorrow), &[], &less).await.unwrap();
    let waiting = catalog.waiting_changes().await.unwrap().remove(0);
    assert!(catalog.decide_change(id, &By::cli("lisa"), true).await.unwrap());
    assert!(!catalog.apply_change(&waiting).await.unwrap());
    assert_eq!(catalog.policies().await.unwrap(), [policy("a", 5)]);
    let past = catalog.policy_changes(None).await.unwrap().remove(0);
    assert_eq!((past.state, past.decided_by.as_deref()), (ChangeState::Revoked, Some("cli:lisa")));
}

async fn one_change_of_a_policy_waits_at_a_time(world: World) {
    let catalog = &world.catalog;
    catalog.change_policies(&create("a"), &By::cli("mona"), None, &[], &[]).await.unwrap();
    catalog.change_policies(&set("a", 1, 5), &By::cli("mona"), Some(Utc::now()), &[], &[]).await.unwrap();
    let second = catalog.change_policies(&set("a", 1, 7), &By::cli("lisa"), None, &[], &[]).await.unwrap_err();
    assert!(second.next_step().unwrap().contains("refward policy revoke"), "{second}");
    catalog.change_policies(&create("b"), &By::cli("lisa"), None, &[], &[]).await.unwrap();
}

async fn a_change_is_made_of_what_the_policy_says(world: World) {
    let catalog = &world.catalog;
    catalog.change_policies(&create("a"), &By::cli("mona"), None, &[], &[]).await.unwrap();
    for stale in [set("a", 3, 5), set("b", 1, 5), PolicyEdit::Delete(Box::new(policy("a", 3)))] {
        let error = catalog.change_policies(&stale, &By::cli("mona"), None, &[], &[]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BadRequest, "{error}");
    }
    assert_eq!(catalog.policies().await.unwrap(), [policy("a", 1)]);

    // The built-in default becomes a row with its first change.
    let built_in = Policy::built_in();
    let after = Policy { retention: Retention { last: 9, ..Retention::default() }, ..built_in.clone() };
    let edit = PolicyEdit::Set { before: Box::new(built_in), after: Box::new(after.clone()) };
    catalog.change_policies(&edit, &By::cli("mona"), None, &[], &[]).await.unwrap();
    assert_eq!(catalog.policies().await.unwrap(), [policy("a", 1), after]);
    assert!(
        catalog.change_policies(&edit, &By::cli("mona"), None, &[], &[]).await.is_err(),
        "it is not the built-in one any more"
    );
}

async fn what_a_policy_says_is_kept_with_its_repositories(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let other = list(catalog, acme, "2", "acme/other").await;
    let before = catalog.applied_policies().await.unwrap();
    assert_eq!((before.len(), &before[rocket].policy, before[rocket].on_push), (2, &None, true));
    let nightly = AppliedPolicy {
        policy: Some("nightly".into()),
        on_push: false,
        coalesce_ms: 30_000,
        pool: Some("dmz".into()),
        next_run_at: Some(minute(7)),
    };
    catalog.put_applied_policies(&[(rocket.clone(), nightly.clone())]).await.unwrap();
    let after = catalog.applied_policies().await.unwrap();
    assert_eq!((&after[rocket], &after[&other]), (&nightly, &before[&other]));
}

async fn a_schedule_moves_on_once(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let other = list(catalog, acme, "2", "acme/other").await;
    let at = |next_run_at| AppliedPolicy { policy: None, on_push: true, coalesce_ms: 0, pool: None, next_run_at };
    let runs = [(rocket.clone(), at(Some(minute(7)))), (other.clone(), at(Some(minute(9))))];
    catalog.put_applied_policies(&runs).await.unwrap();
    assert_eq!(catalog.scheduled_runs(minute(6), 10).await.unwrap(), []);
    assert_eq!(catalog.scheduled_runs(minute(8), 10).await.unwrap(), [(rocket.clone(), minute(7))]);
    assert_eq!(catalog.scheduled_runs(minute(9), 10).await.unwrap().len(), 2);

    catalog.put_next_run(rocket, minute(7), Some(minute(20))).await.unwrap();
    catalog.put_next_run(rocket, minute(7), Some(minute(30))).await.unwrap();
    assert_eq!(catalog.applied_policies().await.unwrap()[rocket].next_run_at, Some(minute(20)));
    catalog.select(&other, false).await.unwrap();
    assert_eq!(catalog.scheduled_runs(minute(60), 10).await.unwrap(), [(rocket.clone(), minute(20))]);
}

async fn three_snapshots(world: &World) {
    for number in 1..=3 {
        let old = (number > 1).then_some(number - 1);
        let commit = snapshot(&world.rocket, number, vec![change("main", old, Some(number))], 1);
        world.catalog.commit(commit).await.unwrap();
    }
}

async fn while_a_hold_stands_nothing_is_marked(world: World) {
    let World { catalog, rocket, .. } = &world;
    three_snapshots(&world).await;
    catalog.place_hold(rocket, HoldKind::Legal, "a lawsuit", &By::cli("mona")).await.unwrap();
    catalog.place_hold(rocket, HoldKind::Alarm, "main was rewritten", &By::refward()).await.unwrap();
    assert_eq!(catalog.mark_leaving(rocket, &[seq(1), seq(2)], minute(9)).await.unwrap(), 0);
    let holds = catalog.holds(Some(rocket)).await.unwrap();
    assert_eq!((holds.len(), holds[0].kind, holds[1].kind), (2, HoldKind::Legal, HoldKind::Alarm));
    assert!(catalog.held().await.unwrap().contains(rocket));

    assert_eq!(catalog.lift_holds(rocket, &By::cli("lisa")).await.unwrap(), 2);
    assert_eq!(catalog.lift_holds(rocket, &By::cli("lisa")).await.unwrap(), 0);
    assert_eq!(catalog.holds(None).await.unwrap(), []);
    assert_eq!(catalog.mark_leaving(rocket, &[seq(1), seq(2)], minute(9)).await.unwrap(), 2);
}

async fn what_is_leaving_and_labels_are_told(world: World) {
    let World { catalog, rocket, .. } = &world;
    three_snapshots(&world).await;
    assert_eq!(catalog.repositories_to_judge().await.unwrap(), std::slice::from_ref(rocket));
    assert_eq!(catalog.mark_leaving(rocket, &[seq(1)], minute(9)).await.unwrap(), 1);
    assert_eq!(catalog.mark_leaving(rocket, &[seq(1), seq(2)], minute(10)).await.unwrap(), 1);
    catalog.put_labels(rocket, seq(3), &["release".to_owned(), "1.0".to_owned()]).await.unwrap();
    let told = |snapshots: Vec<refward::domain::Snapshot>| {
        snapshots.into_iter().map(|one| (one.leaving_at, one.labels)).collect::<Vec<_>>()
    };
    let labels = vec!["release".to_owned(), "1.0".to_owned()];
    assert_eq!(
        told(catalog.snapshots(rocket).await.unwrap()),
        [(Some(minute(9)), vec![]), (Some(minute(10)), vec![]), (None, labels)],
        "since when it is leaving does not change"
    );
    assert_eq!(catalog.unmark_leaving(rocket, &[seq(1), seq(3)]).await.unwrap(), 1);
    catalog.put_labels(rocket, seq(3), &[]).await.unwrap();
    assert_eq!(
        told(catalog.snapshots(rocket).await.unwrap()),
        [(None, vec![]), (Some(minute(10)), vec![]), (None, vec![])]
    );
    let missing = catalog.put_labels(rocket, seq(4), &["x".to_owned()]).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
}

async fn facts_are_replaced_and_removed(world: World) {
    let catalog = &world.catalog;
    assert_eq!(catalog.fact::<u32>("answer").await.unwrap(), None);
    catalog.put_fact("answer", &41).await.unwrap();
    catalog.put_fact("answer", &42).await.unwrap();
    assert_eq!(catalog.fact::<u32>("answer").await.unwrap(), Some(42));
    catalog.remove_fact("answer").await.unwrap();
    assert_eq!(catalog.fact::<u32>("answer").await.unwrap(), None);
}
