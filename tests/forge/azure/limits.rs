//! Throttling: pauses are kept, by the identity that was asked for them and by nobody else.

use std::time::Duration;

use futures_util::FutureExt as _;
use refward::domain::Kind;
use refward::forge::quota::Quotas;
use refward::forge::{Access, Net, azure_devops};

use super::SCOPES;
use crate::support::fake_azure_devops::FakeAzureDevops;
use crate::{client, place};

/// A connection whose credential is of this person.
fn access_of(host: &FakeAzureDevops, person: &str) -> Access {
    let mut access = host.access("acme", &host.pat(person, "acme", SCOPES));
    access.credentials[0].who = format!("user {person}");
    access
}

#[tokio::test]
async fn a_pause_that_comes_with_a_good_answer_is_kept_before_the_next_call() {
    let host = FakeAzureDevops::start().await;
    host.org("acme").project("Web").repo("api").await;
    let azure = azure_devops::connect(Net { http: client(), quotas: Quotas::default() });
    let access = access_of(&host, "mona");
    // The double takes it for a broken rule if any call comes earlier.
    host.delays(2, 1);
    assert_eq!(azure.survey(&access).await.unwrap().repositories.len(), 1);
}

#[tokio::test]
async fn a_long_pause_sends_work_away_until_then_and_git_with_it_but_not_other_identities() {
    let host = FakeAzureDevops::start().await;
    host.org("acme").project("Web").repo("api").await;
    let azure = azure_devops::connect(Net { http: client(), quotas: Quotas::default() });
    let (mona, lisa) = (access_of(&host, "mona"), access_of(&host, "lisa"));
    azure.survey(&mona).await.unwrap();
    host.delays(1, 60);
    azure.survey(&mona).await.unwrap_err();
    let asked = host.seen().len();
    let error = azure.survey(&mona).await.unwrap_err();
    let Kind::Throttled { retry_after } = error.kind() else { panic!("{error:?}") };
    assert!(retry_after > Duration::from_secs(30), "{retry_after:?}");
    assert_eq!(host.seen().len(), asked, "nothing was asked meanwhile");
    let login = azure.remote(&mona, place("Web/api")).unwrap().credential.unwrap();
    let error = login.credential().now_or_never().unwrap().err().unwrap();
    assert!(matches!(error.kind(), Kind::Throttled { .. }), "{error:?}");
    azure.survey(&lisa).await.unwrap();
    // What git is told counts for calls, too.
    let login = azure.remote(&lisa, place("Web/api")).unwrap().credential.unwrap();
    login.slow_down(Duration::from_mins(1)).await;
    assert!(matches!(azure.survey(&lisa).await.unwrap_err().kind(), Kind::Throttled { .. }));
    azure.survey(&access_of(&host, "nora")).await.unwrap();
}

#[tokio::test]
async fn whoever_is_blocked_waits_as_long_as_told() {
    let host = FakeAzureDevops::start().await;
    host.org("acme").project("Web").repo("api").await;
    let azure = azure_devops::connect(Net { http: client(), quotas: Quotas::default() });
    let (mona, lisa) = (access_of(&host, "mona"), access_of(&host, "lisa"));
    azure.survey(&mona).await.unwrap();
    host.blocks(1, 60);
    let error = azure.survey(&mona).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Remote { retry_after: Some(Duration::from_mins(1)) }, "{error}");
    let error = azure.survey(&mona).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Throttled { .. }), "{error:?}");
    azure.survey(&lisa).await.unwrap();
}
