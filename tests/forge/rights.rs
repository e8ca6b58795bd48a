//! What somebody may do on GitHub now: only what it says in so many words.

use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use refward::domain::Result;
use refward::forge::{Access, Credential, CredentialKind, ForgeUser, Place, Rights};
use serde_json::{Value, json};
use url::Url;

use crate::people::{host, seen};
use crate::support::fake_github::{AppHandle, Covers, FakeGithub, Fault, Repo, Token};
use crate::{github, told};

async fn rights(access: &Access, repo: &Repo, id: &str) -> Result<Rights> {
    let user = ForgeUser { id: id.to_owned(), login: "as-it-was".to_owned() };
    let (forge_id, full_name) = (repo.id.to_string(), "acme/as-it-was");
    let forge = github();
    forge.people().unwrap().rights(access, Place { forge_id: &forge_id, full_name }, &user).await
}

/// What an App's installation can ask with.
fn installed(host: &FakeGithub, app: &AppHandle, covers: Covers) -> Access {
    let id = host.install(&app.slug(), "acme", covers, None).id().to_string();
    let key = app.key();
    let credential = Credential {
        label: "app".to_owned(),
        who: format!("installation {id}"),
        kind: CredentialKind::Installation { app: key, id, all_repositories: true },
    };
    let access = host.access("acme", &"unused".into());
    Access { credentials: vec![credential], ..access }
}

#[tokio::test]
async fn rights_are_the_highest_of_all_that_somebody_was_given() {
    let (host, app) = host().await;
    let acme = host.org("acme");
    let (api, web) = (acme.repo("api").await, acme.public_repo("web").await);
    let diary = host.user("mona").repo("diary").await;
    for (login, role) in [("eve", "read"), ("tim", "triage"), ("will", "write"), ("max", "maintain"), ("ada", "admin")]
    {
        api.collaborator(login, role);
    }
    api.custom_collaborator("cleo", "Release manager", "write");
    api.custom_collaborator("cora", "Reviewer", "read");
    acme.owner("olga");
    acme.member("mia");
    acme.team(&["tess", "eve"]).may(&api, "write");

    let by_token = host.access("acme", &host.token(Token::classic("mona")));
    let by_app = installed(&host, &app, Covers::All);
    let ask = async |repo: &Repo, login: &str| {
        let id = host.user_id(login);
        let known = rights(&by_token, repo, &id).await.unwrap();
        if repo.id != diary.id {
            assert_eq!(rights(&by_app, repo, &id).await.unwrap(), known, "{login}");
        }
        known
    };
    for (login, expected) in [
        ("sam", Rights::None),
        ("mia", Rights::None),
        ("tim", Rights::Read),
        ("cora", Rights::Read),
        ("will", Rights::Write),
        ("max", Rights::Write),
        ("cleo", Rights::Write),
        ("tess", Rights::Write),
        ("eve", Rights::Write),
        ("ada", Rights::Admin),
        ("olga", Rights::Admin),
    ] {
        assert_eq!(ask(&api, login).await, expected, "{login}");
    }
    acme.base_permission("read");
    assert_eq!(ask(&api, "mia").await, Rights::Read);
    assert_eq!((ask(&web, "sam").await, ask(&web, "will").await), (Rights::Read, Rights::Read));
    assert_eq!((ask(&diary, "mona").await, ask(&diary, "olga").await), (Rights::Admin, Rights::None));

    // They are what they are now.
    api.collaborator("will", "none");
    acme.leaves("eve");
    acme.leaves("olga");
    let now = (ask(&api, "will").await, ask(&api, "eve").await, ask(&api, "olga").await);
    assert_eq!(now, (Rights::None, Rights::Read, Rights::None));
}

#[tokio::test]
async fn an_app_needs_no_more_than_to_read_metadata_to_ask() {
    let (host, app) = host().await;
    let api = host.org("acme").repo("api").await;
    api.collaborator("lisa", "write");
    let access = installed(&host, &app.permissions(&[("metadata", "read")]), Covers::All);
    assert_eq!(rights(&access, &api, &host.user_id("lisa")).await.unwrap(), Rights::Write);
}

#[tokio::test]
async fn people_keep_their_rights_with_their_number_whatever_they_are_called() {
    let (host, app) = host().await;
    let api = host.org("acme").repo("api").await;
    api.collaborator("lisa", "write");
    let access = installed(&host, &app, Covers::All);
    let lisa = host.user_id("lisa");

    host.rename_account("lisa", "lisa-at-home");
    assert_eq!(rights(&access, &api, &lisa).await.unwrap(), Rights::Write);
    // Somebody else takes the name that is free now.
    let other = host.user_id("lisa");
    assert_ne!(lisa, other);
    assert_eq!(rights(&access, &api, &other).await.unwrap(), Rights::None);
    assert_eq!(rights(&access, &api, &lisa).await.unwrap(), Rights::Write);

    let suspended = r#"{ "id": ID, "login": "lisa-at-home", "suspended_at": "2026-11-21T10:00:00Z" }"#;
    let suspended = Fault { body: suspended.replace("ID", &lisa), ..Fault::json(200, "") };
    rights(&access, &api, &lisa).await.unwrap();
    let token = host.access("acme", &host.token(Token::classic("mona")));
    host.fail(1, &suspended);
    assert_eq!(rights(&token, &api, &lisa).await.unwrap(), Rights::None);
    host.delete_user("lisa-at-home");
    assert_eq!(rights(&access, &api, &lisa).await.unwrap(), Rights::None);
}

#[tokio::test]
async fn a_repository_is_asked_about_by_its_number_whoever_has_its_name_by_now() {
    let (host, app) = host().await;
    let acme = host.org("acme");
    let api = acme.repo("api").await;
    api.collaborator("lisa", "read");
    api.rename("service");
    let other = acme.repo("api").await;
    other.collaborator("lisa", "admin");
    let access = installed(&host, &app, Covers::All);
    assert_eq!(rights(&access, &api, &host.user_id("lisa")).await.unwrap(), Rights::Read);
    api.delete();
    assert!(rights(&access, &api, &host.user_id("lisa")).await.is_err());
}

#[tokio::test]
async fn a_credential_that_may_not_ask_says_so_and_another_one_is_asked() {
    let (host, app) = host().await;
    let api = host.org("acme").repo("api").await;
    host.org("acme").repo("web").await;
    api.collaborator("lisa", "write");
    let lisa = host.user_id("lisa");
    let reads_only = host.access("acme", &host.token(Token::classic("mona").reads_only()));
    let blind = host.access("acme", &host.token(Token::fine_grained("mona", "acme").chosen(&["web"])));
    let expired = host.access("acme", &host.token(Token::classic("mona").expired()));
    let other = installed(&host, &app, Covers::Only(&["web"]));
    let ask = async |access: &Access| seen(&host, &told(&rights(access, &api, &lisa).await.unwrap_err()));
    insta::assert_snapshot!(ask(&reads_only).await, @"
    Misconfigured: the credential `token` may not ask who may do what in acme/as-it-was: its user lacks the role Write there
    → give its user that role, or use an App, which needs none: `refward apps create`
    ");
    insta::assert_snapshot!(ask(&blind).await, @"
    Misconfigured: the credential `token` does not see acme/as-it-was
    → give it the repository on the forge, or use another: `refward credentials --help`
    ");
    insta::assert_snapshot!(ask(&expired).await, @"
    Misconfigured: 127.0.0.1:PORT refuses the token: Bad credentials
    → it is mistyped, expired or revoked; make a new one at http://127.0.0.1:PORT/settings/tokens
    ");
    insta::assert_snapshot!(ask(&other).await, @"
    Misconfigured: the credential `app` does not see acme/as-it-was
    → give it the repository on the forge, or use another: `refward credentials --help`
    ");
    insta::assert_snapshot!(ask(&Access { credentials: Vec::new(), ..blind.clone() }).await, @"
    Misconfigured: there is no credential to use
    → -
    ");

    let good = host.access("acme", &host.token(Token::classic("mona")));
    let mut pool = reads_only.clone();
    pool.credentials.extend(good.credentials.into_iter().map(|good| Credential { label: "good".to_owned(), ..good }));
    assert_eq!(rights(&pool, &api, &lisa).await.unwrap(), Rights::Write);
}

#[tokio::test]
async fn what_cannot_be_found_out_is_an_error_and_no_right() {
    let (host, _) = host().await;
    let api = host.org("acme").repo("api").await;
    api.collaborator("lisa", "admin");
    let lisa = host.user_id("lisa");
    let access = host.access("acme", &host.token(Token::classic("mona")));
    for fault in [
        Fault::json(500, "Server Error"),
        Fault::json(502, "Bad Gateway"),
        Fault::html(200),
        Fault::json(403, "Forbidden"),
        Fault::json(451, "Repository access blocked"),
        Fault::redirect("https://elsewhere.example/user/1"),
        Fault { body: "[]".to_owned(), ..Fault::json(200, "") },
        Fault { body: r#"{ "id": 1, "login": "somebody-else" }"#.to_owned(), ..Fault::json(200, "") },
        Fault { body: r#"{ "id": ID, "login": "../../orgs/acme" }"#.replace("ID", &lisa), ..Fault::json(200, "") },
    ] {
        host.fail(1, &fault);
        let known = rights(&access, &api, &lisa).await;
        assert!(known.is_err(), "{}: {known:?}", fault.body);
    }
    host.limit(Some(0));
    let error = rights(&access, &api, &lisa).await.unwrap_err();
    assert!(error.kind().is_transient(), "{error}");
    host.limit(None);
    assert_eq!(rights(&access, &api, &lisa).await.unwrap(), Rights::Admin);
}

/// A host whose user 1 is `lisa`, and which says of their rights whatever it is told to.
fn host_that_says(said: &Arc<Mutex<(u16, String)>>) -> Url {
    let said = said.clone();
    let answer = move |request: HttpRequest| {
        let (status, body) = match request.path() {
            "/api/v3/user/1" => (200, json!({ "id": 1, "login": "lisa" }).to_string()),
            _ => said.lock().unwrap().clone(),
        };
        let status = StatusCode::from_u16(status).unwrap();
        std::future::ready(HttpResponse::build(status).content_type("application/json").body(body))
    };
    let server = HttpServer::new(move || App::new().default_service(web::to(answer.clone())));
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.addrs()[0]).parse().unwrap();
    tokio::spawn(server.run());
    url
}

fn words() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("write".to_owned()),
        Just("admin".to_owned()),
        Just("read".to_owned()),
        Just("none".to_owned()),
        Just("maintain".to_owned()),
        Just("Write".to_owned()),
        Just("write ".to_owned()),
        "[a-z]{0,8}",
    ];
    prop_oneof![
        8 => word.prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!(true)),
        1 => Just(json!(["write"])),
        1 => Just(json!({ "push": true })),
    ]
}

/// Whom the answer is about.
fn user() -> impl Strategy<Value = Value> {
    let all = json!({ "pull": true, "push": true, "admin": true });
    let known = move |id: Value| json!({ "id": id, "login": "lisa", "role_name": "admin", "permissions": all });
    let lisa = Just(json!(1)).prop_map(known.clone());
    let others = prop::sample::select(vec![json!(2), json!("1"), json!(-1), Value::Null]).prop_map(known);
    prop_oneof![6 => lisa, 2 => others, 1 => Just(Value::Null)]
}

#[test]
fn nothing_but_an_explicit_permission_of_this_user_lets_anybody_write() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let said = Arc::new(Mutex::new((200, String::new())));
    let url = runtime.block_on(async { host_that_says(&said) });
    let access = Access::with_token(url, "acme", "t0ken".into());
    let lisa = ForgeUser { id: "1".to_owned(), login: "lisa".to_owned() };
    let statuses =
        prop_oneof![5 => Just(200_u16), 1 => prop::sample::select(vec![202_u16, 304, 401, 403, 404, 422, 500])];
    let answers = (statuses, words(), words(), user(), any::<bool>());
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    let outcome = runner.run(&answers, |(status, permission, role, user, whole)| {
        let explicit = user["id"] == 1 && (permission == "write" || permission == "admin");
        let body = json!({ "permission": permission, "role_name": role, "user": user }).to_string();
        let body = if whole { body } else { body[..body.len() / 2].to_owned() };
        *said.lock().unwrap() = (status, body);
        let place = Place { forge_id: "7", full_name: "acme/api" };
        let forge = github();
        let known = runtime.block_on(forge.people().unwrap().rights(&access, place, &lisa));
        let may_write = matches!(known, Ok(Rights::Write | Rights::Admin));
        prop_assert_eq!(may_write, explicit && whole && (200..300).contains(&status));
        Ok(())
    });
    outcome.unwrap();
}
