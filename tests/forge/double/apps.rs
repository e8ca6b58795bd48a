//! Assertions, installations and their tokens.

use serde_json::{Value, json};

use super::{Answer, assertion, call, call_with, get, ls_remote, mint, names, signed, token};
use crate::support::fake_github::{AppHandle, Covers, FakeGithub};
use crate::support::shell::try_git;

/// An App of `acme` that is installed there.
async fn installed() -> (FakeGithub, AppHandle, u64) {
    let host = FakeGithub::start().await;
    let acme = host.org("acme");
    acme.repo("api").await;
    acme.repo("web").await;
    let app = host.app("acme");
    let installation = host.install(&app.slug(), "acme", Covers::All, None).id();
    (host, app, installation)
}

#[tokio::test]
async fn an_app_proves_who_it_is_by_an_assertion() {
    let (host, app, _) = installed().await;
    let id = json!(app.id);
    let ask = async |bearer: String| {
        let answer = get(&host, "app", &bearer).await;
        assert!(!answer.header("date").is_empty());
        answer
    };
    for issuer in [id.clone(), json!(app.id.to_string()), json!(app.client_id())] {
        let answer = ask(signed(&app.pem(), &issuer, -30, 600)).await;
        assert_eq!((answer.status, &answer.body["id"]), (200, &id), "{}", answer.body);
    }
    let other = host.app("acme");
    for (bearer, status, complaint) in [
        (signed(&app.pem(), &id, 90, 300), 401, "'Issued at' claim ('iat') must be an Integer"),
        (signed(&app.pem(), &id, -30, 660), 401, "'exp') is too far in the future"),
        (signed(&app.pem(), &id, -700, -60), 401, "'Expiration time' claim ('exp') must be"),
        (signed(&other.pem(), &id, -30, 300), 401, "could not be decoded"),
        (signed(&app.pem(), &json!("Iv23nobody"), -30, 300), 404, "Integration not found"),
        ("ghs_something".to_owned(), 401, "could not be decoded"),
    ] {
        let answer = ask(bearer).await;
        let (told, text) = answer.told();
        assert!(told == status && text.contains(complaint), "{complaint}: {told} {text}");
    }
    // The host's clock is ten minutes behind ours: what we issue now was issued in its future.
    host.move_clock(-600);
    assert!(ask(assertion(&app)).await.told().1.contains("'Issued at'"));
}

#[tokio::test]
async fn keys_come_and_go() {
    let (host, app, _) = installed().await;
    let old = app.pem();
    let new = app.add_key();
    assert_ne!(old, new);
    let status = async |pem: &str| get(&host, "app", &signed(pem, &json!(app.id), -30, 300)).await.status;
    assert_eq!((status(&old).await, status(&new).await), (200, 200));
    app.remove_key(&old);
    assert_eq!((status(&old).await, status(&new).await), (401, 200));
}

#[tokio::test]
async fn where_an_app_is_installed() {
    let (host, app, installation) = installed().await;
    let jwt = assertion(&app);
    for path in [
        format!("app/installations/{installation}"),
        "orgs/acme/installation".to_owned(),
        "repos/acme/api/installation".to_owned(),
    ] {
        let answer = get(&host, &path, &jwt).await;
        assert_eq!((answer.status, &answer.body["id"]), (200, &json!(installation)), "{path}");
    }
    assert_eq!(get(&host, "app/installations/1", &jwt).await.status, 404);
    assert_eq!(get(&host, "users/mona/installation", &jwt).await.status, 404);

    host.org("globex");
    host.install(&app.slug(), "globex", Covers::All, None);
    let pages = get(&host, "app/installations?per_page=1&page=2", &jwt).await;
    assert_eq!(pages.body[0]["account"]["login"], "globex");
    assert!(pages.header("link").contains("per_page=1&page=1>; rel=\"prev\""), "{}", pages.header("link"));

    let suspended = format!("app/installations/{installation}/suspended");
    for (method, minted) in [("PUT", 403), ("DELETE", 201)] {
        assert_eq!(call(&host, method, &suspended, &jwt, Value::Null).await.status, 204);
        assert_eq!(mint(&host, &app, installation, Value::Null).await.status, minted);
    }
    let outdated = async || get(&host, "app/installations?outdated=1", &jwt).await.body.as_array().unwrap().len();
    assert_eq!(outdated().await, 0);
    let app = app.permissions(&[("metadata", "read"), ("contents", "write")]);
    assert_eq!(outdated().await, 2);

    let gone = call(&host, "DELETE", &format!("app/installations/{installation}"), &jwt, Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(mint(&host, &app, installation, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_token_is_narrowed_to_repositories_and_permissions() {
    let (host, app, installation) = installed().await;
    let listed = async |token: &str| get(&host, "installation/repositories", token).await;

    let all = mint(&host, &app, installation, Value::Null).await;
    let text = all.body["token"].as_str().unwrap();
    assert!(text.starts_with(&format!("ghs_{}_", app.id)) && (500..540).contains(&text.len()), "{text}");
    assert_eq!(all.body["repository_selection"], "all");
    assert_eq!(names(&listed(text).await.body["repositories"]), ["api", "web"]);

    let narrow = json!({ "repositories": ["web"], "permissions": { "metadata": "read" } });
    let narrow = token(&host, &app, installation, narrow).await;
    assert_eq!(names(&listed(&narrow).await.body["repositories"]), ["web"]);
    assert_eq!(get(&host, "repos/acme/api", &narrow).await.status, 404);
    let refused = get(&host, "repos/acme/web/branches", &narrow).await;
    assert_eq!(refused.told(), (403, "Resource not accessible by integration"));
    assert_eq!(refused.header("x-accepted-github-permissions"), "contents=read");

    for too_much in [
        json!({ "permissions": { "contents": "write" } }),
        json!({ "permissions": { "issues": "read" } }),
        json!({ "repositories": ["nothing"] }),
        json!({ "repository_ids": (0..501).collect::<Vec<_>>() }),
    ] {
        assert_eq!(mint(&host, &app, installation, too_much).await.status, 422);
    }
    assert_eq!(host.mints(), 6);
    assert_eq!(get(&host, "user", text).await.status, 403);
    assert_eq!(call(&host, "DELETE", "installation/token", text, Value::Null).await.status, 204);
    assert_eq!(listed(text).await.told(), (401, "Bad credentials"));
}

#[tokio::test]
async fn a_token_ends_after_an_hour_and_with_its_installation() {
    let (host, app, installation) = installed().await;
    let status = async |token: &str| get(&host, "installation/repositories", token).await.status;
    let first = token(&host, &app, installation, Value::Null).await;
    host.move_clock(3590);
    assert_eq!(status(&first).await, 200);
    host.move_clock(20);
    assert_eq!(status(&first).await, 401);
    host.move_clock(-3610);

    let second = token(&host, &app, installation, Value::Null).await;
    host.suspend(installation);
    assert_eq!(status(&second).await, 401);
    let refused = mint(&host, &app, installation, Value::Null).await;
    assert_eq!(refused.told(), (403, "This installation has been suspended"));
    host.unsuspend(installation);
    assert_eq!(status(&second).await, 200);

    host.replicas_lag(2);
    let third = token(&host, &app, installation, Value::Null).await;
    assert_eq!((status(&third).await, status(&third).await, status(&third).await), (401, 401, 200));
}

#[tokio::test]
async fn git_opens_to_an_installation_token() {
    let (host, app, installation) = installed().await;
    let url = host.url().join("acme/api.git").unwrap();
    let permissions = |level| json!({ "permissions": { "contents": level } });
    let read = token(&host, &app, installation, permissions("read")).await;
    ls_remote(&url, "x-access-token", &read).await.unwrap();
    assert!(ls_remote(&url, "mona", &read).await.unwrap_err().contains("Authentication failed"));
    let blind = token(&host, &app, installation, json!({ "permissions": { "metadata": "read" } })).await;
    assert!(ls_remote(&url, "x-access-token", &blind).await.unwrap_err().contains("403"));
    let elsewhere = token(&host, &app, installation, json!({ "repositories": ["web"] })).await;
    assert!(ls_remote(&url, "x-access-token", &elsewhere).await.unwrap_err().contains("not found"));

    // Pushing takes more, and the owner has to agree to more.
    let work = host.org("acme").repo("new").await.work().await;
    work.commit("one").await;
    let push = async |token: &str| {
        let mut url = url.clone();
        url.set_username("x-access-token").unwrap();
        url.set_password(Some(token)).unwrap();
        try_git(work.path(), &["push", "--quiet", url.as_str(), "main"]).await.status.success()
    };
    assert!(!push(&read).await);
    let app = app.permissions(&[("metadata", "read"), ("contents", "write")]);
    assert_eq!(mint(&host, &app, installation, permissions("write")).await.status, 422);
    host.accept_new_permissions(installation);
    assert!(push(&token(&host, &app, installation, permissions("write")).await).await);

    host.git_refuses_stateless(true);
    assert!(ls_remote(&url, "x-access-token", &read).await.unwrap_err().contains("not found"));
    let path = format!("app/installations/{installation}/access_tokens");
    let disabled = ("x-github-stateless-s2s-token", "disabled");
    let old: Answer = call_with(&host, "POST", &path, &assertion(&app), Value::Null, disabled).await;
    let old = old.body["token"].as_str().unwrap();
    assert_eq!(old.len(), 40);
    ls_remote(&url, "x-access-token", old).await.unwrap();
}
