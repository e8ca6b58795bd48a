//! A forge that is connected by signing in: from the form to the first snapshot, and every way in which that ends otherwise.

use crate::browser::Browser;
use crate::support::fake_entra::{Application, FakeEntra};
use crate::support::world::{Service, World, files};

struct Scene {
    world: World,
    service: Service,
    entra: FakeEntra,
    app: Application,
}

/// An organization with one repository, whose directory has an application for us, and mona, who administers both.
async fn scene() -> Scene {
    let world = World::with_azure(&[]).await;
    let entra = FakeEntra::start().await;
    let app = entra.application("Refward");
    let org = world.azure().org("contoso");
    org.joins(entra.tenant());
    org.person("mona").is_object(entra.user("mona")).administers();
    entra.admin("mona");
    world.azure().accept_bearers(entra.checker());
    let work = org.project("Fabrikam").repo("web").await.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let service = world.serve().await;
    app.redirects_to(service.url("/setup/signed-in").as_str());
    Scene { world, service, entra, app }
}

impl Scene {
    /// A browser in which the form has been sent.
    async fn asked(&self) -> Browser {
        let mut browser = Browser::let_in(&self.world, &self.service).await;
        browser.click("Connect Azure DevOps").await;
        self.fill(&mut browser, self.entra.url().as_str()).await;
        browser
    }

    async fn fill(&self, browser: &mut Browser, authority: &str) {
        let (url, client) = (self.world.azure().url("contoso").to_string(), self.app.client());
        let secret = secrecy::ExposeSecret::expose_secret(&self.app.secret()).to_owned();
        let place = [("name", "contoso"), ("url", url.as_str()), ("authority", authority)];
        let proof = [("tenant", client.tenant.as_str()), ("client_id", &client.client_id), ("secret", &secret)];
        browser.submit(&[place, proof].concat()).await;
    }

    async fn connections(&self) -> serde_json::Value {
        self.world.ok(&["connections", "list"]).await
    }
}

#[tokio::test]
async fn who_signs_in_connects_their_organization() {
    let scene = scene().await;
    let mut browser = scene.asked().await;
    assert_eq!((browser.status, browser.at.path()), (200, "/setup/sign-in"), "{}", browser.text());
    browser.click("Sign in").await;
    browser.submit(&[("account", "mona"), ("decision", "agree")]).await;
    assert_eq!((browser.status, browser.at.path()), (200, "/setup/connected"), "{}", browser.text());
    assert!(browser.text().contains("contoso is connected"), "{}", browser.text());
    assert_eq!(browser.at.query(), None, "no code stays in the address");
    scene.world.snapshot("Fabrikam/web", 1).await;

    let credentials = scene.world.ok(&["credentials", "list"]).await;
    assert_eq!(credentials["credentials"][0]["kind"], "delegated", "{credentials}");
    let secrets = scene.entra.secrets();
    assert!(secrets.len() >= 2, "a token and a sign-in");
    for file in files(&scene.world.folder()) {
        let bytes = std::fs::read(&file).unwrap();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{} holds {secret}", file.display());
        }
    }
}

#[tokio::test]
async fn where_people_may_not_agree_an_administrator_does_first() {
    let scene = scene().await;
    scene.app.needs_admin_consent();
    scene.world.azure().org("contoso").person("lisa").is_object(scene.entra.user("lisa")).administers();
    let mut browser = scene.asked().await;
    browser.click("Sign in").await;
    browser.submit(&[("account", "lisa"), ("decision", "agree")]).await;
    insta::assert_snapshot!(browser.text(), @"
    500 /setup/signed-in
    That did not work
    nobody has agreed yet that the application may use Azure DevOps for them
    an administrator can agree for the whole organization: the first step at /setup
    ");

    browser.open("/setup/sign-in").await;
    browser.click("Agree as an administrator").await;
    browser.submit(&[("account", "mona"), ("decision", "agree")]).await;
    assert!(browser.text().contains("An administrator has agreed."), "{}", browser.text());
    browser.click("Sign in").await;
    browser.submit(&[("account", "lisa"), ("decision", "agree")]).await;
    assert_eq!(browser.at.path(), "/setup/connected", "{}", browser.text());
}

#[tokio::test]
async fn who_does_not_agree_connects_nothing() {
    let scene = scene().await;
    let mut browser = scene.asked().await;
    browser.click("Sign in").await;
    browser.submit(&[("account", "mona"), ("decision", "decline")]).await;
    assert!(browser.text().contains("nobody has agreed"), "{}", browser.text());
    browser.open("/setup/sign-in").await;
    browser.click("Agree as an administrator").await;
    browser.submit(&[("account", "mona"), ("decision", "decline")]).await;
    assert!(browser.text().contains("whoever was asked did not agree"), "{}", browser.text());
    assert_eq!(scene.connections().await, serde_json::json!([]));
}

#[tokio::test]
async fn an_answer_is_good_once_and_in_the_browser_that_it_is_for() {
    let scene = scene().await;
    let mut browser = scene.asked().await;
    browser.click("Sign in").await;
    let state = browser.at.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let back = format!("{}?code=made-up&state={state}", scene.service.url("/setup/signed-in"));

    let mut other = scene.asked().await;
    other.open(&back).await;
    assert!(other.text().contains("this is no answer to a sign-in that began in this browser"), "{}", other.text());
    let mut nobody = Browser::new(&scene.world, &scene.service);
    nobody.open(&back).await;
    assert_eq!(nobody.status, 403, "{}", nobody.text());
    assert_eq!(scene.entra.grants(), [""; 0], "neither was worth a question");

    // In the right one the code is tried, and with that the state is used up.
    browser.open(&back).await;
    assert_eq!(scene.entra.grants(), ["authorization_code"], "{}", browser.text());
    browser.open(&back).await;
    assert!(browser.text().contains("or a repeated one"), "{}", browser.text());
    assert_eq!(scene.entra.grants(), ["authorization_code"]);
    assert_eq!(scene.connections().await, serde_json::json!([]));
}

#[tokio::test]
async fn what_one_authority_gave_is_not_taken_to_another() {
    let scene = scene().await;
    let mut browser = scene.asked().await;
    browser.click("Sign in").await;
    let state = browser.at.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let other = FakeEntra::start().await;
    browser.open(scene.service.url("/setup").as_str()).await;
    browser.click("Connect Azure DevOps").await;
    scene.fill(&mut browser, other.url().as_str()).await;
    assert_eq!(browser.at.path(), "/setup/sign-in", "{}", browser.text());
    browser.open(&format!("{}?code=made-up&state={state}", scene.service.url("/setup/signed-in"))).await;
    assert!(browser.text().contains("this is no answer to a sign-in"), "{}", browser.text());
    assert_eq!((scene.entra.grants(), other.grants()), (vec![], vec![]), "the code went nowhere");
}

#[tokio::test]
async fn what_cannot_be_is_said_at_once_and_the_secret_is_not_repeated() {
    let scene = scene().await;
    let mut browser = Browser::let_in(&scene.world, &scene.service).await;
    browser.click("Connect Azure DevOps").await;
    scene.fill(&mut browser, "http://login.example.com").await;
    assert_eq!(browser.status, 400);
    assert!(browser.text().contains("address must be https://HOST and no more"), "{}", browser.text());
    scene.fill(&mut browser, scene.entra.url().as_str()).await;
    assert_eq!(browser.at.path(), "/setup/sign-in", "{}", browser.text());
}

#[tokio::test]
async fn a_sign_in_that_has_ended_is_named_and_done_again() {
    let scene = scene().await;
    let mut browser = scene.asked().await;
    browser.click("Sign in").await;
    browser.submit(&[("account", "mona"), ("decision", "agree")]).await;
    scene.entra.ends_sign_ins("mona");
    scene.entra.revoke_tokens();
    let ran = scene.world.refward(&["connections", "test", "contoso"]).await;
    assert!(ran.stderr.contains("the sign-in has ended"), "{ran:?}");
    assert_eq!(ran.code, 6);

    browser.open("/setup").await;
    browser.submit_last(&[]).await;
    browser.click("Sign in").await;
    browser.submit(&[("account", "mona"), ("decision", "agree")]).await;
    assert_eq!(browser.at.path(), "/setup/connected", "{}", browser.text());
    scene.world.ok(&["connections", "test", "contoso"]).await;
}
