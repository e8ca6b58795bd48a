//! Notices, their outbox, and alarms: written together or not at all.

use chrono::{TimeDelta, Utc};
use refward::catalog::{Catalog, ChatMessage, Commit, NewAlarm, NewNotice, Posted, RESOLVED, Subscriber};
use refward::domain::policy::{Policy, Threshold};
use refward::domain::{By, Kind, RepoId, Severity, Undo};

use crate::world::{World, change, list, minute, name, seq, snapshot};

on_both_databases!(
    a_notice_waits_for_whoever_wants_it,
    what_a_button_brings_back_is_kept_with_the_notice,
    a_policy_says_who_hears_of_its_repositories,
    the_channels_of_a_chat_go_by_its_name_in_policies,
    what_a_receiver_was_told_before_is_its_own_story,
    what_is_not_for_a_receiver_is_withdrawn_from_it_alone,
    whoever_did_not_hear_of_an_alarm_does_not_hear_of_its_end,
    a_message_of_ours_is_known_until_it_is_old,
    what_was_sent_together_is_tried_together,
    what_nobody_takes_is_given_up_and_what_waits_is_not_forgotten,
    an_alarm_is_told_once_and_once_more_when_it_is_over,
    what_tells_of_an_alarm_that_stands_is_not_forgotten,
    the_alarms_of_a_kind_become_what_is_so_now,
    holds_of_different_reasons_are_lifted_apart,
    a_snapshot_is_never_without_its_alarms,
    who_is_backed_up_through_a_connection_and_since_when,
    the_store_is_to_blame_for_errors_that_name_it,
);

/// Mail takes alarms alone, the webhook takes everything.
fn telling(catalog: Catalog) -> Catalog {
    let wants = |receiver: &str, severity| Subscriber { receiver: receiver.to_owned(), severity };
    catalog.telling(vec![wants("mail", Severity::Alarm), wants("webhook", Severity::Info)])
}

fn notice(text: &str, severity: Severity) -> NewNotice {
    NewNotice { kind: "test", severity, text: text.to_owned(), ..NewNotice::default() }
}

fn alarm(subject: &str, text: &str, hold: &[&RepoId]) -> NewAlarm {
    let notice = NewNotice { subject: Some(subject.to_owned()), ..notice(text, Severity::Alarm) };
    NewAlarm { notice, hold: hold.iter().map(|id| (*id).clone()).collect(), reason: text.to_owned() }
}

fn over(subject: &str) -> NewNotice {
    NewNotice { kind: RESOLVED, subject: Some(subject.to_owned()), ..notice("it is over", Severity::Info) }
}

async fn waiting(catalog: &Catalog, receiver: &str) -> Vec<String> {
    catalog.posted(receiver).await.unwrap().into_iter().map(|posted| posted.notice.text).collect()
}

async fn held(catalog: &Catalog) -> Vec<String> {
    catalog.holds(None).await.unwrap().into_iter().map(|hold| hold.reason).collect()
}

fn ids(posted: &[Posted]) -> Vec<i64> {
    posted.iter().map(|posted| posted.id).collect()
}

async fn what_a_button_brings_back_is_kept_with_the_notice(world: World) {
    let catalog = &world.catalog;
    let undo = Undo { refs: vec![name("main"), name("release/1")], at: seq(41) };
    let lost = NewNotice { undo: Some(undo.clone()), ..notice("it was rewritten", Severity::Alarm) };
    catalog.notify(lost).await.unwrap();
    catalog.notify(notice("something else", Severity::Info)).await.unwrap();
    let stored = catalog.notices(2).await.unwrap();
    assert_eq!(stored.iter().map(|notice| notice.undo.clone()).collect::<Vec<_>>(), [None, Some(undo.clone())]);
    assert_eq!(catalog.notice(stored[1].id).await.unwrap().undo, Some(undo));
    assert_eq!(catalog.notice(99).await.unwrap_err().kind(), Kind::NotFound);
}

async fn what_tells_of_an_alarm_that_stands_is_not_forgotten(world: World) {
    let catalog = &world.catalog;
    let repo = list(catalog, &world.acme, "2", "acme/ship").await;
    catalog.raise(alarm("repo:1:gone", "acme/api is gone", &[&repo])).await.unwrap();
    catalog.notify(notice("something else", Severity::Info)).await.unwrap();
    let later = Utc::now() + TimeDelta::days(400);
    assert_eq!(catalog.forget_notices(later).await.unwrap(), 1);
    assert_eq!(catalog.alarms().await.unwrap()[0].text.as_deref(), Some("acme/api is gone"));
    assert!(catalog.end_alarm(over("repo:1:gone")).await.unwrap());
    assert_eq!(held(catalog).await, [""; 0], "its end has lifted its hold");
    assert_eq!(catalog.forget_notices(later).await.unwrap(), 2);
}

async fn a_notice_waits_for_whoever_wants_it(world: World) {
    let catalog = telling(world.catalog.clone());
    for severity in [Severity::Info, Severity::Warning, Severity::Alarm] {
        catalog.notify(notice(severity.word(), severity)).await.unwrap();
    }
    assert_eq!(waiting(&catalog, "mail").await, ["alarm"]);
    assert_eq!(waiting(&catalog, "webhook").await, ["info", "warning", "alarm"]);
    assert_eq!(waiting(&catalog, "pager").await, [] as [&str; 0]);
    let mut receivers = catalog.receivers_waiting().await.unwrap();
    receivers.sort();
    assert_eq!(receivers, ["mail", "webhook"]);
    // Nobody but the command line: whoever opens the catalog without settings of receivers.
    world.catalog.notify(notice("quiet", Severity::Alarm)).await.unwrap();
    assert_eq!(waiting(&catalog, "mail").await, ["alarm"]);
    assert_eq!(catalog.notices(1).await.unwrap()[0].text, "quiet");
}

async fn a_policy_says_who_hears_of_its_repositories(world: World) {
    let catalog = telling(world.catalog.clone());
    let mut policy = Policy::new("chatty");
    policy.notify.severity = [("mail".to_owned(), Threshold::Info), ("webhook".to_owned(), Threshold::Never)].into();
    let edit = refward::catalog::PolicyEdit::Create(Box::new(policy));
    catalog.change_policies(&edit, &By::cli("mona"), None, &[], &[]).await.unwrap();
    world.sabotage(&["UPDATE repository SET policy = 'chatty'"]).await;
    let about = NewNotice { repo: Some(world.rocket.clone()), ..notice("of rocket", Severity::Info) };
    catalog.notify(about).await.unwrap();
    catalog.notify(notice("of nothing", Severity::Info)).await.unwrap();
    assert_eq!(waiting(&catalog, "mail").await, ["of rocket"]);
    assert_eq!(waiting(&catalog, "webhook").await, ["of nothing"]);
}

async fn the_channels_of_a_chat_go_by_its_name_in_policies(world: World) {
    let wants = |receiver: &str| Subscriber { receiver: receiver.to_owned(), severity: Severity::Alarm };
    let catalog = world.catalog.clone().telling(vec![wants("discord:1"), wants("discord:2"), wants("mail")]);
    let mut policy = Policy::new("chatty");
    policy.notify.severity = [("discord".to_owned(), Threshold::Info)].into();
    let edit = refward::catalog::PolicyEdit::Create(Box::new(policy));
    catalog.change_policies(&edit, &By::cli("mona"), None, &[], &[]).await.unwrap();
    world.sabotage(&["UPDATE repository SET policy = 'chatty'"]).await;
    let about = NewNotice { repo: Some(world.rocket.clone()), ..notice("of rocket", Severity::Info) };
    catalog.notify(about).await.unwrap();
    for (receiver, count) in [("discord:1", 1), ("discord:2", 1), ("mail", 0)] {
        assert_eq!(waiting(&catalog, receiver).await.len(), count, "{receiver}");
    }
}

async fn what_a_receiver_was_told_before_is_its_own_story(world: World) {
    let catalog = telling(world.catalog.clone());
    let about =
        |text: &str, subject: &str| NewNotice { subject: Some(subject.to_owned()), ..notice(text, Severity::Alarm) };
    for (text, subject) in [("one", "a"), ("other", "b"), ("two", "a"), ("three", "a")] {
        catalog.notify(about(text, subject)).await.unwrap();
    }
    catalog.notify(notice("about nothing", Severity::Alarm)).await.unwrap();
    let posted = catalog.posted("mail").await.unwrap();
    catalog.arrived(&ids(&posted[..3])).await.unwrap();
    let before = catalog.told_before("mail", &posted[3].notice).await.unwrap();
    assert_eq!(before.iter().map(|notice| notice.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(catalog.told_before("webhook", &posted[3].notice).await.unwrap(), []);
    assert_eq!(catalog.told_before("mail", &posted[4].notice).await.unwrap(), []);
}

async fn what_is_not_for_a_receiver_is_withdrawn_from_it_alone(world: World) {
    let catalog = telling(world.catalog.clone());
    for text in ["one", "two"] {
        catalog.notify(notice(text, Severity::Alarm)).await.unwrap();
    }
    let posted = catalog.posted("mail").await.unwrap();
    catalog.withdraw(&ids(&posted[..1])).await.unwrap();
    assert_eq!(waiting(&catalog, "mail").await, ["two"]);
    assert_eq!(waiting(&catalog, "webhook").await, ["one", "two"]);
    assert_eq!(catalog.notices(9).await.unwrap().len(), 2, "the command line shows them all the same");
}

async fn whoever_did_not_hear_of_an_alarm_does_not_hear_of_its_end(world: World) {
    let catalog = telling(world.catalog.clone());
    let mut quiet = alarm("repo:1:unproved", "no drill was passed lately", &[]);
    quiet.notice.severity = Severity::Warning;
    catalog.raise(quiet).await.unwrap();
    assert!(catalog.end_alarm(over("repo:1:unproved")).await.unwrap());
    assert_eq!(waiting(&catalog, "mail").await, [] as [&str; 0]);
    assert_eq!(waiting(&catalog, "webhook").await, ["no drill was passed lately", "it is over"]);
}

async fn a_message_of_ours_is_known_until_it_is_old(world: World) {
    let catalog = &world.catalog;
    let said = |message: &str| ChatMessage { message: message.to_owned(), digest: [7; 32] };
    catalog.put_chat_message("discord", "1", "notice:5", &said("100")).await.unwrap();
    catalog.put_chat_message("discord", "1", "notice:5", &said("101")).await.unwrap();
    assert_eq!(catalog.chat_message("discord", "1", "notice:5").await.unwrap(), Some(said("101")));
    assert_eq!(catalog.chat_message("discord", "2", "notice:5").await.unwrap(), None);
    assert_eq!(catalog.forget_chat_messages(Utc::now() - TimeDelta::minutes(1)).await.unwrap(), 0);
    assert_eq!(catalog.forget_chat_messages(Utc::now() + TimeDelta::minutes(1)).await.unwrap(), 1);
    assert_eq!(catalog.chat_message("discord", "1", "notice:5").await.unwrap(), None);
}

async fn what_was_sent_together_is_tried_together(world: World) {
    let catalog = telling(world.catalog.clone());
    for text in ["one", "two"] {
        catalog.notify(notice(text, Severity::Alarm)).await.unwrap();
    }
    let together = catalog.posted("mail").await.unwrap();
    assert!(together.iter().all(|posted| !posted.tried));
    catalog.posting(&ids(&together)).await.unwrap();
    catalog.bounced(&ids(&together), "the server is away").await.unwrap();
    catalog.notify(notice("three", Severity::Alarm)).await.unwrap();
    let tried: Vec<bool> = catalog.posted("mail").await.unwrap().iter().map(|posted| posted.tried).collect();
    assert_eq!(tried, [true, true, false]);
    let backlog = catalog.backlog().await.unwrap();
    let mail = backlog.iter().find(|backlog| backlog.receiver == "mail").unwrap();
    assert_eq!((mail.count, mail.last_error.as_deref()), (3, Some("the server is away")));

    let since = Utc::now() - TimeDelta::minutes(1);
    assert_eq!(catalog.messages_since("mail", since).await.unwrap(), 0);
    catalog.arrived(&ids(&together)).await.unwrap();
    assert_eq!(catalog.messages_since("mail", since).await.unwrap(), 1, "one message");
    assert_eq!(waiting(&catalog, "mail").await, ["three"]);
    assert_eq!(waiting(&catalog, "webhook").await.len(), 3, "each receiver has its own");
}

async fn what_nobody_takes_is_given_up_and_what_waits_is_not_forgotten(world: World) {
    let catalog = telling(world.catalog.clone());
    catalog.notify(notice("loud", Severity::Alarm)).await.unwrap();
    let later = Utc::now() + TimeDelta::seconds(1);
    assert_eq!(catalog.forget_notices(later).await.unwrap(), 0);
    assert_eq!(catalog.give_up("mail", Utc::now() - TimeDelta::days(7)).await.unwrap(), 0);
    assert_eq!(catalog.give_up("mail", later).await.unwrap(), 1);
    assert_eq!(waiting(&catalog, "mail").await, [] as [&str; 0]);
    let number = catalog.notices(1).await.unwrap()[0].id;
    let fared = catalog.postings(&[number]).await.unwrap().remove(&number).unwrap();
    let states: Vec<&str> = fared.iter().map(|posting| posting.state.as_str()).collect();
    assert_eq!(states, ["given_up", "waiting"]);

    catalog.arrived(&ids(&catalog.posted("webhook").await.unwrap())).await.unwrap();
    assert_eq!(catalog.forget_notices(later).await.unwrap(), 1);
    assert!(catalog.postings(&[number]).await.unwrap().is_empty());
}

async fn an_alarm_is_told_once_and_once_more_when_it_is_over(world: World) {
    let catalog = telling(world.catalog.clone());
    for _ in 0..3 {
        catalog.raise(alarm("app:1:acme", "the App is suspended", &[&world.rocket])).await.unwrap();
    }
    assert_eq!(waiting(&catalog, "mail").await, ["the App is suspended"]);
    assert_eq!(held(&catalog).await, ["the App is suspended"]);
    let standing = catalog.alarms().await.unwrap();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].text.as_deref(), Some("the App is suspended"));

    for _ in 0..2 {
        catalog.end_alarm(over("app:1:acme")).await.unwrap();
    }
    assert_eq!(
        waiting(&catalog, "mail").await,
        ["the App is suspended", "it is over"],
        "whoever heard of it hears that"
    );
    assert_eq!(held(&catalog).await, [] as [&str; 0]);
    assert_eq!(catalog.alarms().await.unwrap(), []);
    catalog.raise(alarm("app:1:acme", "the App is suspended", &[&world.rocket])).await.unwrap();
    assert_eq!(waiting(&catalog, "mail").await.len(), 3, "it is suspended once more");
    assert_eq!(held(&catalog).await.len(), 1);
}

async fn the_alarms_of_a_kind_become_what_is_so_now(world: World) {
    let catalog = telling(world.catalog.clone());
    let now = |subjects: &[&str]| subjects.iter().map(|subject| alarm(subject, subject, &[])).collect::<Vec<_>>();
    catalog.settle("test", now(&["a", "b"])).await.unwrap();
    catalog.settle("another kind", Vec::new()).await.unwrap();
    catalog.settle("test", now(&["b", "c"])).await.unwrap();
    catalog.settle("test", now(&["b", "c"])).await.unwrap();
    assert_eq!(waiting(&catalog, "mail").await, ["a", "b", "Over: a", "c"]);
}

async fn holds_of_different_reasons_are_lifted_apart(world: World) {
    let catalog = telling(world.catalog.clone());
    let ship = list(&catalog, &world.acme, "2", "acme/ship").await;
    catalog.raise(alarm("one", "the App is suspended", &[&world.rocket, &ship])).await.unwrap();
    catalog.raise(alarm("two", "it is gone", &[&ship])).await.unwrap();
    assert_eq!(catalog.holds(Some(&ship)).await.unwrap().len(), 2);
    catalog.end_alarm(over("one")).await.unwrap();
    assert_eq!(held(&catalog).await, ["it is gone"]);
    assert_eq!(catalog.held().await.unwrap(), [ship].into());
}

async fn a_snapshot_is_never_without_its_alarms(world: World) {
    let catalog = telling(world.catalog.clone());
    let commit = |number| Commit {
        alarms: vec![alarm("history", "it was rewritten", &[&world.rocket])],
        ..snapshot(&world.rocket, number, vec![change("main", None, Some(number))], 1)
    };
    assert!(catalog.commit(commit(2)).await.is_err(), "there is no first one");
    assert_eq!(waiting(&catalog, "mail").await, [] as [&str; 0]);
    for number in [1, 2] {
        catalog.commit(commit(number)).await.unwrap();
    }
    assert_eq!(waiting(&catalog, "mail").await, ["it was rewritten"; 2], "each is news");
    assert_eq!(held(&catalog).await.len(), 1, "one hold for one reason");
    assert_eq!(catalog.alarms().await.unwrap(), [], "what happened neither stands nor ends");
}

async fn who_is_backed_up_through_a_connection_and_since_when(world: World) {
    let (id, catalog) = (&world.rocket, &world.catalog);
    list(catalog, &world.acme, "2", "acme/ship").await;
    for number in [1, 2] {
        catalog.commit(snapshot(id, number, vec![change("main", None, Some(number))], 1)).await.unwrap();
    }
    assert_eq!(catalog.backed_up_through(world.acme.id).await.unwrap(), std::slice::from_ref(id));
    let oldest = catalog.oldest_points(std::slice::from_ref(id)).await.unwrap();
    assert_eq!(oldest, [(id.clone(), minute(1))].into());
}

async fn the_store_is_to_blame_for_errors_that_name_it(world: World) {
    let catalog = &world.catalog;
    catalog.record_error(&world.rocket, "github.com is in trouble").await.unwrap();
    assert_eq!(catalog.failing_with("s3://bucket/").await.unwrap(), None);
    let error = "writing 7.rwd: no space left in s3://bucket/";
    catalog.record_error(&world.rocket, error).await.unwrap();
    assert_eq!(catalog.failing_with("s3://bucket/").await.unwrap(), Some((1, error.to_owned())));
}
