//! Who somebody in a chat is on a forge: told by the forge once, believed for a while; and what they may do there, asked each
//! time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use refward::catalog::{IdentityLink, Repository};
use refward::config::Settings;
use refward::domain::{By, Error, Kind, Person, Result};
use refward::forge::{OauthClient, Rights};
use refward::ops::identity::{self, Begun, Linked};
use refward::services::Services;
use support::fake_entra::{Application, FakeEntra};
use support::fake_github::{AppHandle, FakeGithub, Fault, Token};
use support::world::{World, eventually, files};

/// A deployment that knows `acme/api` and an App that people can sign in with.
async fn world() -> (World, AppHandle) {
    let world = World::new().await;
    world.github.sign_in_interval(1);
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    let app = world.app("acme", 1).await.enable_device_flow();
    (world, app)
}

async fn services(world: &World) -> Arc<Services> {
    services_with(world, |_| ()).await
}

async fn services_with(world: &World, change: impl FnOnce(&mut Settings)) -> Arc<Services> {
    let mut settings = Settings::load(&world.folder().join("refward.toml")).unwrap();
    change(&mut settings);
    Services::open(settings).await.unwrap()
}

async fn repository(services: &Services) -> Repository {
    services.catalog.resolve(&"acme/api".parse().unwrap()).await.unwrap()
}

fn lisa() -> Person {
    Person::new("discord", "1001").unwrap()
}

fn by(person: &Person) -> By {
    By { who: person.to_string(), whence: "discord:1/2".to_owned() }
}

async fn begin(services: &Services, person: &Person) -> Result<Begun> {
    identity::begin(services, person, &by(person), None).await
}

/// What comes of a sign-in in the end.
async fn outcome(services: &Services, attempt: &str) -> Linked {
    let ask = async || match identity::poll(services, attempt).await.unwrap() {
        Linked::Waiting { .. } => None,
        come => Some(come),
    };
    eventually(ask, || "a sign-in to come to something".to_owned()).await
}

/// Links a person to a user of the forge.
async fn link(world: &World, services: &Services, person: &Person, login: &str) {
    let begun = begin(services, person).await.unwrap();
    world.github.signs_in(login, &begun.user_code);
    let Linked::Done { login: linked, .. } = outcome(services, &begun.attempt).await else {
        panic!("{login} is nobody")
    };
    assert_eq!(linked, login);
}

/// An error as a person would meet it.
fn told(world: &World, error: &Error) -> String {
    let text = format!("{:?}: {error}\n→ {}", error.kind(), error.next_step().unwrap_or("-"));
    text.replace(&format!(":{}", world.github.url().port().unwrap()), ":PORT")
}

#[tokio::test]
async fn who_signs_in_on_the_forge_may_do_here_what_they_may_do_there() {
    let (world, _) = world().await;
    let services = services(&world).await;
    let api = repository(&services).await;
    let may = async || identity::rights(&services, &lisa(), &api).await;
    insta::assert_snapshot!(told(&world, &may().await.unwrap_err()), @"
    NotAllowed: it is not known who you are on 127.0.0.1:PORT
    → tell it, and try again: `/refward link`
    ");

    let begun = begin(&services, &lisa()).await.unwrap();
    assert_eq!(begun.page.path(), "/login/device");
    assert!(matches!(identity::poll(&services, &begun.attempt).await.unwrap(), Linked::Waiting { .. }));
    assert_eq!(may().await.unwrap_err().kind(), Kind::NotAllowed, "nobody is linked before they have signed in");
    world.github.signs_in("lisa", &begun.user_code);
    let Linked::Done { login, expires_at } = outcome(&services, &begun.attempt).await else { panic!() };
    assert_eq!(login, "lisa");
    assert!(expires_at - Utc::now() > TimeDelta::days(89));

    assert_eq!(may().await.unwrap(), Rights::None);
    let repo = world.github.org("acme").repo("web").await;
    repo.collaborator("lisa", "admin");
    assert_eq!(may().await.unwrap(), Rights::None, "a right in one repository is none in another");
    for (role, rights) in
        [("read", Rights::Read), ("write", Rights::Write), ("admin", Rights::Admin), ("none", Rights::None)]
    {
        world.github.repo("acme/api").collaborator("lisa", role);
        assert_eq!(may().await.unwrap(), rights);
    }
    // Somebody else is still nobody.
    let other = Person::new("discord", "1002").unwrap();
    assert_eq!(identity::rights(&services, &other, &api).await.unwrap_err().kind(), Kind::NotAllowed);
}

#[tokio::test]
async fn the_forge_is_asked_no_sooner_than_it_wants_however_often_we_are_asked() {
    let (world, _) = world().await;
    world.github.sign_in_interval(30);
    let services = services(&world).await;
    let begun = begin(&services, &lisa()).await.unwrap();
    for _ in 0..5 {
        let Linked::Waiting { interval } = identity::poll(&services, &begun.attempt).await.unwrap() else { panic!() };
        assert!(interval <= Duration::from_secs(30), "{interval:?}");
    }
    let polls = world.github.seen().into_iter().filter(|seen| seen.path == "/login/oauth/access_token");
    assert_eq!(polls.count(), 0);
}

#[tokio::test]
async fn a_sign_in_goes_on_in_another_process_and_leaves_nothing_behind() {
    let (world, app) = world().await;
    let begun = begin(&*services(&world).await, &lisa()).await.unwrap();
    world.github.signs_in("lisa", &begun.user_code);
    let after = services(&world).await;
    assert!(matches!(outcome(&after, &begun.attempt).await, Linked::Done { .. }));
    assert_eq!(identity::poll(&after, &begun.attempt).await.unwrap(), Linked::Expired, "it is over");

    let secrets = world.github.sign_in_secrets();
    assert_eq!(secrets.len(), 2, "a device code and a token of {}'s", app.slug());
    for file in files(&world.folder()) {
        let bytes = std::fs::read(&file).unwrap();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{} holds {secret}", file.display());
        }
    }
}

#[tokio::test]
async fn who_was_linked_before_the_process_died_is_told_so() {
    let (world, _) = world().await;
    let services = services(&world).await;
    let begun = begin(&services, &lisa()).await.unwrap();
    world.github.signs_in("lisa", &begun.user_code);
    // The link is written, and what comes after it is not.
    let (forge, app) = (services.forge("github").unwrap(), services.catalog.apps().await.unwrap().remove(0));
    let code = world.github.sign_in_secrets().remove(0).into();
    world.github.move_clock(1);
    let (authority, client_id) = (world.github.url().clone(), app.facts.client_id);
    let client = OauthClient { authority, tenant: String::new(), client_id };
    forge.people().unwrap().poll(&client, &code).await.unwrap();
    let link = IdentityLink {
        person: lisa(),
        forge: "github".to_owned(),
        host: begun.host.clone(),
        forge_user: world.github.user_id("lisa"),
        login: "lisa".to_owned(),
        created_at: Utc::now(),
        expires_at: Utc::now() + TimeDelta::days(1),
    };
    services.catalog.put_link(&link, &by(&lisa())).await.unwrap();
    let Linked::Done { login, .. } = outcome(&services, &begun.attempt).await else { panic!() };
    assert_eq!(login, "lisa");
}

#[tokio::test]
async fn who_says_no_or_takes_too_long_is_not_linked() {
    let (world, _) = world().await;
    let services = services(&world).await;
    let begun = begin(&services, &lisa()).await.unwrap();
    world.github.cancels_sign_in(&begun.user_code);
    assert_eq!(outcome(&services, &begun.attempt).await, Linked::Denied);
    let begun = begin(&services, &lisa()).await.unwrap();
    world.github.move_clock(901);
    assert_eq!(outcome(&services, &begun.attempt).await, Linked::Expired);
    assert_eq!(identity::poll(&services, "made-up").await.unwrap(), Linked::Expired);
    assert_eq!(services.catalog.links_of(&lisa()).await.unwrap(), []);
}

#[tokio::test]
async fn a_link_ends_by_itself() {
    let (world, _) = world().await;
    let services = services_with(&world, |settings| settings.people.link_lasts = Duration::from_millis(1)).await;
    link(&world, &services, &lisa(), "lisa").await;
    world.github.repo("acme/api").collaborator("lisa", "write");
    let api = repository(&services).await;
    let over = async || match identity::rights(&services, &lisa(), &api).await {
        Err(error) => Some(error.kind()),
        Ok(_) => None,
    };
    assert_eq!(eventually(over, || "the link to end".to_owned()).await, Kind::NotAllowed);
}

#[tokio::test]
async fn what_cannot_be_checked_is_refused_and_says_what_to_do() {
    let (world, _) = world().await;
    let services = services(&world).await;
    link(&world, &services, &lisa(), "lisa").await;
    let api = repository(&services).await;
    world.github.repo("acme/api").collaborator("lisa", "admin");
    let refused = async || {
        let refused = identity::rights(&services, &lisa(), &api).await;
        told(&world, &refused.unwrap_err())
    };
    world.github.fail(1, &Fault::json(500, "Server Error"));
    insta::assert_snapshot!(refused().await, @"
    Remote { retry_after: None }: what lisa may do in acme/api cannot be checked: 127.0.0.1:PORT is in trouble: it answers 500 Internal Server Error
    → what cannot be checked is refused; try again later
    ");
    let connections = services.catalog.connections().await.unwrap();
    world.github.revoke(&world.secrets()[0].clone().into());
    insta::assert_snapshot!(refused().await, @"
    NotAllowed: what lisa may do in acme/api cannot be checked: 127.0.0.1:PORT refuses the token: Bad credentials
    → it is mistyped, expired or revoked; make a new one at http://127.0.0.1:PORT/settings/tokens
    ");
    services.catalog.remove_connection(connections[0].id).await.unwrap();
    insta::assert_snapshot!(refused().await, @"
    NotAllowed: what lisa may do in acme/api cannot be checked: its connection has been removed
    → connect the owner again: refward connect --help
    ");
}

#[tokio::test]
async fn what_has_to_be_set_up_before_anybody_can_sign_in_is_told() {
    let world = World::new().await;
    let refused = async || {
        let refused = begin(&*services(&world).await, &lisa()).await;
        told(&world, &refused.err().unwrap())
    };
    insta::assert_snapshot!(refused().await, @"
    Misconfigured: no forge is connected yet
    → `refward connect --help`
    ");
    world.github.org("acme").repo("api").await;
    world.connect("acme").await;
    insta::assert_snapshot!(refused().await, @"
    Misconfigured: people cannot sign in on 127.0.0.1:PORT: no App of ours is registered there
    → an administrator can do that: `refward apps create`
    ");
    let _ = world.app("acme", 1).await;
    insta::assert_snapshot!(refused().await, @"
    Misconfigured: our App on 127.0.0.1:PORT does not let people sign in with a code
    → its owner has to tick “Enable Device Flow” in the App's settings, General, and save: http://127.0.0.1:PORT/organizations/acme/settings/apps/refward-1
    ");
}

#[tokio::test]
async fn where_there_are_several_forges_people_say_which() {
    let (world, _) = world().await;
    let other = FakeGithub::start().await;
    other.org("ops").repo("infra").await;
    let token =
        world.secret_file("other.token", secrecy::ExposeSecret::expose_secret(&other.token(Token::classic("mona"))));
    let secret = world.secret_file("other.secret", "webhook-secret");
    let url = other.url().to_string();
    let arguments = ["connect", "github", "--name", "ops", "--url", &url, "--owner", "ops", "--token-file", &token];
    world.ok(&[&arguments[..], &["--webhook-secret-file", &secret]].concat()).await;

    let services = services(&world).await;
    let hosts = identity::hosts(&services).await.unwrap();
    assert_eq!(hosts.iter().filter(|host| host.client.is_ok()).count(), 1);
    // On one of them people can sign in.
    assert_eq!(begin(&services, &lisa()).await.unwrap().page.port(), world.github.url().port());
    let named = |host: &FakeGithub| format!("127.0.0.1:{}", host.url().port().unwrap());
    let at = async |host: &str| identity::begin(&services, &lisa(), &by(&lisa()), Some(host)).await;
    assert_eq!(at(&named(&world.github)).await.unwrap().host, named(&world.github));
    assert_eq!(at(&named(&other)).await.err().unwrap().kind(), Kind::Misconfigured);
    assert_eq!(at("github.com").await.err().unwrap().kind(), Kind::NotFound);
}

/// A deployment that knows a repository in an organization of Azure DevOps, through a service principal of its directory.
async fn organization() -> (World, FakeEntra, Application) {
    let world = World::with_azure(&[]).await;
    let entra = FakeEntra::start().await;
    entra.sign_in_interval(1);
    let app = entra.application("Refward");
    let org = world.azure().org("contoso");
    org.joins(entra.tenant());
    org.principal("Refward", app.object_id).administers();
    world.azure().accept_bearers(entra.checker());
    org.project("Fabrikam").repo("web").await;
    let secret = world.secret_file("client.secret", secrecy::ExposeSecret::expose_secret(&app.secret()));
    let (url, client) = (world.azure().url("contoso").to_string(), app.client());
    let place =
        ["connect", "azure-devops", "--name", "contoso", "--url", &url, "--authority", client.authority.as_str()];
    let proof = ["--tenant", &client.tenant, "--client-id", &client.client_id, "--client-secret-file", &secret];
    world.ok(&[&place[..], &proof].concat()).await;
    (world, entra, app)
}

#[tokio::test]
async fn who_signs_in_at_entra_may_do_here_what_their_organization_lets_them() {
    let (world, entra, app) = organization().await;
    let services = services(&world).await;
    // Entra gives a code all the same, and says so only when it is asked who has signed in.
    let begun = begin(&services, &lisa()).await.unwrap();
    let refusal = async || identity::poll(&services, &begun.attempt).await.err();
    let refused = eventually(refusal, || "a refusal".to_owned()).await;
    assert!(refused.to_string().contains("does not let people sign in with a code"), "{refused}");
    app.public_client_flows();

    let begun = begin(&services, &lisa()).await.unwrap();
    entra.signs_in("lisa", &begun.user_code);
    let Linked::Done { login, .. } = outcome(&services, &begun.attempt).await else { panic!("lisa is nobody") };
    assert_eq!(login, "lisa@contoso.example");
    let link = services.catalog.links_of(&lisa()).await.unwrap().remove(0);
    assert_eq!(link.forge_user, format!("{}/{}", entra.tenant(), entra.user("lisa")));

    let web = services.catalog.resolve(&"Fabrikam/web".parse().unwrap()).await.unwrap();
    let may = async || identity::rights(&services, &lisa(), &web).await.unwrap();
    assert_eq!(may().await, Rights::None, "who is not in the organization");
    let org = world.azure().org("contoso");
    let (project, person) = (org.project("Fabrikam"), org.person("lisa").is_object(entra.user("lisa")));
    assert_eq!(may().await, Rights::None, "who is, and was given nothing");
    person.may(&project, &["GenericRead"]);
    assert_eq!(may().await, Rights::Read);
    person.may(&org, &["GenericContribute"]);
    assert_eq!(may().await, Rights::Write, "what the organization gives reaches here");
    person.may(&project, &["ManagePermissions"]);
    assert_eq!(may().await, Rights::Admin);
    person.may_not(&project, &["GenericContribute"]);
    assert_eq!(may().await, Rights::Read, "what is denied is not allowed by anything else");
    person.leaves();
    assert_eq!(may().await, Rights::None);
}

#[tokio::test]
async fn who_says_no_at_entra_or_takes_too_long_is_not_linked() {
    let (world, entra, app) = organization().await;
    app.public_client_flows();
    let services = services(&world).await;
    let begun = begin(&services, &lisa()).await.unwrap();
    entra.cancels_sign_in(&begun.user_code);
    assert_eq!(outcome(&services, &begun.attempt).await, Linked::Denied);
    let begun = begin(&services, &lisa()).await.unwrap();
    entra.move_clock(901);
    assert_eq!(outcome(&services, &begun.attempt).await, Linked::Expired);
    assert_eq!(services.catalog.links_of(&lisa()).await.unwrap(), []);
}

#[tokio::test]
async fn a_server_has_nobody_who_could_sign_in() {
    let world = World::with_azure_server("7.0", &[]).await;
    world.azure().org("Collection").project("Fabrikam").repo("web").await;
    world.connect_azure("Collection").await;
    let refused = begin(&*services(&world).await, &lisa()).await.err().unwrap();
    assert_eq!(refused.kind(), Kind::Misconfigured);
    assert!(refused.to_string().contains("an Azure DevOps Server has no Entra"), "{refused}");
}

#[tokio::test]
async fn two_people_may_be_the_same_user_and_are_one_to_approvals() {
    let (world, _) = world().await;
    let services = services(&world).await;
    let second = Person::new("discord", "1002").unwrap();
    link(&world, &services, &lisa(), "lisa").await;
    assert!(!services.catalog.same_person(&lisa(), &second).await.unwrap());
    link(&world, &services, &second, "lisa").await;
    assert!(services.catalog.same_person(&lisa(), &second).await.unwrap());
}
