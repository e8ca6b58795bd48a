//! Calls of the API.

use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{Visitor, names, told};
use crate::client;
use crate::support::fake_azure_devops::{FakeAzureDevops, SignIn, fault, openapi};

#[tokio::test]
async fn projects_repositories_and_references_are_listed() {
    let azure = FakeAzureDevops::start().await;
    let project = azure.org("acme").project("Prój eñt");
    let repo = project.repo("My Repo").await;
    let work = repo.work().await;
    work.commit("one").await;
    work.push(&["main"]).await;
    let visitor = Visitor::new(&azure, azure.pat("mona", "acme", &["vso.code", "vso.project"]));

    assert_eq!(names(&visitor.list("_apis/projects").await), ["Prój eñt"]);
    let repositories = visitor.list("_apis/git/repositories").await;
    assert_eq!(names(&repositories), ["My Repo"]);
    assert_eq!(repositories[0]["defaultBranch"], "refs/heads/main");
    let refs = visitor.list(&format!("{}/_apis/git/repositories/my%20repo/refs", project.id())).await;
    assert_eq!(names(&refs), ["refs/heads/main"]);
    assert_eq!(refs[0]["objectId"].as_str().unwrap(), repo.tip("main").await);
    let me: Value = visitor.get("_apis/connectionData?api-version=7.1-preview").await.json().await.unwrap();
    assert_eq!(me["deploymentType"], "hosted");
}

#[tokio::test]
async fn pages_end_only_where_no_token_comes() {
    let azure = FakeAzureDevops::start().await;
    let org = azure.org("acme");
    for name in ["a", "b", "c"] {
        org.project(name);
    }
    azure.page_size(2);
    azure.empty_pages();
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    let (mut path, mut pages) = ("_apis/projects".to_owned(), Vec::new());
    loop {
        let answer = visitor.get(&path).await;
        let token = answer.headers().get("x-ms-continuationtoken").map(|token| token.to_str().unwrap().to_owned());
        let page: Value = answer.json().await.unwrap();
        pages.push(names(page["value"].as_array().unwrap()).join(""));
        let Some(token) = token else { break };
        path = format!("_apis/projects?continuationToken={token}");
    }
    assert_eq!(pages, ["", "ab", "", "c"]);
}

#[tokio::test]
async fn wrong_credentials_meet_a_page_to_sign_in_unless_they_ask_not_to() {
    let azure = FakeAzureDevops::start().await;
    azure.org("acme");
    let visitor = Visitor::new(&azure, "wrong".to_owned().into());
    let refused = visitor.get("_apis/projects").await;
    let tenant = azure.org("acme").tenant().to_string();
    assert_eq!(refused.headers()["x-vss-resourcetenant"], *tenant);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().ends_with(&tenant));
    insta::assert_snapshot!(told(refused).await, @"401 UnauthorizedRequestException: TF400813: The user '00000000-0000-0000-0000-000000000000' is not authorized to access this resource.");

    let plain = client().get(format!("{}/_apis/projects?api-version=7.1", azure.url("acme"))).send().await.unwrap();
    assert_eq!(plain.status(), 203);
    assert_eq!(plain.headers()["content-type"], "text/html; charset=utf-8");
    azure.bad_sign_ins(SignIn::Redirect302);
    let away = visitor.get("_apis/projects").await;
    assert_eq!(away.status(), 302);
    assert!(away.headers()["location"].to_str().unwrap().contains("_signin"));
}

#[tokio::test]
async fn tokens_open_what_their_scopes_say_and_nothing_else() {
    let azure = FakeAzureDevops::start().await;
    azure.org("acme").project("one").repo("api").await;
    let pat = azure.pat("mona", "acme", &["vso.project"]);
    let visitor = Visitor::new(&azure, pat.clone());
    assert_eq!(visitor.get("_apis/projects").await.status(), 200);
    assert_eq!(visitor.get("_apis/git/repositories").await.status(), 401);
    azure.rescope(&pat, &["vso.code_write"]);
    assert_eq!(visitor.get("_apis/projects").await.status(), 401);
    assert_eq!(visitor.get("_apis/git/repositories").await.status(), 200);
    let me = visitor.get("_apis/connectionData?api-version=7.1-preview").await;
    assert_eq!(me.status(), 200, "whoever is known may ask who it is");
    azure.revoke(&pat);
    assert_eq!(visitor.get("_apis/git/repositories").await.status(), 401);
}

#[tokio::test]
async fn a_server_knows_its_versions_and_no_more() {
    let azure = FakeAzureDevops::server("7.0").await;
    azure.org("acme").project("one");
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    insta::assert_snapshot!(visitor.refusal("_apis/projects").await, @"400 VssVersionOutOfRangeException: The requested REST API version of 7.1 is out of range for this server. The latest REST API version this server supports is 7.0.");
    assert_eq!(visitor.list("_apis/projects?api-version=7.0").await.len(), 1);
    let me: Value = visitor.get("_apis/connectionData?api-version=7.0-preview").await.json().await.unwrap();
    assert_eq!(me["deploymentType"], "onPremises");
    assert_eq!(visitor.get("_apis/graph/users?api-version=7.0-preview.1").await.status(), 404);
    let told: Value = visitor.request(Method::OPTIONS, "_apis").send().await.unwrap().json().await.unwrap();
    assert_eq!(told["value"][0]["maxVersion"], "7.0");
    let below = format!("{}tfs/acme/_apis/projects?api-version=7.0", azure.host());
    let below = client().get(below).basic_auth("", Some(visitor.pat.expose_secret())).send().await.unwrap();
    assert_eq!(below.status(), 200);
    azure.fail(
        1,
        &fault(403, "AccessCheckException", "TF50309: The following account does not have sufficient permissions"),
    );
    assert!(visitor.refusal("_apis/projects?api-version=7.0").await.starts_with("403 AccessCheckException: TF50309"));
    azure.forgive_violations();
}

#[tokio::test]
async fn what_no_description_knows_breaks_a_rule() {
    if !openapi::is_there() {
        return;
    }
    let azure = FakeAzureDevops::start().await;
    azure.org("acme").project("one");
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    visitor.get("_apis/projects?colour=blue").await;
    visitor.get("_apis/projects?stateFilter=lost").await;
    visitor.get("_apis/graph/users").await;
    let body = serde_json::json!({ "name": "api", "colour": "blue" });
    visitor.request(Method::POST, "one/_apis/git/repositories").json(&body).send().await.unwrap();
    insta::assert_snapshot!(azure.forgive_violations().join("\n"), @r#"
    GET /acme/_apis/projects: there is no query parameter `colour`
    GET /acme/_apis/projects: at ``: "lost" is not one of "deleting", "new" or 5 other candidates
    GET /acme/_apis/graph/users: it is a preview; the api-version must say so
    POST /acme/one/_apis/git/repositories: nobody reads `colour` in its body
    "#);
}

#[tokio::test]
async fn every_call_says_which_version_it_means() {
    let azure = FakeAzureDevops::start().await;
    azure.org("acme").project("one");
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    let unversioned = || {
        let request = client().get(format!("{}/_apis/projects", azure.url("acme")));
        request.basic_auth("", Some(visitor.pat.expose_secret()))
    };
    let refused = told(unversioned().send().await.unwrap()).await;
    assert!(refused.starts_with("400 VssVersionNotSpecifiedException"), "{refused}");
    let accepted = unversioned().header("accept", "application/json;api-version=7.1").send().await.unwrap();
    assert_eq!(accepted.status(), 200);
    let refused = visitor.refusal("_apis/connectionData").await;
    assert!(refused.starts_with("400 VssInvalidPreviewVersionException"), "{refused}");
    assert_eq!(azure.forgive_violations().len(), 2);
}

#[tokio::test]
async fn whoever_is_told_to_wait_and_does_not_breaks_a_rule() {
    let azure = FakeAzureDevops::start().await;
    azure.org("acme").project("one");
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    azure.delays(1, 600);
    let late = visitor.get("_apis/projects").await;
    assert_eq!(late.status(), 200);
    assert_eq!(late.headers()["retry-after"], "600");
    assert_eq!(late.headers()["x-ratelimit-delay"], "0.5");
    tokio::time::sleep(Duration::from_millis(150)).await;
    visitor.get("_apis/projects").await;
    let broken = azure.forgive_violations();
    assert!(broken.len() == 1 && broken[0].contains("before the end of the Retry-After"), "{broken:?}");

    let another = Visitor::new(&azure, azure.pat("mona", "acme", &["vso.project"]));
    azure.blocks(1, 0);
    assert!(another.refusal("_apis/projects").await.starts_with("429 RequestBlockedException: TF400733"));
    assert_eq!(another.get("_apis/projects").await.status(), 200);
    azure.stopped(true);
    assert!(another.refusal("_apis/projects").await.starts_with("503 HostShutdownException: TF24668"));
}

#[tokio::test]
async fn disabled_repositories_are_listed_and_deleted_ones_lie_in_a_bin() {
    let azure = FakeAzureDevops::start().await;
    let project = azure.org("acme").project("one");
    let (kept, thrown) = (project.repo("kept").await, project.repo("thrown").await);
    project.wiki().await;
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    kept.disable();
    let listed = visitor.list("ONE/_apis/git/repositories").await;
    assert_eq!(names(&listed), ["kept", "thrown"]);
    assert_eq!(listed[0]["isDisabled"], true);
    assert!(visitor.refusal(&format!("_apis/git/repositories/{}", kept.id())).await.starts_with("404 GitRepo"));
    thrown.delete();
    assert_eq!(names(&visitor.list("one/_apis/git/recycleBin/repositories").await), ["thrown"]);
    assert_eq!(names(&visitor.list("one/_apis/git/repositories?includeHidden=true").await), ["kept", "one.wiki"]);
    assert_eq!(visitor.list("one/_apis/wiki/wikis").await.len(), 1);

    project.delete();
    assert!(visitor.list("_apis/projects").await.is_empty() && visitor.list("_apis/git/repositories").await.is_empty());
    assert_eq!(names(&visitor.list("_apis/projects?stateFilter=Deleted").await), ["one"]);
    assert!(visitor.refusal("one/_apis/git/repositories").await.contains("TF200016"));
}

#[tokio::test]
async fn rights_are_told_as_bits_that_count_in_the_end() {
    let azure = FakeAzureDevops::start().await;
    let org = azure.org("acme");
    let project = org.project("one");
    let repo = project.repo("api").await;
    let mona = org.person("mona");
    mona.may(&project, &["GenericRead", "GenericContribute"]).may_not(&repo, &["GenericContribute"]);
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    let token = format!("repoV2/{}/{}", project.id(), repo.id());
    let asked: String = url::form_urlencoded::byte_serialize(mona.descriptor.as_bytes()).collect();
    let path = "_apis/accesscontrollists/2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87";
    let lists =
        visitor.list(&format!("{path}?token={token}&descriptors={asked}&includeExtendedInfo=true&recurse=false")).await;
    let told = &lists[0]["acesDictionary"][&mona.descriptor]["extendedInfo"];
    assert_eq!((&told["effectiveAllow"], &told["effectiveDeny"]), (&2.into(), &4.into()));

    let known = visitor.list("_apis/identities?searchFilter=General&filterValue=MONA").await;
    assert_eq!(known[0]["descriptor"], *mona.descriptor);
    let key = format!("_apis/graph/storagekeys/{}", mona.subject_descriptor);
    let key: Value = visitor.get(&key).await.json().await.unwrap();
    assert_eq!(key["value"], mona.id.to_string());
    let users = visitor.list("_apis/graph/users?api-version=7.1-preview.1").await;
    assert!(users.iter().any(|user| user["originId"] == mona.origin_id.to_string()));
    let as_mona = Visitor::new(&azure, azure.pat("mona", "acme", &["vso.code_manage"]));
    let may = as_mona.get(&format!("_apis/permissions/2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87/4?tokens={token}")).await;
    assert_eq!(may.json::<Value>().await.unwrap()["value"][0], false);
}

#[tokio::test]
async fn projects_take_their_time_and_repositories_do_not() {
    let azure = FakeAzureDevops::start().await;
    azure.org("acme");
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    let body = serde_json::json!({
        "name": "New",
        "visibility": "private",
        "capabilities": {
            "versioncontrol": { "sourceControlType": "Git" },
            "processTemplate": { "templateTypeId": "b8a3a935-7e91-48b8-a94c-606d37c3e9f2" },
        },
    });
    let queued = visitor.request(Method::POST, "_apis/projects").json(&body).send().await.unwrap();
    assert_eq!(queued.status(), 202);
    let id = queued.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let mut stages = Vec::new();
    while stages.last().is_none_or(|last| last != "succeeded") {
        let stage: Value = visitor.get(&format!("_apis/operations/{id}")).await.json().await.unwrap();
        stages.push(stage["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(stages, ["queued", "inProgress", "succeeded"]);
    let project: Value = visitor.get("_apis/projects/New?includeCapabilities=true").await.json().await.unwrap();
    let made = serde_json::json!({ "name": "api", "project": { "id": project["id"] } });
    let made = visitor.request(Method::POST, "New/_apis/git/repositories").json(&made).send().await.unwrap();
    assert_eq!(made.status(), 201);
    assert_eq!(names(&visitor.list("New/_apis/git/repositories").await), ["New", "api"]);
}

#[tokio::test]
async fn pushes_and_pull_requests_are_remembered() {
    let azure = FakeAzureDevops::start().await;
    let repo = azure.org("acme").project("one").repo("api").await;
    let work = repo.work().await;
    let first = work.commit("one").await;
    work.push(&["main"]).await;
    work.git(&["checkout", "--quiet", "-b", "side"]).await;
    let second = work.commit("two").await;
    work.push(&["side"]).await;
    let pull = repo.pull_request("side", "main", "Two");
    let visitor = Visitor::new(&azure, azure.full_pat("acme"));
    let below = format!("one/_apis/git/repositories/{}", repo.id());
    let pushes = visitor.list(&format!("{below}/pushes?searchCriteria.includeRefUpdates=true")).await;
    let told: Vec<(&str, &str)> = pushes
        .iter()
        .map(|push| &push["refUpdates"][0])
        .map(|update| (update["name"].as_str().unwrap(), update["newObjectId"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("refs/heads/side", second.as_str()), ("refs/heads/main", first.as_str())]);
    let open = visitor.list("one/_apis/git/pullrequests?searchCriteria.status=active").await;
    assert_eq!(open[0]["lastMergeSourceCommit"]["commitId"], *second);
    let refs = visitor.list(&format!("{below}/refs?filter=pull/&$top=1000")).await;
    assert_eq!(names(&refs), [pull.merge_ref()]);
    pull.abandon();
    assert!(visitor.list(&format!("{below}/pullrequests")).await.is_empty());
    let all = visitor.list(&format!("{below}/pullrequests?searchCriteria.status=all")).await;
    assert_eq!(all[0]["status"], "abandoned");
}
