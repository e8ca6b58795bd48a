//! There are those hooks that there should be, as we make them, and nobody else's are touched.

use refward::catalog::{ConnectionSettings, job_kind};
use refward::domain::Kind;
use refward::ops::{disconnect, hooks, rotate};

use crate::house::{EVENTS, House};
use crate::support::fake_azure_devops::{FakeAzureDevops, ServiceHooks};
use crate::support::fake_github::Fault;

#[tokio::test]
async fn every_project_gets_a_hook_for_every_event_and_a_second_look_changes_nothing() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    azure.org("acme").project("Prój eñt");
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    let made = azure.subscriptions();
    assert_eq!(made.len(), 2 * EVENTS);
    assert!(made.iter().all(|hook| hook.status == "enabled" && hook.url.starts_with(&house.url)));
    let mut keys: Vec<&str> = made.iter().map(|hook| hook.url.rsplit('/').next().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), made.len(), "each has a key of its own");

    let calls = azure.seen().len();
    house.keeps().await;
    let after = azure.seen();
    let changing =
        after[calls..].iter().filter(|call| call.method != "GET" && !call.path.contains("notificationsquery"));
    assert_eq!(changing.count(), 0, "nothing was wrong, so nothing is changed");
}

#[tokio::test]
async fn a_new_secret_reaches_the_hooks_without_waiting_for_the_next_look() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    let guessable = rotate::add_webhook_secret(&house.services, "acme", &"another".into()).await.unwrap_err();
    assert_eq!(guessable.kind(), Kind::BadRequest, "{guessable}");
    rotate::add_webhook_secret(&house.services, "acme", &"another that nobody can guess".into()).await.unwrap();
    let jobs = house.services.catalog.jobs().await.unwrap();
    assert!(jobs.iter().any(|job| job.kind == job_kind::KEEP_HOOKS), "{jobs:?}");
}

#[tokio::test]
async fn a_server_is_asked_for_no_more_than_it_offers() {
    let azure = FakeAzureDevops::server("6.0").await;
    let api = azure.org("acme").project("Web").repo("api").await;
    azure.without_events(&["git.repo.forked", "git.repo.statuschanged", "workitem.restored"]);
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    assert_eq!(azure.subscriptions().len(), EVENTS - 3);
}

#[tokio::test]
async fn only_projects_of_which_something_is_wanted_get_hooks() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    azure.org("acme").project("Shop").repo("till").await;
    let wanted = ConnectionSettings { auto_add: true, include: vec!["Web/*".to_owned()], ..Default::default() };
    let house = House::with(&azure, &api, azure.full_pat("acme"), wanted).await;
    house.keeps().await;
    assert!(azure.subscriptions().iter().all(|hook| hook.project == api.project_id()));
}

#[tokio::test]
async fn what_was_altered_deleted_or_doubled_is_put_right() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    let id = async |event: &str| house.hook(event).await.forge_id.parse::<uuid::Uuid>().unwrap();
    azure.alter_hook(id("git.push").await, "resourceDetailsToSend", "all");
    azure.alter_hook(id("git.repo.created").await, "branch", "main");
    azure.alter_hook(id("git.repo.renamed").await, "url", "https://elsewhere.example/");
    azure.alter_hook(id("workitem.created").await, "httpHeaders", "x-refward-hook:00");
    azure.delete_hook(id("build.complete").await);
    house.keeps().await;

    let (now, stored) = (azure.subscriptions(), house.hooks().await);
    assert_eq!(now.len(), EVENTS);
    assert!(now.iter().all(|hook| hook.url.starts_with(&house.url)));
    let mut wrong: Vec<(String, String)> =
        stored.into_iter().filter_map(|hook| Some((hook.event, hook.trouble?.0))).collect();
    wrong.sort();
    let wrong: Vec<String> = wrong.into_iter().map(|(event, what)| format!("{event}: {what}")).collect();
    insta::assert_snapshot!(wrong.join("\n"), @r"
    build.complete: missing
    git.push: altered
    git.repo.created: altered
    git.repo.renamed: altered
    workitem.created: altered
    ");
    house.keeps().await;
    assert!(house.hooks().await.iter().all(|hook| hook.trouble.is_none()), "a later look finds nothing wrong");
}

#[tokio::test]
async fn a_crash_between_making_a_hook_and_writing_it_down_leaves_one_hook() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    let push = house.hook("git.push").await;
    house.services.catalog.forget_hook(house.connection, &push.scope, &push.event).await.unwrap();
    house.keeps().await;
    assert_eq!(azure.subscriptions().len(), EVENTS);
    assert_eq!(house.hook("git.push").await.forge_id, push.forge_id, "it is found by its secret");
}

#[tokio::test]
async fn two_deployments_in_one_organization_leave_each_other_alone() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let (one, other) = (House::new(&azure, &api).await, House::new(&azure, &api).await);
    one.keeps().await;
    other.keeps().await;
    one.keeps().await;
    assert_eq!(azure.subscriptions().len(), 2 * EVENTS);
    let gone = disconnect::remove(&one.services, "acme").await.unwrap();
    assert_eq!(gone.unhooked, EVENTS);
    let left = azure.subscriptions();
    assert_eq!(left.len(), EVENTS);
    assert!(left.iter().all(|hook| hook.url.starts_with(&other.url)));
}

#[tokio::test]
async fn hooks_go_with_their_connection_even_if_there_is_no_address_any_more() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    let services = house.without_address().await;
    let gone = disconnect::remove(&services, "acme").await.unwrap();
    assert_eq!((gone.unhooked, azure.subscriptions().len()), (EVENTS, 0));
}

#[tokio::test]
async fn a_connection_goes_even_if_its_hooks_cannot() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    azure.stopped(true);
    let gone = disconnect::remove(&house.services, "acme").await.unwrap();
    assert_eq!(gone.unhooked, 0);
    assert!(gone.by_hand[0].what.starts_with("delete the hooks that lead here"), "{:?}", gone.by_hand);
    assert!(house.services.catalog.connections().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_right_that_is_missing_is_named_and_alarmed() {
    let azure = FakeAzureDevops::start().await;
    let org = azure.org("acme");
    let api = org.project("Web").repo("api").await;
    let person = org.person("refward");
    person.may(&org, &["GenericRead"]);
    person.may(&ServiceHooks(None), &["ViewSubscriptions"]);
    let pat = azure.pat("refward", "acme", &["vso.code", "vso.project"]);
    let house = House::with(&azure, &api, pat, ConnectionSettings::default()).await;
    let refused = refward::jobs::keep_hooks(&house.services, house.connection).await.unwrap_err();
    assert!(refused.to_string().contains("setting up git.push in the project Web"), "{refused}");
    let what_to_do = refused.next_step().unwrap();
    assert!(what_to_do.contains("View, Edit and Delete Subscriptions"), "{what_to_do}");
    let alarms = house.alarms().await.join("\n");
    assert!(alarms.contains("hooks.failing: The hooks of acme cannot be set up or looked after since"), "{alarms}");
    person.may(&ServiceHooks(None), &["EditSubscriptions", "DeleteSubscriptions"]);
    house.keeps().await;
    assert_eq!(house.alarms().await, Vec::<String>::new());
}

#[tokio::test]
async fn whoever_is_offered_nothing_any_more_takes_no_hook_away() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    let events: Vec<String> = house.hooks().await.into_iter().map(|hook| hook.event).collect();
    azure.without_events(&events.iter().map(String::as_str).collect::<Vec<_>>());
    let refused = refward::jobs::keep_hooks(&house.services, house.connection).await.unwrap_err();
    assert!(refused.to_string().contains("is shown nothing that could have hooks"), "{refused}");
    assert_eq!((azure.subscriptions().len(), house.hooks().await.len()), (EVENTS, EVENTS));
}

#[tokio::test]
async fn to_be_asked_to_wait_is_no_alarm() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let house = House::new(&azure, &api).await;
    azure.fail(1, &Fault::json(429, "TF400733: The request has been canceled: Request was blocked."));
    let told = refward::jobs::keep_hooks(&house.services, house.connection).await.unwrap_err();
    assert!(told.kind().is_transient(), "{told}");
    assert_eq!(house.alarms().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_person_has_switched_off_stays_off_until_somebody_repairs_it() {
    let azure = FakeAzureDevops::start().await;
    let api = azure.org("acme").project("Web").repo("api").await;
    let house = House::new(&azure, &api).await;
    house.keeps().await;
    let push = house.hook("git.push").await.forge_id.parse().unwrap();
    azure.set_status(push, "disabledByUser");
    house.keeps().await;
    let status =
        |azure: &FakeAzureDevops| azure.subscriptions().into_iter().find(|hook| hook.id == push).unwrap().status;
    assert_eq!(status(&azure), "disabledByUser");
    insta::assert_snapshot!(house.alarms().await.join("\n"), @"hooks.disabled: Hooks of acme were switched off: git.push in Web since by a person.");

    let repaired = hooks::repair(&house.services, "acme").await.unwrap();
    assert_eq!((repaired.switched_on, repaired.now.enabled), (1, EVENTS));
    assert_eq!(status(&azure), "enabled");
}
