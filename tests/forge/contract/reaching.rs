//! Addresses and credentials: what is sent where, and what is said when it will not do.

use refward::domain::{Kind, RefName};
use refward::forge::{Page, Place};
use refward::git::{Client, Limits};

use super::Dialect;
use crate::client;
use crate::support::world::refs;

every_forge! {
    git_reads_what_is_there,
    a_credential_goes_to_its_own_host_alone,
    a_settled_address_is_settled,
    what_will_do_lacks_nothing,
    a_wrong_credential_is_named_with_the_way_out,
    a_target_is_the_very_repository,
    a_repository_that_is_made_is_empty_and_can_be_pushed_to,
    pages_are_on_the_host,
}

async fn git_reads_what_is_there(dialect: &dyn Dialect) {
    let made = dialect.makes("api").await;
    made.push("more").await;
    let (id, full_name) = (made.id(), dialect.full_name("api"));
    let remote = dialect.forge().remote(&dialect.access(), Place { forge_id: &id, full_name: &full_name }).unwrap();
    let limits = Limits { memory_scratch: 1 << 20, scratch_dir: None, max_object: 1 << 20, threads: 1 };
    let (_, listing) = Client::new(client(), &limits).list(&remote, None).await.unwrap();
    let there = refs(&made.folder()).await;
    for name in ["refs/heads/main", "refs/heads/more"] {
        let parsed: RefName = name.parse().unwrap();
        assert_eq!(there[name], listing.state.refs[&parsed].to_string());
    }
}

async fn a_credential_goes_to_its_own_host_alone(dialect: &dyn Dialect) {
    let (access, name) = (dialect.access(), dialect.full_name("api"));
    let remote = dialect.forge().remote(&access, Place { forge_id: "1", full_name: &name }).unwrap();
    assert_eq!(remote.url.origin(), access.url.origin());
    assert_eq!((remote.url.username(), remote.url.password()), ("", None), "nothing that a log could tell");
    for strange in ["", "api", "/", "a/", "/b", "../b", "a/..", "a/b/c", "a/b?x", "a\\b/c", "a/b#c"] {
        let place = Place { forge_id: "1", full_name: strange };
        let outcome = dialect.forge().remote(&access, place).map(|remote| remote.url);
        let escapes = outcome
            .as_ref()
            .is_ok_and(|url| url.query().is_some() || url.fragment().is_some() || url.origin() != access.url.origin());
        assert!(!escapes, "{strange}: {outcome:?}");
    }
}

async fn a_settled_address_is_settled(dialect: &dyn Dialect) {
    let (forge, access) = (dialect.forge(), dialect.access());
    let settled = forge.settle_url(&access.url).unwrap();
    assert_eq!(forge.settle_url(&settled).unwrap(), settled);
    assert!(forge.owner_in(&settled).is_none_or(|owner| owner == access.owner));
    for strange in ["ftp://example.com/acme", "https://mona:secret@example.com/acme", "https://example.com/acme?x=1"] {
        let refused = forge.settle_url(&strange.parse().unwrap()).expect_err(strange);
        assert_eq!(refused.kind(), Kind::BadRequest);
        assert!(!refused.to_string().contains("secret"));
    }
}

async fn what_will_do_lacks_nothing(dialect: &dyn Dialect) {
    dialect.makes("api").await;
    let inspection = dialect.forge().inspect(&dialect.access()).await.unwrap();
    assert!(inspection.missing.is_empty(), "{:?}", inspection.missing);
    assert!(!inspection.host.is_empty() && !inspection.credential.is_empty());
}

async fn a_wrong_credential_is_named_with_the_way_out(dialect: &dyn Dialect) {
    let error = dialect.forge().inspect(&dialect.stranger()).await.expect_err("it is unknown");
    assert!(matches!(error.kind(), Kind::Misconfigured | Kind::NotAllowed), "{:?}: {error}", error.kind());
    assert!(error.next_step().is_some(), "{error}");
}

async fn a_target_is_the_very_repository(dialect: &dyn Dialect) {
    let (forge, access) = (dialect.forge(), dialect.access());
    let (api, web) = (dialect.makes("api").await, dialect.makes("web").await);
    let name = dialect.full_name("api");
    for known in [None, Some(api.id())] {
        let remote = forge.target(&access, &name, known.as_deref()).await.unwrap();
        assert_eq!(remote.url.origin(), access.url.origin());
    }
    for (name, known) in [(dialect.full_name("nowhere"), None), (name, Some(web.id()))] {
        let error = forge.target(&access, &name, known.as_deref()).await.err().expect("it is not that one");
        assert_eq!((error.kind(), error.next_step().is_some()), (Kind::NotFound, true), "{error}");
    }
}

async fn a_repository_that_is_made_is_empty_and_can_be_pushed_to(dialect: &dyn Dialect) {
    let (forge, access) = (dialect.forge(), dialect.access());
    dialect.makes("api").await;
    match forge.create(&access, &dialect.full_name("copy")).await {
        Ok(made) => {
            assert_eq!((made.full_name, made.private), (dialect.full_name("copy"), true));
            forge.target(&access, &dialect.full_name("copy"), Some(&made.forge_id)).await.unwrap();
            let again = forge.create(&access, &dialect.full_name("copy")).await;
            assert!(!again.expect_err("it is there").kind().is_transient());
        }
        // Only people can.
        Err(error) => assert!(error.next_step().is_some_and(|way| way.contains("http")), "{error}"),
    }
}

async fn pages_are_on_the_host(dialect: &dyn Dialect) {
    let (forge, access) = (dialect.forge(), dialect.access());
    let name = dialect.full_name("api");
    let id = "6113728f27ae82c7b1a177c8d03f9e96e0adf246".parse().unwrap();
    let pages = [
        Page::Hooks(&access.owner),
        Page::Tokens,
        Page::NewRepository(&name),
        Page::Branch(&name, "main"),
        Page::Between(&name, &id, &id),
    ];
    for page in pages {
        let url = forge.page(&access.url, page).unwrap();
        assert_eq!(url.origin(), access.url.origin(), "{page:?}");
    }
}
