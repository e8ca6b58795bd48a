//! Git as Azure Repos speaks it.

use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use crate::client;
use crate::support::fake_azure_devops::{BearerIdentity, FakeAzureDevops, Repo};
use crate::support::shell::try_git;

/// What git says of `arguments` in an empty folder, with a token.
async fn said(pat: &SecretString, arguments: &[&str]) -> Result<String, String> {
    let folder = TempDir::new().unwrap();
    let header = format!("http.extraHeader=Authorization: Basic {}", encoded(pat));
    let output = try_git(folder.path(), &[&["-c", &header], arguments].concat()).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn encoded(pat: &SecretString) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(format!(":{}", pat.expose_secret()))
}

async fn filled(azure: &FakeAzureDevops) -> Repo {
    let repo = azure.org("acme").project("Prój eñt").repo("My Repo").await;
    let work = repo.work().await;
    work.commit("one").await;
    work.git(&["tag", "-a", "v1", "-m", "one"]).await;
    work.push(&["main", "v1"]).await;
    repo
}

#[tokio::test]
async fn what_is_pushed_can_be_cloned_whatever_the_names_are() {
    let azure = FakeAzureDevops::start().await;
    let repo = filled(&azure).await;
    let pat = azure.pat("mona", "acme", &["vso.code"]);

    let listed = said(&pat, &["ls-remote", repo.git_url().as_str()]).await.unwrap();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_once('\t')).map(|(_, name)| name).collect();
    assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1", "refs/tags/v1^{}"]);
    assert!(repo.git_url().path().ends_with("/acme/Pr%C3%B3j%20e%C3%B1t/_git/My%20Repo"));
    said(&pat, &["clone", "--mirror", repo.git_url().as_str(), "it"]).await.unwrap();
}

#[tokio::test]
async fn protocol_v0_is_spoken_whatever_is_asked_for() {
    let azure = FakeAzureDevops::start().await;
    let repo = filled(&azure).await;
    let pat = azure.full_pat("acme");
    let listed = async |service: &str| {
        let url = format!("{}/info/refs?service={service}", repo.git_url());
        let request = client().get(url).basic_auth("", Some(pat.expose_secret())).header("git-protocol", "version=2");
        request.send().await.unwrap().text().await.unwrap()
    };
    let fetch = listed("git-upload-pack").await;
    assert!(fetch.contains("refs/heads/main") && fetch.contains("multi_ack thin-pack"), "{fetch}");
    assert!(!fetch.contains("ofs-delta") && !fetch.contains("version 2"), "{fetch}");
    let push = listed("git-receive-pack").await;
    assert!(push.contains("report-status") && !push.contains("atomic"), "{push}");
}

#[tokio::test]
async fn whoever_wants_objects_must_know_multi_ack_and_ask_for_tips() {
    let azure = FakeAzureDevops::start().await;
    let repo = filled(&azure).await;
    let work = repo.work().await;
    work.git(&["pull", "--quiet", "origin", "main"]).await;
    work.commit("two").await;
    let tip = work.commit("three").await;
    work.push(&["main"]).await;
    let pat = azure.full_pat("acme");
    let wanted = async |id: &str, capabilities: &str| {
        let want = format!("want {id} {capabilities}\n");
        let body = format!("{:04x}{want}00000009done\n", want.len() + 4);
        let request =
            client().post(format!("{}/git-upload-pack", repo.git_url())).basic_auth("", Some(pat.expose_secret()));
        let answer = request.header("content-type", "application/x-git-upload-pack-request").body(body).send().await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned())
    };
    let (status, text) = wanted(&tip, "side-band-64k").await;
    assert!(status == 400 && text.starts_with("TF401041: "), "{status} {text}");
    let (status, text) = wanted(&tip, "multi_ack_detailed side-band-64k").await;
    assert!(status == 200 && text.contains("PACK"), "{status} {text}");
    let within = repo.tip("main~1").await;
    assert!(wanted(&within, "multi_ack_detailed side-band-64k").await.1.contains("not our ref"));
}

#[tokio::test]
async fn what_is_not_there_is_disabled_or_has_a_suffix_is_not_found() {
    let azure = FakeAzureDevops::start().await;
    let repo = filled(&azure).await;
    let pat = azure.full_pat("acme");
    let suffixed = format!("{}.git", repo.git_url());
    assert!(said(&pat, &["ls-remote", &suffixed]).await.unwrap_err().contains("TF401019"));
    repo.disable();
    assert!(said(&pat, &["ls-remote", repo.git_url().as_str()]).await.unwrap_err().contains("TF401019"));
    repo.enable();
    let before = repo.git_url();
    repo.rename("Other");
    assert!(said(&pat, &["ls-remote", before.as_str()]).await.unwrap_err().contains("TF401019"));
    said(&pat, &["ls-remote", repo.git_url().as_str()]).await.unwrap();
}

#[tokio::test]
async fn wrong_tokens_are_refused_and_bearers_are_asked_about() {
    let azure = FakeAzureDevops::start().await;
    let repo = filled(&azure).await;
    let org = azure.org("acme");
    let robot = org.principal("robot", uuid::Uuid::new_v4());
    robot.may(&repo, &["GenericRead"]);
    let (object_id, tenant) = (robot.origin_id, org.tenant());
    azure.accept_bearers(std::sync::Arc::new(move |token| {
        let name = "robot".to_owned();
        (token == "good").then_some(BearerIdentity { object_id, tenant, name, scopes: None })
    }));
    let url = repo.git_url();
    let as_bearer = async |token: &str| {
        let folder = TempDir::new().unwrap();
        let header = format!("http.extraHeader=Authorization: Bearer {token}");
        try_git(folder.path(), &["-c", &header, "ls-remote", url.as_str()]).await.status.success()
    };
    assert!(as_bearer("good").await);
    assert!(!as_bearer("bad").await);
    let pat = azure.full_pat("acme");
    azure.expire(&pat);
    assert!(said(&pat, &["ls-remote", url.as_str()]).await.is_err());
}

#[tokio::test]
async fn references_of_one_push_are_refused_one_by_one() {
    let azure = FakeAzureDevops::start().await;
    let repo = filled(&azure).await;
    repo.policy("main", "");
    let mona = azure.org("acme").person("mona");
    mona.may(&repo, &["GenericRead", "GenericContribute", "CreateBranch"]);
    let pat = azure.pat("mona", "acme", &["vso.code_write"]);
    let work = repo.work().await;
    work.git(&["pull", "--quiet", "origin", "main"]).await;
    work.commit("two").await;
    let header = format!("http.extraHeader=Authorization: Basic {}", encoded(&pat));
    let url = repo.git_url();
    let push = ["-c", &header, "push", url.as_str(), "main", "main:side", "main:refs/pull/7/head", "main:refs/tags/v2"];
    let told = try_git(work.path(), &push).await;
    let told = String::from_utf8(told.stderr).unwrap();
    let refused = |name: &str, why: &str| {
        let line = told.lines().find(|line| line.contains("[remote rejected]") && line.contains(name));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {told}");
    };
    refused("main -> main", "TF402455: Pushes to this branch are not permitted");
    refused("refs/pull/7/head", "The current action can only be performed by the system.");
    refused("v2", "TF401027: You need the Git 'CreateTag' permission");
    let names: Vec<String> = repo.refs().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["refs/heads/main", "refs/heads/side", "refs/tags/v1"]);

    mona.may(&repo, &["PolicyExempt"]);
    assert!(try_git(work.path(), &["-c", &header, "push", url.as_str(), "main"]).await.status.success());
    work.git(&["commit", "--quiet", "--amend", "-m", "another two"]).await;
    let told = try_git(work.path(), &["-c", &header, "push", "--force", url.as_str(), "main"]).await;
    assert!(String::from_utf8(told.stderr).unwrap().contains("'ForcePush'"));
}

#[tokio::test]
async fn nobody_pushes_without_the_scope_or_too_much() {
    let azure = FakeAzureDevops::start().await;
    let repo = filled(&azure).await;
    let work = repo.work().await;
    work.git(&["pull", "--quiet", "origin", "main"]).await;
    work.commit("two").await;
    let reader = azure.pat("mona", "acme", &["vso.code"]);
    let header = format!("http.extraHeader=Authorization: Basic {}", encoded(&reader));
    let told = try_git(work.path(), &["-c", &header, "push", repo.git_url().as_str(), "main"]).await;
    assert!(String::from_utf8(told.stderr).unwrap().contains("403"));

    azure.push_limit(20);
    let told = try_git(work.path(), &["push", "origin", "main"]).await;
    assert!(String::from_utf8(told.stderr).unwrap().contains("TF402462"));
    azure.push_limit(1 << 20);
    work.push(&["main"]).await;
}

#[tokio::test]
async fn a_pull_request_has_a_reference_that_follows_its_branch_as_long_as_it_can_be_merged() {
    let azure = FakeAzureDevops::start().await;
    let repo = filled(&azure).await;
    let work = repo.work().await;
    work.git(&["fetch", "--quiet", "origin"]).await;
    work.git(&["checkout", "--quiet", "-b", "side", "origin/main"]).await;
    work.commit("two").await;
    work.push(&["side"]).await;
    let pull = repo.pull_request("side", "main", "Two");
    let first = repo.tip(&pull.merge_ref()).await;
    work.commit("three").await;
    work.push(&["side"]).await;
    let second = repo.tip(&pull.merge_ref()).await;
    assert_ne!(first, second);

    work.git(&["checkout", "--quiet", "-b", "other", "origin/main"]).await;
    work.commit("four").await;
    work.push(&["other:main"]).await;
    work.git(&["checkout", "--quiet", "side"]).await;
    work.commit("five").await;
    work.push(&["side"]).await;
    let names = || async { repo.refs().await.into_iter().map(|(name, _)| name).collect::<Vec<_>>() };
    assert!(!names().await.contains(&pull.merge_ref()), "it conflicts");

    work.git(&["reset", "--quiet", "--hard", "other"]).await;
    work.commit("six").await;
    work.push(&["--force", "side"]).await;
    pull.complete();
    assert_eq!(repo.tip("main").await, repo.tip(&pull.merge_ref()).await);
}
