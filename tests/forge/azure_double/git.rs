//! Git as Azure Repos speaks it.

use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use crate::client;
use crate::support::fake_azure_devops::{FakeAzureDevops, Repo};
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
