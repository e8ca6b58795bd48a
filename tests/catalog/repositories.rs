//! Repositories: discovery and finding them by name.

use chrono::{TimeDelta, Utc};
use refward::catalog::{Priority, Seen, Upserted, job_kind};
use refward::domain::{Availability, Kind, RepoAddress, RepoId};

use crate::world::{World, connect, list, remote};

on_both_databases! {
    many_are_added_at_once_and_known_ones_stay_as_they_are,
    a_rename_keeps_the_repository,
    what_is_no_longer_listed_is_gone_until_it_is_listed_again,
    what_is_left_out_is_not_backed_up_and_comes_back_as_it_was,
    what_is_closed_is_not_due_and_comes_back_as_it_was,
    a_transfer_moves_it_to_the_other_connection,
    people_find_it_by_name,
    people_find_it_by_a_name_in_any_script,
    errors_stay_until_the_next_success,
}

fn address(text: &str) -> RepoAddress {
    text.parse().unwrap()
}

async fn a_rename_keeps_the_repository(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let again =
        catalog.upsert_repository(acme, "github.com", rocket, &remote("1", "acme/rocket"), false).await.unwrap();
    assert_eq!(again, Upserted::Unchanged);
    let renamed =
        catalog.upsert_repository(acme, "github.com", rocket, &remote("1", "acme/ship"), false).await.unwrap();
    assert_eq!(renamed, Upserted::Renamed { from: "acme/rocket".into() });
    let mut archived = remote("1", "acme/ship");
    archived.archived = true;
    let updated = catalog.upsert_repository(acme, "github.com", rocket, &archived, false).await.unwrap();
    assert_eq!(updated, Upserted::Updated);
    let seen = catalog.repository(rocket).await.unwrap();
    assert!(seen.archived && seen.selected);
    assert_eq!(seen.full_name, "acme/ship");
}

async fn what_is_no_longer_listed_is_gone_until_it_is_listed_again(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let other = list(catalog, acme, "2", "acme/other").await;
    let gone = catalog.mark_gone(acme.id, std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(gone, ["acme/rocket"]);
    assert_eq!(catalog.mark_gone(acme.id, std::slice::from_ref(&other)).await.unwrap(), [] as [&str; 0]);
    assert!(catalog.repository(rocket).await.unwrap().gone);
    assert_eq!(catalog.repositories_due(Utc::now(), Utc::now(), 10).await.unwrap(), [other]);
    list(catalog, acme, "1", "acme/rocket").await;
    assert!(!catalog.repository(rocket).await.unwrap().gone);
}

async fn what_is_left_out_is_not_backed_up_and_comes_back_as_it_was(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    catalog.leave_out(acme.id, rocket, &remote("1", "acme/ship")).await.unwrap();
    let seen = catalog.repository(rocket).await.unwrap();
    assert_eq!((seen.full_name.as_str(), seen.left_out, seen.selected, seen.gone), ("acme/ship", true, false, false));
    assert_eq!(catalog.repositories_due(Utc::now(), Utc::now(), 10).await.unwrap(), []);
    assert!(catalog.known(std::slice::from_ref(rocket)).await.unwrap()[rocket].selected, "as somebody chose");
    list(catalog, acme, "1", "acme/ship").await;
    let seen = catalog.repository(rocket).await.unwrap();
    assert_eq!((seen.left_out, seen.selected), (false, true));

    catalog.leave_out(acme.id, rocket, &remote("1", "acme/ship")).await.unwrap();
    assert_eq!(catalog.mark_gone(acme.id, &[]).await.unwrap(), ["acme/ship"], "it may go while it is left out");
    let seen = catalog.repository(rocket).await.unwrap();
    assert_eq!((seen.left_out, seen.gone), (false, true));
}

/// What a survey says of a repository.
async fn see(world: &World, availability: Availability) {
    let seen = Seen {
        id: world.rocket.clone(),
        visibility: None,
        mark: Some("1".to_owned()),
        availability,
        scope: Some("project".to_owned()),
        changed: false,
        turned: true,
    };
    world.catalog.record_seen(&[seen], Vec::new()).await.unwrap();
}

async fn what_is_closed_is_not_due_and_comes_back_as_it_was(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let due = async || catalog.repositories_due(Utc::now(), Utc::now(), 10).await.unwrap();
    for closed in [Availability::Disabled, Availability::Recycled] {
        catalog.record_error(rocket, "404").await.unwrap();
        catalog.enqueue(job_kind::SYNC_REPO, rocket.as_str(), Priority::Event).await.unwrap();
        see(&world, closed).await;
        assert_eq!(catalog.jobs().await.unwrap(), [], "nobody tries in vain");
        let seen = catalog.repository(rocket).await.unwrap();
        assert_eq!((seen.availability, seen.gone, seen.selected), (closed, false, true));
        assert_eq!(seen.last_error, None, "that it cannot be read is no failure");
        assert!(!seen.is_wanted() && !seen.is_public());
        assert_eq!(due().await, []);
        let known = &catalog.known(std::slice::from_ref(rocket)).await.unwrap()[rocket];
        assert_eq!((known.availability, known.scope.as_deref()), (closed, Some("project")));
    }
    let heir = list(catalog, acme, "2", "acme/rocket").await;
    let found = catalog.resolve(&address("acme/rocket")).await.unwrap();
    assert_eq!(found.id, heir, "the name of what lies in the recycle bin is free");
    catalog.mark_gone(acme.id, std::slice::from_ref(rocket)).await.unwrap();

    see(&world, Availability::Open).await;
    assert!(catalog.repository(rocket).await.unwrap().is_wanted());
    assert_eq!(due().await, std::slice::from_ref(rocket));
}

async fn a_transfer_moves_it_to_the_other_connection(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let beta = connect(catalog, "beta", "https://github.com/").await;
    list(catalog, &beta, "1", "beta/rocket").await;
    assert_eq!(catalog.repository(rocket).await.unwrap().connection, "beta");
    assert_eq!(catalog.mark_gone(acme.id, &[]).await.unwrap(), [] as [&str; 0]);
}

async fn people_find_it_by_name(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    assert_eq!(catalog.resolve(&address("Acme/Rocket")).await.unwrap().id, *rocket);
    let error = catalog.resolve(&address("acme/rokcet")).await.unwrap_err();
    assert_eq!((error.kind(), error.next_step()), (Kind::NotFound, Some("did you mean acme/rocket?")));
    let error = catalog.resolve(&address("zebra/quagga")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);

    let ghes = connect(catalog, "ghes", "https://git.example.com:8443/").await;
    let twin = list(catalog, &ghes, "1", "acme/rocket").await;
    assert_ne!(twin, *rocket);
    let error = catalog.resolve(&address("acme/rocket")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadRequest);
    assert!(
        error.to_string().contains("acme:acme/rocket") && error.to_string().contains("ghes:acme/rocket"),
        "{error}"
    );
    assert_eq!(catalog.resolve(&address("GHES:acme/rocket")).await.unwrap().id, twin);

    // The name of a deleted repository is free for a new one.
    catalog.mark_gone(ghes.id, &[]).await.unwrap();
    assert_eq!(catalog.resolve(&address("acme/rocket")).await.unwrap().id, *rocket);
    catalog.mark_gone(acme.id, &[]).await.unwrap();
    assert_eq!(catalog.resolve(&address("ghes:acme/rocket")).await.unwrap().id, twin);
}

async fn people_find_it_by_a_name_in_any_script(world: World) {
    let World { catalog, acme, .. } = &world;
    let listed = list(catalog, acme, "2", "PRÓJ Eñt/My Repo").await;
    for typed in ["PRÓJ Eñt/My Repo", "prój eñt/my repo", "acme:PRÓJ EÑT/MY REPO", "PRÓJ eñt/my repo"] {
        assert_eq!(catalog.resolve(&address(typed)).await.unwrap().id, listed, "{typed}");
    }
    let error = catalog.resolve(&address("Prój eñt/My Rapo")).await.unwrap_err();
    assert_eq!(error.next_step(), Some("did you mean PRÓJ Eñt/My Repo?"));
}

async fn errors_stay_until_the_next_success(world: World) {
    let World { catalog, rocket, .. } = &world;
    let start = Utc::now() - TimeDelta::seconds(1);
    assert_eq!(catalog.repositories_due(start, start, 10).await.unwrap(), std::slice::from_ref(rocket));
    catalog.record_error(rocket, "the forge is down").await.unwrap();
    let seen = catalog.repository(rocket).await.unwrap();
    assert_eq!(seen.last_error.as_deref(), Some("the forge is down"));
    assert_eq!(catalog.repositories_due(start, start, 10).await.unwrap(), [], "its job comes back by itself");
    catalog.record_unchanged(rocket, Some([1; 32]), &[], None, None).await.unwrap();
    let seen = catalog.repository(rocket).await.unwrap();
    assert_eq!((seen.last_error, seen.last_error_at), (None, None));
    assert!(seen.last_checked_at.is_some());
    assert_eq!(catalog.fingerprint(rocket).await.unwrap(), Some([1; 32]));
    assert_eq!(catalog.repositories_due(start, start, 10).await.unwrap(), []);
    assert_eq!(
        catalog
            .repositories_due(Utc::now() + TimeDelta::seconds(1), Utc::now() + TimeDelta::seconds(1), 10)
            .await
            .unwrap(),
        std::slice::from_ref(rocket)
    );
    catalog.select(rocket, false).await.unwrap();
    assert_eq!(
        catalog
            .repositories_due(Utc::now() + TimeDelta::seconds(1), Utc::now() + TimeDelta::seconds(1), 10)
            .await
            .unwrap(),
        []
    );
}

async fn many_are_added_at_once_and_known_ones_stay_as_they_are(world: World) {
    let World { catalog, acme, rocket, .. } = &world;
    let host = acme.host().unwrap();
    let new: Vec<_> = (0..2500)
        .map(|nth| {
            let forge_id = (1_000_000 + nth).to_string();
            (RepoId::derive("github", &host, &forge_id), remote(&forge_id, &format!("acme/{nth}")))
        })
        .collect();
    let known = catalog.repository(rocket).await.unwrap();
    let another_view = remote(&known.forge_id, "acme/another-name");
    let all = new.iter().map(|(id, remote)| (id, remote)).chain([(rocket, &another_view)]);
    let all = all.map(|(id, remote)| (id, remote, Availability::Open));
    catalog.add_repositories(acme, &host, all, false).await.unwrap();

    assert_eq!(catalog.repository(rocket).await.unwrap(), known);
    let added = catalog.known(&new.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(added.len(), 2500);
    assert!(added.values().all(|known| !known.selected && known.connection == acme.id));
}
