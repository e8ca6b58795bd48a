//! Surveys: what there is, by ids that stay.

use std::collections::BTreeMap;

use refward::domain::Availability;
use refward::forge::{Mark, Surveyed};

use super::Dialect;

every_forge! {
    everything_is_listed,
    a_name_may_change_and_the_id_stays,
    what_is_pushed_changes_the_mark_if_there_is_one,
    what_is_disabled_is_listed_as_that,
    what_is_deleted_is_not_listed_as_open,
    whoever_may_see_nothing_is_told_so,
}

/// By name.
async fn survey(dialect: &dyn Dialect) -> BTreeMap<String, Surveyed> {
    let survey = dialect.forge().survey(&dialect.access()).await.unwrap();
    assert!(survey.complete && survey.requests > 0);
    let named = survey.repositories.into_iter().map(|surveyed| (surveyed.repository.full_name.clone(), surveyed));
    named.collect()
}

async fn everything_is_listed(dialect: &dyn Dialect) {
    let (api, web) = (dialect.makes("api").await, dialect.makes("web").await);
    let listed = survey(dialect).await;
    assert_eq!(listed.keys().collect::<Vec<_>>(), [&dialect.full_name("api"), &dialect.full_name("web")]);
    for (name, made) in [("api", api), ("web", web)] {
        let found = &listed[&dialect.full_name(name)];
        assert_eq!((&found.repository.forge_id, found.availability), (&made.id(), Availability::Open));
        assert_eq!(found.repository.default_branch.as_deref(), Some("main"));
        assert!(found.repository.private);
    }
}

async fn a_name_may_change_and_the_id_stays(dialect: &dyn Dialect) {
    let api = dialect.makes("api").await;
    api.rename("service");
    let listed = survey(dialect).await;
    assert_eq!(listed.keys().collect::<Vec<_>>(), [&dialect.full_name("service")]);
    assert_eq!(listed[&dialect.full_name("service")].repository.forge_id, api.id());
}

async fn what_is_pushed_changes_the_mark_if_there_is_one(dialect: &dyn Dialect) {
    let (api, _web) = (dialect.makes("api").await, dialect.makes("web").await);
    let before = survey(dialect).await;
    api.push("more").await;
    let after = survey(dialect).await;
    let mark = |listed: &BTreeMap<String, Surveyed>, name: &str| listed[&dialect.full_name(name)].mark.clone();
    match mark(&before, "api") {
        Mark::Told(_) => assert_ne!(mark(&before, "api"), mark(&after, "api")),
        // It is compared by git.
        Mark::Moving | Mark::Untold => {}
    }
    assert_eq!(mark(&before, "web"), mark(&after, "web"));
}

async fn what_is_disabled_is_listed_as_that(dialect: &dyn Dialect) {
    let (api, _web) = (dialect.makes("api").await, dialect.makes("web").await);
    if !api.disable(true) {
        return;
    }
    let closed = survey(dialect).await;
    let of = |name: &str| closed[&dialect.full_name(name)].availability;
    assert_eq!((of("api"), of("web")), (Availability::Disabled, Availability::Open));
    api.disable(false);
    assert!(survey(dialect).await.values().all(|found| found.availability == Availability::Open));
}

async fn what_is_deleted_is_not_listed_as_open(dialect: &dyn Dialect) {
    let (api, _web) = (dialect.makes("api").await, dialect.makes("web").await);
    api.delete();
    let listed = survey(dialect).await;
    let open = listed.values().filter(|found| found.availability == Availability::Open);
    assert_eq!(open.map(|found| &found.repository.full_name).collect::<Vec<_>>(), [&dialect.full_name("web")]);
}

async fn whoever_may_see_nothing_is_told_so(dialect: &dyn Dialect) {
    dialect.makes("api").await;
    let refused = dialect.forge().survey(&dialect.stranger()).await;
    let error = refused.expect_err("nothing at all would look like everything gone");
    assert!(error.next_step().is_some(), "{error}");
}
