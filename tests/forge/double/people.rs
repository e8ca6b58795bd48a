//! Signing in with a code, who may do what, and rules that pushes break.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::get;
use crate::client;
use crate::support::fake_github::{AppHandle, FakeGithub, Token};
use crate::support::shell::try_git;

/// Posts a form to a page of the host.
async fn post(host: &FakeGithub, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let url = host.url().join(path).unwrap();
    let answer = client().post(url).header("accept", "application/json").form(form).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn begin(host: &FakeGithub, app: &AppHandle) -> Value {
    let (status, body) = post(host, "login/device/code", &[("client_id", &app.client_id())]).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn poll(host: &FakeGithub, client_id: &str, code: &Value) -> Value {
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let form = [("client_id", client_id), ("device_code", code["device_code"].as_str().unwrap()), grant];
    let (status, body) = post(host, "login/oauth/access_token", &form).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[tokio::test]
async fn a_code_becomes_a_token_of_whoever_typed_it_once() {
    let host = FakeGithub::start().await;
    host.org("acme").repo("api").await;
    let app = host.app("acme").enable_device_flow();
    let (id, code) = (app.client_id(), begin(&host, &app).await);
    assert_eq!((&code["interval"], &code["expires_in"]), (&json!(5), &json!(900)));
    assert_eq!(host.user_code().as_deref(), code["user_code"].as_str());
    assert_eq!(poll(&host, &id, &code).await["error"], "authorization_pending");
    let hasty = poll(&host, &id, &code).await;
    assert_eq!((&hasty["error"], &hasty["interval"]), (&json!("slow_down"), &json!(10)));
    assert_eq!(poll(&host, "Iv23liOther", &code).await["error"], "incorrect_client_credentials");

    host.signs_in("lisa", code["user_code"].as_str().unwrap());
    host.move_clock(10);
    let token = poll(&host, &id, &code).await["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get(&host, "user", &token).await.body["login"], "lisa");
    assert_eq!(get(&host, "repos/acme/api", &token).await.status, 404, "it opens nothing that is private");
    assert_eq!(poll(&host, &id, &code).await["error"], "incorrect_device_code");
}

#[tokio::test]
async fn codes_end_and_apps_have_to_allow_them() {
    let host = FakeGithub::start().await;
    let app = host.app("acme");
    let begin_as = async |client_id: &str| post(&host, "login/device/code", &[("client_id", client_id)]).await;
    let (status, body) = begin_as(&app.client_id()).await;
    assert_eq!((status, &body["error"]), (400, &json!("device_flow_disabled")));
    assert_eq!(begin_as("Iv23liOther").await.0, 404);

    let app = app.enable_device_flow();
    let code = begin(&host, &app).await;
    host.move_clock(901);
    assert_eq!(poll(&host, &app.client_id(), &code).await["error"], "expired_token");
    let code = begin(&host, &app).await;
    host.cancels_sign_in(code["user_code"].as_str().unwrap());
    assert_eq!(poll(&host, &app.client_id(), &code).await["error"], "access_denied");
    let form = client().post(host.url().join("login/device/code").unwrap()).form(&[("client_id", app.client_id())]);
    assert!(!form.send().await.unwrap().text().await.unwrap().starts_with('{'), "whoever wants JSON has to say so");
}

#[tokio::test]
async fn who_may_push_may_ask_who_may_do_what() {
    let host = FakeGithub::start().await;
    let api = host.org("acme").repo("api").await;
    api.custom_collaborator("cleo", "Release manager", "write");
    api.collaborator("max", "maintain");
    let token = host.token(Token::classic("mona"));
    let ask = async |path: &str, token: &str| get(&host, &format!("{path}/permission"), token).await;
    for path in ["repos/acme/api".to_owned(), format!("repositories/{}", api.id)] {
        for (login, permission, role) in
            [("max", "write", "maintain"), ("cleo", "write", "Release manager"), ("mona", "none", "none")]
        {
            let told = ask(&format!("{path}/collaborators/{login}"), token.expose_secret()).await.body;
            assert_eq!((&told["permission"], &told["role_name"]), (&json!(permission), &json!(role)), "{login}");
            assert_eq!(told["user"]["login"], login);
        }
        assert_eq!(ask(&format!("{path}/collaborators/nobody"), token.expose_secret()).await.status, 404);
    }
    let reads_only = host.token(Token::classic("mona").reads_only());
    let refused = ask("repos/acme/api/collaborators/max", reads_only.expose_secret()).await;
    assert_eq!(refused.told(), (403, "Must have push access to view collaborator permission."));
    let by_number = get(&host, &format!("user/{}", host.user_id("max")), reads_only.expose_secret()).await;
    assert_eq!(by_number.body["login"], "max");
}

#[tokio::test]
async fn whoever_takes_a_name_that_is_free_is_somebody_else() {
    let host = FakeGithub::start().await;
    let before = host.user_id("lisa");
    host.rename_account("lisa", "elisabeth");
    assert_eq!(host.user_id("elisabeth"), before);
    assert_ne!(host.user_id("lisa"), before);
}

#[tokio::test]
async fn a_protected_branch_refuses_what_its_rules_say() {
    let host = FakeGithub::start().await;
    let api = host.org("acme").repo("api").await;
    let work = api.work().await;
    work.commit("one").await;
    work.push(&["main", "main:refs/heads/old"]).await;
    let push = async |arguments: &[&str]| {
        let output = try_git(work.path(), &[&["push", "origin"], arguments].concat()).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(told) }
    };
    api.protect("main", &["Cannot force-push to this branch"]);
    api.protect("old", &["Cannot delete this protected branch"]);
    work.commit("two").await;
    push(&["main"]).await.unwrap();
    let refused = push(&["--force", "HEAD~1:main"]).await.unwrap_err();
    assert!(refused.contains("remote: error: GH006: Protected branch update failed for refs/heads/main."), "{refused}");
    assert!(refused.contains("remote: error: Cannot force-push to this branch"), "{refused}");
    assert!(push(&["--delete", "old"]).await.unwrap_err().contains("Cannot delete this protected branch"));
    push(&["--force", "HEAD~1:refs/heads/other"]).await.unwrap();

    api.ruleset("refs/heads/old", &["Changes must be made through a pull request."]);
    let refused = push(&["main:old"]).await.unwrap_err();
    assert!(refused.contains("GH013: Repository rule violations found for refs/heads/old."), "{refused}");
    assert!(refused.contains("remote: - Changes must be made through a pull request."), "{refused}");
    api.unprotect();
    push(&["main:old"]).await.unwrap();
    push(&["--delete", "old"]).await.unwrap();
}
