//! Who somebody is on GitHub: the device flow.

use std::time::Duration;

use refward::domain::Result;
use refward::forge::{DeviceCode, ForgeUser, OauthClient, Polled};
use secrecy::SecretString;

use crate::support::fake_github::{AppHandle, FakeGithub, Fault, Seen};
use crate::{github, told};

/// A GitHub with an App that people can sign in with.
pub async fn host() -> (FakeGithub, AppHandle) {
    let host = FakeGithub::start().await;
    let app = host.app("acme").enable_device_flow();
    (host, app)
}

/// An App, as what people sign in with.
fn client(host: &FakeGithub, client_id: &str) -> OauthClient {
    OauthClient { authority: host.url().clone(), tenant: String::new(), client_id: client_id.to_owned() }
}

async fn begin(host: &FakeGithub, app: &AppHandle) -> DeviceCode {
    github().people().unwrap().begin(&client(host, &app.client_id())).await.unwrap()
}

async fn poll(host: &FakeGithub, app: &AppHandle, code: &SecretString) -> Result<Polled> {
    // Nobody waits for the pause that GitHub wants.
    host.move_clock(5);
    github().people().unwrap().poll(&client(host, &app.client_id()), code).await
}

/// Without what differs from run to run.
pub fn seen(host: &FakeGithub, text: &str) -> String {
    text.replace(&format!(":{}", host.url().port().unwrap()), ":PORT")
}

#[tokio::test]
async fn who_types_the_code_is_known_by_number_and_their_token_is_used_once() {
    let (host, app) = host().await;
    let code = begin(&host, &app).await;
    assert_eq!(code.page.path(), "/login/device");
    assert_eq!((code.expires_in.as_secs(), code.interval.as_secs()), (900, 5));
    let waiting = Polled::Waiting { interval: None };
    assert_eq!(poll(&host, &app, &code.device_code).await.unwrap(), waiting);
    assert_eq!(poll(&host, &app, &code.device_code).await.unwrap(), waiting);

    host.signs_in("lisa", &code.user_code);
    let lisa = ForgeUser { id: host.user_id("lisa"), login: "lisa".to_owned() };
    assert_eq!(poll(&host, &app, &code.device_code).await.unwrap(), Polled::Done(lisa));

    let with_a_persons_token = |seen: &Seen| {
        seen.header("authorization").iter().any(|value| value.contains("ghu_")).then(|| seen.path.clone())
    };
    let used: Vec<String> = host.seen().iter().filter_map(with_a_persons_token).collect();
    assert_eq!(used, ["/api/v3/user"]);
    // It is told once.
    assert_eq!(poll(&host, &app, &code.device_code).await.unwrap(), Polled::Expired);
}

#[tokio::test]
async fn who_says_no_or_takes_too_long_is_nobody() {
    let (host, app) = host().await;
    let code = begin(&host, &app).await;
    host.cancels_sign_in(&code.user_code);
    assert_eq!(poll(&host, &app, &code.device_code).await.unwrap(), Polled::Denied);

    let code = begin(&host, &app).await;
    host.move_clock(900);
    assert_eq!(poll(&host, &app, &code.device_code).await.unwrap(), Polled::Expired);
    assert_eq!(poll(&host, &app, &"made-up".into()).await.unwrap(), Polled::Expired);
}

#[tokio::test]
async fn a_host_that_wants_longer_pauses_is_heard() {
    let (host, app) = host().await;
    let code = begin(&host, &app).await;
    let client = client(&host, &app.client_id());
    let ask = async || github().people().unwrap().poll(&client, &code.device_code).await.unwrap();
    assert_eq!(ask().await, Polled::Waiting { interval: None });
    for seconds in [10, 15] {
        let interval = Some(Duration::from_secs(seconds));
        assert_eq!(ask().await, Polled::Waiting { interval });
    }
}

#[tokio::test]
async fn an_app_that_lets_nobody_sign_in_is_told_with_the_way_out() {
    let host = FakeGithub::start().await;
    let app = host.app("acme");
    let begin = async |client_id: &str| {
        let begun = github().people().unwrap().begin(&client(&host, client_id)).await;
        seen(&host, &told(&begun.err().unwrap()))
    };
    insta::assert_snapshot!(begin(&app.client_id()).await, @"
    Misconfigured: our App on 127.0.0.1:PORT does not let people sign in with a code
    → its owner has to tick “Enable Device Flow” in the App's settings, General, and save
    ");
    insta::assert_snapshot!(begin("Iv23liSomebodyElse").await, @"
    Misconfigured: 127.0.0.1:PORT does not know our App
    → see `refward apps list`
    ");
}

#[tokio::test]
async fn trouble_during_a_sign_in_signs_nobody_in() {
    let (host, app) = host().await;
    let code = begin(&host, &app).await;
    host.signs_in("lisa", &code.user_code);
    for fault in [
        Fault::json(500, "Server Error"),
        Fault::html(200),
        Fault::html(404),
        Fault::redirect("https://elsewhere.example/"),
        Fault::json(429, "You have exceeded a secondary rate limit."),
        Fault { body: "{}".to_owned(), ..Fault::json(200, "") },
        Fault { body: r#"{"error":"surprise"}"#.to_owned(), ..Fault::json(200, "") },
        Fault { body: r#"{"access_token":7}"#.to_owned(), ..Fault::json(200, "") },
    ] {
        host.fail_sign_in(1, &fault);
        let error = poll(&host, &app, &code.device_code).await.unwrap_err();
        assert!(!error.for_log().contains("ghu_"), "{}: {}", fault.body, error.for_log());
    }
    // The token is there, and who it was stays unknown.
    host.forget("/user");
    let error = poll(&host, &app, &code.device_code).await.unwrap_err();
    assert!(!error.for_log().contains("ghu_"), "{}", error.for_log());
}

#[tokio::test]
async fn a_token_that_a_replica_does_not_know_yet_is_shown_again() {
    let (host, app) = host().await;
    let code = begin(&host, &app).await;
    host.signs_in("lisa", &code.user_code);
    host.fail(1, &Fault::json(401, "Bad credentials"));
    host.fail(1, &Fault::json(502, "Bad Gateway"));
    let done = poll(&host, &app, &code.device_code).await.unwrap();
    assert!(matches!(done, Polled::Done(user) if user.login == "lisa"));
}
